//! What kernel and engines say to each other, and the links that carry it.
//!
//! ```text
//!  kernel ── Task ──► gateway (rank 0) ═ MPI ═► every target ──► its Python
//!         ◄─ Report ─                 ◄═ MPI ═              ◄──
//!         ◄──────── lifelines: hello, interrupt, status, death ────────►  every rank
//! ```
//!
//! **Invariant**: nothing that arrives can panic: [`frame`] and [`message`] decode totally, and an
//! oversized or malformed frame is an error that names what was seen.
//!
//! **Boundary**: no Jupyter and no Python in here, and no call of MPI outside the plugin that
//! `mpi` opens at run time.

#![deny(unsafe_code)]

pub mod abi;
mod board;
pub mod comm;
pub mod config;
pub mod doorbell;
pub mod environment;
pub mod frame;
pub mod leftovers;
pub mod message;
pub mod mpi;
pub mod sys;
pub mod transport;
pub mod twin;
