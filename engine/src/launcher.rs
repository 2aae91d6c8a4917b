//! The launcher: starts `mpiexec` in a session of its own, and the zygote beside it; says how it ended, and leaves
//! nothing behind.
//!
//! ```text
//!  Start ─► runs ─┬─ it exits ──► the rest is asked to end (SIGTERM), then killed ─► files removed ─► Exited
//!                 ├─ Stop ──────► may end by itself, then everything is killed ────► the same
//!                 └─ end of file, SIGTERM, SIGINT, SIGHUP ─► asked, then killed ───► the same, and the launcher ends
//! ```
//!
//! **Invariants**: one thread (the death signal of what it starts fires when the starting *thread* ends). Orphans
//! below become its children, so nothing is left exactly when it has no child. Only named paths are removed, and
//! only when nothing is left that could use them.
//!
//! **Boundary**: it knows nothing of ranks or MPI.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use fabric::frame::{self, Frames};
use fabric::leftovers;
use fabric::message::launcher::{FromLauncher, ToLauncher};
use fabric::message::lifeline::Ending;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal};

use crate::descendants;
use crate::patience::Patience;
use crate::sys::{self, Signals};

mod output;
mod zygote;

use output::Output;

/// How long what is left may take to end after a SIGTERM, when the kernel has gone.
const ORPHANED: Duration = Duration::from_millis(1000);

/// How long the children that cells left behind may take, when the ranks have ended.
const LEFT_OVER: Duration = Duration::from_millis(300);

/// How long a killed process may hang in the system before it is left behind.
const UNKILLABLE: Duration = Duration::from_secs(5);

/// Runs until the kernel lets go of `link`.
pub(crate) fn run(link: UnixStream) -> anyhow::Result<()> {
    // Jupyter's servers signal the kernel's process group, and a terminal its session.
    let _ = rustix::process::setsid();
    let signals = Signals::take(&[Signal::CHILD, Signal::TERM, Signal::INT, Signal::HUP])
        .context("cannot take signals")?;
    descendants::inherit_orphans().context("cannot become a subreaper")?;
    Launcher {
        link,
        frames: Frames::default(),
        signals,
        remove: Vec::new(),
        inherited: Vec::new(),
        kernel: rustix::process::getppid(),
        output: None,
        command: None,
        ended: None,
        stage: Stage::Running,
        is_let_go: false,
    }
    .watch();
    Ok(())
}

struct Launcher {
    link: UnixStream,
    frames: Frames,
    signals: Signals,
    remove: Vec<PathBuf>,
    /// What is ours to remove if the kernel has died.
    inherited: Vec<PathBuf>,
    kernel: Option<Pid>,
    output: Option<Output>,
    /// The command, once it was started.
    command: Option<Pid>,
    /// How it ended.
    ended: Option<Ending>,
    stage: Stage,
    /// The kernel has gone or wants us gone: end when nothing is left.
    is_let_go: bool,
}

/// How far the end is.
#[derive(Clone, Copy)]
enum Stage {
    /// It is not in sight.
    Running,
    /// What is there may still end by itself.
    Waiting(Patience),
    /// Everything has been killed.
    Killing(Patience),
    /// Nothing is left, and that was reported.
    Over,
}

impl Launcher {
    fn watch(mut self) {
        while !(self.is_let_go && matches!(self.stage, Stage::Over)) {
            let (signalled, spoken) = self.wait();
            if spoken && !self.is_let_go {
                self.listen();
            }
            if signalled && self.signals.read().iter().any(|signal| *signal != Signal::CHILD.as_raw()) {
                self.let_go();
            }
            if let Some(output) = &mut self.output {
                output.read();
            }
            self.advance();
        }
        if rustix::process::getppid() != self.kernel {
            remove(&self.inherited);
        }
    }

    /// Waits for a signal, a word of the kernel, output or the deadline.
    fn wait(&self) -> (bool, bool) {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if !self.is_let_go {
            fds.push(PollFd::new(&self.link, PollFlags::IN));
        }
        if let Some(open) = self.output.as_ref().and_then(Output::open) {
            fds.push(PollFd::new(open, PollFlags::IN));
        }
        let left = match self.stage {
            Stage::Waiting(patience) | Stage::Killing(patience) => Some(patience.left()),
            Stage::Running | Stage::Over => None,
        };
        let _ = poll(&mut fds, left.as_ref());
        (!fds[0].revents().is_empty(), fds.get(1).is_some_and(|fd| !fd.revents().is_empty()))
    }

    fn listen(&mut self) {
        let mut piece = [0; 16 * 1024];
        match self.link.read(&mut piece) {
            Ok(0) => return self.let_go(),
            Ok(count) => self.frames.extend(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return,
            Err(_gone) => return self.let_go(),
        }
        loop {
            match self.frames.next() {
                Ok(Some(ToLauncher::Start { command, set, directory, zygote })) => {
                    // Without it each rank loads Python, which takes longer and is all that differs.
                    let _ = zygote.map(|zygote| zygote::start(&zygote, &set, &directory));
                    self.start(&command, &set, &directory);
                }
                Ok(Some(ToLauncher::Remove(paths))) if matches!(self.stage, Stage::Over) => remove(&paths),
                Ok(Some(ToLauncher::Remove(paths))) => self.remove.extend(paths),
                Ok(Some(ToLauncher::Inherit(paths))) => self.inherited.extend(paths),
                Ok(Some(ToLauncher::Stop { grace })) => self.stop(Duration::from_millis(grace.into())),
                Ok(None) => return,
                // A peer that speaks something else is not our kernel.
                Err(_nonsense) => return self.let_go(),
            }
        }
    }

    fn start(&mut self, words: &[String], set: &[(String, String)], directory: &Path) {
        if self.command.is_some() {
            return self.tell(&FromLauncher::Failed { reason: "a command was started before".to_owned() });
        }
        let report = match self.spawn(words, set, directory) {
            Ok(pid) => FromLauncher::Started { pid },
            Err(error) => FromLauncher::Failed { reason: format!("{error:#}") },
        };
        self.tell(&report);
    }

    fn spawn(&mut self, words: &[String], set: &[(String, String)], directory: &Path) -> anyhow::Result<u32> {
        let mut command = command(words, set, directory)?;
        let (output, end) = Output::new().context("cannot make a pipe")?;
        command.stdin(Stdio::null()).stdout(end.try_clone()?).stderr(end);
        // SIGTERM, so that mpiexec can clean up after itself; the ranks have lifelines of their own.
        let child = sys::spawn_tied(&mut command, Signal::TERM)
            .with_context(|| format!("cannot run `{}` in `{}`", words[0], directory.display()))?;
        self.output = Some(output);
        self.command = sys::pid_of(&child);
        Ok(child.id())
    }

    /// Lets everything end by itself, for as long as `grace`.
    fn stop(&mut self, grace: Duration) {
        if matches!(self.stage, Stage::Running | Stage::Waiting(_)) {
            self.stage = Stage::Waiting(Patience::of(grace));
        }
    }

    /// The kernel has gone: asks everything to end, now.
    fn let_go(&mut self) {
        if !self.is_let_go && matches!(self.stage, Stage::Running | Stage::Waiting(_)) {
            descendants::signal_all(Signal::TERM);
            self.stage = Stage::Waiting(Patience::of(ORPHANED));
        }
        self.is_let_go = true;
    }

    /// Takes note of what has ended, and goes on to the next stage when it is time.
    fn advance(&mut self) {
        let reaped = descendants::reap();
        for (pid, ending) in reaped.ended {
            if Some(pid) == self.command {
                self.ended = Some(ending);
                self.end_the_rest();
            }
        }
        match self.stage {
            Stage::Waiting(_) | Stage::Killing(_) if reaped.none_left => self.finish(),
            Stage::Waiting(patience) if patience.is_over() => {
                self.stage = Stage::Killing(Patience::of(UNKILLABLE));
                descendants::signal_all(Signal::KILL);
            }
            Stage::Killing(patience) if patience.is_over() => self.finish(),
            // What a killed process had just started has become our child.
            Stage::Killing(_) => descendants::signal_all(Signal::KILL),
            Stage::Waiting(_) | Stage::Running | Stage::Over => {}
        }
    }

    /// The command has ended, so what is left are children that cells started.
    fn end_the_rest(&mut self) {
        let patience = Patience::of(LEFT_OVER);
        self.stage = match self.stage {
            Stage::Running => Stage::Waiting(patience),
            Stage::Waiting(before) => Stage::Waiting(before.or(patience)),
            stage => return self.stage = stage,
        };
        descendants::signal_all(Signal::TERM);
    }

    fn finish(&mut self) {
        self.stage = Stage::Over;
        remove(&std::mem::take(&mut self.remove));
        let last_words = self.output.take().map(Output::last_words).unwrap_or_default();
        if let Some(ending) = self.ended {
            self.tell(&FromLauncher::Exited { ending, last_words });
        }
    }

    fn tell(&mut self, report: &FromLauncher) {
        if frame::write(&mut self.link, report).is_err() {
            self.let_go();
        }
    }
}

/// What is started: with the variables of the launch, where the notebook works.
fn command(words: &[String], set: &[(String, String)], directory: &Path) -> anyhow::Result<Command> {
    let (program, arguments) = words.split_first().context("the command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).envs(set.iter().map(|(name, value)| (name, value))).current_dir(directory);
    Ok(command)
}

fn remove(paths: &[PathBuf]) {
    for path in paths {
        leftovers::remove(path);
    }
}
