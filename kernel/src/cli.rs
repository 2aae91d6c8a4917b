//! The command line of `parallel-python`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::command::{DoctorOptions, EnginesOptions, InstallOptions, UninstallOptions};

/// A Jupyter kernel whose notebooks are parallel: `%px`, `%%px` and `%autopx` run on MPI engines.
#[derive(Debug, Parser)]
#[command(name = "parallel-python", version = fabric::message::BUILD)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `parallel-python` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the kernel; Jupyter does this.
    Kernel(KernelOptions),
    /// Start, stop and list engines that no notebook owns.
    Engines(EnginesOptions),
    /// Install the kernel where Jupyter finds it.
    Install(InstallOptions),
    /// Remove what `install` made.
    Uninstall(UninstallOptions),
    /// Print the folder that makes a plain Python import the package, for PYTHONPATH.
    PythonPath,
    /// Check this machine, and say what to do about what is wrong.
    Doctor(DoctorOptions),
}

/// When the engines are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engines {
    /// In the background, as soon as local cells can run.
    Eager,
    /// At the first parallel cell.
    Lazy,
}

/// The options of `parallel-python kernel`.
#[derive(Debug, Args)]
pub struct KernelOptions {
    /// The connection file that Jupyter wrote.
    #[arg(short = 'f', long = "connection-file", value_name = "FILE")]
    pub connection_file: PathBuf,
    /// How many engines to start [default: one per physical core].
    #[arg(short = 'n', long = "engine-count", value_name = "N", env = "PARALLEL_PYTHON_ENGINES",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    engine_count: Option<u32>,
    /// Use the engines of this profile in place of own ones: those that `parallel-python engines start` keeps, or
    /// another kernel's (the stem of its connection file) [PROFILE: default].
    #[arg(long, value_name = "PROFILE", env = "PARALLEL_PYTHON_ATTACH", num_args = 0..=1,
          default_missing_value = "default")]
    attach: Option<String>,
    /// When to start the engines.
    #[arg(long, value_enum, default_value = "eager")]
    engines: Engines,
    /// The Python to run cells with [default: the one this kernel was installed for, else python3].
    #[arg(long, value_name = "PYTHON", env = "PARALLEL_PYTHON")]
    python: Option<PathBuf>,
    /// The Python this kernel was installed for; kernel.json says so.
    #[arg(long, value_name = "PYTHON", hide = true)]
    default_python: Option<PathBuf>,
    /// The shared library of that Python, if whoever names it knows that it has one and is new enough.
    #[arg(long, value_name = "LIBRARY", hide = true)]
    default_libpython: Option<PathBuf>,
    /// The command that starts MPI programs, with arguments if it needs some [default: mpiexec beside
    /// the Python, else on PATH].
    #[arg(long, value_name = "CMD ARGS", env = "PARALLEL_PYTHON_MPIEXEC")]
    mpiexec: Option<String>,
    /// Nobody watches: output is not streamed and no progress is shown, where a cell does not ask for it.
    /// Any value but nothing and 0 means it.
    #[arg(long, env = "IPP_NONINTERACTIVE", default_value = "", hide = true)]
    noninteractive: String,
    /// How to enter Python.
    #[arg(long, value_enum, default_value = "auto", env = "PARALLEL_PYTHON_DOOR", hide = true)]
    pub door: Door,
    /// What a frontend adds to the command line: `jupyter run` and `jupyter console` hand on all their own
    /// arguments, the script's name among them. Nothing is made of it.
    #[arg(value_name = "MORE", trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

/// How processes enter Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Door {
    /// Embed it where it has a shared library, else as `extension`.
    Auto,
    /// Have its own executable load the engine as an extension module.
    Extension,
}

impl KernelOptions {
    /// The Python to ask what it is.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        let chosen = self.python.as_ref().or(self.default_python.as_ref());
        chosen.cloned().unwrap_or_else(|| PathBuf::from("python3"))
    }

    /// The Python and its shared library where both are known already.
    #[must_use]
    pub fn known_python(&self) -> Option<(PathBuf, PathBuf)> {
        match self.python {
            Some(_) => None,
            None => self.default_python.clone().zip(self.default_libpython.clone()),
        }
    }

    /// The words of the user's mpiexec.
    #[must_use]
    pub fn mpiexec(&self) -> Option<Vec<String>> {
        words(self.mpiexec.as_deref())
    }

    /// How many engines when a cell does not say.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.engine_count.unwrap_or_else(|| crate::machine::Capacity::now().engines())
    }

    /// Whose engines to use; `None`: own ones.
    #[must_use]
    pub fn attach(&self) -> Option<&str> {
        self.attach.as_deref().filter(|profile| !profile.is_empty())
    }

    /// Whether somebody watches what cells show.
    #[must_use]
    pub fn interactive(&self) -> bool {
        matches!(self.noninteractive.as_str(), "" | "0")
    }

    /// Whether engines wait for the first parallel cell.
    #[must_use]
    pub fn lazy(&self) -> bool {
        self.engines == Engines::Lazy
    }
}

/// The words of a command with arguments; `None` when there are none.
pub(crate) fn words(command: Option<&str>) -> Option<Vec<String>> {
    let words: Vec<String> = command?.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frontends_add_is_accepted() {
        for more in [&[][..], &["script.py"], &["--ZMQTerminalInteractiveShell.banner=''", "x"]] {
            let line = ["parallel-python", "kernel", "-f", "k.json", "-n", "3"].iter().chain(more);
            let Command::Kernel(options) = Cli::try_parse_from(line).unwrap().command else {
                panic!("{more:?}")
            };
            assert_eq!((options.size(), options.rest.len()), (3, more.len()));
        }
    }

    #[test]
    fn a_kernel_is_attached_when_it_is_told_so() {
        for (words, profile) in [
            (&[][..], None),
            (&["--attach"], Some("default")),
            (&["--attach", "-n", "2"], Some("default")),
            (&["--attach", "mpi"], Some("mpi")),
            (&["--attach=mpi", "script.py"], Some("mpi")),
            (&["--attach="], None),
        ] {
            let line = ["parallel-python", "kernel", "-f", "k.json"].iter().chain(words);
            let Command::Kernel(options) = Cli::try_parse_from(line).unwrap().command else {
                panic!("{words:?}")
            };
            assert_eq!(options.attach(), profile, "{words:?}");
        }
    }
}
