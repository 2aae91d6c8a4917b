//! How the environments of two processes differ: what an MPI launcher changes for its ranks, or more.
//!
//! A process that has loaded Python and MPI has read of its environment by then, and cannot be given another; but what
//! launchers tell their ranks is read when MPI is initialised.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde_bytes::ByteBuf;

/// A name and a value, as the system has them.
pub type Variable = (ByteBuf, ByteBuf);

/// Names, and the values they are to have; None: there is to be no such variable.
pub type Changes = Vec<(ByteBuf, Option<ByteBuf>)>;

/// Where the linker looks for libraries. It reads this once.
const LIBRARIES: &[u8] = b"LD_LIBRARY_PATH";

/// Where it looks in any case (ld.so(8)).
const SYSTEM: [&str; 4] = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"];

/// The environment of a process.
#[derive(Debug)]
pub struct Environment {
    variables: BTreeMap<ByteBuf, ByteBuf>,
    /// What names begin with that are a launcher's.
    launchers: Vec<String>,
    /// Where MPI's libraries lie: some launchers have the linker look there.
    mpi: Option<PathBuf>,
}

impl Environment {
    /// One with these variables. `launchers`: what names begin with that are a launcher's; `libmpi`: the library that
    /// has been loaded.
    #[must_use]
    pub fn new(variables: Vec<Variable>, launchers: Vec<String>, libmpi: Option<&Path>) -> Environment {
        let mpi = libmpi.and_then(|library| library.parent()?.canonicalize().ok());
        Environment { variables: variables.into_iter().collect(), launchers, mpi }
    }

    /// What a launcher has changed in it for a process that has `other`.
    ///
    /// # Errors
    /// The name of a variable in which they differ, and no launcher makes them do so.
    pub fn changes(&self, other: &[Variable]) -> Result<Changes, String> {
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
                return Err(String::from_utf8_lossy(name).into_owned());
            }
            changes.push((name.clone(), after.cloned()));
        }
        Ok(changes)
    }

    /// Where the linker looks beside MPI's own folder and the system's.
    fn folders(&self, value: Option<&ByteBuf>) -> Vec<PathBuf> {
        let folders = value.map(|value| std::env::split_paths(OsStr::from_bytes(value)));
        let is_systems = |folder: &Path| SYSTEM.iter().any(|system| folder == Path::new(system));
        let is_mpis = |folder: &Path| self.mpi.is_some() && folder.canonicalize().ok() == self.mpi;
        folders.into_iter().flatten().filter(|folder| !is_systems(folder) && !is_mpis(folder)).collect()
    }
}

/// This process's variables.
#[must_use]
pub fn own() -> Vec<Variable> {
    let bytes = |text: OsString| ByteBuf::from(text.into_vec());
    std::env::vars_os().map(|(name, value)| (bytes(name), bytes(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(words: &[&str]) -> Vec<Variable> {
        let pairs = words.iter().map(|word| word.split_once('=').unwrap());
        pairs.map(|(name, value)| (ByteBuf::from(name), ByteBuf::from(value))).collect()
    }

    /// Changes as a person would write them: `A=1 -B`.
    fn text(changes: &Changes) -> String {
        let text = |bytes: &ByteBuf| String::from_utf8(bytes.to_vec()).unwrap();
        let change = |(name, value): &(ByteBuf, Option<ByteBuf>)| match value {
            Some(value) => format!("{}={}", text(name), text(value)),
            None => format!("-{}", text(name)),
        };
        changes.iter().map(change).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_launchers_change_is_told_and_the_rest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mpi = folder.path().display();
        let own = variables(&["HOME=/home", "PMI_PORT=1", "LD_LIBRARY_PATH=/one:/two"]);
        let libmpi = folder.path().join("libmpi.so");
        let environment = Environment::new(own, vec!["PMI_".to_owned(), "PWD".to_owned()], Some(&libmpi));
        let (home, port, libraries) = ("HOME=/home", "PMI_PORT=1", "LD_LIBRARY_PATH=/one:/two");
        let with_mpi = &format!("LD_LIBRARY_PATH={mpi}:/usr/lib:/one:{mpi}:/two");
        let table: [(&[&str], Result<&str, &str>); 10] = [
            (&[home, port, libraries], Ok("")),
            (&[home, port, libraries, "PMI_RANK=3"], Ok("PMI_RANK=3")),
            (&[home, "PMI_PORT=2", libraries], Ok("PMI_PORT=2")),
            (&[home, libraries], Ok("-PMI_PORT")),
            (&[home, port, libraries, "PWD=/home"], Ok("PWD=/home")),
            (&[home, port, with_mpi], Ok(with_mpi)),
            (&[home, port, "LD_LIBRARY_PATH=/two:/one"], Err("LD_LIBRARY_PATH")),
            (&[home, port, libraries, "COLOUR=blue"], Err("COLOUR")),
            (&["HOME=/", port, libraries], Err("HOME")),
            (&[port, libraries], Err("HOME")),
        ];
        for (other, expected) in table {
            let changes = environment.changes(&variables(other)).map(|changes| text(&changes));
            assert_eq!(changes.as_deref().map_err(String::as_str), expected, "{other:?}");
        }
    }
}
