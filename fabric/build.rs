//! Stamps the build, so that processes of different builds refuse each other (`message::BUILD`).

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    // Any change of this crate changes what is on the wire; without one the stamp may stay.
    println!("cargo::rerun-if-changed=src");
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    println!("cargo::rustc-env=PARALLEL_PYTHON_BUILD={stamp}");
}
