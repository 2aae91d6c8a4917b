//! The files that run: the kernel, the engine, its library and the MPI plugins, as they lie beside this executable.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::files::cannot;

/// What nothing works without.
const NEEDED: [&str; 3] = ["parallel-python", "parallel-python-engine", "libparallel_python_engine.so"];

/// The folder that makes a plain Python import the package.
pub(super) const ENTRY: &str = "python";

/// A file in it: its path, and what is in it.
macro_rules! entry {
    ($source:literal, $path:literal) => {
        ($path, include_str!(concat!("../../../python/", $source, "/", $path)))
    };
}

/// What is in it: the package itself is in the engine library, the part for Jupyter servers needs no library.
const ENTRIES: [(&str, &str); 7] = [
    entry!("entry", "parallel_python/__init__.py"),
    entry!("entry", "ipyparallel/__init__.py"),
    entry!("server", "parallel_python_server/__init__.py"),
    entry!("server", "parallel_python_server/clusters.py"),
    entry!("server", "parallel_python_server/command.py"),
    entry!("server", "parallel_python_server/handlers.py"),
    entry!("server", "parallel_python_server/names.py"),
];

/// How the names of MPI plugins begin.
const PLUGIN: &str = "libparallel_python_mpi_";

/// One build.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    names: Vec<String>,
    /// Its name: the version and a digest of its files.
    pub build: String,
}

impl Programs {
    /// The build that this process belongs to.
    ///
    /// # Errors
    /// When a file is missing or cannot be read.
    pub(super) fn of_this_process() -> anyhow::Result<Self> {
        let executable = std::env::current_exe().context("where is this executable?")?;
        Self::in_folder(executable.parent().unwrap_or(Path::new("/")))
    }

    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let mut names: Vec<String> = NEEDED.map(str::to_owned).to_vec();
        let entries = fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
        let present = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.extend(present.filter(|name| name.starts_with(PLUGIN) && name.ends_with(".so")));
        names.sort();
        let mut digest = Sha256::new();
        for name in &names {
            let path = folder.join(name);
            ensure!(path.is_file(), "`{}` is missing: build the project (`make`)", path.display());
            let contents = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            digest.update(name.as_bytes());
            digest.update(contents.len().to_le_bytes());
            digest.update(contents);
        }
        let mut build = format!("{}-", env!("CARGO_PKG_VERSION"));
        for byte in &digest.finalize()[..6] {
            let _ = write!(build, "{byte:02x}");
        }
        Ok(Self { folder: folder.to_owned(), names, build })
    }

    /// Where the files can be referred to: through an installation's link, so that its next build is meant too.
    #[must_use]
    pub(super) fn lasting_folder(&self) -> PathBuf {
        let current = self.folder.with_file_name(super::CURRENT);
        let is_installed = current.canonicalize().is_ok_and(|reached| reached == self.folder);
        if is_installed { current } else { self.folder.clone() }
    }

    /// Copies the files to a folder of their own below `folder`, unless they are there. Returns whether they were not.
    ///
    /// # Errors
    /// What could not be written.
    pub(super) fn place(&self, folder: &Path) -> anyhow::Result<bool> {
        let target = folder.join(&self.build);
        let entries = ENTRIES.iter().all(|(path, _)| target.join(ENTRY).join(path).is_file());
        if entries && self.names.iter().all(|name| same_size(&self.folder.join(name), &target.join(name))) {
            return Ok(false);
        }
        let make = || {
            let fresh = tempfile::Builder::new().prefix(".fresh-").tempdir_in(folder)?;
            for name in &self.names {
                let copy = fresh.path().join(name);
                fs::copy(self.folder.join(name), &copy)?;
                set_mode(&copy)?;
            }
            for (path, text) in ENTRIES {
                let file = fresh.path().join(ENTRY).join(path);
                fs::create_dir_all(file.parent().unwrap_or(fresh.path()))?;
                fs::write(&file, text)?;
                fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
                file.ancestors().skip(1).take(2).try_for_each(set_mode)?;
            }
            set_mode(fresh.path())?;
            // A folder of this name is one that lost a file: what is left of it gives way.
            if target.exists() {
                fs::remove_dir_all(&target)?;
            }
            fs::rename(fresh.keep(), &target)
        };
        make().map_err(|error| cannot("write", &target, error)).map(|()| true)
    }
}

fn same_size(one: &Path, other: &Path) -> bool {
    let size = |path: &Path| path.metadata().map(|metadata| metadata.len()).ok();
    size(one).is_some() && size(one) == size(other)
}

fn set_mode(path: &Path) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_named_by_its_files_and_copied_once() {
        let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(Programs::in_folder(source.path()).unwrap_err().to_string().contains("is missing"));
        for name in NEEDED.iter().chain(&["libparallel_python_mpi_x.so", "notes.txt"]) {
            fs::write(source.path().join(name), name).unwrap();
        }
        let programs = Programs::in_folder(source.path()).unwrap();
        assert_eq!(programs.names.len(), 4, "{:?}", programs.names);
        assert!(programs.place(target.path()).unwrap());
        assert!(!programs.place(target.path()).unwrap());
        let placed = target.path().join(&programs.build);
        assert!(placed.join("python/parallel_python/__init__.py").is_file());
        fs::remove_file(placed.join(NEEDED[0])).unwrap();
        assert!(programs.place(target.path()).unwrap(), "a folder that lost a file is made anew");
        assert_eq!(Programs::in_folder(&placed).unwrap().build, programs.build);
        fs::write(source.path().join(NEEDED[0]), "other").unwrap();
        assert_ne!(Programs::in_folder(source.path()).unwrap().build, programs.build);
    }
}
