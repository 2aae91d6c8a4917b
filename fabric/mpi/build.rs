//! Tells which MPI's headers the plugin is built from (`cfg(mpich)` has what Open MPI does not know), and compiles
//! what Rust cannot say.

use std::io::Write as _;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-env-changed=MPICC");
    println!("cargo::rustc-check-cfg=cfg(mpich)");
    let mpicc = std::env::var("MPICC").unwrap_or_else(|_| "mpicc".to_owned());
    if macros(&mpicc).is_some_and(|macros| macros.contains("#define MPICH_VERSION")) {
        println!("cargo::rustc-cfg=mpich");
    }
    println!("cargo::rerun-if-changed=src/layer/escape.c");
    cc::Build::new().file("src/layer/escape.c").warnings_into_errors(true).compile("parallel_python_escape");
}

/// What `mpi.h` defines.
fn macros(mpicc: &str) -> Option<String> {
    // A file's name and not `-`: Open MPI's mpicc adds its flags only when it sees one.
    let mut child = Command::new(mpicc)
        .args(["-E", "-dM", "-x", "c", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(b"#include <mpi.h>\n").ok()?;
    String::from_utf8(child.wait_with_output().ok()?.stdout).ok()
}
