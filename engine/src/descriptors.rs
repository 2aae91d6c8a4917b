//! The descriptors that this process has open, from `/proc/self/fd`.

use std::fs;
use std::os::fd::RawFd;

pub(crate) fn open() -> Vec<RawFd> {
    let number = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let listed: Vec<RawFd> = fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(number).collect();
    // The one that was read from is closed again.
    let is_open = |number: &RawFd| fs::exists(format!("/proc/self/fd/{number}")).is_ok_and(|is| is);
    listed.into_iter().filter(is_open).collect()
}
