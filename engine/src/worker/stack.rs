//! The Python stack of every thread, without asking Python: faulthandler's signal handler writes it into an
//! anonymous file.
//!
//! **Invariant**: the signal is sent only while a handler for it is installed; without one it would end the process.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::ffi;

/// How long the main thread may take to get round to it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A dump that has not grown for so long is complete.
const QUIET: Duration = Duration::from_millis(20);

/// Sources that are larger are not read.
const LARGEST_SOURCE: u64 = 4 << 20;

/// Characters of a line of source.
const LONGEST_SOURCE: usize = 120;

pub(super) struct Stack {
    file: File,
    /// One dump at a time.
    turn: Mutex<()>,
}

impl Stack {
    pub(super) fn new() -> std::io::Result<Stack> {
        Ok(Stack { file: File::from(memfd_create("stacks", MemfdFlags::CLOEXEC)?), turn: Mutex::default() })
    }

    /// The descriptor for `faulthandler.register`.
    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// The signal for `faulthandler.register`: one that nobody else is likely to use.
    pub(super) fn signal() -> i32 {
        libc::SIGRTMAX() - 1
    }

    /// Has `main` write every thread's stack.
    pub(super) fn dump(&self, main: libc::pthread_t) -> String {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if !ffi::is_handled(Stack::signal()) {
            return "the stack cannot be shown: user code has removed the signal handler for it".to_owned();
        }
        let start = self.length();
        ffi::signal_thread(main, Stack::signal());
        let (begun, mut seen, mut since) = (Instant::now(), start, Instant::now());
        // Nothing tells when a signal handler of another thread is done, so its file is watched.
        while begun.elapsed() < PATIENCE && (seen == start || since.elapsed() < QUIET) {
            std::thread::sleep(Duration::from_millis(2));
            if self.length() != seen {
                (seen, since) = (self.length(), Instant::now());
            }
        }
        self.text(start, seen).unwrap_or_else(|| {
            format!(
                "the main thread has not answered for {} s: it is blocked in the system",
                PATIENCE.as_secs()
            )
        })
    }

    fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    fn text(&self, start: u64, end: u64) -> Option<String> {
        let mut bytes = vec![0; usize::try_from(end - start).ok()?];
        self.file.read_exact_at(&mut bytes, start).ok()?;
        (!bytes.is_empty()).then(|| with_sources(&String::from_utf8_lossy(&bytes)))
    }
}

/// The dump, with each frame's line of source behind it, after a tab, where its file can be read.
fn with_sources(dump: &str) -> String {
    let mut files: HashMap<&str, Option<String>> = HashMap::new();
    let mut text = String::with_capacity(2 * dump.len());
    for line in dump.lines() {
        text.push_str(line);
        if let Some((file, number)) = place(line) {
            let content = files.entry(file).or_insert_with(|| source(file));
            let source = content.as_ref().and_then(|content| content.lines().nth(number.checked_sub(1)?));
            if let Some(source) = source {
                text.push('\t');
                text.extend(source.trim().chars().take(LONGEST_SOURCE));
            }
        }
        text.push('\n');
    }
    text
}

/// `  File "solve.py", line 41 in solve`
fn place(line: &str) -> Option<(&str, usize)> {
    let (file, rest) = line.trim_start().strip_prefix("File \"")?.rsplit_once("\", line ")?;
    Some((file, rest.split(' ').next()?.parse().ok()?))
}

fn source(file: &str) -> Option<String> {
    let about =
        std::fs::metadata(file).ok().filter(|about| about.is_file() && about.len() < LARGEST_SOURCE)?;
    let mut text = String::with_capacity(usize::try_from(about.len()).ok()?);
    File::open(file).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_get_their_line_of_source() {
        let here = file!().rsplit('/').next().map(|name| format!("src/worker/{name}")).unwrap_or_default();
        let dump = format!(
            "Current thread 0x1:\n  File \"{here}\", line 2 in f\n  File \"<ipython-input-1-a>\", line 1 in g"
        );
        let text = with_sources(&dump);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("line 2 in f\t//! anonymous file."), "{text}");
        assert!(lines[2].ends_with("line 1 in g"), "{text}");
    }
}
