//! An engine that waits for tasks in its inbox carries its own packets; while it works, the comm thread does.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fabric::comm::{Comm, Inbox, Outbox};
use fabric::message::task::{Task, TaskId};

use super::world::{DEADLINE, World, done, line, pass, until};

/// Rank 1 of a world of two, on a thread of its own that takes tasks as a Python does.
struct Waiting {
    comm: Comm,
    outbox: Outbox,
    /// Another way to its inbox, as the lifeline's.
    give: Sender<Task>,
    /// The tasks that it has taken, each with those that had arrived behind it when it was done.
    took: Receiver<(TaskId, Vec<TaskId>)>,
    /// Lets it go on with the task that it has taken.
    go: Sender<()>,
    thread: JoinHandle<()>,
}

impl Waiting {
    fn of(world: &mut World) -> Waiting {
        let engine = world.engines.remove(1);
        let mut inbox: Inbox = engine.comm.inbox(engine.inbox);
        let (took_one, took) = channel();
        let (go, go_on) = channel();
        let outbox = engine.outbox.clone();
        let thread = thread::spawn(move || {
            while let Some(task) = inbox.recv() {
                took_one.send((task.id, Vec::new())).unwrap();
                go_on.recv().unwrap();
                let behind = inbox.arrived().iter().map(|task| task.id).collect();
                took_one.send((task.id, behind)).unwrap();
                if task.id > 0 {
                    outbox.report(&done(task.id)).unwrap();
                }
            }
        });
        Waiting { comm: engine.comm, outbox: engine.outbox, give: engine.give, took, go, thread }
    }

    /// Waits until it has taken `task`.
    fn takes(&self, task: TaskId) {
        assert_eq!(self.took.recv_timeout(DEADLINE).unwrap(), (task, vec![]));
    }

    /// Lets it finish `task`, and returns what had arrived behind it.
    fn finishes(&self, task: TaskId) -> Vec<TaskId> {
        self.go.send(()).unwrap();
        let (finished, behind) = self.took.recv_timeout(DEADLINE).unwrap();
        assert_eq!(finished, task);
        behind
    }
}

#[test]
fn tasks_come_one_after_the_other_whoever_carries() {
    let mut world = World::new(2);
    let one = Waiting::of(&mut world);
    for id in 1..=300 {
        world.fan_out(id, &[1]);
        one.takes(id);
        // Longer than the comm thread leaves an engine alone, so that it carries the next one.
        if id % 50 == 0 {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(one.finishes(id), []);
        assert_eq!(world.next(), (1, done(id)));
    }
}

#[test]
fn what_arrives_while_an_engine_works_is_carried_by_the_comm_thread() {
    let mut world = World::new(2);
    let one = Waiting::of(&mut world);
    for first in [1, 4, 7] {
        world.fan_out(first, &[1]);
        one.takes(first);
        world.fan_out(first + 1, &[1]);
        world.fan_out(first + 2, &[1]);
        until(|| one.outbox.arrived() == first + 2);
        assert_eq!(one.finishes(first), [first + 1, first + 2]);
        assert_eq!(world.next(), (1, done(first)));
    }
}

#[test]
fn what_another_thread_gives_wakes_an_engine_that_waits() {
    let mut world = World::new(2);
    let one = Waiting::of(&mut world);
    let order = [(1, true), (0, false), (0, false), (2, true), (0, false)];
    for (id, by_kernel) in order {
        if by_kernel {
            world.fan_out(id, &[1]);
        } else {
            one.give.send(Task { id, targets: 0, work: pass() }).unwrap();
            one.outbox.wake();
        }
        one.takes(id);
        assert_eq!(one.finishes(id), []);
    }
}

#[test]
fn an_engine_that_writes_much_is_told_what_was_taken() {
    let mut world = World::new(2);
    let one = Waiting::of(&mut world);
    world.fan_out(1, &[1]);
    one.takes(1);
    let (outbox, text) = (one.outbox.clone(), "x".repeat(100_000));
    let writer = thread::spawn(move || (0..300).for_each(|_| outbox.report(&line(1, &text)).unwrap()));
    for _ in 0..300 {
        world.next();
    }
    writer.join().unwrap();
    assert_eq!(one.finishes(1), []);
}

#[test]
fn an_engine_that_waits_learns_of_the_end() {
    let mut world = World::new(2);
    let Waiting { comm, give, thread, .. } = Waiting::of(&mut world);
    drop(give);
    world.fan_out(1, &[0]);
    comm.stop().finalize().unwrap();
    thread.join().unwrap();
}

#[test]
fn what_is_given_comes_though_nothing_is_carried_any_more() {
    let mut world = World::new(2);
    let Waiting { comm, outbox, give, took, go, thread } = Waiting::of(&mut world);
    comm.stop().finalize().unwrap();
    for _ in 0..3 {
        give.send(Task { id: 0, targets: 0, work: pass() }).unwrap();
        outbox.wake();
        assert_eq!(took.recv_timeout(DEADLINE).unwrap(), (0, vec![]));
        go.send(()).unwrap();
        assert_eq!(took.recv_timeout(DEADLINE).unwrap(), (0, vec![]));
    }
    drop(give);
    thread.join().unwrap();
}
