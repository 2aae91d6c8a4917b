//! The mirror by what it says and hears: no hub, no process, no clock.

use fabric::message::client::{EngineInfo, Forgotten};
use fabric::message::lifeline::Status;
use fabric::message::report::{Event, Outcome, Raised, StreamName};
use serde_json::{Value, json};

use super::*;
use crate::cluster::sample;
use fabric::message::Json;

struct Play {
    attached: Attached,
    now: Instant,
    said: Vec<ToHub>,
    notices: Vec<Notice>,
}

impl Play {
    fn new() -> Self {
        let attached = Attached::new("mpi", "0123-4567-89ab");
        Self { attached, now: Instant::now(), said: Vec::new(), notices: Vec::new() }
    }

    /// Joined, and two engines are up.
    fn up() -> Self {
        let mut play = Self::new();
        play.act(|attached, now, out| attached.start(None, now, out));
        play.hear(FromHub::Joined);
        play.engines("up", &[(7, None), (8, None)]);
        let ask = play.last_ask();
        play.tell(Told::Answer { ask, answer: Ok(b"null".to_vec().into()) });
        assert_eq!(play.attached.phase, Phase::Up);
        play.forget();
        play
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Attached, Instant, &mut Output) -> T) -> T {
        let mut out = Output::default();
        let result = act(&mut self.attached, self.now, &mut out);
        assert!(out.effects.is_empty(), "there is no launcher");
        self.said.extend(out.hub);
        self.notices.extend(out.notices);
        result
    }

    fn hear(&mut self, heard: FromHub) {
        self.act(|attached, now, out| attached.heard(heard, now, out));
    }

    fn tell(&mut self, told: Told) {
        self.hear(FromHub::Told(told));
    }

    fn answer(&mut self, ask: u64, answer: &Value) {
        self.tell(Told::Answer { ask, answer: Ok(answer.to_string().into_bytes().into()) });
    }

    /// Engines by their processes, and how they died.
    fn engines(&mut self, phase: &str, engines: &[(u32, Option<&str>)]) {
        let info = |(rank, (pid, died)): (usize, &(u32, Option<&str>))| EngineInfo {
            pid: *pid,
            hello: sample::hello(u32::try_from(rank).unwrap(), u32::try_from(engines.len()).unwrap()),
            died: died.map(str::to_owned),
        };
        let engines = engines.iter().enumerate().map(info).collect();
        let (phase, reason) = (phase.to_owned(), "they failed".to_owned());
        self.tell(Told::Engines { change: 0, phase, reason, caution: None, engines });
    }

    fn cell(&mut self) -> (TaskId, String) {
        let work = Work::Execute { code: "x".to_owned(), store_history: true, measure: false };
        let task = self.act(|attached, _, out| attached.submit(&[0, 1], work, "x".to_owned(), out)).unwrap();
        let Some(ToHub::Ask(Ask::Submit { submissions })) = self.said.last() else {
            panic!("{:?}", self.said)
        };
        assert_eq!(submissions[0].caller, Caller::Cell);
        (task, submissions[0].name.clone())
    }

    fn last_ask(&self) -> u64 {
        self.attached.last_ask
    }

    fn forget(&mut self) {
        self.said.clear();
        self.notices.clear();
    }
}

fn done() -> Event {
    Event::Done { outcome: Outcome::Ok, count: 1, started: 1.0, completed: 2.0 }
}

#[test]
fn engines_are_there_when_the_hub_says_that_they_are() {
    let mut play = Play::new();
    play.act(|attached, now, out| attached.start(Some(4), now, out));
    assert_eq!((play.attached.hub, &play.said[..]), (Hub::Joining, &[ToHub::Join][..]));
    play.hear(FromHub::Joined);
    let (ask, action) = (play.last_ask(), EnginesAction::Start);
    let start = Ask::Engines { ask, action, count: Some(4) };
    assert_eq!(play.said[1..], [ToHub::Ask(Ask::Open), ToHub::Ask(start)]);
    for phase in ["off", "launching", "up"] {
        play.engines(phase, &[(7, None)]);
        assert!(matches!(play.attached.phase, Phase::Launching { .. }), "not before the answer: {phase}");
    }
    play.answer(ask, &Value::Null);
    assert_eq!(play.attached.phase, Phase::Up);
    assert_eq!(play.attached.engines.values().map(|engine| engine.pid).collect::<Vec<_>>(), [7]);
}

#[test]
fn what_the_hub_could_not_start_has_failed() {
    let mut play = Play::new();
    play.act(|attached, now, out| attached.start(None, now, out));
    play.hear(FromHub::Joined);
    play.engines("failed", &[]);
    let raised = Raised { ename: "E".to_owned(), evalue: "no".to_owned(), traceback: vec![] };
    let ask = play.last_ask();
    play.tell(Told::Answer { ask, answer: Err(raised) });
    assert_eq!(play.attached.phase, Phase::Failed { reason: "they failed".to_owned() });
    assert_eq!(play.attached.hub, Hub::Joined);
}

#[test]
fn a_hub_that_is_not_there_is_looked_for_again() {
    let mut play = Play::new();
    for _ in 0..2 {
        play.act(|attached, now, out| attached.start(None, now, out));
        assert_eq!(play.said.last(), Some(&ToHub::Join));
        play.hear(FromHub::Gone { reason: "none".to_owned() });
        assert_eq!(play.attached.phase, Phase::Failed { reason: "none".to_owned() });
        assert_eq!(play.attached.hub, Hub::Away);
    }
}

#[test]
fn a_cell_is_told_as_if_the_engines_were_its_own() {
    let mut play = Play::up();
    let (task, name) = play.cell();
    assert_eq!(name, "px_1_01234567");
    let text = Event::Stream { name: StreamName::Stdout, text: "a".to_owned() };
    let event = text.clone();
    play.tell(Told::Report { name: name.clone(), rank: 1, event });
    play.tell(Told::Report { name: name.clone(), rank: 0, event: done() });
    assert_eq!(play.attached.waiting(task), 1);
    let why = "engine 1 was killed".to_owned();
    play.tell(Told::Lost { name: name.clone(), rank: 1, why: why.clone(), lives: false });
    play.tell(Told::Over { name: name.clone() });
    // A thread that the cell has left.
    play.tell(Told::Report { name, rank: 0, event: text.clone() });
    play.tell(Told::Over { name: "somebody else's".to_owned() });
    assert_eq!(
        play.notices,
        [
            Notice::Report { task, rank: 1, event: text.clone() },
            Notice::Report { task, rank: 0, event: done() },
            Notice::Lost { task, rank: 1, why, lives: false },
            Notice::Over { task },
            Notice::Report { task, rank: 0, event: text },
        ]
    );
}

#[test]
fn a_cell_ends_once_however_it_ends() {
    for end in ["refused", "gone", "left"] {
        let mut play = Play::up();
        let (task, name) = play.cell();
        play.tell(Told::Report { name: name.clone(), rank: 0, event: done() });
        play.forget();
        let why = "there is no engine 1".to_owned();
        match end {
            "refused" => play.tell(Told::Refused { name, ename: "E".to_owned(), why }),
            "gone" => play.hear(FromHub::Gone { reason: why }),
            _ => play.act(|attached, _, out| attached.leave(out)),
        }
        let of_task: Vec<&Notice> = play.notices.iter().filter(|notice| **notice != Notice::Phase).collect();
        let [Notice::Lost { rank: 1, lives: false, .. }, over] = of_task[..] else { panic!("{of_task:?}") };
        assert_eq!(over, &Notice::Over { task });
        assert_eq!(play.attached.hub == Hub::Joined, end == "refused");
    }
}

#[test]
fn what_a_widget_has_its_engine_do_is_not_remembered() {
    let mut play = Play::up();
    let json = || b"{}".to_vec().into();
    let work = Work::Comm { header: json(), content: json(), metadata: json(), buffers: vec![] };
    play.act(|attached, _, out| attached.submit(&[0], work, "w".to_owned(), out)).unwrap();
    let name = "px_1_01234567".to_owned();
    play.tell(Told::Over { name: name.clone() });
    assert_eq!(
        play.said.last(),
        Some(&ToHub::Ask(Ask::Forget { names: vec![name], what: Forgotten::Records }))
    );
}

#[test]
fn a_restart_is_under_way_until_it_is_answered_and_gives_another_set() {
    let mut play = Play::up();
    let set = play.attached.set;
    play.act(|attached, now, out| attached.start(Some(1), now, out));
    let ask = play.last_ask();
    let restart = Ask::Engines { ask, action: EnginesAction::Restart, count: Some(1) };
    assert_eq!(play.said, [ToHub::Ask(restart)]);
    play.engines("up", &[(7, Some("was killed")), (8, None)]);
    assert!(matches!(play.attached.phase, Phase::Stopping { .. }), "an engine's death is no end of it");
    assert_eq!(play.attached.set, set);
    play.engines("launching", &[]);
    assert!(matches!(play.attached.phase, Phase::Launching { .. }));
    play.engines("up", &[(9, None)]);
    play.answer(ask, &Value::Null);
    assert_eq!((&play.attached.phase, play.attached.set > set), (&Phase::Up, true));
    // Somebody else ends them.
    play.engines("stopping", &[(9, None)]);
    assert_eq!(play.attached.phase, Phase::Stopping { then: None });
    play.engines("off", &[]);
    assert_eq!(play.attached.phase, Phase::Off);
}

#[test]
fn the_dead_are_known_and_named() {
    let mut play = Play::up();
    play.engines("up", &[(7, None), (8, Some("was killed by signal 9 (SIGKILL)"))]);
    let dead = &play.attached.engines[&1];
    assert!(!dead.lives());
    assert_eq!(dead.obituary(), "engine 1 on node (pid 8) was killed by signal 9 (SIGKILL)");
    let refused = play.act(|attached, _, out| attached.signal(&[0, 1], 15, out));
    assert_eq!(refused, Err("engine 1 is not there".to_owned()));
    assert_eq!(play.act(|attached, _, out| attached.ask(1, complete(), out)), None);
    play.forget();
    play.act(|attached, _, out| attached.interrupt_engines(&[0, 1], out));
    let ask = play.last_ask();
    assert_eq!(play.said, [ToHub::Ask(Ask::Signal { ask, targets: vec![0], signal: INTERRUPT })]);
}

fn complete() -> Question {
    Question::Complete { code: "x".to_owned(), cursor: 1 }
}

#[test]
fn answers_become_what_engines_would_have_said() {
    let mut play = Play::up();
    play.now += Duration::from_secs(60);
    let question = play.act(|attached, _, out| attached.ask(0, complete(), out)).unwrap();
    play.answer(question, &json!({"status": "ok"}));
    let busy = play.act(|attached, _, out| attached.ask(0, complete(), out)).unwrap();
    play.answer(busy, &Value::Null);
    play.act(|attached, _, out| attached.ask_stack(&BTreeSet::from([1]), out));
    play.answer(play.last_ask(), &json!({"1": {"threads": "t", "mpi": "MPI_Barrier"}}));
    play.act(|attached, _, out| attached.ask_status(out));
    let status = Status { running: None, resident: 1, mpi_sent: 2, mpi_received: 3, arrived: 4, ended: 4 };
    let runs = json!({"label": "another's", "seconds": 3.0});
    play.answer(play.last_ask(), &json!({"0": {"status": status, "runs": runs}}));
    let content = Some(Json::from(json!({"status": "ok"}).to_string().into_bytes()));
    assert_eq!(
        play.notices,
        [
            Notice::Answered { question, content },
            Notice::Answered { question: busy, content: None },
            Notice::Stack { rank: 1, threads: "t".to_owned(), mpi: Some("MPI_Barrier".to_owned()) },
            Notice::Status(0),
            Notice::Status(1),
        ]
    );
    assert_eq!(play.attached.engines[&0].status.as_ref(), Some(&status));
    let running = play.attached.running(0).unwrap();
    assert_eq!((running.label, play.now - running.since), ("another's", Duration::from_secs(3)));
    assert!(play.attached.running(1).is_none());
}

#[test]
fn any_answer_is_taken() {
    let mut play = Play::up();
    play.act(|attached, _, out| attached.ask_stack(&BTreeSet::from([1]), out));
    play.answer(play.last_ask(), &json!([1, {"a": "b"}]));
    play.act(|attached, _, out| attached.ask_status(out));
    play.answer(play.last_ask(), &json!({"0": {"status": 5}}));
    play.answer(99, &Value::Null);
    assert!(play.notices.iter().all(|notice| matches!(notice, Notice::Status(_))), "{:?}", play.notices);
}
