//! The local process, driven as the kernel drives it: frames over a socket pair.
//!
//! Every test runs through both doors into Python, and waits on messages with a deadline.

#![allow(clippy::unwrap_used)] // a test that fails says where

mod cells;
mod control;
mod ends;
mod harness;
mod interrupts;
mod magics;
mod requests;
