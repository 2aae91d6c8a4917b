//! One fan-out as a cell sees it: reports go in, merged output goes out, and how it ended is kept.

mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fabric::message::client::Told;
use fabric::message::report::{Event, Outcome, Raised};
use fabric::message::task::TaskId;
use fabric::message::{Json, Rank};
use magics::Signal;
use serde_json::Value;

use super::Desk;
use super::failure::{self, Failure, Lost};
use super::hints::{COLLAPSE, Hint};
use super::missing::Missing;
use super::plan::Plan;
use super::progress::Progress;
use super::stack::Dump;
use super::stats::Stats;
use super::watch::{Seen, Watch};
use crate::cluster::{AFTER_A_DEATH, named};
use crate::merge::{Gather, Merge, Piece};

/// The signal that raises `KeyboardInterrupt`.
const INTERRUPT: i32 = 2;

/// How long engines may take to end after another signal.
const AFTER_A_SIGNAL: Duration = Duration::from_secs(1);

/// So many engines are more than a person reads one after the other.
const MANY: usize = 16;

/// A task that engines run for a cell.
pub(crate) struct TaskRun {
    task: TaskId,
    parent: Json,
    /// How many engines it was sent to.
    targets: usize,
    single: bool,
    /// What is shown as it comes; `None` where nothing is.
    merge: Option<Merge>,
    /// What is shown, grouped, when the engines are done.
    gather: Option<Gather>,
    progress: Option<Progress>,
    stats: Option<Stats>,
    watch: Watch,
    signal: Signal,
    code: String,
    collapse: bool,
    /// Who has printed or shown anything.
    spoke: BTreeSet<Rank>,
    running: BTreeSet<Rank>,
    raised: BTreeMap<Rank, Raised>,
    lost: Vec<Lost>,
    interrupted: bool,
    /// When the cell ends without those that still run.
    leaves: Option<Instant>,
    /// Every engine's error is shown by itself.
    detailed: bool,
    over: bool,
    /// Its output waits for what the notebook's own Python shows first.
    held: bool,
    pub(in crate::session) payloads: Vec<Value>,
}

impl TaskRun {
    pub(in crate::session) fn new(
        task: TaskId,
        targets: &[Rank],
        single: bool,
        plan: &Plan,
        parent: Json,
        now: Instant,
    ) -> Self {
        let header: Value = serde_json::from_slice(&parent).unwrap_or_default();
        let name = format!("{}.{task}", header["msg_id"].as_str().unwrap_or_default());
        // What nobody waits for is not shown: the record of it is.
        let streams = plan.stream && plan.block;
        let gathers = plan.block && (!plan.stream || plan.group.is_some());
        let progress = plan.progress_after.filter(|_| plan.block);
        Self {
            task,
            parent,
            targets: targets.len(),
            single,
            merge: streams.then(|| match plan.collapse {
                true => Merge::collapsed(targets, now),
                false => Merge::new(targets, now).named(name),
            }),
            gather: gathers.then(|| Gather::new(plan.group.unwrap_or_default(), plan.collapse)),
            progress: progress.and_then(|after| Progress::new(targets, after, now)),
            stats: plan.stats.then(Stats::default),
            watch: Watch::new(plan.timeout, now),
            signal: plan.signal.clone(),
            code: plan.code.clone(),
            collapse: plan.collapse,
            spoke: BTreeSet::new(),
            running: targets.iter().copied().collect(),
            raised: BTreeMap::new(),
            lost: Vec::new(),
            interrupted: false,
            leaves: None,
            detailed: false,
            over: false,
            held: plan.local,
            payloads: Vec::new(),
        }
    }

    pub(in crate::session) fn id(&self) -> TaskId {
        self.task
    }

    /// The header of the request that it belongs to.
    pub(in crate::session) fn parent(&self) -> &Json {
        &self.parent
    }

    /// Shows everything there is: somebody is about to be asked something.
    pub(in crate::session) fn show_all(&mut self, desk: &mut Desk, now: Instant) {
        let pieces = self.merge.as_mut().map(|merge| merge.give_all(now));
        self.show(pieces.unwrap_or_default(), desk);
    }

    /// Every engine is done with it or lost, and everything it said has been shown.
    pub(in crate::session) fn is_over(&self) -> bool {
        self.over && !self.held
    }

    pub(in crate::session) fn deadline(&self) -> Option<Instant> {
        let progress = self.progress.as_ref().filter(|_| !self.over).map(Progress::deadline);
        let watch = self.watch.deadline().into_iter().chain(self.leaves).min().filter(|_| !self.over);
        self.merge.as_ref().and_then(Merge::deadline).into_iter().chain(progress).chain(watch).min()
    }

    pub(in crate::session) fn tick(&mut self, desk: &mut Desk, now: Instant) {
        let pieces = self.merge.as_mut().map(|merge| merge.tick(now));
        self.show(pieces.unwrap_or_default(), desk);
        self.show_progress(desk, now);
        if !self.over {
            self.look(desk, now);
            if self.leaves.is_some_and(|at| at <= now) {
                self.leave(desk, now);
            }
        }
    }

    /// A task that has ended, from its record.
    pub(in crate::session) fn recalled(
        targets: &[Rank],
        plan: &Plan,
        told: Vec<Told>,
        parent: Json,
        desk: &mut Desk,
        now: Instant,
    ) -> Self {
        let mut task = Self::new(TaskId::MAX, targets, targets.len() == 1, plan, parent, now);
        task.detailed = true;
        for told in told {
            match told {
                Told::Report { event: Event::Payload { .. }, .. } => {}
                Told::Report { rank, event, .. } => task.report(rank, event, desk, now),
                Told::Lost { rank, why, lives, .. } => task.lost(rank, why, lives, desk, now),
                _ => {}
            }
        }
        task.over(desk, now);
        task
    }

    /// The cell ends; those that still run go on.
    fn leave(&mut self, desk: &mut Desk, now: Instant) {
        let running: Vec<Rank> = self.running.iter().copied().collect();
        let verb = if running.len() == 1 { "goes" } else { "go" };
        let signal = &self.signal.typed;
        let why = format!("{} {verb} on after signal {signal}; `%pxresult` waits for it", named(&running));
        self.leaves = None;
        self.lost.extend(running.into_iter().map(|rank| Lost { rank, why: why.clone(), lives: true }));
        self.over(desk, now);
    }

    /// What it runs.
    pub(in crate::session) fn code(&self) -> &str {
        &self.code
    }

    /// Whether that engine is not done with it.
    pub(in crate::session) fn runs_on(&self, rank: Rank) -> bool {
        self.running.contains(&rank)
    }

    /// An engine said where it is.
    pub(in crate::session) fn stack(&mut self, rank: Rank, dump: Dump<'_>, desk: &mut Desk, now: Instant) {
        if self.runs_on(rank) {
            self.watch.answered(rank, dump, &self.code);
            self.look(desk, now);
        }
    }

    /// Asks where the engines are when they take too long, and acts on what they said.
    fn look(&mut self, desk: &mut Desk, now: Instant) {
        match self.watch.look(&self.running, desk, now) {
            None => {}
            Some(Seen::TooLong) => {
                self.interrupted = true;
                self.watch.interrupted(now);
                desk.cluster(|cluster, out| cluster.interrupt(self.task, now, out));
            }
            Some(Seen::Stuck(where_they_are)) => {
                let failed: Vec<Rank> = self.raised.keys().copied().collect();
                let ename = self.raised.values().next().map_or("", |raised| raised.ename.as_str());
                let who = named(&failed);
                let text = format!(
                    "{who} raised {ename} while others still run:\n  {}\n\
                     If they wait for {who}, interrupt the cell with the stop button.",
                    where_they_are.join("\n  ")
                );
                desk.note(&text, &self.parent);
            }
        }
    }

    pub(in crate::session) fn report(&mut self, rank: Rank, event: Event, desk: &mut Desk, now: Instant) {
        let pieces = self.output(rank, &event, now);
        if matches!(event, Event::Stream { .. } | Event::Publish { .. } | Event::Result { .. }) {
            self.spoke.insert(rank);
        }
        if let Some(stats) = &mut self.stats {
            stats.on(rank, &event);
        }
        match event {
            Event::Done { outcome, .. } => {
                self.running.remove(&rank);
                self.watch.ended(rank, !matches!(outcome, Outcome::Ok), now);
                match outcome {
                    Outcome::Ok => {}
                    Outcome::Error(raised) => drop(self.raised.insert(rank, raised)),
                    Outcome::Aborted => drop(self.raised.insert(rank, taken_back())),
                }
                if let Some(progress) = &mut self.progress {
                    progress.ended(rank, now);
                }
            }
            Event::Payload { content } => self.payloads.extend(serde_json::from_slice::<Value>(&content)),
            _ => {}
        }
        self.show(pieces, desk);
    }

    /// Hands output to where it is kept until it is shown, and gives what is to be shown now.
    fn output(&mut self, rank: Rank, event: &Event, now: Instant) -> Vec<Piece> {
        if let Event::Publish { msg_type, .. } = event
            && msg_type.starts_with("comm_")
            && self.merge.is_none()
        {
            // It shows nothing, and a widget does not wait until its cell is over.
            return Piece::of(rank, event).into_iter().collect();
        }
        let grouped = matches!(event, Event::Publish { msg_type, .. } if !msg_type.starts_with("comm_"))
            || matches!(event, Event::Result { .. });
        match (&mut self.merge, &mut self.gather) {
            (Some(merge), None) => merge.on(rank, event, now),
            (Some(merge), Some(_)) if !grouped => merge.on(rank, event, now),
            (_, Some(gather)) => {
                gather.on(rank, event, now);
                if gather.is_full() { gather.take() } else { Vec::new() }
            }
            (None, None) => Vec::new(),
        }
    }

    pub(in crate::session) fn lost(
        &mut self,
        rank: Rank,
        mut why: String,
        lives: bool,
        desk: &mut Desk,
        now: Instant,
    ) {
        if lives {
            why.extend(self.watch.unstopped().iter().map(|place| format!("\n  {place}")));
        } else {
            self.watch.interrupted(now + AFTER_A_DEATH);
        }
        let pieces = self.merge.as_mut().map(|merge| merge.lost(rank, now));
        self.running.remove(&rank);
        self.watch.ended(rank, false, now);
        self.lost.push(Lost { rank, why, lives });
        if let Some(progress) = &mut self.progress {
            progress.ended(rank, now);
        }
        self.show(pieces.unwrap_or_default(), desk);
    }

    pub(in crate::session) fn over(&mut self, desk: &mut Desk, now: Instant) {
        self.over = true;
        if self.held {
            return;
        }
        self.tick(desk, now);
        if self.spoke.len() > MANY && !self.collapse && desk.hints.is_new(Hint::Collapse) {
            desk.note(COLLAPSE, &self.parent);
        }
        if let Some(mut gather) = self.gather.take() {
            self.show(gather.take(), desk);
            // What threads and children still write is shown as it comes.
            self.merge.get_or_insert_with(|| Merge::new(&[], now));
        }
        if let Some(stats) = self.stats.take() {
            let message = desk.composer.iopub("display_data", &self.parent, &stats.content());
            desk.send(message);
        }
    }

    /// The notebook's own Python has shown what it had to.
    pub(in crate::session) fn release(&mut self, desk: &mut Desk, now: Instant) {
        if std::mem::replace(&mut self.held, false) && self.over {
            self.over(desk, now);
        }
    }

    pub(in crate::session) fn interrupt(&mut self, desk: &mut Desk, now: Instant) {
        if !std::mem::replace(&mut self.interrupted, true) {
            let signal = &self.signal.typed;
            let text = format!("Received Keyboard Interrupt. Sending signal {signal} to engines...\n");
            desk.stream("stderr", &text, &self.parent);
        }
        match self.signal.number {
            INTERRUPT => {
                self.watch.interrupted(now);
                desk.cluster(|cluster, out| cluster.interrupt(self.task, now, out));
            }
            0 => self.leave(desk, now),
            number => {
                let ranks: Vec<Rank> = self.running.iter().copied().collect();
                // Who is not there any more is lost already.
                let _ = desk.cluster(|cluster, out| cluster.signal(&ranks, number, out));
                self.leaves = Some(now + AFTER_A_SIGNAL);
            }
        }
    }

    fn show_progress(&mut self, desk: &mut Desk, now: Instant) {
        let Some(progress) = &mut self.progress else { return };
        let id = format!("{}-progress-{}", desk.composer.session(), self.task);
        if let Some((kind, content)) = progress.draw(now, self.over, &id) {
            let message = desk.composer.iopub(kind, &self.parent, &content);
            desk.send(message);
        }
        if self.over {
            self.progress = None;
        }
    }

    /// A name that the cell reads and engines do not know.
    pub(in crate::session) fn missing(&self) -> Option<Missing> {
        if self.detailed { None } else { Missing::of(&self.code, &self.raised, self.targets) }
    }

    pub(in crate::session) fn failure(&mut self) -> Option<Failure> {
        let (raised, lost) = (std::mem::take(&mut self.raised), std::mem::take(&mut self.lost));
        let each = failure::each(&raised, &lost);
        let failure = match self.watch.verdict() {
            Some(verdict) => Some(Failure::timeout(verdict, raised, lost)),
            None if self.detailed => Failure::in_detail(raised, lost, self.single),
            None => Failure::of_task(raised, lost, self.interrupted, self.single),
        };
        failure.map(|failure| failure.with_each(each))
    }

    /// Whether a task has ended whose cell did not wait; what it gave is in its record.
    pub(in crate::session) fn is_over_in_background(&self) -> bool {
        self.over
    }
}

/// What a task has come to that never began.
fn taken_back() -> Raised {
    let evalue = "it was taken back before it began".to_owned();
    let traceback = vec![format!("\x1b[0;31mTaskAborted\x1b[0m: {evalue}")];
    Raised { ename: "TaskAborted".to_owned(), evalue, traceback }
}
