//! What `parallel-python` does for a person at a terminal, one file per command. Each has its options and a `run`
//! that prints what it did; an error is one sentence for that person.

pub(crate) mod doctor;
pub(crate) mod engines;
mod facts;
pub(crate) mod install;
mod say;
pub(crate) mod uninstall;
mod whereto;

pub use doctor::DoctorOptions;
pub use engines::EnginesOptions;
pub use install::InstallOptions;
pub use uninstall::UninstallOptions;
