//! Files, links and folders that come into being in one step, and are removed only when they are ours.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Writes a file that everybody may read, unless it has these contents. Returns whether it was written.
pub(super) fn put(path: &Path, contents: &[u8], mode: u32) -> anyhow::Result<bool> {
    if fs::read(path).is_ok_and(|present| present == contents) {
        return Ok(false);
    }
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut file =
            tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
        // The mode was subject to the umask, which is meant for the user's own files.
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.write_all(contents)?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| cannot("write", path, error)).map(|()| true)
}

/// Makes `path` a link to `target`, in place of whatever is there. Returns whether it was not.
pub(super) fn link(path: &Path, target: &Path) -> anyhow::Result<bool> {
    if fs::read_link(path).is_ok_and(|present| present == target) {
        return Ok(false);
    }
    let fresh = path.with_file_name(format!(".{}.{}", name(path), std::process::id()));
    let make = || {
        let _ = fs::remove_file(&fresh);
        symlink(target, &fresh)?;
        if path.is_dir() && !path.is_symlink() {
            // What `jupyter kernelspec install` made: a folder, which cannot be renamed over.
            renameat_with(CWD, &fresh, CWD, path, RenameFlags::EXCHANGE)?;
            fs::remove_dir_all(&fresh)
        } else {
            fs::rename(&fresh, path)
        }
    };
    make().map_err(|error| cannot("make the link", path, error)).map(|()| true)
}

/// Makes `path` a link to `target`: a relative one if both are below `prefix` and it leads there.
pub(super) fn link_to(path: &Path, target: &Path, prefix: &Path) -> anyhow::Result<bool> {
    let wanted = target.canonicalize().with_context(|| format!("`{}` is missing", target.display()))?;
    if let Some(relative) = relative(path, target, prefix) {
        let changed = link(path, &relative)?;
        // A folder on the way may itself be a link, and `..` then leads elsewhere.
        if path.canonicalize().is_ok_and(|reached| reached == wanted) {
            return Ok(changed);
        }
    }
    link(path, target)
}

fn relative(path: &Path, target: &Path, prefix: &Path) -> Option<PathBuf> {
    let depth = path.strip_prefix(prefix).ok()?.components().count();
    let up: PathBuf = std::iter::repeat_n("..", depth.checked_sub(1)?).collect();
    Some(up.join(target.strip_prefix(prefix).ok()?))
}

/// Whether nothing is at `path`, or a link whose target contains `mark`.
pub(super) fn is_free_or_link(path: &Path, mark: &str) -> bool {
    match fs::read_link(path) {
        Ok(target) => target.to_string_lossy().contains(mark),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Removes a link whose target contains `mark`; anything else stays.
pub(super) fn unlink(path: &Path, mark: &str) -> anyhow::Result<()> {
    if path.is_symlink() && is_free_or_link(path, mark) { remove(path) } else { Ok(()) }
}

/// Removes a file or a link; that it is not there is no error.
pub(super) fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes a folder that everybody may enter. Returns those that were not there, the outermost first.
pub(super) fn make_folder(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let absent: Vec<PathBuf> =
        path.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
    for folder in absent.iter().rev() {
        let make = || {
            fs::DirBuilder::new().mode(0o755).create(folder)?;
            fs::set_permissions(folder, Permissions::from_mode(0o755))
        };
        make().map_err(|error| cannot("make the folder", folder, error))?;
    }
    Ok(absent.into_iter().rev().collect())
}

/// What is in a folder that should have gone.
pub(super) fn leftover(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// What could not be done where; and what to do, when it is a matter of permission.
pub(super) fn cannot(verb: &str, path: &Path, error: io::Error) -> anyhow::Error {
    let denied = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
    let advice = if denied { "; choose a place of yours with --user, --sys-prefix or --prefix" } else { "" };
    anyhow::anyhow!("cannot {verb} `{}`: {error}{advice}", path.display())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_within_a_prefix() {
        let within =
            |path: &str, target: &str| relative(Path::new(path), Path::new(target), Path::new("/opt/x"));
        assert_eq!(within("/opt/x/bin/p", "/opt/x/lib/p/p"), Some("../lib/p/p".into()));
        assert_eq!(within("/opt/x/a/b/c", "/opt/x/lib"), Some("../../lib".into()));
        assert_eq!(within("/home/a/b", "/opt/x/lib"), None);
        assert_eq!(within("/opt/x", "/opt/x/lib"), None);
    }

    #[test]
    fn a_link_replaces_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bin");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("old"), "").unwrap();
        for target in ["one", "two"] {
            assert!(link(&path, Path::new(target)).unwrap());
            assert!(!link(&path, Path::new(target)).unwrap());
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(target));
        }
        assert_eq!(leftover(folder.path()), [path]);
    }

    #[test]
    fn only_our_links_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
        symlink("../lib/parallel-python/x", &ours).unwrap();
        symlink("elsewhere", &theirs).unwrap();
        for path in [&ours, &theirs] {
            unlink(path, "lib/parallel-python/").unwrap();
        }
        assert!(!ours.is_symlink() && theirs.is_symlink());
        assert!(is_free_or_link(&ours, "") && !is_free_or_link(folder.path(), ""));
    }
}
