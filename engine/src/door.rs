//! The two ways into Python.
//!
//! *Embedded*: this process opens libpython and becomes Python through its own `main`. *Extension*: this
//! process becomes the user's `python`, which loads the engine library as an extension module; that needs no
//! shared libpython. Either way `argv[0]` is the Python that was chosen, so that `sys.executable`, prefix and
//! site-packages are its own.
//!
//! **Invariant**: the role and its options reach Python as `sys.argv[1:]`, and are the same for both doors
//! but for `--door`, which says which one it was.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::sys;

const LIBRARY: &str = "libparallel_python_engine.so";

/// Python's path must not begin with the working directory while we import: a user's `socket.py` would be
/// taken for the standard one. Each shell puts it back.
const EMBEDDED: &str = "\
import sys
if sys.path[:1] == ['']: del sys.path[0]
import _parallel_python
_parallel_python.boot()
";

/// As [`EMBEDDED`], after taking the library's path out of the arguments.
const EXTENSION: &str = "\
import sys
if sys.path[:1] == ['']: del sys.path[0]
from importlib.machinery import ExtensionFileLoader, ModuleSpec
path = sys.argv.pop(1)
loader = ExtensionFileLoader('_parallel_python', path)
spec = ModuleSpec('_parallel_python', loader, origin=path)
sys.modules['_parallel_python'] = module = loader.create_module(spec)
loader.exec_module(module)
module.__file__ = path
module.boot()
";

/// What Python itself is told. A debugger, which cells may be run in, does not see into frozen modules.
fn flags(role: &str) -> &'static [&'static str] {
    if role == "local" { &["-X", "frozen_modules=off"] } else { &[] }
}

/// Turns this process into Python in the given role. Returns only when that failed or Python has ended well.
pub(crate) fn enter(
    python: &Path,
    libpython: Option<&Path>,
    role: &str,
    options: Vec<OsString>,
) -> anyhow::Result<()> {
    if !python.is_absolute() {
        bail!("`{}` is not an absolute path: Python would not find its own files", python.display());
    }
    let library = library()?;
    let mut words = vec![OsString::from(role)];
    words.extend(options);
    words.push("--door".into());
    match libpython {
        Some(libpython) => {
            words.push("embedded".into());
            embedded(python, libpython, &library, flags(role), words)
        }
        None => {
            words.push("extension".into());
            extension(python, &library, flags(role), words)
        }
    }
}

/// The engine library lies beside the executable.
fn library() -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe().context("cannot find out where this executable is")?;
    Ok(executable.with_file_name(LIBRARY))
}

fn embedded(
    python: &Path,
    libpython: &Path,
    library: &Path,
    flags: &[&str],
    words: Vec<OsString>,
) -> anyhow::Result<()> {
    let arguments = std::iter::once(python.as_os_str().to_owned())
        .chain(flags.iter().chain(&["-c", EMBEDDED]).map(OsString::from))
        .chain(words)
        .map(|word| CString::new(word.into_vec()).context("an argument holds a zero byte"))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let code = sys::python_main(libpython, library, arguments)?;
    std::process::exit(code)
}

fn extension(python: &Path, library: &Path, flags: &[&str], words: Vec<OsString>) -> anyhow::Result<()> {
    let error = Command::new(python).args(flags).arg("-c").arg(EXTENSION).arg(library).args(words).exec();
    Err(error).with_context(|| format!("cannot run `{}`", python.display()))
}
