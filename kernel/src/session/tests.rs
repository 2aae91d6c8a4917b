//! The session as a whole, by its effects: events in, messages out, no process and no clock.

use std::time::{Duration, Instant};

use fabric::message::lifeline::{Ending, FromSupervisor, Hello, Role, ToWorker};
use fabric::message::local::{Answer, Channel, FromLocal, Message, ToLocal};
use fabric::message::report::{Event as Happened, Outcome, Raised, Report, StreamName};
use fabric::message::task::{FromGateway, TaskId, ToGateway};
use fabric::message::{BUILD, Json};
use serde_json::{Value, json};

use super::{Effect, Event, Session};
use crate::cluster::{self, SetId, sample};
use crate::wire::{Header, Incoming};

/// A session and what it said so far.
struct Play {
    session: Session,
    now: Instant,
    effects: Vec<Effect>,
    requests: u32,
}

impl Play {
    /// The local process is up, and `engines` engines are.
    fn new(engines: u32) -> Self {
        let mut play = Self {
            session: Session::new("s".to_owned(), false, true),
            now: Instant::now(),
            effects: Vec::new(),
            requests: 0,
        };
        play.effects = play.session.begin(play.now);
        play.local_hello();
        if engines > 0 {
            play.wait(Duration::from_secs(1));
            play.engines_up(1, engines);
        }
        play.effects.clear();
        play
    }

    fn on(&mut self, event: Event) {
        let effects = self.session.on(event, self.now);
        self.effects.extend(effects);
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.session.deadline().filter(|deadline| *deadline <= until) {
            self.now = deadline.max(self.now);
            let effects = self.session.tick(self.now);
            self.effects.extend(effects);
        }
        self.now = until;
    }

    fn local_hello(&mut self) {
        let kernel_info = text(r#"{"language_info": {"name": "python", "version": "3.11.7"}}"#);
        let hello =
            FromLocal::Hello { build: BUILD.to_owned(), pid: 1, python: "3.11.7".to_owned(), kernel_info };
        self.on(Event::Local(hello));
    }

    fn engines_up(&mut self, set: SetId, count: u32) {
        self.on(Event::Launched(
            set,
            cluster::Terms { size: count, patience: Duration::from_secs(90), caution: None },
        ));
        for rank in 0..count {
            self.hello(set, u64::from(rank), 100 + rank, Role::Worker(sample::hello(rank, count)));
        }
        self.hello(set, 99, 100, Role::Gateway);
    }

    fn hello(&mut self, set: SetId, link: u64, pid: u32, role: Role) {
        let hello = Hello { build: BUILD.to_owned(), pid, role };
        self.on(Event::Engines { set, event: cluster::Event::Hello { link, hello } });
    }

    fn request(&mut self, channel: Channel, msg_type: &str, content: Value) -> String {
        self.requests += 1;
        let msg_id = format!("m{}", self.requests);
        let header = json!({"msg_id": msg_id, "msg_type": msg_type});
        let message = Message {
            channel,
            identities: vec![text("client")],
            header: text(&header.to_string()),
            parent: text("{}"),
            metadata: text("{}"),
            content: text(&content.to_string()),
            buffers: vec![],
        };
        let header = Header { msg_id: msg_id.clone(), msg_type: msg_type.to_owned(), subshell_id: None };
        self.on(Event::Request(Incoming { header, message }));
        msg_id
    }

    fn cell(&mut self, code: &str) -> String {
        self.request(Channel::Shell, "execute_request", json!({"code": code}))
    }

    fn report(&mut self, task: TaskId, rank: u32, event: Happened) {
        let report = FromGateway::Reports { rank, reports: vec![Report { task, event }].into() };
        self.on(Event::Engines { set: 1, event: cluster::Event::Gateway(report) });
    }

    fn done(&mut self, task: TaskId, rank: u32, outcome: Outcome) {
        self.report(task, rank, Happened::Done { outcome, count: 1, started: 0.0, completed: 0.0 });
    }

    fn dies(&mut self, rank: u32, ending: Ending) {
        let said = FromSupervisor::Exited { worker: 100 + rank, ending, last_words: String::new(), line: 0 };
        self.on(Event::Engines { set: 1, event: cluster::Event::Supervisor(said) });
    }

    fn finished(&mut self, msg_id: &str, next_count: u32, failed: bool) {
        self.on(Event::Local(FromLocal::Finished { msg_id: msg_id.to_owned(), next_count, failed }));
    }

    /// What was fanned out since the last question, oldest first.
    fn fanned_out(&mut self) -> Vec<(TaskId, Vec<u32>)> {
        let fan_out = |effect: &Effect| match effect {
            Effect::Engines(cluster::Effect::Gateway(_, ToGateway::FanOut { id, targets, .. })) => {
                Some((*id, targets.clone()))
            }
            _ => None,
        };
        let found = self.effects.iter().filter_map(fan_out).collect();
        self.effects.retain(|effect| fan_out(effect).is_none());
        found
    }

    /// What clients saw since the last question: `busy`, `stream …`, `error …`, `execute_reply …`, `idle`.
    fn said(&mut self) -> Vec<String> {
        let effects = std::mem::take(&mut self.effects);
        let (sent, kept): (Vec<_>, Vec<_>) =
            effects.into_iter().partition(|effect| matches!(effect, Effect::Send(_)));
        self.effects = kept;
        let sent = sent.into_iter().filter_map(|effect| match effect {
            Effect::Send(message) => Some(summary(&message)),
            _ => None,
        });
        sent.collect()
    }

    fn told_local(&mut self) -> Vec<ToLocal> {
        let effects = std::mem::take(&mut self.effects);
        let (told, kept): (Vec<_>, Vec<_>) =
            effects.into_iter().partition(|effect| matches!(effect, Effect::Local(_)));
        self.effects = kept;
        let told = told.into_iter().filter_map(|effect| match effect {
            Effect::Local(message) => Some(message),
            _ => None,
        });
        told.collect()
    }
}

fn lines(of: &[&str]) -> Vec<String> {
    of.iter().map(|line| (*line).to_owned()).collect()
}

fn text(json: &str) -> Json {
    Json::from(json.as_bytes().to_vec())
}

fn summary(message: &Message) -> String {
    let header: Value = serde_json::from_slice(&message.header).unwrap();
    let content: Value = serde_json::from_slice(&message.content).unwrap();
    let word = |key: &str| content[key].as_str().unwrap_or_default().to_owned();
    match header["msg_type"].as_str().unwrap() {
        "status" => word("execution_state"),
        "stream" => format!("{} {}", word("name"), word("text")),
        "error" => format!("error {}: {}", word("ename"), word("evalue")),
        "execute_input" => format!("input {} {}", content["execution_count"], word("code")),
        reply => format!("{reply} {}", word("status")),
    }
}

fn output(line: &str) -> Happened {
    Happened::Stream { name: StreamName::Stdout, text: line.to_owned() }
}

fn raised(ename: &str) -> Outcome {
    Outcome::Error(Raised { ename: ename.to_owned(), evalue: "why".to_owned(), traceback: vec![] })
}

#[test]
fn a_parallel_cell_is_busy_output_reply_idle_and_is_recorded() {
    let mut play = Play::new(2);
    play.cell("%%px\nprint('hi')");
    let fanned_out = play.fanned_out();
    let [(task, targets)] = &fanned_out[..] else { panic!("{fanned_out:?}") };
    assert_eq!(targets, &[0, 1]);
    for rank in [1, 0] {
        play.report(*task, rank, output("hi\n"));
        play.done(*task, rank, Outcome::Ok);
    }
    assert_eq!(
        play.said(),
        [
            "busy",
            "input 1 %%px\nprint('hi')",
            "stdout [stdout:0] hi\n[stdout:1] hi\n",
            "execute_reply ok",
            "idle"
        ]
    );
    play.cell("%px 1");
    assert_eq!(play.said()[1], "input 2 %px 1");
    assert!(play.told_local().is_empty(), "the history is not in the way of the next parallel cell");
    play.wait(Duration::from_millis(300));
    assert_eq!(play.told_local(), [ToLocal::Record { code: "%%px\nprint('hi')".to_owned(), count: 1 }]);
}

#[test]
fn a_local_cell_is_relayed_and_closed_when_it_is_finished() {
    let mut play = Play::new(0);
    let first = play.cell("1+1");
    let second = play.cell("2+2");
    assert_eq!(play.told_local().len(), 1, "one shell request at a time");
    assert_eq!(play.said(), ["busy"]);
    play.finished(&first, 2, false);
    let said = play.said();
    assert!(
        said[0].starts_with("execute_reply error"),
        "a reply that never came is said to be lost: {said:?}"
    );
    assert_eq!(said[1..], ["idle", "busy"]);
    play.finished(&second, 3, true);
}

#[test]
fn cells_behind_an_error_are_aborted_and_other_requests_are_not() {
    let mut play = Play::new(1);
    play.cell("%px 1/0");
    play.cell("%px 2");
    play.request(Channel::Shell, "history_request", json!({"code": ""}));
    let (task, _) = play.fanned_out().remove(0);
    play.said();
    play.done(task, 0, raised("ZeroDivisionError"));
    let said = play.said();
    assert_eq!(
        said[..2],
        [
            "error CompositeError: one or more exceptions raised in: %px\n[0:execute]ZeroDivisionError: why",
            "execute_reply error"
        ]
    );
    assert_eq!(said[2..], ["idle", "busy", "execute_reply aborted", "idle", "busy"]);
    assert!(matches!(play.told_local()[..], [ToLocal::Record { .. }, ToLocal::Message(_)]));
}

#[test]
fn a_cell_that_comes_too_early_waits_for_the_engines_and_says_so_after_a_second() {
    let mut play = Play::new(0);
    play.cell("%px 1");
    assert!(play.fanned_out().is_empty());
    play.said();
    play.wait(Duration::from_millis(900));
    assert!(play.said().is_empty());
    play.wait(Duration::from_millis(200));
    assert_eq!(play.said(), ["stderr Waiting for the engines to start.\n"]);
    play.engines_up(1, 2);
    assert_eq!(play.fanned_out().len(), 1);
}

#[test]
fn a_dead_engine_ends_the_cell_within_two_seconds_and_is_named() {
    let mut play = Play::new(3);
    play.cell("%px wait()");
    let (task, _) = play.fanned_out().remove(0);
    play.done(task, 2, Outcome::Ok);
    play.said();
    play.dies(1, Ending::Signal(9));
    assert!(play.said().is_empty(), "the survivor gets time to finish");
    play.wait(Duration::from_millis(700));
    let interrupted = cluster::Effect::Worker(0, ToWorker::Interrupt { task });
    assert!(
        play.effects.iter().any(|effect| matches!(effect, Effect::Engines(effect) if *effect == interrupted))
    );
    play.wait(Duration::from_millis(1200));
    let said = play.said();
    assert_eq!(said[0], "error EngineError: engine 1 on node (pid 101) was killed by signal 9 (SIGKILL)");
    assert_eq!(said[1..], ["execute_reply error", "idle"]);
    play.cell("%px 1");
    let said = play.said();
    assert!(
        said[2].contains("engines 0, 2 keep their variables") && said[2].contains("%%px -t 0,2"),
        "{said:?}"
    );
}

#[test]
fn a_survivor_runs_cells_that_name_it_by_its_lifeline() {
    let mut play = Play::new(2);
    play.dies(0, Ending::Code(3));
    play.cell("%%px -t 1\n1");
    assert!(play.fanned_out().is_empty());
    let by_lifeline =
        |effect: &Effect| matches!(effect, Effect::Engines(cluster::Effect::Worker(1, ToWorker::Task(_))));
    assert!(play.effects.iter().any(by_lifeline));
}

#[test]
fn engines_that_do_not_come_are_named_with_what_they_wrote() {
    let mut play = Play::new(0);
    play.cell("%px 1");
    play.wait(Duration::from_secs(1));
    let terms = cluster::Terms { size: 2, patience: Duration::from_secs(5), caution: None };
    play.on(Event::Launched(1, terms));
    play.wait(Duration::from_secs(6));
    let asked = |effect: &Effect| matches!(effect, Effect::Engines(cluster::Effect::Logs { set: 1, ranks }) if *ranks == [0, 1]);
    assert_eq!(play.effects.iter().filter(|effect| asked(effect)).count(), 1);
    play.said();
    play.on(Event::Engines { set: 1, event: cluster::Event::Logs("\nengine 0 wrote last:\nx".to_owned()) });
    let said = play.said();
    assert!(said[0].contains("engines 0, 1 did not answer within"), "{said:?}");
    assert!(said[0].contains("engine 0 wrote last:\nx"), "{said:?}");
}

#[test]
fn an_interrupt_reaches_the_engines_and_the_stubborn_are_named() {
    let mut play = Play::new(2);
    play.cell("%px wait()");
    let (task, _) = play.fanned_out().remove(0);
    play.request(Channel::Control, "interrupt_request", json!({}));
    play.done(task, 0, raised("KeyboardInterrupt"));
    play.said();
    play.wait(Duration::from_millis(600));
    let asked =
        |effect: &Effect| matches!(effect, Effect::Engines(cluster::Effect::Worker(1, ToWorker::Stack)));
    assert!(play.effects.iter().any(asked), "who goes on is asked where it is");
    play.wait(Duration::from_millis(500));
    let said = play.said();
    assert!(said[0].starts_with("error KeyboardInterrupt: engine 1 has not stopped"), "{said:?}");
    assert_eq!(said[1..], ["execute_reply error", "idle"]);
}

#[test]
fn a_magic_out_of_running_code_is_answered_when_its_output_is_out() {
    let mut play = Play::new(2);
    let cell = play.cell("for i in range(2): get_ipython().run_line_magic('px', 'print(1)')");
    play.said();
    play.told_local();
    let parent = text(&json!({"msg_id": cell, "msg_type": "execute_request"}).to_string());
    let call = FromLocal::Call {
        call: 7,
        magic: "px".to_owned(),
        line: "print(1)".to_owned(),
        cell: None,
        parent,
        captured: false,
    };
    play.on(Event::Local(call));
    let (task, _) = play.fanned_out().remove(0);
    for rank in 0..2 {
        play.report(task, rank, output("1\n"));
        play.done(task, rank, Outcome::Ok);
    }
    assert_eq!(play.said(), ["stdout [stdout:0] 1\n[stdout:1] 1\n"]);
    assert_eq!(play.told_local(), [ToLocal::Answer { call: 7, answer: Answer::Done, shown: Vec::new() }]);
}

#[test]
fn the_death_of_the_local_process_ends_its_cell_and_starts_another() {
    let mut play = Play::new(1);
    play.cell("import os; os._exit(3)");
    play.said();
    play.on(Event::LocalGone {
        how: "exited with code 3".to_owned(),
        last_words: String::new(),
        line: Some(1),
    });
    let said = play.said();
    assert!(
        said[0].starts_with(
            "error LocalProcessError: the notebook's own Python exited with code 3 in line 1 of cell 1: `import os; \
             os._exit(3)`. A new one"
        ),
        "{said:?}"
    );
    assert_eq!(said[1..], ["execute_reply error", "idle"]);
    assert!(play.effects.iter().any(|effect| matches!(effect, Effect::StartLocal)));
    play.cell("%px 1");
    assert!(play.fanned_out().is_empty(), "shell requests wait for the new local process");
    play.local_hello();
    assert_eq!(play.fanned_out().len(), 1, "the engines were untouched");
}

#[test]
fn late_output_of_a_task_is_shown_in_its_cell() {
    let mut play = Play::new(1);
    play.cell("%px thread()");
    let (task, _) = play.fanned_out().remove(0);
    play.done(task, 0, Outcome::Ok);
    play.said();
    play.report(task, 0, output("late\n"));
    play.wait(Duration::from_secs(1));
    assert_eq!(play.said(), ["stdout [stdout:0] late\n"]);
}

#[test]
fn a_cell_waits_a_moment_to_know_how_an_engine_ended() {
    let mut play = Play::new(2);
    play.on(Event::Engines { set: 1, event: cluster::Event::Closed { link: 1 } });
    play.cell("%px 1");
    play.said();
    play.dies(1, Ending::Signal(9));
    assert!(play.said()[0].contains("was killed by signal 9 (SIGKILL)"));
}

#[test]
fn a_call_that_was_withdrawn_ends_on_the_engines() {
    let mut play = Play::new(1);
    play.cell("if True:\n    %px wait()");
    let parent = text(r#"{"msg_id": "m1", "msg_type": "execute_request"}"#);
    let call = FromLocal::Call {
        call: 3,
        magic: "px".to_owned(),
        line: "wait()".to_owned(),
        cell: None,
        parent,
        captured: false,
    };
    play.on(Event::Local(call));
    let (task, _) = play.fanned_out().remove(0);
    play.on(Event::Local(FromLocal::Withdraw { call: 3 }));
    let interrupted = cluster::Effect::Worker(0, ToWorker::Interrupt { task });
    assert!(
        play.effects.iter().any(|effect| matches!(effect, Effect::Engines(effect) if *effect == interrupted))
    );
}

#[test]
fn what_asks_for_no_reply_gets_none() {
    let mut play = Play::new(0);
    for kind in ["comm_open", "comm_msg", "comm_close"] {
        let comm = play.request(Channel::Shell, kind, json!({"comm_id": "c", "data": {}}));
        play.finished(&comm, 1, false);
        assert_eq!(play.said(), ["busy", "idle"], "{kind}");
    }
}

#[test]
fn what_a_running_cell_may_wait_for_overtakes() {
    let comm = |play: &mut Play, kind: &str| {
        play.request(Channel::Shell, kind, json!({"comm_id": "c"}));
        play.told_local().len()
    };
    let ask = |play: &mut Play, kind: &str| {
        play.request(Channel::Shell, kind, json!({"code": ""}));
        play.told_local().len()
    };
    // A local cell runs and one waits: comms that are open overtake, questions do not.
    let mut play = Play::new(1);
    play.cell("await reply");
    play.cell("2");
    play.told_local();
    assert_eq!(comm(&mut play, "comm_msg"), 1);
    assert_eq!(ask(&mut play, "complete_request"), 0);
    assert_eq!(comm(&mut play, "comm_open"), 0);
    assert_eq!(comm(&mut play, "comm_msg"), 0, "not before it is open");

    // The engines run a cell: the local process is free to answer.
    let mut play = Play::new(1);
    play.cell("%px 1");
    play.cell("2");
    for kind in
        ["complete_request", "inspect_request", "is_complete_request", "comm_info_request", "comm_msg"]
    {
        assert_eq!(ask(&mut play, kind), 1, "{kind}");
    }
    assert_eq!(ask(&mut play, "history_request"), 0, "what runs will be in it");
}

#[test]
fn control_requests_for_python_are_answered_one_after_the_other() {
    let mut play = Play::new(0);
    let first = play.request(Channel::Control, "debug_request", json!({}));
    play.request(Channel::Control, "usage_request", json!({}));
    assert_eq!(play.told_local().len(), 1);
    play.said();
    play.request(Channel::Control, "kernel_info_request", json!({}));
    assert_eq!(play.said(), ["busy", "kernel_info_reply ok", "idle"], "the kernel itself is never busy");
    let reply = Message {
        channel: Channel::Control,
        identities: vec![text("client")],
        header: text(r#"{"msg_id": "r", "msg_type": "debug_reply"}"#),
        parent: text(&json!({"msg_id": first, "msg_type": "debug_request"}).to_string()),
        metadata: text("{}"),
        content: text(r#"{"status": "ok"}"#),
        buffers: vec![],
    };
    play.on(Event::Local(FromLocal::Message(reply)));
    assert_eq!(play.told_local().len(), 1);
    assert_eq!(play.said(), ["debug_reply ok", "idle", "busy"]);
}

#[test]
fn python_learns_of_the_last_control_request_along_with_a_cell() {
    let mut play = Play::new(0);
    play.request(Channel::Control, "kernel_info_request", json!({}));
    let last = play.request(Channel::Control, "interrupt_request", json!({}));
    assert_eq!(play.told_local(), [], "nobody has asked for it");
    let cell = play.cell("1");
    let told = play.told_local();
    let [ToLocal::Answered(request), ToLocal::Message(_)] = &told[..] else { panic!("{told:?}") };
    assert!(String::from_utf8_lossy(&request.header).contains(&last));
    play.finished(&cell, 2, false);
    play.cell("2");
    assert!(matches!(play.told_local()[..], [ToLocal::Message(_)]), "once");
}

impl Play {
    /// The local process is up, and nothing has happened since.
    fn fresh() -> Self {
        let mut play = Self::new(0);
        play.effects.clear();
        play
    }

    fn launches(&self) -> usize {
        let launch = |effect: &&Effect| matches!(effect, Effect::Engines(cluster::Effect::Launch { .. }));
        self.effects.iter().filter(launch).count()
    }

    fn local_finishes(&mut self, msg_id: &str) {
        let msg_id = msg_id.to_owned();
        self.on(Event::Local(FromLocal::Finished { msg_id, next_count: 2, failed: false }));
    }
}

#[test]
fn engines_start_after_the_first_cell_or_when_nobody_runs_one() {
    let mut play = Play::fresh();
    assert_eq!(play.launches(), 0, "the first cell goes first");
    let cell = play.cell("1");
    assert_eq!(play.launches(), 0);
    play.local_finishes(&cell);
    assert_eq!(play.launches(), 1);
    play.wait(Duration::from_secs(10));
    assert_eq!(play.launches(), 1);

    let mut play = Play::fresh();
    play.wait(Duration::from_millis(499));
    assert_eq!(play.launches(), 0);
    play.wait(Duration::from_millis(2));
    assert_eq!(play.launches(), 1, "nobody runs a cell");

    let mut play = Play::fresh();
    play.cell("while True: pass");
    play.wait(Duration::from_secs(4));
    assert_eq!(play.launches(), 0, "the first cell runs");
    play.wait(Duration::from_secs(2));
    assert_eq!(play.launches(), 1, "it runs for long");
}

#[test]
fn what_the_user_says_about_engines_comes_before_their_own_start() {
    for (cell, launches) in [
        ("%px 1", 1),
        ("%engines", 1),
        ("%engines start 3", 1),
        ("%engines restart 3", 1),
        ("%engines stop", 0),
    ] {
        let mut play = Play::fresh();
        play.cell(cell);
        play.wait(Duration::from_secs(10));
        assert_eq!(play.launches(), launches, "{cell}");
    }
}

#[test]
fn what_a_person_says_of_engines_that_start_or_could_not_is_answered() {
    let mut play = Play::fresh();
    play.cell("%px 1");
    play.request(Channel::Control, "interrupt_request", json!({}));
    play.said();
    // They start; that is what was wanted.
    play.cell("%engines start");
    assert_eq!((play.said(), play.launches()), (lines(&["busy", "input 2 %engines start"]), 1));
    play.request(Channel::Control, "interrupt_request", json!({}));
    let said = play.said();
    assert!(said.iter().any(|one| one.starts_with("error KeyboardInterrupt")), "{said:?}");
    play.cell("%engines start");
    play.engines_up(1, 2);
    let said = play.said();
    assert_eq!(said[said.len() - 2..], ["execute_reply ok", "idle"], "{said:?}");
    play.on(Event::Engines { set: 1, event: cluster::Event::LauncherGone });
    play.cell("%engines stop");
    let said = play.said();
    assert_eq!(said[said.len() - 2..], ["execute_reply ok", "idle"], "they are gone: {said:?}");
}

#[test]
fn a_part_of_a_cell_that_the_notebooks_python_cannot_run_ends_the_cell() {
    let mut play = Play::fresh();
    play.on(Event::Local(FromLocal::Unfit { reason: "ipykernel is missing".to_owned() }));
    play.cell("x = 1\n%autopx\ny = 2");
    let said = play.said();
    assert!(said.iter().any(|one| one.contains("ipykernel is missing")), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("idle"), "{said:?}");
}
