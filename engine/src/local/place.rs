//! Where in its cell the main shell is: a line number that outlives the process.
//!
//! A process that is killed can say nothing, and reports of every statement would cost as much as the statements.
//! So the kernel gives this process a memory file as its standard output, which is of no other use: the line of
//! the statement that runs stands in it, and the kernel looks when the process is gone.
//!
//! **Invariant**: nothing but a memory file is ever written to.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

pub(super) struct Place(Option<File>);

impl Place {
    /// To be called before standard output is captured.
    pub(super) fn find() -> Self {
        let stdout = rustix::stdio::stdout();
        // Only memory files can be sealed.
        let is_ours = rustix::fs::fcntl_get_seals(stdout).is_ok();
        let file = is_ours.then(|| rustix::io::fcntl_dupfd_cloexec(stdout, 3)).and_then(Result::ok);
        Place(file.map(|file: OwnedFd| File::from(file)))
    }

    /// The statement at this line begins; 0: none runs.
    pub(super) fn mark(&self, line: u32) {
        if let Some(file) = &self.0 {
            // Without it an obituary says less; that is all.
            let _ = file.write_at(&line.to_ne_bytes(), 0);
        }
    }
}
