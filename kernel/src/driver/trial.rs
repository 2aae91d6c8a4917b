//! A set of engines for one question: started, asked, ended. The same engines, launched the same way, as a
//! notebook's, so that what works here works there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric::message::Rank;
use fabric::message::lifeline::WorkerHello;
use fabric::message::report::{Event as Report, Outcome};
use fabric::message::task::{TaskId, Work};
use tokio::sync::mpsc::{self, Receiver};

use super::engines::{Engines, Settings};
use super::mpi::Mpi;
use super::python::Python;
use super::{Input, WAITING, child, folders, until};
use crate::backlog::Backlog;
use crate::cli::Door;
use crate::cluster::{self, Cluster, Notice, Output, Phase};
use crate::session::Event;

/// How long the engines may take to answer.
const ANSWER: Duration = Duration::from_secs(60);

/// How long they may take to end.
const END: Duration = Duration::from_secs(10);

/// What engines can be started with.
#[derive(Debug)]
pub(crate) struct Trial {
    settings: Settings,
    /// The command that starts MPI programs.
    pub mpiexec: String,
    /// "MPICH 5.0.2"
    pub mpi: String,
    /// The plugin for it, or why there is none.
    pub plugin: Result<PathBuf, String>,
}

/// What the engines were and said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// From the launch to the last hello.
    pub started: Duration,
    /// What each said of itself, in the order of ranks.
    pub engines: Vec<WorkerHello>,
    /// What each wrote to its standard output, in the same order; its error, if it raised one.
    pub output: Vec<Result<String, String>>,
}

/// The Python that was meant, and its shared library if it can be embedded.
///
/// # Errors
/// A sentence for the user.
pub(crate) async fn python(python: &Path, door: Door) -> Result<(PathBuf, Option<PathBuf>), String> {
    let python = Python::ask(python).await?;
    Ok((python.executable, python.libpython.filter(|_| door != Door::Extension)))
}

/// Whether and where there is a folder for sockets; it is gone when this returns.
///
/// # Errors
/// When none can be made.
pub(crate) fn runtime_folder() -> anyhow::Result<PathBuf> {
    Ok(folders::runtime()?.path().to_owned())
}

impl Trial {
    /// Finds out what a notebook's engines would be started with.
    ///
    /// # Errors
    /// A sentence for the user: the Python does not work, or there is no MPI.
    pub(crate) async fn prepare(
        python: &Path,
        door: Door,
        mpiexec: Option<Vec<String>>,
    ) -> Result<Self, String> {
        let mut python = Python::ask(python).await?;
        if door == Door::Extension {
            python.libpython = None;
        }
        let found = Mpi::find(mpiexec.as_deref(), &python.executable).await?;
        let plugin = child::beside(found.plugin()).map_err(|error| format!("{error:#}"));
        let settings = Settings {
            python,
            mpiexec,
            size: 1,
            again: "`parallel-python doctor`",
            backlog: Arc::new(Backlog::default()),
        };
        Ok(Self { settings, mpiexec: found.command.join(" "), mpi: found.describe(), plugin })
    }

    /// Starts `size` engines, has each run `code` and ends them.
    ///
    /// # Errors
    /// A sentence for the user: they did not start, died, or did not answer.
    pub(crate) async fn ask(&self, size: u32, code: &str) -> Result<Answer, String> {
        let (inputs, received) = mpsc::channel(WAITING);
        let mut run = Run {
            settings: &self.settings,
            cluster: Cluster::default(),
            engines: Engines::default(),
            inputs,
            received,
            output: vec![Ok(String::new()); size as usize],
            task: None,
            is_over: false,
            obituary: None,
            launchers: 0,
        };
        let begun = Instant::now();
        let answer = run.answer(size, code, begun).await;
        run.end().await;
        answer
    }
}

struct Run<'a> {
    settings: &'a Settings,
    cluster: Cluster,
    engines: Engines,
    inputs: mpsc::Sender<Input>,
    received: Receiver<Input>,
    output: Vec<Result<String, String>>,
    task: Option<TaskId>,
    is_over: bool,
    obituary: Option<String>,
    /// How many there are: the last thing that ends.
    launchers: u32,
}

impl Run<'_> {
    async fn answer(&mut self, size: u32, code: &str, begun: Instant) -> Result<Answer, String> {
        let mut out = Output::default();
        self.cluster.start(Some(size), begun, &mut out);
        self.perform(out);
        // The cluster itself sees to it that this ends.
        while !matches!(self.cluster.phase(), Phase::Up | Phase::Failed { .. }) {
            self.step(None).await;
        }
        if let Phase::Failed { reason } = self.cluster.phase() {
            return Err(reason.clone());
        }
        let started = begun.elapsed();
        let engines: Vec<WorkerHello> = self.cluster.engines().map(|engine| engine.hello.clone()).collect();
        let targets: Vec<Rank> = (0..size).collect();
        let work = Work::Execute { code: code.to_owned(), store_history: false, measure: false };
        let mut out = Output::default();
        self.task =
            Some(self.cluster.submit(&targets, work, "trial".to_owned(), Instant::now(), &mut out)?);
        self.perform(out);
        let deadline = Instant::now() + ANSWER;
        while !self.is_over && Instant::now() < deadline {
            self.step(Some(deadline)).await;
        }
        match self.obituary.take() {
            Some(obituary) => Err(obituary),
            None if !self.is_over => Err(format!("they did not answer within {} s", ANSWER.as_secs())),
            None => Ok(Answer { started, engines, output: std::mem::take(&mut self.output) }),
        }
    }

    /// Ends the engines and waits until nothing is left of them.
    async fn end(&mut self) {
        let mut out = Output::default();
        self.cluster.stop(&mut out);
        self.perform(out);
        let deadline = Instant::now() + END;
        while self.launchers > 0 && Instant::now() < deadline {
            self.step(Some(deadline)).await;
        }
    }

    /// Takes in one thing that happens, or what has become due.
    async fn step(&mut self, deadline: Option<Instant>) {
        let due = self.cluster.deadline().into_iter().chain(deadline).min();
        let input = tokio::select! {
            input = self.received.recv() => input,
            () = until(due) => None,
        };
        let (now, mut out) = (Instant::now(), Output::default());
        match input {
            Some(Input::Event(Event::Engines { set, event })) => {
                if matches!(event, cluster::Event::LauncherGone) {
                    self.launchers -= 1;
                }
                self.cluster.on(set, event, now, &mut out);
            }
            Some(Input::Linked(set, id, link)) => self.engines.linked(set, id, link),
            Some(Input::Launched(set, launched)) => {
                self.launchers += 1;
                self.cluster.launched(set, launched.terms.clone());
                self.engines.launched(set, launched);
            }
            Some(
                Input::Event(_) | Input::Joined(..) | Input::Asked(..) | Input::Left(_) | Input::Hub(..),
            ) => {}
            None => self.cluster.tick(now, &mut out),
        }
        self.perform(out);
    }

    fn perform(&mut self, out: Output) {
        for effect in out.effects {
            self.engines.perform(effect, self.settings, &self.inputs);
        }
        for notice in out.notices {
            match notice {
                Notice::Report { task, rank, event } if Some(task) == self.task => self.report(rank, event),
                Notice::Lost { why, .. } => self.obituary = Some(why),
                Notice::Over { .. } => self.is_over = true,
                _ => {}
            }
        }
    }

    fn report(&mut self, rank: Rank, event: Report) {
        let Some(output) = self.output.get_mut(rank as usize) else { return };
        match event {
            Report::Stream { text, .. } => {
                if let Ok(before) = output {
                    before.push_str(&text);
                }
            }
            Report::Done { outcome: Outcome::Error(raised), .. } => {
                *output = Err(format!("{}: {}", raised.ename, raised.evalue));
            }
            _ => {}
        }
    }
}
