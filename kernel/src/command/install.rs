//! `parallel-python install`: puts the kernel where Jupyter finds it.

use std::path::PathBuf;

use clap::Args;

use super::facts::Facts;
use super::say::say;
use super::whereto::{self, Whereto};
use crate::installation::{self, Installed, Place, Spec};

/// The options of `parallel-python install`.
#[derive(Debug, Args)]
pub struct InstallOptions {
    #[command(flatten)]
    whereto: Whereto,
    /// The kernel's name: several with different settings can stand beside each other.
    #[arg(long, default_value = "parallel-python", value_parser = whereto::kernel_name)]
    name: String,
    /// What launchers show [default: Parallel Python (Rust), NAME if that is given, or with --attach its profile].
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// How many engines [default: one per physical core].
    #[arg(short = 'n', long = "engine-count", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    engines: Option<u32>,
    /// Use the engines of this profile (`parallel-python engines start --profile PROFILE`) in place of own ones.
    #[arg(long, value_name = "PROFILE", num_args = 0..=1, default_missing_value = "default",
          conflicts_with = "engines")]
    attach: Option<String>,
    /// The Python that cells run on [default: the one Jupyter runs on].
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// A variable for the kernel's processes; may be given several times.
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"])]
    env: Vec<String>,
    /// Refer to the program files where they are instead of copying them.
    #[arg(long)]
    link: bool,
    /// Say nothing when everything is as it should be already.
    #[arg(long)]
    quiet: bool,
}

/// Installs the kernel.
///
/// # Errors
/// One sentence.
pub(crate) fn run(options: &InstallOptions) -> anyhow::Result<()> {
    let python = options.python.as_deref().map(Facts::ask).transpose()?;
    let place = options.whereto.place(options.python.as_deref())?;
    let installed = installation::install(&place, &spec(options, python.as_ref()), options.link)?;
    if installed.changed || !options.quiet {
        report(&place, &installed);
    }
    if let Some((python, unfit)) = python.as_ref().and_then(|python| Some((python, python.unfit()?))) {
        say!("But cells will not run on {} yet: {unfit}", python.executable.display());
    }
    Ok(())
}

fn spec(options: &InstallOptions, python: Option<&Facts>) -> Spec {
    let named = (options.name != "parallel-python").then(|| options.name.clone());
    let attached = options.attach.as_ref().map(|profile| format!("Parallel Python (engines `{profile}`)"));
    Spec {
        name: options.name.clone(),
        display_name: options.display_name.clone().or(named).or(attached),
        python: python.map(|python| python.executable.clone()),
        engines: options.engines,
        attach: options.attach.clone(),
        environment: options.env.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
    }
}

fn report(place: &Place, installed: &Installed) {
    let state = if installed.changed { "installed" } else { "is there already" };
    say!("kernelspec  {}  {state}", installed.spec.display());
    say!("programs    {}", installed.programs.display());
    match &installed.command {
        Some(command) => say!("command     {} (`doctor` checks this machine)", command.display()),
        None => say!("command     {}", installed.programs.join("parallel-python").display()),
    }
    match &installed.packages {
        (_, true) => {
            let python = place.prefix.join("bin/python3");
            say!("package     `import parallel_python` works in {}", python.display());
            say!("panel       in the JupyterLab of that Python, from its next start on");
        }
        (folder, false) => say!("package     {}  for PYTHONPATH", folder.display()),
    }
    let environment = place.prefix.join("bin/python3").exists() || place.prefix.starts_with("/usr");
    if !environment && place.kernels.starts_with(&place.prefix) && !place.prefix.ends_with(".local") {
        let path = place.prefix.join("share/jupyter");
        say!("Jupyter looks there once JUPYTER_PATH has `{}` in it.", path.display());
    }
}
