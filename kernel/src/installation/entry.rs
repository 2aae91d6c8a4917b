//! How a plain Python finds the package: a file in its `site-packages` that names the folder of the build in use.
//!
//! **Invariant**: it comes behind everything that is installed there, so nothing is shadowed; a Python that does not
//! live below the prefix is left alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::programs::ENTRY;
use super::{CURRENT, files};

/// The file's name.
const FILE: &str = "parallel-python.pth";

/// Writes it into the `packages` of the Python in `prefix`. Returns where it is, and whether it was not.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(prefix: &Path, packages: &Path) -> anyhow::Result<(PathBuf, bool)> {
    let path = packages.join(FILE);
    let folder = Path::new("lib/parallel-python").join(CURRENT).join(ENTRY);
    let depth = packages.strip_prefix(prefix).map_or(0, |below| below.components().count());
    let up: PathBuf = std::iter::repeat_n("..", depth).collect();
    let changed = files::put(&path, format!("{}\n", up.join(folder).display()).as_bytes(), 0o644)?;
    Ok((path, changed))
}

/// Where the Python in `prefix` keeps its packages, if there is one and that is below `prefix`.
pub(super) fn site_packages(prefix: &Path) -> Option<PathBuf> {
    let python = prefix.join("bin/python3");
    let question = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let answer = Command::new(&python).args(["-I", "-c", question]).stdin(Stdio::null()).output().ok()?;
    let packages = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim());
    // It may say another name of the same folder.
    let below = packages.canonicalize().ok()?.strip_prefix(prefix.canonicalize().ok()?).ok()?.to_owned();
    Some(prefix.join(below))
}
