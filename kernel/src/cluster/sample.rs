//! What engines say in tests.

use fabric::message::Rank;
use fabric::message::lifeline::{Door, WorkerHello};

/// The hello of one of `size` engines.
pub(crate) fn hello(rank: Rank, size: u32) -> WorkerHello {
    WorkerHello {
        rank,
        size,
        host: "node".to_owned(),
        python: "3.11.7".to_owned(),
        executable: "python".to_owned(),
        mpi: "MPI".to_owned(),
        door: Door::Embedded,
    }
}
