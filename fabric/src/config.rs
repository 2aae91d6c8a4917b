//! What every rank of one engine set needs to know before it can speak to the kernel: one file in
//! the runtime folder, written by the kernel before the launch, JSON so that a person can read it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The contents of `engines.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankConfig {
    /// The kernel's engine socket.
    pub socket: PathBuf,
    /// The owner-only folder that holds the socket, the doorbells and the logs.
    pub runtime: PathBuf,
    /// Where the zygote listens, which forks engines ([`crate::message::zygote`]); `None`: every rank loads Python.
    pub zygote: Option<PathBuf>,
    /// How many ranks the world must have.
    pub size: u32,
    /// The Python to be.
    pub python: PathBuf,
    /// Its shared library; without one the engine is entered as an extension module.
    pub libpython: Option<PathBuf>,
    /// The MPI plugin for the launcher's MPI.
    pub mpi_plugin: PathBuf,
    /// The `libmpi` to bind to; `None` leaves it to the dynamic linker.
    pub libmpi: Option<PathBuf>,
    /// Ranks do not share memory with the kernel: large buffers travel over MPI.
    pub carries: bool,
    /// Threads for BLAS and OpenMP where the user's environment sets none.
    pub threads: Option<u32>,
    /// Environment variables that the launch had to change, and what user code must see instead
    /// (`None`: nothing).
    pub restore: Vec<(String, Option<String>)>,
}
