//! The process that started the kernel, when it is Jupyter: its end is the kernel's, even when it was
//! killed and could not say so. Waiting costs nothing: a process file descriptor wakes us.

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Returns when the process that `JPY_PARENT_PID` names has ended; never, where it names none that can be seen.
pub(super) async fn gone() {
    let parent = std::env::var("JPY_PARENT_PID").ok();
    let pid = parent.and_then(|parent| parent.parse().ok()).and_then(Pid::from_raw);
    let watched = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
    if let Some(Ok(watched)) =
        watched.map(|parent| AsyncFd::register_with_interest(parent, Interest::READABLE))
        && watched.readable().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
