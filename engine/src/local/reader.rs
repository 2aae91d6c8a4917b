//! The thread that reads the link, and decides who gets what.

use std::collections::HashMap;
use std::fs::File;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fabric::frame::Frames;
use fabric::message::local::{Channel, MagicSpec, Message, ToLocal};
use serde_json::Value;

use super::calls::Calls;
use super::inbox::{Item, Queue};
use super::interrupt::Interrupt;
use crate::undisturbed::Undisturbed;
use crate::{client, group};

/// The contents of [`ToLocal::Setup`].
pub(super) struct Setup {
    pub(super) session: String,
    pub(super) connection_file: String,
    pub(super) magics: Vec<MagicSpec>,
}

/// Everywhere a message can go.
pub(super) struct Routes {
    pub(super) main: Arc<Queue>,
    pub(super) control: Arc<Queue>,
    pub(super) stdin: Arc<Queue>,
    pub(super) subshells: Mutex<HashMap<String, Arc<Queue>>>,
    pub(super) calls: Calls,
    pub(super) interrupt: Arc<Interrupt>,
    pub(super) client: Arc<client::Inbox>,
}

/// Reads until the link ends, and the process with it.
pub(super) fn run(link: &'static File, routes: &Routes, setup: &Sender<Setup>) {
    let _last_act = EndAll;
    let mut frames = Frames::default();
    let mut stream = Undisturbed(link);
    loop {
        match frames.read(&mut stream) {
            Ok(Some(ToLocal::Setup { session, connection_file, magics })) => {
                // Nobody takes a second one, and there is none.
                let _ = setup.send(Setup { session, connection_file, magics });
            }
            Ok(Some(message)) => {
                routes.route(message);
                if !frames.has_one() {
                    routes.client.announce();
                }
            }
            // A link that cannot be read is as good as its end: nobody else could tell us to end.
            Ok(None) | Err(_) => return,
        }
    }
}

/// Neither this process nor what cells started in its group is to outlive the kernel. However the reader ends,
/// nobody could tell us anything any more.
struct EndAll;

impl Drop for EndAll {
    fn drop(&mut self) {
        group::end()
    }
}

impl Routes {
    pub(super) fn subshells(&self) -> MutexGuard<'_, HashMap<String, Arc<Queue>>> {
        self.subshells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn route(&self, message: ToLocal) {
        match message {
            ToLocal::Setup { .. } => {}
            ToLocal::Message(message) => self.deliver(message),
            ToLocal::Answered(message) => self.main.push(Item::Answered(message)),
            ToLocal::Interrupt => self.interrupt.deliver(),
            ToLocal::Record { code, count } => self.main.push(Item::Record { code, count }),
            ToLocal::Client(told) => self.client.push(told),
            ToLocal::Bind { name, variable, show, parent, count } => {
                self.main.push(Item::Bind { name, variable, show, parent, count });
            }
            ToLocal::Configured(change) => self.main.push(Item::Configured(change)),
            // The main thread may be waiting for the cell that this is about.
            ToLocal::Seek { name } => self.control.push(Item::Seek { name }),
            ToLocal::Answer { call, answer, shown } => self.calls.answer(call, (answer, shown)),
            ToLocal::Quit => {
                self.interrupt.deliver();
                self.main.push(Item::Quit);
            }
        }
    }

    fn deliver(&self, message: Message) {
        let channel = message.channel;
        let Routing { msg_id, msg_type, subshell } = Routing::of(&message);
        match channel {
            Channel::Shell => {
                let comm = msg_type.starts_with("comm_") && !msg_type.ends_with("_request");
                self.deliver_to_shell(subshell.as_deref(), comm, message, msg_id);
            }
            Channel::Control => self.control.push(Item::Message { message, msg_id, in_turn: false }),
            Channel::Stdin => self.stdin.push(Item::Message { message, msg_id, in_turn: false }),
            // The kernel publishes; nothing is published to it.
            Channel::Iopub => {}
        }
    }

    /// Comm messages may belong to another shell than the one they name, and a subshell may not exist: once there
    /// are subshells, the control thread decides on these.
    fn deliver_to_shell(&self, subshell: Option<&str>, comm: bool, message: Message, msg_id: String) {
        let subshells = self.subshells();
        let queue = subshell.map_or(Some(&self.main), |id| subshells.get(id));
        match queue {
            Some(queue) if !comm || subshells.is_empty() => {
                // A comm's messages may come while a cell runs, which may be waiting for one of them.
                let in_turn = subshell.is_none() && !comm;
                if in_turn {
                    self.interrupt.opened();
                }
                queue.push(Item::Message { message, msg_id, in_turn });
            }
            _ => self.control.push(Item::Astray { message, msg_id }),
        }
    }
}

/// What a message's header says of where it belongs.
struct Routing {
    msg_id: String,
    msg_type: String,
    subshell: Option<String>,
}

impl Routing {
    fn of(message: &Message) -> Self {
        let header: Value = serde_json::from_slice(&message.header).unwrap_or_default();
        let text = |name| header.get(name).and_then(Value::as_str).map(str::to_owned);
        Routing {
            msg_id: text("msg_id").unwrap_or_default(),
            msg_type: text("msg_type").unwrap_or_default(),
            subshell: text("subshell_id"),
        }
    }
}
