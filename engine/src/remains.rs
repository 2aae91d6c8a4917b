//! What a worker leaves for its supervisor to read when it has ended: its log, and a file in memory that begins with
//! the line of the cell that ran (`place`), followed by what faulthandler wrote, or by the farewell.
//!
//! **Invariant**: made before the worker starts; read only when it has ended.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use fabric::config::RankConfig;
use fabric::message::lifeline::Ending;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::farewell::FAREWELL;
use crate::tail::Tail;

/// The most of a worker's last words that is reported, in bytes.
const LAST_WORDS: usize = 4096;

/// How much of them faulthandler may have: its first lines matter, and with many threads it writes many.
const FAULT_WORDS: usize = 3072;

pub(crate) struct Remains {
    pub(crate) log: PathBuf,
    pub(crate) faults: OwnedFd,
}

impl Remains {
    /// New ones, and the log to write to.
    pub(crate) fn new(set: &RankConfig) -> anyhow::Result<(Remains, File)> {
        let log = set.runtime.join(format!("engine-{}.log", name()));
        let words = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log)
            .with_context(|| format!("cannot write the log `{}`", log.display()))?;
        let faults = memfd_create("faults", MemfdFlags::CLOEXEC).context("cannot make an anonymous file")?;
        // The worker writes on from here.
        rustix::io::write(&faults, &0_u32.to_ne_bytes()).context("cannot write an anonymous file")?;
        Ok((Remains { log, faults }, words))
    }

    /// What it wrote outside cells, and what faulthandler wrote when it crashed.
    pub(crate) fn last_words(&self) -> String {
        let fault = self.faults().unwrap_or_default();
        let fault = String::from_utf8_lossy(&fault[..fault.len().min(FAULT_WORDS)]).into_owned();
        let mut tail = Tail::new(LAST_WORDS - fault.len().min(LAST_WORDS));
        tail.extend(&self.log_tail().unwrap_or_default());
        tail.text() + &fault
    }

    /// The line of the cell that ran; 0 when none did.
    pub(crate) fn line(&self) -> u32 {
        let mut line = [0; size_of::<u32>()];
        match rustix::io::pread(&self.faults, &mut line, 0) {
            Ok(count) if count == line.len() => u32::from_ne_bytes(line),
            _ => 0,
        }
    }

    /// Whether it took leave of MPI before it ended so.
    pub(crate) fn has_quit(&self, ending: Ending) -> bool {
        ending == Ending::Code(0) && self.faults().is_ok_and(|words| words.ends_with(FAREWELL))
    }

    fn faults(&self) -> std::io::Result<Vec<u8>> {
        let mut file = File::from(self.faults.try_clone()?);
        file.seek(SeekFrom::Start(size_of::<u32>() as u64))?;
        let mut bytes = Vec::new();
        file.take(LAST_WORDS as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn log_tail(&self) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS as u64)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A rank's name for its log, which is needed before MPI is there to ask.
fn name() -> String {
    let rank = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok()?.parse::<u32>().ok());
    rank.map_or_else(|| format!("pid-{}", std::process::id()), |rank| rank.to_string())
}
