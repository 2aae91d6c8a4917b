//! Where an installation goes: the same choices as `python -m ipykernel install` gives.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// A prefix and the folder of kernelspecs that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Programs go below it.
    pub prefix: PathBuf,
    /// Jupyter looks for kernelspecs in it.
    pub kernels: PathBuf,
}

impl Place {
    /// For everybody, which needs the right to write there.
    #[must_use]
    pub(crate) fn system() -> Self {
        Self::of_prefix(PathBuf::from("/usr/local"))
    }

    /// For whoever runs this.
    ///
    /// # Errors
    /// When there is no home.
    pub(crate) fn user() -> anyhow::Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let prefix = variable("HOME").context("HOME is not set: say where with --prefix")?.join(".local");
        // As jupyter_core's `jupyter_data_dir`.
        let data = variable("JUPYTER_DATA_DIR").unwrap_or_else(|| {
            variable("XDG_DATA_HOME").unwrap_or_else(|| prefix.join("share")).join("jupyter")
        });
        Ok(Self { prefix, kernels: data.join("kernels") })
    }

    /// Below a prefix: a virtual environment's, or a site's folder for one package.
    #[must_use]
    pub(crate) fn of_prefix(prefix: PathBuf) -> Self {
        let kernels = prefix.join("share/jupyter/kernels");
        Self { prefix, kernels }
    }

    /// The folder for program files.
    #[must_use]
    pub(super) fn programs(&self) -> PathBuf {
        self.prefix.join("lib/parallel-python")
    }

    /// The folder for commands.
    #[must_use]
    pub(super) fn commands(&self) -> PathBuf {
        self.prefix.join("bin")
    }

    /// A path as it is recorded: without the prefix where that can be, so that the prefix may be moved.
    #[must_use]
    pub(super) fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.prefix).unwrap_or(path).to_owned()
    }
}
