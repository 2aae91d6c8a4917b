//! The clusters panel: what JupyterLab and Jupyter Notebook load from an environment, and what has the Jupyter server
//! of that environment load its part, which lies with the programs (`python/server`).
//!
//! **Invariant**: it is there only where the Python of the prefix finds the server's part, so that no Jupyter is
//! told to load what it cannot.

use std::path::{Path, PathBuf};

use super::files;

/// A file of the panel: where it goes below the prefix, and what is in it.
macro_rules! panel {
    ($name:literal) => {
        (
            concat!("share/jupyter/labextensions/parallel-python/", $name),
            include_str!(concat!("../../../labextension/", $name)),
        )
    };
}

/// All files; `package.json` last, so that a panel that is found is whole.
const FILES: [(&str, &str); 15] = [
    (
        "etc/jupyter/jupyter_server_config.d/parallel_python_server.json",
        "{\"ServerApp\": {\"jpserver_extensions\": {\"parallel_python_server\": true}}}\n",
    ),
    panel!("static/clusters.js"),
    panel!("static/connection.js"),
    panel!("static/dialogs.js"),
    panel!("static/dom.js"),
    panel!("static/icon.js"),
    panel!("static/panel.js"),
    panel!("static/plugins.js"),
    panel!("static/remoteEntry.js"),
    panel!("static/shared.js"),
    panel!("static/style.css"),
    panel!("static/tab.js"),
    panel!("static/view.js"),
    panel!("install.json"),
    panel!("package.json"),
];

/// The folders that it needs.
pub(super) fn folders(prefix: &Path) -> [PathBuf; 2] {
    ["etc/jupyter/jupyter_server_config.d", "share/jupyter/labextensions/parallel-python/static"]
        .map(|folder| prefix.join(folder))
}

/// Where its files are, below the prefix.
pub(super) fn files() -> impl Iterator<Item = PathBuf> {
    FILES.iter().map(|(name, _)| PathBuf::from(name))
}

/// Writes it into its folders. Returns whether anything was not there.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write(prefix: &Path) -> anyhow::Result<bool> {
    let mut changed = false;
    for (name, text) in FILES {
        changed |= files::put(&prefix.join(name), text.as_bytes(), 0o644)?;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_panel_is_installed() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../labextension");
        let names = |folder: &str| {
            let entries = std::fs::read_dir(source.join(folder)).unwrap();
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect::<Vec<_>>()
        };
        let there: BTreeSet<PathBuf> = ["", "static"].into_iter().flat_map(names).collect();
        let below = Path::new("share/jupyter/labextensions/parallel-python");
        let installed: BTreeSet<PathBuf> =
            files().filter_map(|file| Some(source.join(file.strip_prefix(below).ok()?))).collect();
        assert_eq!(installed, there);
    }
}
