//! The parallel magics: from what was typed to values.
//!
//! ```text
//!  cell ─► parse ─► logical lines ─► table of magics ─► options ─► targets ─► Step
//!          cell.rs  lines.rs         table/             options/   targets/
//! ```
//!
//! Two doors lead in: [`parse`] takes whole cells, [`parse_call`] takes a magic that running Python
//! called. Both end in the same [`Step`]s.
//!
//! **Invariant**: any text gives a value; nothing here panics, evaluates what was typed, or stops a
//! cell because of its Python, which only the engines' own Python can judge.
//!
//! **Boundary**: no I/O, no clock, no cluster. What a target means on the live engines is decided
//! by [`Targets::resolve`] with the ids its caller passes in.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cell;
mod config;
mod cursor;
mod lines;
mod options;
mod step;
mod table;
mod targets;
mod usage;

pub use cell::{Cell, Mode, parse};
pub use config::{Config, GroupBy, Patience, Signal};
pub use cursor::{Place, place};
pub use options::{OptionSpec, Value};
pub use step::{AutopxSwitch, Display, EnginesAction, Px, PxArgs, Step};
pub use table::{Example, Magic, Usage, documentation, help, markdown_table, parse_call, table};
pub use targets::{Resolved, TargetError, Targets};
pub use usage::UsageError;

#[cfg(test)]
mod tests;
