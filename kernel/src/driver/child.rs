//! Starting a process of ours that speaks frames on its standard input, a socket pair: nobody else
//! can connect to it, and its end of file says that this process is gone.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::halves;
use super::link::{Link, Reader};

/// How much of what a process wrote last is kept for the error message, in bytes.
const LAST_WORDS: usize = 4096;

/// A file that was built with this executable and lies beside it.
///
/// # Errors
/// When it is not there: the installation is incomplete.
pub(super) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("where is this executable?")?.with_file_name(name);
    anyhow::ensure!(path.is_file(), "`{}` is missing: the installation is incomplete", path.display());
    Ok(path)
}

/// Starts `program` with its standard input as a link, and `output` in place of our standard output.
///
/// # Errors
/// When it cannot be started.
pub(super) fn spawn(
    program: &Path,
    arguments: &[&str],
    output: Option<OwnedFd>,
) -> anyhow::Result<(Child, Link, Reader)> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(output.map_or_else(Stdio::inherit, Stdio::from))
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", program.display()))?;
    let (reading, writing) = halves::split(UnixStream::from_std(ours)?)?;
    Ok((child, Link::start(writing), Reader::new(reading)))
}

/// Waits for the end of a process, passing what it writes to its standard error on to ours.
/// Returns how it ended, as "exited with code 3", and its last words.
pub(super) async fn wait(mut child: Child) -> (String, String) {
    let mut words = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        let mut piece = [0; 4096];
        loop {
            // A grandchild may hold the pipe open for longer than the process lives.
            let read = tokio::select! {
                biased;
                read = stderr.read(&mut piece) => read,
                _ = child.wait() => break,
            };
            let Ok(count @ 1..) = read else { break };
            pass_on(&piece[..count]);
            words.extend_from_slice(&piece[..count]);
            let surplus = words.len().saturating_sub(LAST_WORDS);
            words.drain(..surplus);
        }
    }
    let how = match child.wait().await {
        Ok(status) => ending(status),
        Err(error) => format!("cannot be waited for: {error}"),
    };
    (how, String::from_utf8_lossy(&words).trim().to_owned())
}

fn pass_on(bytes: &[u8]) {
    use std::io::Write;
    drop(std::io::stderr().write_all(bytes));
}

fn ending(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;

    use fabric::message::lifeline::Ending;
    let ending = match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Code(code),
        (None, signal) => Ending::Signal(signal.unwrap_or_default()),
    };
    crate::cluster::describe(ending, "")
}
