//! `parallel-python engines clean`: removes what sets left that were killed together with everybody who would have
//! removed it. Where they belonged no longer matters, so it is removed whatever its profile was.

use clap::Args;

use super::super::say::say;
use super::{headless, stop};
use crate::driver::{leftovers, registry};

#[derive(Debug, Args)]
pub(super) struct CleanOptions {
    /// End the engines of the profile first, if they run.
    #[arg(long)]
    force: bool,
    /// Of every profile.
    #[arg(long, conflicts_with = "profile")]
    all: bool,
    /// Whose engines `--force` ends.
    #[arg(long, default_value = "default")]
    profile: String,
}

pub(super) fn run(options: &CleanOptions) -> anyhow::Result<()> {
    let meant = headless()?.into_iter().filter(|entry| options.all || entry.profile == options.profile);
    for entry in meant {
        if options.force {
            stop::end(&entry)?;
        } else {
            say!("the engines of profile `{}` run and stay; `--force` ends them", entry.profile);
        }
    }
    let mut removed = registry::sweep()?;
    removed.extend(leftovers::sweep());
    for path in &removed {
        say!("removed {}", path.display());
    }
    if removed.is_empty() {
        say!("nothing was left behind");
    }
    Ok(())
}
