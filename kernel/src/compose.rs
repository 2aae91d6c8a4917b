//! Messages that the kernel writes itself: header, topic and content.
//!
//! **Invariant**: a parent header is the request's header byte for byte.

use std::time::SystemTime;

use fabric::message::Json;
use fabric::message::local::{Channel, Message};
use serde_json::{Value, json};

/// The version of the messaging protocol that the kernel speaks.
pub const PROTOCOL_VERSION: &str = "5.5";

/// Writes messages of one Jupyter session.
#[derive(Debug)]
pub struct Composer {
    session: String,
}

impl Composer {
    /// `session` is the id that every header carries.
    #[must_use]
    pub fn new(session: String) -> Self {
        Self { session }
    }

    /// The session id.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// A message without metadata and buffers. On iopub its topic is `kernel.<session>.<type>`.
    #[must_use]
    pub fn message(&self, channel: Channel, msg_type: &str, parent: &Json, content: &Value) -> Message {
        let topic = || Json::from(format!("kernel.{}.{msg_type}", self.session).into_bytes());
        Message {
            channel,
            identities: if channel == Channel::Iopub { vec![topic()] } else { Vec::new() },
            header: self.header(msg_type),
            parent: if parent.is_empty() { text("{}") } else { parent.clone() },
            metadata: text("{}"),
            content: text(&content.to_string()),
            buffers: Vec::new(),
        }
    }

    /// A message on iopub.
    #[must_use]
    pub fn iopub(&self, msg_type: &str, parent: &Json, content: &Value) -> Message {
        self.message(Channel::Iopub, msg_type, parent, content)
    }

    /// `stream`: text as a program wrote it.
    #[must_use]
    pub fn stream(&self, name: &str, text: &str, parent: &Json) -> Message {
        self.iopub("stream", parent, &json!({"name": name, "text": text}))
    }

    /// `status`: `busy`, `idle` or `starting`.
    #[must_use]
    pub fn status(&self, state: &str, parent: &Json) -> Message {
        self.iopub("status", parent, &json!({"execution_state": state}))
    }

    fn header(&self, msg_type: &str) -> Json {
        let header = json!({
            "msg_id": uuid::Uuid::new_v4().to_string(),
            "session": self.session,
            "username": "kernel",
            "date": timestamp(SystemTime::now()),
            "msg_type": msg_type,
            "version": PROTOCOL_VERSION,
        });
        text(&header.to_string())
    }
}

fn text(json: &str) -> Json {
    Json::from(json.as_bytes().to_vec())
}

/// ISO 8601 with microseconds, in UTC.
fn timestamp(now: SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(now).to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
