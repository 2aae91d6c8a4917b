//! Plays the kernel: listens on the engine socket, has the launcher start real ranks under a real `mpiexec`, sends
//! tasks and collects what comes back. Every wait has a deadline.
//!
//! Settings, all from the environment (`make test` sets them; the defaults are the checkout's own):
//!
//! | variable | what |
//! | --- | --- |
//! | `PARALLEL_PYTHON_TEST_PYTHON` | the engines' Python, with IPython and mpi4py; `mpiexec` lies beside it |
//! | `PARALLEL_PYTHON_TEST_BIN` | the folder of the MPI plugins |

#![allow(dead_code, clippy::unwrap_used)]

mod executable;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use executable::executable;
use fabric::config::RankConfig;
use fabric::frame::{self, Frames};
use fabric::leftovers;
use fabric::message::launcher::{FromLauncher, ToLauncher};
use fabric::message::lifeline::{FromSupervisor, FromWorker, Hello, Role, ToWorker, WorkerHello};
use fabric::message::report::{Event, Outcome, Raised, Report};
use fabric::message::task::{FromGateway, Task, TaskId, ToGateway, Work};
use fabric::message::{BUILD, Rank};

/// How long anything may take: machines that run tests are busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// What reaches the kernel.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A connection's first message, and the way back.
    Hello(Hello, UnixStream),
    Launcher(FromLauncher),
    Gateway(FromGateway<'static>),
    Worker(Rank, FromWorker),
    Supervisor(FromSupervisor),
    /// The end of file of a process with this id, or of the launcher.
    Closed(u32),
}

/// A set of engines as the kernel has it.
pub(crate) struct Engines {
    pub(crate) runtime: tempfile::TempDir,
    pub(crate) launcher: Child,
    pub(crate) link: Option<UnixStream>,
    pub(crate) workers: BTreeMap<Rank, Worker>,
    pub(crate) gateway: Option<UnixStream>,
    /// By the worker's process id.
    pub(crate) supervisors: BTreeMap<u32, UnixStream>,
    pub(crate) supervisor_pids: BTreeMap<u32, u32>,
    pub(crate) heard: Receiver<Heard>,
    /// What was heard while something else was waited for.
    pub(crate) pending: Vec<Heard>,
    /// Reports that came together with one that was taken.
    reports: VecDeque<(Rank, Report)>,
    next: TaskId,
}

/// One worker.
pub(crate) struct Worker {
    pub(crate) pid: u32,
    pub(crate) hello: WorkerHello,
    pub(crate) lifeline: UnixStream,
}

/// What one task did on one engine.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Results, displays and payloads, in order, as JSON.
    pub(crate) shown: Vec<(String, serde_json::Value)>,
    pub(crate) raised: Option<Raised>,
    pub(crate) count: u32,
    pub(crate) done: bool,
}

/// The two ways into Python.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Door {
    Embedded,
    Extension,
}

/// Runs a test on engines behind every door that the Python under test has.
pub(crate) fn through_both_doors(size: u32, test: impl Fn(Engines)) {
    for door in [Door::Extension, Door::Embedded] {
        if door == Door::Extension || libpython(&python()).is_some() {
            eprintln!("through the {door:?} door");
            test(Engines::start_with(size, door, |_| {}));
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn setting(name: &str, default: impl FnOnce() -> PathBuf) -> PathBuf {
    std::env::var_os(name).map_or_else(default, PathBuf::from)
}

pub(crate) fn python() -> PathBuf {
    let python = setting("PARALLEL_PYTHON_TEST_PYTHON", || root().join(".venv/bin/python"));
    assert!(python.is_file(), "no Python at `{}`: run `make build` first", python.display());
    python
}

fn ask(python: &Path, code: &str) -> String {
    let output = Command::new(python).args(["-c", code]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The shared library of the Python, if it has one.
fn libpython(python: &Path) -> Option<PathBuf> {
    let code = "import sysconfig as s, os; \
                p = os.path.join(s.get_config_var('LIBDIR'), s.get_config_var('INSTSONAME') or ''); \
                print(p if s.get_config_var('Py_ENABLE_SHARED') and os.path.isfile(p) else '')";
    Some(PathBuf::from(ask(python, code))).filter(|path| path.is_absolute())
}

/// `mpiexec`, its family's plugin and its libmpi.
fn mpi(python: &Path) -> (PathBuf, PathBuf, Option<PathBuf>) {
    let mpiexec = python.with_file_name("mpiexec");
    assert!(mpiexec.is_file(), "no mpiexec beside `{}`: run `make build` first", python.display());
    let version = Command::new(&mpiexec).arg("--version").output().unwrap();
    let family =
        if String::from_utf8_lossy(&version.stdout).contains("Open MPI") { "openmpi" } else { "mpich" };
    let folder = setting("PARALLEL_PYTHON_TEST_BIN", || root().join("build/bin"));
    let plugin = folder.join(format!("libparallel_python_mpi_{family}.so"));
    assert!(plugin.is_file(), "no plugin `{}`: run `make build` first", plugin.display());
    let names =
        if family == "openmpi" { ["libmpi.so.40", "libmpi.so"] } else { ["libmpi.so.12", "libmpi.so"] };
    let prefix = PathBuf::from(ask(python, "import sys; print(sys.prefix)"));
    let libmpi = names.iter().map(|name| prefix.join("lib").join(name)).find(|path| path.is_file());
    (mpiexec, plugin, libmpi)
}

impl Engines {
    /// Starts `size` engines and waits for their hellos.
    pub(crate) fn start(size: u32) -> Engines {
        Engines::start_with(size, Door::Extension, |_| {})
    }

    pub(crate) fn start_with(size: u32, door: Door, change: impl FnOnce(&mut RankConfig)) -> Engines {
        let mut engines = Engines::launch(size, door, change);
        let begun = Instant::now();
        engines.meet(size);
        eprintln!("{size} engines up after {:?}", begun.elapsed());
        engines
    }

    /// Starts `size` engines without waiting.
    pub(crate) fn launch(size: u32, door: Door, change: impl FnOnce(&mut RankConfig)) -> Engines {
        let python = python();
        let (mpiexec, mpi_plugin, libmpi) = mpi(&python);
        let runtime = tempfile::tempdir().unwrap();
        let socket = runtime.path().join("engines.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut config = RankConfig {
            socket,
            runtime: runtime.path().to_path_buf(),
            zygote: None,
            size,
            carries: false,
            libpython: if door == Door::Embedded { libpython(&python) } else { None },
            python,
            mpi_plugin,
            libmpi,
            threads: Some(1),
            restore: vec![("PARALLEL_PYTHON_RESTORED".to_owned(), Some("yes".to_owned()))],
        };
        change(&mut config);
        let file = runtime.path().join("engines.json");
        fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();

        let (sender, heard) = channel();
        let for_thread = sender.clone();
        std::thread::spawn(move || accept(&listener, &for_thread));
        let (mut link, end) = UnixStream::pair().unwrap();
        let launcher = Command::new(executable())
            .arg("launcher")
            .stdin(Stdio::from(OwnedFd::from(end)))
            .spawn()
            .unwrap();
        let mut command = vec![mpiexec.display().to_string(), "-n".to_owned(), size.to_string()];
        if mpiexec_is_openmpi(&mpiexec) {
            command.extend(["--oversubscribe", "--bind-to", "none"].map(str::to_owned));
        }
        command.extend(["rank", "--config"].map(str::to_owned));
        command.insert(command.len() - 2, executable().display().to_string());
        command.push(file.display().to_string());
        let set = ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"];
        let set = set.map(|name| (name.to_owned(), "1".to_owned())).to_vec();
        let start = ToLauncher::Start { command, set, directory: "/tmp".into(), zygote: None };
        frame::write(&mut link, &start).unwrap();
        let reader = link.try_clone().unwrap();
        std::thread::spawn(move || read(reader, 0, &sender, Heard::Launcher));
        Engines {
            runtime,
            launcher,
            link: Some(link),
            workers: BTreeMap::new(),
            gateway: None,
            supervisors: BTreeMap::new(),
            supervisor_pids: BTreeMap::new(),
            heard,
            pending: Vec::new(),
            reports: VecDeque::new(),
            next: 1,
        }
    }

    /// Waits until supervisor and worker of every rank, and the gateway, have said hello.
    pub(crate) fn meet(&mut self, size: u32) {
        let deadline = Instant::now() + DEADLINE;
        let count = size as usize;
        while self.workers.len() < count || self.supervisors.len() < count || self.gateway.is_none() {
            match self.next(deadline) {
                Heard::Hello(hello, stream) => self.welcome(hello, stream),
                Heard::Launcher(FromLauncher::Started { .. }) => {}
                other => panic!("while engines start: {other:?}"),
            }
        }
    }

    fn welcome(&mut self, hello: Hello, stream: UnixStream) {
        assert_eq!(hello.build, BUILD);
        match hello.role {
            Role::Supervisor { worker } => {
                self.supervisor_pids.insert(worker, hello.pid);
                self.supervisors.insert(worker, stream);
            }
            Role::Worker(worker) => {
                let met = Worker { pid: hello.pid, hello: worker, lifeline: stream };
                self.workers.insert(met.hello.rank, met);
            }
            Role::Gateway => self.gateway = Some(stream),
        }
    }

    /// Runs a cell on every engine and returns what it did on each.
    pub(crate) fn run(&mut self, code: &str) -> Vec<Ran> {
        let task = self.send(code);
        self.collect(task)
    }

    /// Sends a cell to every engine.
    pub(crate) fn send(&mut self, code: &str) -> TaskId {
        let id = self.next;
        self.next += 1;
        let targets: Vec<Rank> = self.workers.keys().copied().collect();
        let task = task(id, targets.len(), code);
        let order = ToGateway::FanOut { id, targets, task: frame::pack(&task).unwrap().into() };
        frame::write(self.gateway.as_mut().unwrap(), &order).unwrap();
        id
    }

    /// Sends a cell to one engine by its lifeline.
    pub(crate) fn send_by_lifeline(&mut self, rank: Rank, code: &str) -> TaskId {
        let id = self.next;
        self.next += 1;
        self.tell(rank, &ToWorker::Task(task(id, 1, code)));
        id
    }

    pub(crate) fn tell(&mut self, rank: Rank, message: &ToWorker) {
        frame::write(&mut self.workers.get_mut(&rank).unwrap().lifeline, message).unwrap();
    }

    /// Waits until every engine is done with `task`.
    pub(crate) fn collect(&mut self, task: TaskId) -> Vec<Ran> {
        let all: Vec<Rank> = self.workers.keys().copied().collect();
        self.collect_from(task, &all)
    }

    pub(crate) fn collect_from(&mut self, task: TaskId, ranks: &[Rank]) -> Vec<Ran> {
        let deadline = Instant::now() + DEADLINE;
        let mut ran: BTreeMap<Rank, Ran> = ranks.iter().map(|rank| (*rank, Ran::default())).collect();
        while ran.values().any(|ran| !ran.done) {
            let (rank, report) = self.report(deadline);
            if let Event::Ask { question, .. } = report.event {
                // As the kernel says it where the frontend allows no questions.
                let answer = Err("nobody can be asked".to_owned());
                self.tell(rank, &ToWorker::Input { question, answer });
            }
            if report.task == task {
                ran.entry(rank).or_default().add(report.event);
            }
        }
        ran.into_values().collect()
    }

    /// The next report of any engine.
    pub(crate) fn report(&mut self, deadline: Instant) -> (Rank, Report) {
        if let Some(report) = self.reports.pop_front() {
            return report;
        }
        loop {
            match self.next(deadline) {
                Heard::Gateway(FromGateway::Reports { rank, reports }) => {
                    let mut reports = reports.into_owned().into_iter().map(|report| (rank, report));
                    if let Some(first) = reports.next() {
                        self.reports.extend(reports);
                        return first;
                    }
                }
                Heard::Worker(rank, FromWorker::Report(report)) => return (rank, report),
                other => self.pending.push(other),
            }
        }
    }

    /// Waits for something that is neither a report nor asked for elsewhere.
    pub(crate) fn wait_for<T>(&mut self, mut pick: impl FnMut(&Heard) -> Option<T>) -> T {
        if let Some(found) = self.pending.iter().find_map(&mut pick) {
            return found;
        }
        let deadline = Instant::now() + DEADLINE;
        loop {
            let heard = self.next(deadline);
            if let Some(found) = pick(&heard) {
                return found;
            }
            self.pending.push(heard);
        }
    }

    fn next(&mut self, deadline: Instant) -> Heard {
        match self.heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing more came; before: {:?}\n{}", self.pending, self.logs())
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("every connection has ended; before: {:?}", self.pending)
            }
        }
    }

    /// What the ranks wrote into their logs.
    pub(crate) fn logs(&self) -> String {
        let files = fs::read_dir(self.runtime.path()).unwrap().flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| format!("{}:\n{}", path.display(), fs::read_to_string(&path).unwrap_or_default()))
            .collect()
    }

    /// Every process of the set.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let workers = self.workers.values().map(|worker| worker.pid);
        workers.chain(self.supervisor_pids.values().copied()).chain([self.launcher.id()]).collect()
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        // As if the kernel had been killed.
        if let Some(link) = self.link.take() {
            let _ = link.shutdown(Shutdown::Both);
        }
        let _ = self.launcher.wait();
        leftovers::remove(self.runtime.path());
    }
}

impl Ran {
    fn add(&mut self, event: Event) {
        let json = |text: &[u8]| serde_json::from_slice(text).unwrap();
        match event {
            Event::Stream { name, text } if name.as_str() == "stdout" => self.stdout.push_str(&text),
            Event::Stream { text, .. } => self.stderr.push_str(&text),
            Event::Publish { msg_type, content, .. } => self.shown.push((msg_type, json(&content))),
            Event::Result { content, .. } => self.shown.push(("result".to_owned(), json(&content))),
            Event::Usage { .. } => {}
            Event::Ask { prompt, .. } => self.shown.push(("question".to_owned(), prompt.into())),
            Event::Payload { content } => self.shown.push(("payload".to_owned(), json(&content))),
            Event::Value { .. } | Event::Data { .. } => panic!("a cell has no pickled value"),
            Event::Done { outcome, count, .. } => {
                assert!(!self.done, "two ends of one task");
                (self.done, self.count) = (true, count);
                if let Outcome::Error(raised) = outcome {
                    self.raised = Some(raised);
                }
            }
        }
    }
}

fn task(id: TaskId, targets: usize, code: &str) -> Task {
    let work = Work::Execute { code: code.to_owned(), store_history: true, measure: false };
    Task { id, targets: u32::try_from(targets).unwrap(), work }
}

fn mpiexec_is_openmpi(mpiexec: &Path) -> bool {
    let version = Command::new(mpiexec).arg("--version").output().unwrap();
    String::from_utf8_lossy(&version.stdout).contains("Open MPI")
}

fn accept(listener: &UnixListener, sender: &Sender<Heard>) {
    for stream in listener.incoming() {
        let (mut stream, sender) = (stream.unwrap(), sender.clone());
        std::thread::spawn(move || {
            let mut frames = Frames::default();
            let Ok(Some(hello)) = frames.read::<Hello>(&mut stream) else { return };
            let (pid, role, back) = (hello.pid, hello.role.clone(), stream.try_clone().unwrap());
            if sender.send(Heard::Hello(hello, back)).is_err() {
                return;
            }
            match role {
                Role::Gateway => read_on(stream, frames, pid, &sender, Heard::Gateway),
                Role::Supervisor { .. } => read_on(stream, frames, pid, &sender, Heard::Supervisor),
                Role::Worker(worker) => {
                    read_on(stream, frames, pid, &sender, |message| Heard::Worker(worker.rank, message));
                }
            }
        });
    }
}

fn read<T: serde::de::DeserializeOwned>(
    stream: UnixStream,
    pid: u32,
    sender: &Sender<Heard>,
    heard: impl Fn(T) -> Heard,
) {
    read_on(stream, Frames::default(), pid, sender, heard);
}

fn read_on<T: serde::de::DeserializeOwned>(
    mut stream: UnixStream,
    mut frames: Frames,
    pid: u32,
    sender: &Sender<Heard>,
    heard: impl Fn(T) -> Heard,
) {
    while let Ok(Some(message)) = frames.read(&mut stream) {
        if sender.send(heard(message)).is_err() {
            return;
        }
    }
    let _ = sender.send(Heard::Closed(pid));
}
