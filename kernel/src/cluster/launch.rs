//! Starting and stopping a set of engines.

use std::time::{Duration, Instant};

use fabric::message::Rank;
use fabric::message::launcher::{FromLauncher, ToLauncher};
use fabric::message::lifeline::{Ending, ToSupervisor, ToWorker};

use super::own::Own;
use super::{Effect, Engine, Notice, Output, named};

/// How long the driver may take to say how a set is launched.
const PREPARATION: Duration = Duration::from_secs(90);

/// How long healthy engines may take to finalise MPI and end.
const FAREWELL: Duration = Duration::from_millis(1500);

/// Where a set of engines is in its life.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// There are no engines.
    #[default]
    Off,
    /// They have been asked for.
    Launching {
        /// When.
        since: Instant,
        /// When they must all be there; `None` when that is over and their logs are being read.
        until: Option<Instant>,
        /// How many there will be, once that is known.
        size: Option<u32>,
    },
    /// They take tasks; some may have died since.
    Up,
    /// They end.
    Stopping {
        /// How many are to be started when they have ended (`Some(None)`: the usual number).
        then: Option<Option<u32>>,
    },
    /// They could not be started, or their launcher ended by itself.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
}

impl Phase {
    pub(super) fn is_up(&self) -> bool {
        matches!(self, Phase::Up)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Phase::Launching { until, .. } => *until,
            _ => None,
        }
    }
}

/// What the driver has found out about a set that it launches.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How many engines there will be.
    pub size: u32,
    /// How long they may take to say hello.
    pub patience: Duration,
    /// What a person should know of them.
    pub caution: Option<String>,
}

impl Own {
    /// Starts `size` engines, or as many as before, or as usual. Engines that are there are ended first.
    pub fn start(&mut self, size: Option<u32>, now: Instant, out: &mut Output) {
        match &mut self.phase {
            Phase::Off | Phase::Failed { .. } => self.launch(size, now, out),
            Phase::Stopping { then } => *then = Some(size),
            Phase::Launching { .. } | Phase::Up => self.end(Some(size), out),
        }
    }

    /// Ends the engines.
    pub fn stop(&mut self, out: &mut Output) {
        match &mut self.phase {
            Phase::Off | Phase::Failed { .. } => {}
            Phase::Stopping { then } => *then = None,
            Phase::Launching { .. } | Phase::Up => self.end(None, out),
        }
    }

    /// The driver knows by now what the set will be.
    pub fn launched(&mut self, set: super::SetId, terms: Terms) {
        if let Phase::Launching { since, until, size } = &mut self.phase
            && set == self.set
        {
            *until = Some(*since + terms.patience);
            *size = Some(terms.size);
            self.caution = terms.caution;
        }
    }

    fn launch(&mut self, size: Option<u32>, now: Instant, out: &mut Output) {
        self.forget(out);
        let size = size.or(self.before);
        self.phase = Phase::Launching { since: now, until: Some(now + PREPARATION), size };
        out.effects.push(Effect::Launch { set: self.set, size });
        out.notices.push(Notice::Phase);
    }

    /// The next set begins: nothing of the last one counts any more.
    fn forget(&mut self, out: &mut Output) {
        out.effects.push(Effect::Release(self.set));
        self.set += 1;
        self.caution = None;
        self.engines.clear();
        self.supervisors.clear();
        self.gateway = None;
        self.account = Default::default();
    }

    fn end(&mut self, then: Option<Option<u32>>, out: &mut Output) {
        let healthy = self.phase.is_up()
            && self.engines.values().all(|engine| engine.lives() && engine.tasks.is_empty());
        // First: who learns that a task is lost is to find that the engines are going.
        self.phase = Phase::Stopping { then };
        out.notices.push(Notice::Phase);
        self.ground_all("the engines were stopped", out);
        let grace = if healthy {
            let quit = |engine: &Engine| Effect::Worker(engine.link, ToWorker::Quit);
            out.effects.extend(self.engines.values().map(quit));
            FAREWELL
        } else {
            // MPI_Finalize is collective (MPI 4.1 §11.2.2): with one rank missing it would hang the rest.
            let end = |link: &super::LinkId| Effect::Supervisor(*link, ToSupervisor::End);
            out.effects.extend(self.supervisors.values().map(end));
            Duration::ZERO
        };
        let grace = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        out.effects.push(Effect::Launcher(ToLauncher::Stop { grace }));
    }

    pub(super) fn check_up(&mut self, out: &mut Output) {
        let Phase::Launching { size: Some(size), .. } = self.phase else { return };
        if let Some(stray) = self.engines.values().find(|engine| engine.hello.size != size) {
            let reason = format!(
                "`mpiexec` started worlds of {} rank{} in place of one of {size}: it belongs to a different MPI \
                 than `{}`, which the engines use; name the right one with --mpiexec or PARALLEL_PYTHON_MPIEXEC",
                stray.hello.size,
                if stray.hello.size == 1 { "" } else { "s" },
                stray.hello.mpi,
            );
            return self.fail(reason, out);
        }
        if self.engines.len() == size as usize && self.gateway.is_some() {
            self.before = Some(size);
            self.phase = Phase::Up;
            out.notices.push(Notice::Phase);
        }
    }

    pub(super) fn launcher(&mut self, said: FromLauncher, now: Instant, out: &mut Output) {
        match said {
            FromLauncher::Started { .. } => {}
            FromLauncher::Failed { reason } => self.fail(reason, out),
            FromLauncher::Exited { ending, last_words } => {
                let how = match ending {
                    Ending::Code(code) => format!("mpiexec exited with code {code}"),
                    Ending::Signal(number) => format!("mpiexec was killed by signal {number}"),
                };
                let said = match last_words.trim() {
                    "" => String::new(),
                    words => format!(" and said:\n{words}"),
                };
                self.launcher_gone(&format!("{how}{said}"), now, out);
            }
        }
    }

    pub(super) fn launcher_gone(&mut self, reason: &str, now: Instant, out: &mut Output) {
        let advised = format!("{reason}\n{} starts fresh engines", self.restart);
        match self.phase {
            Phase::Stopping { then: Some(size) } => self.launch(size, now, out),
            Phase::Stopping { then: None } => {
                self.forget(out);
                self.phase = Phase::Off;
                out.notices.push(Notice::Phase);
            }
            Phase::Launching { .. } => self.died_in_launch(&advised, out),
            Phase::Up => self.fail(advised, out),
            Phase::Off | Phase::Failed { .. } => {}
        }
    }

    /// The set cannot go on: everything ends, and `reason` is what the user reads.
    pub(super) fn fail(&mut self, reason: String, out: &mut Output) {
        if matches!(self.phase, Phase::Off | Phase::Failed { .. }) {
            return;
        }
        out.notices.push(Notice::Phase);
        self.ground_all(&reason, out);
        out.effects.push(Effect::Launcher(ToLauncher::Stop { grace: 0 }));
        self.forget(out);
        self.phase = Phase::Failed { reason };
    }

    pub(super) fn died_before_hello(&mut self, pid: u32, how: &str, out: &mut Output) {
        self.died_in_launch(&format!("an engine (pid {pid}) {how}"), out);
    }

    pub(super) fn died_in_launch(&mut self, obituary: &str, out: &mut Output) {
        if matches!(self.phase, Phase::Launching { .. }) {
            self.launch_failed(&format!("the engines did not start: {obituary}"), out);
        }
    }

    /// The launch failed, and what there is to advise is added.
    pub(super) fn launch_failed(&mut self, reason: &str, out: &mut Output) {
        let advice = if reason.contains("Resource temporarily unavailable") {
            "\nthe limit on processes and threads (`ulimit -u`) is too low for so many engines"
        } else {
            ""
        };
        self.fail(format!("{reason}{advice}"), out);
    }

    pub(super) fn check_launch_deadline(&mut self, now: Instant, out: &mut Output) {
        let missing = self.missing();
        let Phase::Launching { until, .. } = &mut self.phase else { return };
        if until.take_if(|until| *until <= now).is_some() {
            out.effects.push(Effect::Logs { set: self.set, ranks: missing });
        }
    }

    /// What the engines wrote that have not come in time.
    pub(super) fn told_logs(&mut self, logs: &str, now: Instant, out: &mut Output) {
        let Phase::Launching { since, .. } = self.phase else { return };
        let missing = self.missing();
        let who = if missing.is_empty() { "the gateway".to_owned() } else { named(&missing) };
        let waited = (now - since).as_secs();
        let reason = format!(
            "the engines did not start: {who} did not answer within {waited} s (PARALLEL_PYTHON_LAUNCH_TIMEOUT){logs}"
        );
        self.fail(reason, out);
    }

    fn missing(&self) -> Vec<Rank> {
        let Phase::Launching { size, .. } = self.phase else { return Vec::new() };
        (0..size.unwrap_or_default()).filter(|rank| !self.engines.contains_key(rank)).collect()
    }
}
