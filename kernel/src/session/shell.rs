//! Shell requests, in the order in which they came
//! ([messaging, "Messages on the shell (ROUTER/DEALER) channel"](https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-shell-router-dealer-channel)).

use std::collections::VecDeque;
use std::time::Instant;

use fabric::message::Json;
use fabric::message::local::{Channel, Message, ToLocal};
use magics::Cell;
use serde::Deserialize;
use serde_json::{Value, json};

use super::local::Local;
use super::run::{CellOrigin, Run};
use super::{Current, Session};
use crate::request::{Request, error_content};
use crate::wire::Incoming;

/// What of an `execute_request` concerns the kernel.
#[derive(Debug, Deserialize)]
pub(super) struct Execute {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    silent: bool,
    #[serde(default = "yes")]
    store_history: bool,
    #[serde(default = "yes")]
    stop_on_error: bool,
}

fn yes() -> bool {
    true
}

impl Execute {
    /// What a request is about, if it is an `execute_request` that can be read.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let content = &request.message().content;
        (request.header.msg_type == "execute_request").then(|| serde_json::from_slice(content).ok()).flatten()
    }

    /// Whether the cell is in the history and counts.
    pub(super) fn is_recorded(&self) -> bool {
        self.store_history && !self.silent
    }
}

impl Session {
    /// A client's message came in.
    pub(super) fn request(&mut self, incoming: Incoming, now: Instant) {
        let Some(incoming) = self.comm_request(incoming, now) else { return };
        let Some(incoming) = self.enquire(incoming, now) else { return };
        match incoming.message.channel {
            Channel::Control => self.control(incoming, now),
            Channel::Stdin if self.questions.answered_by(&incoming.message) => {
                self.question_answered(&incoming.message, now)
            }
            Channel::Stdin | Channel::Iopub => {
                self.tell_local(ToLocal::Message(incoming.message));
            }
            Channel::Shell => self.shell_request(incoming),
        }
    }

    /// Puts a shell request where it waits for its turn, or lets it pass.
    pub(super) fn shell_request(&mut self, incoming: Incoming) {
        // A subshell is a thread of the local process with a queue of its own.
        if incoming.header.subshell_id.is_some() || self.overtakes(&incoming.header.msg_type) {
            self.relay_beside(incoming);
        } else {
            self.queue.push_back(incoming);
        }
    }

    /// Whether a shell message goes to the local process at once, past the cell that runs and those that wait.
    ///
    /// A cell may be awaiting a comm's message, which must not come before the comm was opened. And while the engines
    /// run a cell the local process is free to say what it knows now; history is not among that, since what waits
    /// will be in it.
    fn overtakes(&self, msg_type: &str) -> bool {
        let opens = |waiting: &Incoming| waiting.header.msg_type == "comm_open";
        let takes = matches!(self.local, Local::Up { .. }) && self.ending.is_none();
        takes
            && match (msg_type, &self.current) {
                (_, Current::Idle) => false,
                ("comm_open", _) => self.queue.is_empty(),
                ("comm_msg" | "comm_close", _) => !self.queue.iter().any(opens),
                (
                    "complete_request" | "inspect_request" | "is_complete_request" | "comm_info_request",
                    Current::Run,
                ) => !self.runs.iter().any(Run::waits_for_local),
                _ => false,
            }
    }

    /// Begins with the next shell request if nothing keeps it waiting; true when it did.
    pub(super) fn next_request(&mut self, now: Instant) -> bool {
        let waits = !matches!(self.current, Current::Idle)
            || matches!(self.local, Local::Starting)
            || self.ending.is_some();
        let Some(incoming) = (if waits { None } else { self.queue.pop_front() }) else { return false };
        let request = Request::open(incoming, &self.desk.composer, &mut self.desk.effects);
        match request.header.msg_type.as_str() {
            "execute_request" => self.execute(request),
            "kernel_info_request" | "interrupt_request" | "shutdown_request" => self.answer(request, now),
            _ => self.relay(request, false),
        }
        true
    }

    fn execute(&mut self, request: Request) {
        let Some(execute) = Execute::of(&request) else {
            let wrong = "execute_request: `code` must be a string and the flags must be true or false";
            let content = error_content("ValueError", wrong, &[]);
            return request.finish(&content, &self.desk.composer, &mut self.desk.effects);
        };
        match magics::parse(&execute.code, self.desk.sets.mode()) {
            Cell::Local => self.relay(request, execute.stop_on_error),
            Cell::Parallel(steps) => {
                let stored = execute.is_recorded();
                if !execute.silent {
                    let input = json!({"code": execute.code, "execution_count": self.next_count});
                    let message = self.desk.composer.iopub("execute_input", request.parent(), &input);
                    self.desk.send(message);
                }
                let cell = CellOrigin {
                    request,
                    count: self.next_count,
                    record: stored.then_some(execute.code),
                    stop_on_error: execute.stop_on_error,
                    local_reply: None,
                };
                self.current = Current::Run;
                self.runs.push(Run::of_cell(cell, steps));
            }
        }
    }

    /// Hands the current request to the local process.
    fn relay(&mut self, request: Request, stop_on_error: bool) {
        if let Some(content) = self.local.refusal() {
            self.publish_error(&content, request.parent().clone());
            return request.finish(&content, &self.desk.composer, &mut self.desk.effects);
        }
        self.tell_of_control();
        self.tell_local(ToLocal::Message(request.message().clone()));
        self.current = Current::Local { request, stop_on_error };
    }

    /// Hands a request to the local process that does not wait for the current one.
    pub(super) fn relay_beside(&mut self, incoming: Incoming) {
        let request = Request::open(incoming, &self.desk.composer, &mut self.desk.effects);
        match self.local.refusal() {
            Some(content) => request.finish(&content, &self.desk.composer, &mut self.desk.effects),
            None => {
                self.tell_local(ToLocal::Message(request.message().clone()));
                self.relayed.insert(request.header.msg_id.clone(), request);
            }
        }
    }

    /// Hands a part of a cell to the local process, under the cell's own request.
    pub(super) fn relay_part(&mut self, run: &Run, code: &str) {
        let Some(cell) = run.cell() else { return };
        let mut content = cell.request.content();
        content["code"] = Value::from(code);
        let message = Message {
            content: Json::from(content.to_string().into_bytes()),
            ..cell.request.message().clone()
        };
        self.tell_local(ToLocal::Message(message));
    }

    pub(super) fn publish_error(&mut self, content: &Value, parent: Json) {
        let message = self.desk.composer.iopub("error", &parent, content);
        self.desk.send(message);
    }

    /// After an error the cells that were sent along are not run
    /// ([messaging, "Execution results"](https://jupyter-client.readthedocs.io/en/stable/messaging.html#execution-results)).
    pub(super) fn abort_queue(&mut self) {
        let waiting = std::mem::take(&mut self.queue);
        let (aborted, kept): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|incoming| incoming.header.msg_type == "execute_request");
        self.queue = kept;
        for incoming in aborted {
            let request = Request::open(incoming, &self.desk.composer, &mut self.desk.effects);
            request.finish(&json!({"status": "aborted"}), &self.desk.composer, &mut self.desk.effects);
        }
    }
}
