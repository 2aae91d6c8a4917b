//! `parallel-python uninstall`: takes away what `install` made, and nothing else.

use std::path::PathBuf;

use clap::Args;

use super::say::say;
use super::whereto::{self, Whereto};
use crate::installation;

/// The options of `parallel-python uninstall`.
#[derive(Debug, Args)]
pub struct UninstallOptions {
    #[command(flatten)]
    whereto: Whereto,
    /// The kernel's name.
    #[arg(long, default_value = "parallel-python", value_parser = whereto::kernel_name)]
    name: String,
    /// The Python whose environment `--sys-prefix` means [default: the one on PATH].
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
}

/// Uninstalls a kernel.
///
/// # Errors
/// One sentence.
pub(crate) fn run(options: &UninstallOptions) -> anyhow::Result<()> {
    let place = options.whereto.place(options.python.as_deref())?;
    let left = installation::uninstall(&place, &options.name)?;
    say!("kernelspec  {}  removed", place.kernels.join(&options.name).display());
    for path in left {
        say!("left as it is, because it was not installed: {}", path.display());
    }
    Ok(())
}
