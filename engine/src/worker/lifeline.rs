//! The thread that listens to the kernel while Python does whatever it does.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use fabric::frame::Frames;
use fabric::message::lifeline::{FromWorker, ToWorker};
use fabric::message::task::{Task, Work};

use super::link::Link;
use super::stack::Stack;
use crate::{ffi, threads};

/// Wakes Python's main thread without being a task: its id names none.
fn wake() -> Task {
    Task {
        id: 0,
        targets: 0,
        work: Work::Execute { code: String::new(), store_history: false, measure: false },
    }
}

/// Listens until the kernel lets go, which ends the process: nobody is left to work for.
pub(super) fn listen(
    mut lifeline: UnixStream,
    link: &Arc<Link>,
    tasks: &Sender<Task>,
    stack: &Arc<Stack>,
) -> ! {
    let mut frames = Frames::default();
    while let Ok(Some(message)) = frames.read(&mut lifeline) {
        match message {
            ToWorker::Interrupt { task } => {
                link.guard.interrupt(task);
                link.answers.look();
            }
            ToWorker::Ask { question, .. } if link.guard.running().is_some() => {
                drop(link.send(&FromWorker::Answer { question, content: None }));
            }
            ToWorker::Ask { question, about } => {
                link.give(tasks, Task { id: 0, targets: 0, work: Work::Look { question, about } });
            }
            ToWorker::Input { question, answer } => link.answers.give(question, answer),
            // A kernel that has gone is noticed by the next read.
            ToWorker::Status => drop(link.send(&FromWorker::Status(link.status()))),
            ToWorker::Stack => answer_with_stack(link, stack),
            ToWorker::Task(task) => {
                link.begin_rescue();
                link.give(tasks, task);
            }
            ToWorker::Lost { ranks } => link.lose(&ranks),
            ToWorker::Cancel { tasks } => {
                let (tasks, begun) = link.ledger.cancel(&tasks);
                drop(link.send(&FromWorker::Cancelled { tasks, begun }));
            }
            ToWorker::Release { descriptors } => link.release(&descriptors),
            ToWorker::Quit => {
                link.quit();
                link.give(tasks, wake());
            }
        }
    }
    ffi::exit_now(1)
}

/// On a thread of its own: the dump may take a second, and an interrupt must not wait for it.
fn answer_with_stack(link: &Arc<Link>, stack: &Arc<Stack>) {
    let (link, stack) = (Arc::clone(link), Arc::clone(stack));
    let answer = move || {
        let before = link.guard.within();
        let threads = stack.dump(link.guard.main());
        // It may have come or gone meanwhile; then it is not known what the stack belongs to.
        let mpi = link.guard.within().filter(|mpi| before == Some(mpi)).map(str::to_owned);
        drop(link.send(&FromWorker::Stack { threads, mpi }));
    };
    // Without a thread to be had there is no answer, and the kernel says that there was none.
    drop(threads::spawn("stack", answer));
}
