//! What may differ between the zygote's environment and a rank's: what an MPI launcher changes for its ranks. The rest has
//! been read by what is loaded, so a copy cannot be given another.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde_bytes::ByteBuf;

/// A name and a value, as the system has them.
type Variable = (ByteBuf, ByteBuf);

pub(super) type Variables = Vec<Variable>;

/// Names, and the values they are to have; None: there is to be no such variable.
pub(super) type Changes = Vec<(ByteBuf, Option<ByteBuf>)>;

/// Where the linker looks for libraries. It reads this once.
const LIBRARIES: &[u8] = b"LD_LIBRARY_PATH";

/// The zygote's.
pub(super) struct Environment {
    variables: BTreeMap<ByteBuf, ByteBuf>,
    /// What names begin with that are a launcher's.
    launchers: Vec<String>,
    /// Where MPI's libraries lie: some launchers have the linker look there, and the zygote has done so.
    mpi: Option<PathBuf>,
}

impl Environment {
    /// This process's.
    pub(super) fn own(launchers: Vec<String>, libmpi: Option<&Path>) -> Environment {
        let bytes = |text: OsString| ByteBuf::from(text.into_vec());
        let variables = std::env::vars_os().map(|(name, value)| (bytes(name), bytes(value))).collect();
        let mpi = libmpi.and_then(|library| library.parent()?.canonicalize().ok());
        Environment { variables, launchers, mpi }
    }

    /// What a launcher has changed in it for a rank that has `other`.
    ///
    /// # Errors
    /// When there are other differences.
    pub(super) fn changes(&self, other: &[Variable]) -> anyhow::Result<Changes> {
        let other: BTreeMap<&ByteBuf, &ByteBuf> = other.iter().map(|(name, value)| (name, value)).collect();
        let names: BTreeSet<&ByteBuf> = self.variables.keys().chain(other.keys().copied()).collect();
        let mut changes = Changes::new();
        for name in names {
            let (before, after) = (self.variables.get(name), other.get(name).copied());
            if before == after {
                continue;
            }
            let is_launchers = self.launchers.iter().any(|start| name.starts_with(start.as_bytes()));
            let is_mpis = **name == *LIBRARIES && self.folders(before) == self.folders(after);
            if !is_launchers && !is_mpis {
                bail!("`{}` differs in its environment", String::from_utf8_lossy(name));
            }
            changes.push((name.clone(), after.cloned()));
        }
        Ok(changes)
    }

    /// Where the linker looks beside MPI's own folder.
    fn folders(&self, value: Option<&ByteBuf>) -> Vec<PathBuf> {
        let folders = value.map(|value| std::env::split_paths(std::ffi::OsStr::from_bytes(value)));
        let is_mpi = |folder: &PathBuf| self.mpi.is_some() && folder.canonicalize().ok() == self.mpi;
        folders.into_iter().flatten().filter(|folder| !is_mpi(folder)).collect()
    }
}
