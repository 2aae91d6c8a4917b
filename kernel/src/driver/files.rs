//! Memory files of clients and engines that this process keeps open for others.
//!
//! **Invariant**: what has been adopted names this process as its holder and stays open until it is closed
//! here, whatever becomes of who made it.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd;

use fabric::message::client::Ask;
use fabric::message::lifeline::FromWorker;
use fabric::message::local::FromLocal;
use fabric::message::payload::{Blob, Payload, Shared};
use fabric::message::report::Report;
use fabric::message::task::FromGateway;

use crate::cluster;
use crate::session::Event;

/// The files, by their descriptors.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: HashMap<u32, File>,
}

impl Files {
    /// Opens the files that came with an event under this process's name; what is to be said to whoever sent it.
    pub(super) fn adopt_from(&mut self, event: &mut Event) -> Option<Event> {
        match event {
            Event::Local(FromLocal::Client(ask)) | Event::Client { ask, .. } => {
                self.adopt_ask(ask);
                None
            }
            Event::Engines { set, event } => {
                let (set, event) = (*set, self.adopt_event(event)?);
                Some(Event::Engines { set, event })
            }
            _ => None,
        }
    }

    /// Opens the files that came with submissions.
    pub(super) fn adopt_ask(&mut self, ask: &mut Ask) {
        let Ask::Submit { submissions } = ask else { return };
        for submission in submissions {
            submission.work.payload_mut().map(|payload| self.adopt(payload));
        }
    }

    /// Opens the files that came with a report; what is to be said to the engine.
    pub(super) fn adopt_event(&mut self, event: &mut cluster::Event) -> Option<cluster::Event> {
        match event {
            cluster::Event::Gateway(FromGateway::Reports { reports, .. }) => {
                self.adopt_reports(reports.to_mut())
            }
            cluster::Event::Worker { said: FromWorker::Report(report), .. } => {
                self.adopt_reports(std::slice::from_mut(report))
            }
            _ => None,
        }
    }

    fn adopt_reports(&mut self, reports: &mut [Report]) -> Option<cluster::Event> {
        let mut adopted = Vec::new();
        for report in reports {
            adopted.extend(report.event.payload_mut().map(|payload| self.adopt(payload)).unwrap_or_default());
        }
        // One engine made them all, or one passes them on.
        let holder = adopted.first()?.0;
        let descriptors = adopted.into_iter().map(|(_, descriptor)| descriptor).collect();
        Some(cluster::Event::Adopted { holder, descriptors })
    }

    /// Opens the files of a payload under this process's name: their holders and descriptors before. A file that cannot
    /// be opened is lost, and the payload says why.
    fn adopt(&mut self, payload: &mut Payload) -> Vec<(u32, u32)> {
        let mut adopted: HashMap<(u32, u32), Result<u32, String>> = HashMap::new();
        for blob in &mut payload.buffers {
            let Blob::Shared(shared) = *blob else { continue };
            let Shared { holder, descriptor, .. } = shared;
            let own = adopted.entry((holder, descriptor)).or_insert_with(|| self.open(shared));
            *blob = match own {
                Ok(own) => Blob::Shared(Shared { holder: std::process::id(), descriptor: *own, ..shared }),
                Err(why) => Blob::Lost(why.clone()),
            };
        }
        adopted.into_keys().collect()
    }

    /// Closes files that nobody needs.
    pub(super) fn close(&mut self, descriptors: &[u32]) {
        for descriptor in descriptors {
            self.open.remove(descriptor);
        }
    }

    fn open(&mut self, shared: Shared) -> Result<u32, String> {
        let file = shared.open()?;
        let own = file.as_raw_fd().cast_unsigned();
        self.open.insert(own, file);
        Ok(own)
    }
}
