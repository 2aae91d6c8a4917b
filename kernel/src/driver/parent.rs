//! The process that started the kernel, when it is Jupyter: its end is the kernel's, even when it was
//! killed and could not say so. Waiting costs nothing: a thread sleeps on a process file descriptor.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::oneshot;

/// Returns when the process that `JPY_PARENT_PID` names has ended; never, where it names none that can be seen.
pub(super) async fn gone() {
    let parent = std::env::var("JPY_PARENT_PID").ok();
    let pid = parent.and_then(|parent| parent.parse().ok()).and_then(Pid::from_raw);
    if let Some(parent) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
        let (tell, told) = oneshot::channel();
        let watch = move || {
            wait(&parent);
            let _ = tell.send(());
        };
        if std::thread::Builder::new().name("parent".to_owned()).spawn(watch).is_ok() && told.await.is_ok() {
            return;
        }
    }
    std::future::pending().await
}

/// Blocks until the process has ended, whatever interrupts the waiting.
fn wait(process: &OwnedFd) {
    let mut ends = [PollFd::new(process, PollFlags::IN)];
    while poll(&mut ends, None).is_err() {}
}
