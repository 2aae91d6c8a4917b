//! The local process as the session knows it: what it says is passed on, and when it dies the cell
//! says so and another one is started.

use std::time::Instant;

use fabric::message::Json;
use fabric::message::local::{Channel, FromLocal, Message};
use magics::Config;
use serde_json::Value;

use super::run::Run;
use super::shell::Execute;
use super::{Current, Effect, Session};
use crate::clients;
use crate::request::{Request, error_content};
use crate::wire::Header;

/// The state of the local process.
#[derive(Debug)]
pub(super) enum Local {
    /// It has been started and has not said hello.
    Starting,
    /// It takes cells.
    Up {
        /// The content of ipykernel's own `kernel_info_reply`.
        kernel_info: Json,
        /// It has come to the end of a request. One that dies before would die again.
        served: bool,
    },
    /// The chosen Python cannot run one.
    Unfit {
        /// What is wrong and what to do.
        reason: String,
    },
    /// It ended because the kernel ends.
    Ended,
}

impl Local {
    /// The error that answers a request which the local process cannot take.
    pub(super) fn refusal(&self) -> Option<Value> {
        let reason = self.unfit()?;
        Some(error_content("LocalProcessError", reason, &[format!("LocalProcessError: {reason}")]))
    }

    /// Why it cannot take a request, if it cannot.
    pub(super) fn unfit(&self) -> Option<&str> {
        match self {
            Local::Up { .. } => None,
            Local::Unfit { reason } => Some(reason),
            Local::Starting => Some("the notebook's Python is being started; please run this again"),
            Local::Ended => Some("the kernel is shutting down"),
        }
    }
}

impl Session {
    pub(super) fn local_said(&mut self, said: FromLocal, now: Instant) {
        match said {
            FromLocal::Hello { build, kernel_info, .. } if build == fabric::message::BUILD => {
                self.local = Local::Up { kernel_info, served: false };
                self.desk.eager.python_is_up(now);
            }
            FromLocal::Hello { build, .. } => {
                let ours = fabric::message::BUILD;
                let reason = format!(
                    "the engine is of build {build}, the kernel of build {ours}: install both from one build"
                );
                self.local = Local::Unfit { reason };
            }
            FromLocal::Unfit { reason } => self.local = Local::Unfit { reason },
            FromLocal::Message(message) => self.pass_on(message),
            FromLocal::Stream { name, text, parent } => self.desk.stream(name.as_str(), &text, &parent),
            FromLocal::Finished { msg_id, next_count, failed } => {
                self.local_finished(&msg_id, next_count, failed, now)
            }
            FromLocal::Call { call, magic, line, cell, parent, captured } => {
                let parent = if captured { self.desk.capture(call, &parent) } else { parent };
                let suffixes = self.desk.sets.suffixes();
                self.runs.push(Run::of_call(call, &magic, &line, cell.as_deref(), parent, suffixes));
            }
            FromLocal::Client(ask) => self.client_asks(clients::LOCAL, ask, now),
            FromLocal::Resume { paused, call } => {
                if let Some(run) = self.runs.iter_mut().find(|run| run.answers(paused)) {
                    run.resume(call, &mut self.desk, now);
                }
            }
            FromLocal::Activate { suffix, targets, block } => match targets.parse() {
                Ok(targets) => {
                    let view = Config { targets: Some(targets), block: Some(block), ..Config::default() };
                    self.desk.sets.activate(&suffix, view);
                }
                Err(wrong) => {
                    tracing::error!("a view was activated with targets that cannot be read: {wrong}")
                }
            },
            FromLocal::Sought { name, found } => {
                self.runs.iter_mut().for_each(|run| run.sought(&name, &found));
            }
            FromLocal::Withdraw { call } => {
                if let Some(run) = self.runs.iter_mut().find(|run| run.answers(call)) {
                    run.interrupt(&mut self.desk, now);
                }
            }
        }
    }

    /// A message of the local process goes out; if it is a reply, its request has been answered.
    fn pass_on(&mut self, mut message: Message) {
        let answers = matches!(message.channel, Channel::Shell | Channel::Control);
        let parent: Header = match serde_json::from_slice(&message.parent) {
            Ok(parent) => parent,
            Err(_) => return self.desk.send(message),
        };
        if let Some(cell) = self.runs.iter_mut().find_map(|run| run.local_part(&parent.msg_id)) {
            // A part of a cell: its input was shown and its reply is the run's to give.
            match (answers, header_type(&message).as_str()) {
                (true, _) => cell.local_reply = Some(message.content),
                (false, "execute_input") => {}
                (false, _) => self.desk.send(message),
            }
            return;
        }
        if answers {
            self.complete_reply(&parent.msg_id, &mut message);
            if header_type(&message) == "comm_info_reply" {
                let asked = self.local_request(&parent.msg_id).map(Request::content).unwrap_or_default();
                self.comms.add_to(&mut message, &asked);
            }
            if let Current::Local { request, .. } = &mut self.current
                && request.header.msg_id == parent.msg_id
            {
                request.relayed();
            }
            if let Some(request) = self.relayed.get_mut(&parent.msg_id) {
                request.relayed();
            }
        }
        let control = message.channel == Channel::Control;
        self.desk.send(message);
        if control && let Some(request) = self.relayed.remove(&parent.msg_id) {
            request.close(&self.desk.composer, &mut self.desk.effects);
            self.next_aside();
        }
    }

    /// A request that the local process has.
    fn local_request(&self, msg_id: &str) -> Option<&Request> {
        match &self.current {
            Current::Local { request, .. } if request.header.msg_id == msg_id => Some(request),
            _ => self.relayed.get(msg_id),
        }
    }

    fn local_finished(&mut self, msg_id: &str, next_count: u32, failed: bool, now: Instant) {
        self.next_count = next_count;
        if let Local::Up { served, .. } = &mut self.local {
            *served = true;
        }
        if let Some(run) =
            self.runs.iter_mut().find_map(|run| run.local_part(msg_id).is_some().then_some(run))
        {
            return run.local_finished(failed);
        }
        if let Some(request) = self.relayed.remove(msg_id) {
            return request.close(&self.desk.composer, &mut self.desk.effects);
        }
        match std::mem::replace(&mut self.current, Current::Idle) {
            Current::Local { request, stop_on_error } if request.header.msg_id == msg_id => {
                if request.header.msg_type == "execute_request" {
                    self.desk.eager.cell_has_ended(now);
                }
                request.close(&self.desk.composer, &mut self.desk.effects);
                if failed && stop_on_error {
                    self.abort_queue();
                }
            }
            other => self.current = other,
        }
    }

    /// The local process has ended: what it was doing ends with an error, and another one is started.
    pub(super) fn local_gone(&mut self, how: &str, place: &str, last_words: &str, now: Instant) {
        self.desk.clients(now, |clients, core| clients.leave(clients::LOCAL, core));
        self.relay.leave(&mut self.desk);
        let had_request =
            matches!(self.current, Current::Local { .. }) || self.runs.iter().any(Run::waits_for_local);
        let works = had_request || matches!(self.local, Local::Up { served: true, .. });
        if self.ending.is_some() {
            self.local = Local::Ended;
            return;
        }
        if matches!(self.local, Local::Unfit { .. }) {
            return;
        }
        if !had_request && how == "exited with code 0" {
            // `quit` in a cell, which was answered before: ipykernel ends then, and so does this kernel.
            self.local = Local::Ended;
            return self.end(now);
        }
        let words =
            if last_words.is_empty() { String::new() } else { format!("\nIts last words:\n{last_words}") };
        let what = format!(
            "the notebook's own Python {how}{place}. A new one is started and its variables are gone; \
             the engines keep theirs.{words}"
        );
        self.fail_local_requests(&what, now);
        if works {
            self.local = Local::Starting;
            self.desk.effects.push(Effect::StartLocal);
            self.records.go_on_from(self.next_count, now);
        } else {
            // Starting it again at once would fail again, for ever.
            self.local =
                Local::Unfit { reason: format!("the notebook's Python did not start: it {how}.{words}") };
        }
    }

    /// Says where in its cell the local process was: " in line 2 of cell 7: `f()`".
    pub(super) fn place(&self, line: Option<usize>) -> String {
        const LONGEST: usize = 80;
        let Current::Local { request, .. } = &self.current else { return String::new() };
        let (Some(Execute { code, .. }), Some(line)) = (Execute::of(request), line) else {
            return String::new();
        };
        let count = self.next_count;
        // As IPython counts: from the first line that is not empty.
        let mut lines = code.lines().skip_while(|line| line.trim().is_empty());
        let text = lines.nth(line - 1).unwrap_or_default().trim();
        match text.char_indices().nth(LONGEST) {
            _ if text.is_empty() => format!(" in line {line} of cell {count}"),
            None => format!(" in line {line} of cell {count}: `{text}`"),
            Some((cut, _)) => format!(" in line {line} of cell {count}: `{}…`", &text[..cut]),
        }
    }

    fn fail_local_requests(&mut self, what: &str, now: Instant) {
        let content = error_content("LocalProcessError", what, &[format!("LocalProcessError: {what}")]);
        for (_, request) in std::mem::take(&mut self.relayed) {
            request.finish(&content, &self.desk.composer, &mut self.desk.effects);
        }
        for incoming in std::mem::take(&mut self.asides) {
            let request = Request::open(incoming, &self.desk.composer, &mut self.desk.effects);
            request.finish(&content, &self.desk.composer, &mut self.desk.effects);
        }
        self.runs.retain(|run| run.cell().is_some());
        for run in &mut self.runs {
            run.local_died(what);
        }
        match std::mem::replace(&mut self.current, Current::Idle) {
            Current::Local { request, .. } => {
                let mut content = content;
                if let Some(execute) = Execute::of(&request) {
                    content["execution_count"] = self.next_count.into();
                    if execute.is_recorded() {
                        self.records.add(execute.code, self.next_count, now);
                        self.next_count += 1;
                    }
                }
                self.publish_error(&content, request.parent().clone());
                request.finish(&content, &self.desk.composer, &mut self.desk.effects);
                self.abort_queue();
            }
            other => self.current = other,
        }
    }
}

fn header_type(message: &Message) -> String {
    serde_json::from_slice::<Header>(&message.header).map(|header| header.msg_type).unwrap_or_default()
}
