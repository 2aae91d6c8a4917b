//! The memory files of large buffers, by their descriptors in this process.

use std::collections::BTreeSet;

use fabric::message::payload::Payload;
use fabric::message::report::Event;
use fabric::message::task::Work;

/// The memory files of a piece of work, by their descriptors in this process.
pub(super) fn files_of_work(work: &Work) -> Vec<u32> {
    work.payload().map(files_of).unwrap_or_default()
}

/// The memory files of what an engine reported.
pub(super) fn files_of_event(event: &Event) -> Vec<u32> {
    event.payload().map(files_of).unwrap_or_default()
}

fn files_of(payload: &Payload) -> Vec<u32> {
    let files: BTreeSet<u32> = payload.shared().map(|shared| shared.descriptor).collect();
    files.into_iter().collect()
}
