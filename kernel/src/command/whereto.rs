//! The options that say where a kernel is installed: those of `python -m ipykernel install`.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;

use super::facts::Facts;
use crate::installation::{Place, is_kernel_name};

/// Where to; without any of them for all users, below /usr/local.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Whereto {
    /// For the current user alone, below ~/.local.
    #[arg(long)]
    user: bool,
    /// Into the environment of the Python (`--python`, or the one on PATH).
    #[arg(long)]
    sys_prefix: bool,
    /// Below this folder.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<PathBuf>,
}

impl Whereto {
    /// The place that was chosen. `python` decides what `--sys-prefix` is.
    pub(super) fn place(&self, python: Option<&Path>) -> anyhow::Result<Place> {
        if self.user {
            Place::user()
        } else if self.sys_prefix {
            let facts = Facts::ask(python.unwrap_or(Path::new("python3")))?;
            Ok(Place::of_prefix(facts.prefix))
        } else if let Some(prefix) = &self.prefix {
            let prefix = std::path::absolute(prefix).context("PREFIX")?;
            Ok(Place::of_prefix(prefix))
        } else {
            Ok(Place::system())
        }
    }
}

/// The name of a kernel, as Jupyter wants it.
pub(super) fn kernel_name(text: &str) -> anyhow::Result<String> {
    ensure!(is_kernel_name(text), "a kernel's name has letters, digits, `.`, `_` and `-`, and nothing else");
    Ok(text.to_lowercase())
}
