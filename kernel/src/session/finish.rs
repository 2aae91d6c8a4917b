//! The end of a run: the cell gets its reply, or the code that called gets its answer.
//!
//! **Invariant**: what the run had to show went out before; the reply is the last thing but idle.

use std::time::Instant;

use fabric::message::local::{Answer, ToLocal};
use serde_json::json;

use super::failure::Failure;
use super::run::{Given, Origin, Run};
use super::{Current, Effect, Session};

impl Session {
    /// A run is over: the cell gets its reply, or the code that called gets its answer.
    pub(super) fn finish_run(&mut self, run: Run, now: Instant) {
        let (origin, failure, payloads, given) = run.into_parts();
        let cell = match origin {
            Origin::Call { call, parent } => {
                let shown = self.desk.shown(&parent);
                let answer = match (failure, given) {
                    (None, None) => Answer::Done,
                    (None, Some(Given::Result { name, variable, show })) => {
                        Answer::Result { name, variable, show }
                    }
                    (None, Some(Given::View(change))) => Answer::Configured(change),
                    (Some(failure), given) => {
                        if let Some(Given::Result { name, variable, .. }) = given {
                            let bind = ToLocal::Bind { name, variable, show: false, parent, count: 0 };
                            self.desk.effects.push(Effect::Local(bind));
                        }
                        failure.into_answer()
                    }
                };
                return self.desk.effects.push(Effect::Local(ToLocal::Answer { call, answer, shown }));
            }
            Origin::Cell(cell) => cell,
        };
        self.current = Current::Idle;
        let count = cell.count;
        if let Some(code) = cell.record
            && cell.local_reply.is_none()
        {
            self.records.add(code, count, now);
            self.next_count = count + 1;
        }
        let mut content = match (&failure, cell.local_reply) {
            (Some(failure), _) => failure.reply(),
            (None, Some(reply)) => serde_json::from_slice(&reply).unwrap_or_default(),
            (None, None) => json!({"status": "ok", "user_expressions": {}, "payload": payloads}),
        };
        content["execution_count"] = json!(count);
        if let Some(shown) = failure.as_ref().and_then(Failure::shown) {
            self.publish_error(&shown, cell.request.parent().clone());
        }
        cell.request.finish(&content, &self.desk.composer, &mut self.desk.effects);
        if failure.is_some() && cell.stop_on_error {
            self.abort_queue();
        }
    }
}
