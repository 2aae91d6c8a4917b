//! The transport alone on a real MPI, without Python: how long an empty task takes from the kernel's
//! end of the gateway socket to every rank and back, what of that is rank 0's part and the way there,
//! whether bursts arrive whole and in order, and what an idle set costs.
//!
//! ```text
//! mpiexec -n 4 ring --plugin libparallel_python_mpi.so [--libmpi libmpi.so.12] --folder DIR
//!     [--rounds 800] [--idle 10] [--die RANK]
//! ```
//!
//! Every rank runs this; rank 0 also plays the kernel, in a thread behind a socket pair. Fails when a
//! report is missing or out of order, or when a task did not travel over MPI. With `--die`, that rank
//! is killed in a task at the end, and the others go on without it; for that each rank needs a parent
//! that outlives it, or `mpiexec` ends them all: `mpiexec -n 4 sh -c '"$0" "$@"; sleep 5' ring …`.

use std::collections::HashMap;
use std::error::Error;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use fabric::comm::{Comm, Outbox};
use fabric::doorbell::Doorbell;
use fabric::frame::{self, Frames};
use fabric::message::Rank;
use fabric::message::report::{Event, Outcome, Report, StreamName};
use fabric::message::task::{FromGateway, Task, TaskId, ToGateway, Work};
use fabric::mpi::Mpi;
use fabric::transport::Fabric;
use rustix::time::{ClockId, clock_gettime};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Options {
    plugin: PathBuf,
    libmpi: Option<PathBuf>,
    folder: PathBuf,
    rounds: usize,
    idle: u64,
    die: Option<Rank>,
}

fn main() -> Fallible<()> {
    let options = options()?;
    let fabric = Mpi::start(&options.plugin, options.libmpi.as_deref(), None, None)?;
    let (rank, size, library) = (fabric.rank(), fabric.size(), fabric.library().to_owned());
    let bell = Doorbell::create(&options.folder, rank)?;
    let (tasks, arriving) = channel();
    let (gateway, kernel) =
        if rank == 0 { UnixStream::pair().map(|(a, b)| (Some(a), Some(b)))? } else { (None, None) };
    let (comm, outbox) = Comm::start(Box::new(fabric), bell, gateway, tasks, false)?;
    let mut inbox = comm.inbox(arriving);
    let kernel =
        kernel.map(|socket| thread::spawn(move || Kernel::new(socket, size).run(&options, &library)));
    let mut leave = false;
    while let Some(task) = inbox.recv() {
        let Work::Execute { code, .. } = &task.work else { continue };
        work(&outbox, rank, task.id, code)?;
        if code == "quit" || code == "leave" {
            leave = code == "leave";
            break;
        }
    }
    if let Some(kernel) = kernel {
        kernel.join().map_err(|_| "the kernel's thread panicked")??;
    }
    if leave {
        // What is left of a world that has lost a rank cannot be finalised.
        std::process::exit(0);
    }
    let (sent, received) = outbox.counters();
    if size > 1 && (sent == 0 || received == 0) {
        return Err(format!("rank {rank}: {sent} packets sent and {received} received over MPI").into());
    }
    comm.stop().finalize()?;
    Ok(())
}

/// What an engine does with a task.
fn work(outbox: &Outbox, own: Rank, task: TaskId, code: &str) -> Fallible<()> {
    let report = |event| outbox.report(&Report { task, event });
    let write = |text| report(Event::Stream { name: StreamName::Stdout, text });
    match code.split_once(' ') {
        Some(("burst", lines)) => {
            for line in 0..lines.parse::<u32>()? {
                write(format!("{line}\n"))?;
            }
        }
        Some(("long", bytes)) => write("x".repeat(bytes.parse()?))?,
        // The harshest of deaths: no destructor, no exit handler.
        Some(("die", rank)) if rank == own.to_string() => {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        }
        Some(("sleep", millis)) => thread::sleep(Duration::from_millis(millis.parse()?)),
        _ if code == "cpu" => {
            let spent = clock_gettime(ClockId::ProcessCPUTime);
            write((spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9).to_string())?;
        }
        _ => {}
    }
    report(Event::Done { outcome: Outcome::Ok, count: 0, started: 0.0, completed: 0.0 })?;
    Ok(())
}

/// The other end of the gateway socket.
struct Kernel {
    socket: UnixStream,
    frames: Frames,
    size: u32,
    last: TaskId,
}

impl Kernel {
    fn new(socket: UnixStream, size: u32) -> Kernel {
        Kernel { socket, frames: Frames::default(), size, last: 0 }
    }

    fn run(mut self, options: &Options, library: &str) -> Fallible<()> {
        let size = self.size;
        for _ in 0..100 {
            self.round(0..size, "pass")?;
        }
        let back_to_back = self.rounds(options.rounds, None)?;
        let spaced = self.rounds(options.rounds / 4, Some(Duration::from_millis(5)))?;
        self.fan_out(options.rounds)?;
        self.subsets()?;
        let burst = self.burst(1000)?;
        let long = Instant::now();
        let text = self.round(0..size, "long 3000000")?;
        assert!(text.values().all(|text| text.len() == 3_000_000), "a long report arrives whole");
        let long = long.elapsed();
        thread::sleep(Duration::from_millis(300));
        let all: Vec<_> = (0..size).collect();
        let before = self.cpu(&all)?;
        thread::sleep(Duration::from_secs(options.idle));
        let idle = self.cpu(&all)? - before;
        println!(
            "{library}: N={size} p50/p99 {back_to_back} us, every 5 ms {spaced} us, {size} x 1000 lines \
             {burst:.1?}, {size} x 3 MB {long:.1?}, idle {:.4} s CPU in {} s (all ranks, two tasks included)",
            idle, options.idle
        );
        match options.die {
            None => self.round(0..size, "quit")?,
            Some(rank) => self.lose(rank)?,
        };
        Ok(())
    }

    /// Goes on without a rank that dies in a task.
    fn lose(&mut self, dead: Rank) -> Fallible<HashMap<Rank, String>> {
        let (size, last) = (self.size, self.last);
        let living: Vec<_> = (0..size).filter(|rank| *rank != dead).collect();
        self.order(last + 1, (0..size).collect(), &format!("die {dead}"))?;
        self.answers(last + 1, living.len())?;
        // Sent before anyone has said that the rank is dead.
        self.order(last + 2, (0..size).collect(), "pass")?;
        self.answers(last + 2, living.len())?;
        frame::write(&mut self.socket, &ToGateway::Lost { ranks: vec![dead] })?;
        self.last += 2;
        let begin = Instant::now();
        for _ in 0..200 {
            self.round(living.iter().copied(), "pass")?;
        }
        let each = begin.elapsed() / 200;
        let text = self.round(living.iter().copied(), "long 3000000")?;
        assert!(text.values().all(|text| text.len() == 3_000_000), "a long report arrives whole");
        let before = self.cpu(&living)?;
        thread::sleep(Duration::from_secs(2));
        println!(
            "without rank {dead}: {each:.1?} a round, idle {:.4} s CPU in 2 s",
            self.cpu(&living)? - before
        );
        self.round(living, "leave")
    }

    /// Runs `code` on `targets`, and returns each one's text.
    fn round(
        &mut self,
        targets: impl IntoIterator<Item = Rank>,
        code: &str,
    ) -> Fallible<HashMap<Rank, String>> {
        let targets: Vec<Rank> = targets.into_iter().collect();
        let owing = targets.len();
        self.last += 1;
        self.order(self.last, targets, code)?;
        self.answers(self.last, owing)
    }

    fn order(&mut self, id: TaskId, targets: Vec<Rank>, code: &str) -> Fallible<()> {
        let work = Work::Execute { code: code.to_owned(), store_history: false, measure: false };
        let task = frame::pack(&Task { id, targets: u32::try_from(targets.len())?, work })?.into();
        Ok(frame::write(&mut self.socket, &ToGateway::FanOut { id, targets, task })?)
    }

    /// Reads until `owing` ranks are done with the task.
    fn answers(&mut self, id: TaskId, mut owing: usize) -> Fallible<HashMap<Rank, String>> {
        let mut texts: HashMap<Rank, String> = HashMap::new();
        while owing > 0 {
            match self.frames.read(&mut self.socket)?.ok_or("the gateway has closed")? {
                FromGateway::Reports { rank, reports } => {
                    for report in reports.into_owned() {
                        match report.event {
                            Event::Stream { text, .. } => texts.entry(rank).or_default().push_str(&text),
                            Event::Done { .. } if report.task == id => owing -= 1,
                            other => return Err(format!("rank {rank} reported {other:?} during {id}").into()),
                        }
                    }
                }
            }
        }
        Ok(texts)
    }

    fn rounds(&mut self, count: usize, pause: Option<Duration>) -> Fallible<String> {
        let mut took = Vec::with_capacity(count);
        for _ in 0..count.max(1) {
            took.push(self.timed(0..self.size)?);
            pause.into_iter().for_each(thread::sleep);
        }
        took.sort_unstable();
        Ok(format!("{}/{}", took[took.len() / 2], took[took.len() * 99 / 100]))
    }

    /// Shows what decides whether a tree would be faster than the star: what each rank takes of rank 0's
    /// comm thread, and how long the way to one rank and back is that no tree can take away.
    fn fan_out(&mut self, count: usize) -> Fallible<()> {
        let before = comm_thread()?;
        for _ in 0..count {
            self.round(0..self.size, "pass")?;
        }
        let spent = (comm_thread()? - before).as_nanos() as f64 / 1000.0 / count as f64;
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for _ in 0..count {
            near.push(self.timed([0])?);
            far.push(self.timed([self.size - 1])?);
        }
        println!(
            "fan-out: {spent:.1} us of rank 0's comm thread in a round, rank 0 alone {} us, the last rank alone {} us",
            median(near),
            median(far)
        );
        Ok(())
    }

    /// A round's microseconds.
    fn timed(&mut self, targets: impl IntoIterator<Item = Rank>) -> Fallible<u128> {
        let begin = Instant::now();
        self.round(targets, "pass")?;
        Ok(begin.elapsed().as_micros())
    }

    fn subsets(&mut self) -> Fallible<()> {
        let size = self.size;
        for rank in 0..size {
            self.round([rank], "pass")?;
            self.round((0..size).filter(|other| *other != rank || size == 1), "pass")?;
        }
        self.round([self.size - 1], "sleep 30")?;
        Ok(())
    }

    fn burst(&mut self, lines: u32) -> Fallible<Duration> {
        let begin = Instant::now();
        let texts = self.round(0..self.size, &format!("burst {lines}"))?;
        let expected: String = (0..lines).map(|line| format!("{line}\n")).collect();
        assert!(
            texts.len() == self.size as usize && texts.values().all(|text| *text == expected),
            "every line, in order"
        );
        Ok(begin.elapsed())
    }

    fn cpu(&mut self, ranks: &[Rank]) -> Fallible<f64> {
        let texts = self.round(ranks.iter().copied(), "cpu")?;
        Ok(texts.values().map(|text| text.parse::<f64>()).sum::<Result<f64, _>>()?)
    }
}

/// The processor time of this process's comm thread.
fn comm_thread() -> Fallible<Duration> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim() == "comm" {
            let spent = std::fs::read_to_string(task.join("schedstat"))?;
            return Ok(Duration::from_nanos(spent.split(' ').next().unwrap_or_default().parse()?));
        }
    }
    Err("this process has no comm thread".into())
}

fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn options() -> Fallible<Options> {
    let mut given: HashMap<String, String> = HashMap::new();
    let mut words = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        given.insert(name, value);
    }
    let path = |name: &str| given.get(name).map(PathBuf::from);
    Ok(Options {
        plugin: path("--plugin").ok_or("--plugin FILE: the MPI plugin")?,
        libmpi: path("--libmpi"),
        folder: path("--folder").ok_or("--folder DIR: where the doorbells go")?,
        rounds: given.get("--rounds").map_or(Ok(800), |text| text.parse())?,
        die: given.get("--die").map(|text| text.parse()).transpose()?,
        idle: given.get("--idle").map_or(Ok(10), |text| text.parse())?,
    })
}
