//! Requests that overtake, and what the kernel answers itself, whatever Python is doing
//! ([messaging, "Messages on the control channel"](https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-control-router-dealer-channel)).

use std::time::{Duration, Instant};

use fabric::message::local::ToLocal;
use serde_json::{Value, json};

use super::local::Local;
use super::{Current, Effect, Session};
use crate::compose::PROTOCOL_VERSION;
use crate::request::Request;
use crate::wire::Incoming;

/// How long the processes may take to end by themselves at a shutdown. The launcher ends what is left.
const FAREWELL: Duration = Duration::from_secs(2);

impl Session {
    pub(super) fn control(&mut self, incoming: Incoming, now: Instant) {
        match incoming.header.msg_type.as_str() {
            "kernel_info_request" | "interrupt_request" | "shutdown_request" => {
                self.answered = Some(incoming.message.clone());
                let request = Request::open(incoming, &self.desk.composer, &mut self.desk.effects);
                self.answer(request, now);
            }
            _ => {
                self.answered = None;
                self.asides.push_back(incoming);
                self.next_aside();
            }
        }
    }

    /// Hands on the next control request for the local process: one after the other, as they came
    /// ([ipykernel 1412](https://github.com/ipython/ipykernel/issues/1412)).
    pub(super) fn next_aside(&mut self) {
        let open = self.relayed.values().any(Request::is_on_control);
        if let Some(incoming) = (!open).then(|| self.asides.pop_front()).flatten() {
            self.relay_beside(incoming);
        }
    }

    /// Tells the local process of the last control request that it has not seen: along with a cell, which alone can
    /// ask for it (`get_parent("control")`), and not while it has another one.
    pub(super) fn tell_of_control(&mut self) {
        let open = self.relayed.values().any(Request::is_on_control);
        if let Some(message) = (!open).then(|| self.answered.take()).flatten() {
            self.tell_local(ToLocal::Answered(message));
        }
    }

    /// Answers what only the kernel can answer.
    pub(super) fn answer(&mut self, request: Request, now: Instant) {
        let content = match request.header.msg_type.as_str() {
            "kernel_info_request" => self.kernel_info(),
            "interrupt_request" => {
                self.interrupt(now);
                json!({"status": "ok"})
            }
            _ => {
                let restart = request.content().get("restart").and_then(Value::as_bool).unwrap_or_default();
                let content = json!({"status": "ok", "restart": restart});
                let broadcast = self.desk.composer.iopub("shutdown_reply", request.parent(), &content);
                self.desk.send(broadcast);
                self.end(now);
                content
            }
        };
        request.finish(&content, &self.desk.composer, &mut self.desk.effects);
    }

    /// Interrupts what runs: the engines of every parallel run, else the local process.
    pub(super) fn interrupt(&mut self, now: Instant) {
        for run in &mut self.runs {
            run.interrupt(&mut self.desk, now);
        }
        for task in self.comms.tasks_mut() {
            task.interrupt(&mut self.desk, now);
        }
        self.questions.give_up();
        let local_runs = match self.current {
            Current::Local { .. } => self.runs.iter().all(super::run::Run::waits_for_local),
            Current::Run => self.runs.iter().any(super::run::Run::waits_for_local),
            Current::Idle => false,
        };
        if local_runs {
            self.desk.effects.push(Effect::Local(ToLocal::Interrupt));
        }
    }

    /// Tells every process to end.
    pub(super) fn end(&mut self, now: Instant) {
        if self.ending.is_none() {
            self.ending = Some(now + FAREWELL);
            self.tell_local(ToLocal::Quit);
            self.desk.cluster(|cluster, out| cluster.quit(out));
        }
    }

    /// Ends the kernel once every process has ended, or has had its time.
    pub(super) fn check_ended(&mut self, now: Instant) {
        let Some(deadline) = self.ending else { return };
        let engines_ended = !matches!(self.desk.cluster.phase(), crate::cluster::Phase::Stopping { .. });
        if now >= deadline || (engines_ended && !matches!(self.local, Local::Up { .. })) {
            self.desk.effects.push(Effect::Exit);
        }
    }

    /// The content of a `kernel_info_reply`: what ipykernel says of its Python, under this kernel's name.
    fn kernel_info(&self) -> Value {
        let mut info = match &self.local {
            Local::Up { kernel_info, .. } => serde_json::from_slice(kernel_info).unwrap_or_default(),
            _ => {
                json!({"language_info": {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"}})
            }
        };
        let version = env!("CARGO_PKG_VERSION");
        let python = info["language_info"]["version"].as_str().unwrap_or("3").to_owned();
        info["status"] = json!("ok");
        info["protocol_version"] = json!(PROTOCOL_VERSION);
        info["implementation"] = json!("parallel-python");
        info["implementation_version"] = json!(version);
        info["banner"] = json!(format!(
            "Parallel Python (Rust) {version}, Python {python}. %px runs on every engine; %engines shows them."
        ));
        if info.get("supported_features").is_none() {
            info["supported_features"] = json!([]);
        }
        info
    }
}
