//! One rank's supervisor: the process that `mpiexec` knows as the rank. It starts the worker that embeds Python,
//! says exactly how it ended, and stays, because an MPI launcher that loses a rank kills all the others.
//!
//! **Invariants**: one thread, no Python, no MPI. The end of file on its lifeline, `End` and SIGTERM all end the
//! worker and whatever is left below; only a worker that has quit in good order ends its supervisor. If the
//! supervisor itself is killed, the system kills the worker.
//!
//! **Boundary**: it takes no part in what the worker does and reads nothing that it writes until it has ended.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use fabric::config::RankConfig;
use fabric::frame::{self, Frames};
use fabric::message::BUILD;
use fabric::message::lifeline::{Ending, FromSupervisor, Hello, Role, ToSupervisor};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process};

use crate::descendants;
use crate::farewell::FAREWELL;
use crate::limits;
use crate::patience::Patience;
use crate::sys::{self, Signals};
use crate::tail::Tail;

/// The most of a worker's last words that is reported, in bytes.
const LAST_WORDS: usize = 4096;

/// How much of them faulthandler may have: its first lines matter, and with many threads it writes many.
const FAULT_WORDS: usize = 3072;

/// How long what a worker left behind may take to end.
const LEFT_OVER: Duration = Duration::from_millis(300);

/// How long a killed process may hang in the system (a dead file server) before it is left behind.
const UNKILLABLE: Duration = Duration::from_secs(5);

/// Runs until the kernel lets go or the worker has quit.
pub(crate) fn run(config: &Path) -> anyhow::Result<()> {
    let set = crate::read_config(config)?;
    let signals = Signals::take(&[Signal::CHILD, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT])
        .context("cannot take signals")?;
    descendants::inherit_orphans().context("cannot become a subreaper")?;
    let mut lifeline = UnixStream::connect(&set.socket)
        .with_context(|| format!("no kernel listens on `{}`", set.socket.display()))?;
    let worker = Worker::start(config, &set)?;
    let role = Role::Supervisor { worker: worker.pid.as_raw_nonzero().get().cast_unsigned() };
    let hello = Hello { build: BUILD.to_owned(), pid: std::process::id(), role };
    // A kernel that has gone is noticed below, as the end of file.
    let _ = frame::write(&mut lifeline, &hello);
    Supervisor { lifeline, frames: Frames::default(), signals, worker, ended: None }.watch();
    Ok(())
}

/// The worker's process and what it leaves.
struct Worker {
    pid: Pid,
    log: PathBuf,
    /// An anonymous file: first the line of the cell that runs (`place`), then what faulthandler writes, or the
    /// farewell.
    faults: OwnedFd,
}

impl Worker {
    fn start(config: &Path, set: &RankConfig) -> anyhow::Result<Worker> {
        let executable = std::env::current_exe().context("cannot find out where this executable is")?;
        let log = set.runtime.join(format!("engine-{}.log", name()));
        let words = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log)
            .with_context(|| format!("cannot write the log `{}`", log.display()))?;
        let faults = memfd_create("faults", MemfdFlags::CLOEXEC).context("cannot make an anonymous file")?;
        // The worker writes on from here.
        rustix::io::write(&faults, &0_u32.to_ne_bytes()).context("cannot write an anonymous file")?;
        let mut command = Command::new(executable);
        command.arg("worker").arg("--config").arg(config);
        let passed = sys::pass(&mut command, &faults);
        command.arg("--faults").arg(passed.to_string());
        command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words);
        // A group of its own: what user code sends to its group must not reach the launcher.
        command.process_group(0);
        let child = sys::spawn_tied(&mut command, Signal::KILL).context("cannot start the worker")?;
        let pid = sys::pid_of(&child).context("the worker has no process id")?;
        Ok(Worker { pid, log, faults })
    }

    /// What it wrote outside cells, and what faulthandler wrote when it crashed.
    fn last_words(&self) -> String {
        let fault = self.faults().unwrap_or_default();
        let fault = String::from_utf8_lossy(&fault[..fault.len().min(FAULT_WORDS)]).into_owned();
        let mut tail = Tail::new(LAST_WORDS - fault.len().min(LAST_WORDS));
        tail.extend(&self.log_tail().unwrap_or_default());
        tail.text() + &fault
    }

    /// The line of the cell that ran; 0 when none did.
    fn line(&self) -> u32 {
        let mut line = [0; size_of::<u32>()];
        match rustix::io::pread(&self.faults, &mut line, 0) {
            Ok(count) if count == line.len() => u32::from_ne_bytes(line),
            _ => 0,
        }
    }

    fn faults(&self) -> std::io::Result<Vec<u8>> {
        let mut file = File::from(self.faults.try_clone()?);
        file.seek(SeekFrom::Start(size_of::<u32>() as u64))?;
        let mut bytes = Vec::new();
        file.take(LAST_WORDS as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn log_tail(&self) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS as u64)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn has_quit(&self, ending: Ending) -> bool {
        ending == Ending::Code(0) && self.faults().is_ok_and(|words| words.ends_with(FAREWELL))
    }
}

/// A rank's name for its log, which is needed before MPI is there to ask.
fn name() -> String {
    let rank = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok()?.parse::<u32>().ok());
    rank.map_or_else(|| format!("pid-{}", std::process::id()), |rank| rank.to_string())
}

struct Supervisor {
    lifeline: UnixStream,
    frames: Frames,
    signals: Signals,
    worker: Worker,
    ended: Option<Ending>,
}

impl Supervisor {
    fn watch(mut self) {
        loop {
            let mut fds =
                [PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.lifeline, PollFlags::IN)];
            let _ = poll(&mut fds, None);
            let (signalled, spoken) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
            let told = signalled && self.signals.read().contains(&Signal::TERM.as_raw());
            self.reap();
            if self.ended.is_some_and(|ending| self.worker.has_quit(ending)) {
                return self.end();
            }
            if told || (spoken && self.is_let_go()) {
                return self.end();
            }
        }
    }

    /// Takes note of children that have ended and reports the worker.
    fn reap(&mut self) -> bool {
        let reaped = descendants::reap();
        for (pid, ending) in reaped.ended {
            if pid == self.worker.pid && self.ended.is_none() {
                self.ended = Some(ending);
                let worker = pid.as_raw_nonzero().get().cast_unsigned();
                let mut last_words = self.worker.last_words();
                if ended_by_itself(ending) {
                    last_words.extend(limits::shortage());
                }
                let line = self.worker.line();
                let report = FromSupervisor::Exited { worker, ending, last_words, line };
                // A kernel that has gone is noticed as the end of file.
                let _ = frame::write(&mut self.lifeline, &report);
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
            sys::signal_process(self.worker.pid, signal);
        }
    }

    /// Kills the worker, and asks what it left to end before killing that too: Python's resource tracker, for
    /// one, removes the semaphores of a killed pool.
    fn end(mut self) {
        if self.ended.is_none() {
            // Not waited for yet, so the id is still the worker's.
            let _ = kill_process(self.worker.pid, Signal::KILL);
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
