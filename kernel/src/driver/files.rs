//! Memory files of clients and engines that this process keeps open for others.
//!
//! **Invariant**: what has been adopted names this process as its holder and stays open until it is closed
//! here, whatever becomes of who made it. Where there are hardly any more descriptors to be had, it is read instead.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread;

use fabric::message::client::Ask;
use fabric::message::lifeline::FromWorker;
use fabric::message::local::FromLocal;
use fabric::message::payload::{self, Blob, Payload, Shared};
use fabric::message::report::Report;
use fabric::message::task::FromGateway;
use serde_bytes::ByteBuf;

use super::limits::most_held;
use crate::cluster;
use crate::session::Event;

/// So many bytes of one value may be read into a message.
const MOST_READ: u64 = 64 << 20;

/// From this size on, in bytes, files take longer to close than a thread to start: a millisecond for 8 to 12 MB.
const LARGE: u64 = 8 << 20;

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
        if !payload.is_shared() {
            return Vec::new();
        }
        let (size, most) = (payload.size(), most_held());
        // Beyond that, descriptors are for what else this process does.
        let has_room = |file: &File| number(file) < most;
        let mut adopted: HashMap<(u32, u32), Result<File, String>> = HashMap::new();
        for blob in &mut payload.buffers {
            let Blob::Shared(shared) = *blob else { continue };
            let Shared { holder, descriptor, .. } = shared;
            let own = adopted.entry((holder, descriptor)).or_insert_with(|| shared.open());
            *blob = match own {
                Ok(own) if has_room(own) => {
                    Blob::Shared(Shared { holder: std::process::id(), descriptor: number(own), ..shared })
                }
                Ok(own) => read(own, shared, size, most).map_or_else(Blob::Lost, Blob::Inline),
                Err(why) => Blob::Lost(why.clone()),
            };
        }
        let before = adopted.keys().copied().collect();
        let files = adopted.into_values().flatten().filter(has_room);
        self.open.extend(files.map(|file| (number(&file), file)));
        before
    }

    /// Closes files that nobody needs; meanwhile, where they are large: who closes a file last gives its pages back.
    pub(super) fn close(&mut self, descriptors: &[u32]) {
        let unused: Vec<File> = descriptors.iter().filter_map(|number| self.open.remove(number)).collect();
        if unused.iter().map(size).sum::<u64>() >= LARGE {
            // Where there are no threads to be had they are closed here: what is not run is dropped.
            let _ = thread::Builder::new().name("close".to_owned()).spawn(move || drop(unused));
        }
    }
}

fn size(file: &File) -> u64 {
    file.metadata().map_or(0, |found| found.len())
}

fn number(file: &File) -> u32 {
    file.as_raw_fd().cast_unsigned()
}

/// Reads a buffer of a value of so many bytes, which then travels in messages.
fn read(file: &File, shared: Shared, size: u64, most: u32) -> Result<ByteBuf, String> {
    if size > MOST_READ {
        return Err(format!(
            "{:.1} MB in shared memory cannot be kept: {most} files are open already. Let go of results, or \
             raise the limit (`ulimit -n`)",
            size as f64 / 1e6
        ));
    }
    payload::read(file, shared.offset, shared.length)
}
