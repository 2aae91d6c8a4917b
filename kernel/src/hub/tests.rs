//! What a kernel needs of a hub beyond what a script does, by what the hub takes in and gives back.

use fabric::message::client::{Caller, EnginesAction, Placement, Query, Submission, Told};
use fabric::message::launcher::FromLauncher;
use fabric::message::lifeline::{Ending, FromWorker, Hello, Question, Role, Status, ToWorker};
use fabric::message::report::{Event as Happened, Outcome, Report as Said, StreamName};
use fabric::message::task::{FromGateway, TaskId, Work};
use fabric::message::{BUILD, Rank};
use serde_json::{Value, json};

use super::*;
use crate::clients::Effect as ToClient;
use crate::cluster::sample;

const KERNEL: ClientId = 3;

struct Play {
    hub: Hub,
    now: Instant,
    effects: Vec<Effect>,
}

impl Play {
    /// Two engines are up.
    fn new() -> Self {
        let now = Instant::now();
        let mut play = Self { hub: Hub::new("hub", now, 0.0), now, effects: Vec::new() };
        play.effects = play.hub.begin(now);
        play.on(Event::Launched(1, Terms { size: 2, patience: Duration::from_secs(9), caution: None }));
        for rank in 0..2 {
            play.hello(u64::from(rank), Role::Worker(sample::hello(rank, 2)));
        }
        play.hello(99, Role::Gateway);
        play.effects.clear();
        play
    }

    fn on(&mut self, event: Event) {
        let effects = self.hub.on(event, self.now);
        self.effects.extend(effects);
    }

    fn hello(&mut self, link: u64, role: Role) {
        let pid = 100 + u32::try_from(link).unwrap();
        let hello = Hello { build: BUILD.to_owned(), pid, role };
        self.on(Event::Engines(1, cluster::Event::Hello { link, hello }));
    }

    fn ask(&mut self, ask: Ask) {
        self.on(Event::Asked(KERNEL, ask));
    }

    fn submit(&mut self, caller: Caller) {
        let work = Work::Execute { code: "input()".to_owned(), store_history: true, measure: false };
        let (name, label) = ("t".to_owned(), "input()".to_owned());
        let placement = Placement::Each { targets: vec![0, 1] };
        let submissions = vec![Submission { name, label, placement, work, caller }];
        self.ask(Ask::Submit { submissions });
    }

    fn report(&mut self, rank: Rank, task: TaskId, event: Happened) {
        let reports = vec![Said { task, event }].into();
        self.on(Event::Engines(1, cluster::Event::Gateway(FromGateway::Reports { rank, reports })));
    }

    fn asks(&mut self, rank: Rank) {
        let event = Happened::Ask { question: 7, prompt: "? ".to_owned(), password: false };
        self.report(rank, 1, event);
    }

    fn done(&mut self, rank: Rank) {
        let event = Happened::Done { outcome: Outcome::Ok, count: 1, started: 1.0, completed: 2.0 };
        self.report(rank, 1, event);
    }

    fn worker_says(&mut self, rank: Rank, said: FromWorker) {
        self.on(Event::Engines(1, cluster::Event::Worker { link: u64::from(rank), said }));
    }

    /// What workers were given as answers since the last look.
    fn inputs(&mut self) -> Vec<(u64, Result<String, String>)> {
        let input = |effect| match effect {
            Effect::Engines(cluster::Effect::Worker(link, ToWorker::Input { answer, .. })) => {
                Some((link, answer))
            }
            _ => None,
        };
        std::mem::take(&mut self.effects).into_iter().filter_map(input).collect()
    }

    /// What the kernel was told since the last look.
    fn told(&mut self) -> Vec<Told> {
        let told = |effect| match effect {
            Effect::Clients(ToClient::Tell(KERNEL, told)) => Some(told),
            _ => None,
        };
        std::mem::take(&mut self.effects).into_iter().filter_map(told).collect()
    }
}

#[test]
fn questions_go_to_the_kernel_whose_code_asks_and_answers_come_back() {
    for caller in [Caller::Cell, Caller::Notebook] {
        let mut play = Play::new();
        play.submit(caller);
        play.effects.clear();
        play.asks(1);
        let told = play.told();
        let [Told::Report { name, rank: 1, event: Happened::Ask { question: 7, .. } }] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(name, "t");
        play.ask(Ask::Input { rank: 1, question: 7, answer: Ok("yes".to_owned()) });
        play.ask(Ask::Input { rank: 1, question: 7, answer: Ok("again".to_owned()) });
        assert_eq!(play.inputs(), [(1, Ok("yes".to_owned()))], "once");
    }
}

#[test]
fn nobody_waits_for_a_person_who_is_not_there() {
    let nobody = || Err(NOBODY.to_owned());
    let mut play = Play::new();
    play.submit(Caller::Program);
    play.asks(0);
    assert_eq!(play.inputs(), [(0, nobody())], "a program has nobody to ask");
    let mut play = Play::new();
    play.submit(Caller::Cell);
    play.asks(0);
    play.asks(1);
    play.done(1);
    play.on(Event::Left(KERNEL));
    assert_eq!(play.inputs(), [(0, nobody())], "the kernel left, and engine 1 does not wait any more");
    play.asks(0);
    assert_eq!(play.inputs(), [(0, nobody())]);
}

#[test]
fn what_a_cells_threads_print_later_is_told_to_its_kernel() {
    for (caller, expected) in [(Caller::Cell, 1), (Caller::Notebook, 0), (Caller::Program, 0)] {
        let mut play = Play::new();
        play.submit(caller);
        play.done(0);
        play.done(1);
        play.effects.clear();
        play.report(0, 1, Happened::Stream { name: StreamName::Stdout, text: "late".to_owned() });
        assert_eq!(play.told().len(), expected, "{caller:?}");
        play.on(Event::Left(KERNEL));
        play.report(0, 1, Happened::Stream { name: StreamName::Stdout, text: "later".to_owned() });
        assert!(play.told().is_empty(), "{caller:?}");
    }
}

#[test]
fn every_enquiry_is_answered_once() {
    let mut play = Play::new();
    let about = || Question::Complete { code: "x".to_owned(), cursor: 1 };
    for (ask, rank) in [(1, 0), (2, 1), (3, 7)] {
        play.ask(Ask::Enquire { ask, rank, about: about() });
    }
    let content = json!({"matches": []});
    let said = FromWorker::Answer { question: 1, content: Some(content.to_string().into_bytes().into()) };
    play.worker_says(0, said);
    play.now += Duration::from_secs(5);
    let late = play.hub.tick(play.now);
    play.effects.extend(late);
    let mut answers: Vec<(u64, Value)> = Vec::new();
    for told in play.told() {
        let Told::Answer { ask, answer: Ok(answer) } = told else { panic!("{told:?}") };
        answers.push((ask, serde_json::from_slice(&answer).unwrap()));
    }
    assert_eq!(answers, [(3, Value::Null), (1, content), (2, Value::Null)]);
}

#[test]
fn the_status_says_what_runs_whoever_gave_it() {
    let mut play = Play::new();
    play.submit(Caller::Program);
    play.effects.clear();
    play.ask(Ask::Query { ask: 5, query: Query::Status });
    let status = Status { running: Some(1), resident: 9, mpi_sent: 0, mpi_received: 0, arrived: 1, ended: 0 };
    for rank in 0..2 {
        assert!(play.told().is_empty(), "not before all have said it");
        play.worker_says(rank, FromWorker::Status(status.clone()));
    }
    let told = play.told();
    let [Told::Answer { ask: 5, answer: Ok(answer) }] = &told[..] else { panic!("{told:?}") };
    let answer: Value = serde_json::from_slice(answer).unwrap();
    assert_eq!(
        (&answer["1"]["runs"]["label"], &answer["0"]["status"]["resident"]),
        (&json!("input()"), &json!(9))
    );
}

#[test]
fn what_waits_for_engines_is_taken_back_in_parts() {
    let mut play = Play::new();
    play.ask(Ask::Engines { ask: 1, action: EnginesAction::Restart, count: None });
    play.submit(Caller::Program);
    play.told();
    let aborted = |rank| {
        let event = Happened::Done { outcome: Outcome::Aborted, count: 0, started: 0.0, completed: 0.0 };
        Told::Report { name: "t".to_owned(), rank, event }
    };
    play.ask(Ask::Abort { ask: 2, names: vec!["t@1".to_owned(), "t@7".to_owned()] });
    let told = play.told();
    assert_eq!((told.len(), &told[0]), (2, &aborted(1)), "{told:?}");
    play.ask(Ask::Abort { ask: 3, names: vec!["t".to_owned()] });
    let told = play.told();
    assert_eq!(told[..2], [aborted(0), Told::Over { name: "t".to_owned() }], "{told:?}");
}

#[test]
fn what_starts_engines_afresh_is_typed_in_a_terminal() {
    let mut play = Play::new();
    play.submit(Caller::Program);
    let ending = Ending::Signal(9);
    let said = FromLauncher::Exited { ending, last_words: String::new() };
    play.on(Event::Engines(1, cluster::Event::Launcher(said)));
    let told = play.told();
    let why = told.iter().find_map(|told| match told {
        Told::Lost { why, .. } => Some(why.as_str()),
        _ => None,
    });
    let expected = "mpiexec was killed by signal 9\n`parallel-python engines restart` starts fresh engines";
    assert_eq!(why, Some(expected), "{told:?}");
}
