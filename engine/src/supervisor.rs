//! One rank's supervisor: the parent of the worker that embeds Python. It says exactly how the worker ended, and
//! stays, because an MPI launcher that loses a rank kills all the others.
//!
//! It is the rank itself, which starts the worker, or was forked with the worker by the zygote (`zygote.rs`); then
//! the rank waits for it (`rank.rs`).
//!
//! **Invariants**: one thread, no Python, no MPI. The end of file on its lifeline, `End`, SIGTERM and the rank's end
//! all end the worker and whatever is left below; only a worker that has quit in good order ends its supervisor. If
//! the supervisor itself is killed, the system kills the worker.
//!
//! **Boundary**: it takes no part in what the worker does and reads nothing that it writes until it has ended.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use fabric::config::RankConfig;
use fabric::frame::{self, Frames};
use fabric::message::BUILD;
use fabric::message::lifeline::{Ending, FromSupervisor, Hello, Role, ToSupervisor};
use fabric::message::zygote::FromZygote;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};

use crate::descendants;
use crate::limits;
use crate::patience::Patience;
use crate::remains::Remains;
use crate::sys::{self, Signals};

/// How long what a worker left behind may take to end.
const LEFT_OVER: Duration = Duration::from_millis(300);

/// How long a killed process may hang in the system (a dead file server) before it is left behind.
const UNKILLABLE: Duration = Duration::from_secs(5);

/// Starts a worker, then runs until the kernel lets go or the worker has quit.
pub(crate) fn start(config: &Path, set: &RankConfig, remains: Remains, words: File) -> anyhow::Result<()> {
    let (signals, lifeline) = prepare(set)?;
    match spawn(config, &remains, words) {
        Ok(worker) => Supervisor::new(signals, lifeline, worker, remains).watch(),
        // Not every `mpiexec` minds a rank that ends before MPI has started: the others would wait for it.
        Err(error) => {
            Supervisor::new(signals, lifeline, rustix::process::getpid(), remains).give_up(&error);
            return Err(error);
        }
    }
    Ok(())
}

/// Looks after a worker that is this process's child already, in the same way. `rank` waits for it.
pub(crate) fn adopt(set: &RankConfig, worker: Pid, remains: Remains, rank: UnixStream) -> anyhow::Result<()> {
    let (signals, lifeline) = prepare(set)?;
    let mut supervisor = Supervisor::new(signals, lifeline, worker, remains);
    supervisor.rank = Some(rank);
    supervisor.watch();
    Ok(())
}

fn prepare(set: &RankConfig) -> anyhow::Result<(Signals, UnixStream)> {
    let signals = Signals::take(&[Signal::CHILD, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT])
        .context("cannot take signals")?;
    descendants::inherit_orphans().context("cannot become a subreaper")?;
    let lifeline = UnixStream::connect(&set.socket)
        .with_context(|| format!("no kernel listens on `{}`", set.socket.display()))?;
    Ok((signals, lifeline))
}

fn spawn(config: &Path, remains: &Remains, words: File) -> anyhow::Result<Pid> {
    let executable = std::env::current_exe().context("cannot find out where this executable is")?;
    let mut command = Command::new(executable);
    command.arg("worker").arg("--config").arg(config);
    let passed = sys::pass(&mut command, &remains.faults);
    command.arg("--faults").arg(passed.to_string());
    command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words);
    // A group of its own: what user code sends to its group must not reach the launcher.
    command.process_group(0);
    let child = sys::spawn_tied(&mut command, Signal::KILL).context("cannot start the worker")?;
    sys::pid_of(&child).context("the worker has no process id")
}

struct Supervisor {
    lifeline: UnixStream,
    frames: Frames,
    signals: Signals,
    worker: Pid,
    remains: Remains,
    /// The process that `mpiexec` knows as the rank, where that is another one.
    rank: Option<UnixStream>,
    ended: Option<Ending>,
    /// The end of the worker is this process's doing.
    is_ending: bool,
}

impl Supervisor {
    fn new(signals: Signals, mut lifeline: UnixStream, worker: Pid, remains: Remains) -> Supervisor {
        let role = Role::Supervisor { worker: worker.as_raw_nonzero().get().cast_unsigned() };
        let hello = Hello { build: BUILD.to_owned(), pid: std::process::id(), role };
        // A kernel that has gone is noticed as the end of file.
        let _ = frame::write(&mut lifeline, &hello);
        Supervisor {
            lifeline,
            frames: Frames::default(),
            signals,
            worker,
            remains,
            rank: None,
            ended: None,
            is_ending: false,
        }
    }

    fn watch(mut self) {
        loop {
            // An adopted worker may have ended before the first signal could be taken.
            self.reap();
            if self.ended.is_some_and(|ending| self.remains.has_quit(ending)) {
                return self.end();
            }
            if self.wait() {
                return self.end();
            }
        }
    }

    /// There is no worker: this process ends in its place.
    fn give_up(mut self, reason: &anyhow::Error) {
        let last_words = format!("{reason:#}\n{}", limits::shortage().unwrap_or_default());
        self.report(Ending::Code(1), last_words);
    }

    fn report(&mut self, ending: Ending, last_words: String) {
        let worker = self.worker.as_raw_nonzero().get().cast_unsigned();
        let line = self.remains.line();
        // A kernel that has gone is noticed as the end of file.
        let _ =
            frame::write(&mut self.lifeline, &FromSupervisor::Exited { worker, ending, last_words, line });
    }

    /// Waits for something to happen: whether that is the end.
    fn wait(&mut self) -> bool {
        let mut fds =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.lifeline, PollFlags::IN)];
        // It says nothing, so what can be read is its end.
        fds.extend(self.rank.iter().map(|rank| PollFd::new(rank, PollFlags::IN)));
        let _ = poll(&mut fds, None);
        let happened: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let told = happened[0] && self.signals.read().contains(&Signal::TERM.as_raw());
        told || happened.get(2) == Some(&true) || (happened[1] && self.is_let_go())
    }

    /// Takes note of children that have ended and reports the worker.
    fn reap(&mut self) -> bool {
        let reaped = descendants::reap();
        for (pid, ending) in reaped.ended {
            if pid == self.worker && self.ended.is_none() {
                self.ended = Some(ending);
                if self.is_ending {
                    // Nobody is to take it for the reason of the end.
                    continue;
                }
                let mut last_words = self.remains.last_words();
                if ended_by_itself(ending) {
                    last_words.extend(limits::shortage());
                }
                self.report(ending, last_words);
            }
        }
        reaped.none_left
    }

    /// Reads the lifeline once: whether the kernel wants the end, has gone or speaks nonsense.
    fn is_let_go(&mut self) -> bool {
        let mut piece = [0; 1024];
        match self.lifeline.read(&mut piece) {
            Ok(0) => true,
            Ok(count) => {
                self.frames.extend(&piece[..count]);
                loop {
                    match self.frames.next() {
                        Ok(None) => return false,
                        Ok(Some(ToSupervisor::Signal { signal })) => self.signal_worker(signal),
                        Ok(Some(ToSupervisor::End)) | Err(_) => return true,
                    }
                }
            }
            Err(error) => error.kind() != std::io::ErrorKind::Interrupted,
        }
    }

    /// Sends a signal to the worker, unless it has ended.
    fn signal_worker(&self, signal: i32) {
        // Not waited for yet, so the id is still the worker's.
        if self.ended.is_none() {
            sys::signal_process(self.worker, signal);
        }
    }

    /// Kills the worker, and asks what it left to end before killing that too: Python's resource tracker, for
    /// one, removes the semaphores of a killed pool.
    fn end(mut self) {
        self.is_ending = true;
        if self.ended.is_none() {
            // Not waited for yet, so the id is still the worker's.
            let _ = kill_process(self.worker, Signal::KILL);
        }
        descendants::signal_all(Signal::TERM);
        let patience = Patience::of(LEFT_OVER);
        while !self.reap() && !patience.is_over() {
            self.wait_for_child(patience);
        }
        let patience = Patience::of(UNKILLABLE);
        while !self.reap() && !patience.is_over() {
            descendants::signal_all(Signal::KILL);
            self.wait_for_child(patience);
        }
        // A rank that has gone has nothing to wait for.
        let _ = self.rank.map(|mut rank| frame::write(&mut rank, &FromZygote::Over));
    }

    fn wait_for_child(&self, patience: Patience) {
        let mut fds = [PollFd::new(&self.signals, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&patience.left()));
        self.signals.read();
    }
}

/// Whether nobody has ended it: an MPI that cannot go on exits or aborts.
fn ended_by_itself(ending: Ending) -> bool {
    match ending {
        Ending::Code(code) => code != 0,
        Ending::Signal(signal) => signal == Signal::ABORT.as_raw(),
    }
}
