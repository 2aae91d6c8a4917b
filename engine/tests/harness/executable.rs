//! The executable under test, for every harness.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The executable, with the library beside it: cargo builds no cdylib for the sake of a test.
pub(crate) fn executable() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let executable = PathBuf::from(env!("CARGO_BIN_EXE_parallel-python-engine"));
        let profile = executable.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
        let profile = if profile == "debug" { "dev" } else { profile };
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "--lib", "-p", "parallel-python-engine", "--profile", profile]);
        assert!(command.status().unwrap().success(), "the engine library does not build");
        executable
    })
}
