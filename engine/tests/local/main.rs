//! The local process, driven as the kernel drives it: frames over a socket pair.
//!
//! Every test runs through both doors into Python, and waits on messages with a deadline.

mod harness;
mod cells;
