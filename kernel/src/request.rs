//! A client's request: busy, exactly one reply, idle. Written here and nowhere else.
//!
//! **Invariant**: [`Request::open`] emits `busy`, [`Request::close`] emits `idle`, and between the two
//! goes out exactly one reply: what was relayed or given, or else an error reply that says so. A
//! request is consumed by closing it and so cannot be answered twice. What is no request by its type
//! (`comm_open`, `comm_msg`, `comm_close`) gets the two states and no reply.
//! ([messaging, "Kernel status"](https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-status))

use fabric::message::Json;
use fabric::message::local::{Channel, Message};
use serde_json::{Value, json};

use crate::compose::Composer;
use crate::session::Effect;
use crate::wire::{Header, Incoming};

/// One request of a client, from the moment the kernel begins with it.
#[derive(Debug)]
pub struct Request {
    /// The request's header fields.
    pub header: Header,
    message: Message,
    replied: bool,
}

impl Request {
    /// Begins with a request: `busy` goes out.
    pub fn open(incoming: Incoming, composer: &Composer, out: &mut Vec<Effect>) -> Self {
        let request = Self { header: incoming.header, message: incoming.message, replied: false };
        out.push(Effect::Send(composer.status("busy", request.parent())));
        request
    }

    /// The header that everything said on behalf of this request carries as its parent.
    #[must_use]
    #[expect(clippy::misnamed_getters, reason = "a request's header is its answers' parent")]
    pub fn parent(&self) -> &Json {
        &self.message.header
    }

    /// The request as it came.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The request's content. Decoding made sure that it is an object.
    #[must_use]
    pub fn content(&self) -> Value {
        serde_json::from_slice(&self.message.content).unwrap_or_default()
    }

    /// Sends the reply.
    pub fn reply(&mut self, content: &Value, composer: &Composer, out: &mut Vec<Effect>) {
        let Some(kind) = reply_type(&self.header.msg_type) else { return };
        if !std::mem::replace(&mut self.replied, true) {
            let mut reply = composer.message(self.message.channel, &kind, self.parent(), content);
            reply.identities.clone_from(&self.message.identities);
            out.push(Effect::Send(reply));
        }
    }

    /// Whether it came on the control channel.
    #[must_use]
    pub fn is_on_control(&self) -> bool {
        self.message.channel == Channel::Control
    }

    /// Takes note that the local process's reply was relayed.
    pub fn relayed(&mut self) {
        self.replied = true;
    }

    /// Ends the request: `idle` goes out, and before it an error reply if there was none yet.
    pub fn close(mut self, composer: &Composer, out: &mut Vec<Effect>) {
        if !self.replied && reply_type(&self.header.msg_type).is_some() {
            tracing::error!(msg_type = self.header.msg_type, "a request ended without a reply");
            let lost =
                format!("the kernel lost the reply to this {}; please run it again", self.header.msg_type);
            self.reply(&error_content("KernelError", &lost, &[]), composer, out);
        }
        out.push(Effect::Send(composer.status("idle", self.parent())));
    }

    /// Replies and ends.
    pub fn finish(mut self, content: &Value, composer: &Composer, out: &mut Vec<Effect>) {
        self.reply(content, composer, out);
        self.close(composer, out);
    }
}

/// The content of a reply or an `error` message of status `error`.
#[must_use]
pub fn error_content(ename: &str, evalue: &str, traceback: &[String]) -> Value {
    json!({"status": "error", "ename": ename, "evalue": evalue, "traceback": traceback})
}

/// The type of the reply, for what asks for one.
fn reply_type(request: &str) -> Option<String> {
    Some(format!("{}_reply", request.strip_suffix("_request")?))
}
