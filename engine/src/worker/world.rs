//! The worker's place among the other ranks: MPI, the doorbell, the gateway.

use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use anyhow::Context as _;
use fabric::comm::{Comm, Outbox};
use fabric::config::RankConfig;
use fabric::doorbell::Doorbell;
use fabric::frame;
use fabric::leftovers;
use fabric::message::lifeline::{Hello, Role};
use fabric::message::task::Task;
use fabric::message::{BUILD, Rank};
use fabric::mpi::{Mpi, MpiCalls};
use fabric::transport::Fabric as _;

use crate::{ffi, maps};

pub(super) struct World {
    pub(super) rank: Rank,
    pub(super) size: u32,
    /// What `MPI_Get_library_version` says.
    pub(super) library: String,
    pub(super) comm: Comm,
    pub(super) outbox: Outbox,
    /// Rank 0's socket to the kernel.
    pub(super) gateway: Option<RawFd>,
    /// User code's calls, for other threads.
    pub(super) calls: MpiCalls,
}

/// Initialises MPI and starts the comm thread; together with every other rank.
pub(super) fn enter(set: &RankConfig, tasks: Sender<Task>) -> anyhow::Result<World> {
    let board = set.runtime.join("board");
    let mpi = Mpi::start(&set.mpi_plugin, set.libmpi.as_deref(), Some(&board), Some(ffi::signals_in_mpi))?;
    // On another machine than the kernel's there is nobody who could remove what is noted.
    let _ = leftovers::note_mpi(&set.runtime, maps::shared_memory());
    let calls = mpi.calls();
    let (rank, size, library) = (mpi.rank(), mpi.size(), mpi.library().to_owned());
    // Where there are several worlds, of the wrong size, there are several ranks 0. The kernel must hear of each,
    // without taking one for its gateway, and they must not take each other's doorbell: it judges by the hello.
    let whole = size == set.size;
    let bell = Doorbell::create(&if whole { set.runtime.clone() } else { folder_of_one(set)? }, rank)?;
    let gateway = if rank == 0 && whole { Some(connect_gateway(set)?) } else { None };
    let descriptor = gateway.as_ref().map(|gateway| gateway.as_raw_fd());
    let (comm, outbox) = Comm::start(Box::new(mpi), bell, gateway, tasks, set.carries)?;
    Ok(World { rank, size, library, comm, outbox, gateway: descriptor, calls })
}

fn folder_of_one(set: &RankConfig) -> anyhow::Result<PathBuf> {
    let folder = set.runtime.join(format!("world.{}", std::process::id()));
    std::fs::create_dir(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    Ok(folder)
}

fn connect_gateway(set: &RankConfig) -> anyhow::Result<UnixStream> {
    let mut gateway = UnixStream::connect(&set.socket)
        .with_context(|| format!("no kernel listens on `{}`", set.socket.display()))?;
    let pid = std::process::id();
    frame::write(&mut gateway, &Hello { build: BUILD.to_owned(), pid, role: Role::Gateway })?;
    Ok(gateway)
}
