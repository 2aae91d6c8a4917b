//! Which Python to be: found, and asked once what it is, unless `start.py` ran in it and has said so.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

/// Printed by the chosen Python. `-I` keeps the user's environment from changing the answer.
const QUESTION: &str = r#"
import json, os, sys, sysconfig
var = sysconfig.get_config_var
paths = [os.path.join(d, var("INSTSONAME") or "") for d in (var("LIBDIR"), os.path.join(sys.base_prefix, "lib")) if d]
found = [p for p in paths if var("Py_ENABLE_SHARED") and os.path.isfile(p)]
print(json.dumps({"executable": sys.executable, "version": list(sys.version_info[:2]), "libpython": (found or [None])[0]}))
"#;

/// What a Python said about itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Python {
    /// Its executable, absolute.
    pub executable: PathBuf,
    /// Its shared library, if it has one.
    pub libpython: Option<PathBuf>,
}

/// The answer to [`QUESTION`].
#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    python: Python,
    version: (u32, u32),
}

impl Python {
    /// A Python of which all is known: absolute, linked to this library, and new enough.
    pub(super) fn known(executable: PathBuf, libpython: PathBuf) -> Self {
        Self { executable, libpython: Some(libpython) }
    }

    /// Asks `python`, a path or a name to be found on PATH.
    ///
    /// # Errors
    /// A sentence for the user: it does not run, or is too old.
    pub(super) async fn ask(python: &Path) -> Result<Self, String> {
        let name = python.display();
        let answer =
            Command::new(python).args(["-I", "-c", QUESTION]).stdin(Stdio::null()).output().await.map_err(
                |error| {
                    format!(
                        "`{name}` cannot be started ({error}): name a Python with --python or PARALLEL_PYTHON"
                    )
                },
            )?;
        if !answer.status.success() {
            let said = String::from_utf8_lossy(&answer.stderr);
            return Err(format!("`{name}` does not work as a Python: {}", said.trim()));
        }
        let Answer { python, version } = serde_json::from_slice(&answer.stdout).map_err(|_| {
            format!("`{name}` does not work as a Python: it did not answer a simple question")
        })?;
        if version < (3, 11) {
            let (major, minor) = version;
            return Err(format!("`{name}` is Python {major}.{minor}: this kernel needs 3.11 or newer"));
        }
        Ok(python)
    }
}
