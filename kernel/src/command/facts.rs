//! What a Python says about its environment: where it is and what is installed in it, as cells would find it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

/// Without `-I`, so that packages of the user count as they do for cells; `-P` keeps the folder one is in out of it.
const QUESTION: &str = r#"
import json, sys
from importlib.metadata import PackageNotFoundError, version
def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
try:
    from jupyter_core.paths import jupyter_path
    kernels = jupyter_path("kernels")
except ImportError:
    kernels = []
print(json.dumps({
    "executable": sys.executable, "version": sys.version.split()[0], "prefix": sys.prefix, "kernels": kernels,
    "ipykernel": installed("ipykernel"), "ipython": installed("ipython"), "mpi4py": installed("mpi4py"),
}))
"#;

/// The answer.
#[derive(Debug, Deserialize)]
pub(super) struct Facts {
    /// `sys.executable`.
    pub executable: PathBuf,
    /// "3.11.7"
    pub version: String,
    /// `sys.prefix`.
    pub prefix: PathBuf,
    /// Where Jupyter looks for kernelspecs; empty where there is no Jupyter.
    pub kernels: Vec<PathBuf>,
    /// The version of ipykernel, if it is installed.
    pub ipykernel: Option<String>,
    /// The version of IPython, if it is installed.
    pub ipython: Option<String>,
    /// The version of mpi4py, if it is installed.
    pub mpi4py: Option<String>,
}

impl Facts {
    /// Asks `python`, a path or a name to be found on PATH.
    pub(super) fn ask(python: &Path) -> anyhow::Result<Self> {
        let name = python.display();
        let answer = Command::new(python)
            .args(["-P", "-c", QUESTION])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("`{name}` cannot be started: name a Python with --python"))?;
        if !answer.status.success() {
            let said = String::from_utf8_lossy(&answer.stderr);
            let last = said.trim().lines().next_back().unwrap_or_default();
            bail!("`{name}` does not work as a Python of 3.11 or newer: {last}");
        }
        serde_json::from_slice(&answer.stdout).with_context(|| {
            format!("`{name}` does not work as a Python: it did not answer a simple question")
        })
    }

    /// Why cells cannot run on it, and what to do; `None` when they can.
    pub(super) fn unfit(&self) -> Option<String> {
        let install = format!("`{} -m pip install 'ipykernel>=7,<8'`", self.executable.display());
        match self.ipykernel.as_deref() {
            Some(version) if version.starts_with("7.") => None,
            Some(version) => Some(format!("it has ipykernel {version}, and 7 is needed: {install}")),
            None => Some(format!("it has no ipykernel: {install}")),
        }
    }
}

/// The Python of the environment that this program is installed in; else the one on PATH.
pub(super) fn default_python() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let environment = program.ancestors().nth(4).map(|prefix| prefix.join("bin/python3"));
    environment.filter(|python| python.is_file()).unwrap_or_else(|| PathBuf::from("python3"))
}
