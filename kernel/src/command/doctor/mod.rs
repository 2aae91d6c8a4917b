//! `parallel-python doctor`: looks at what a notebook's cells and engines will need, a line each, and starts two
//! engines to see that they work. What is wrong comes with what to do about it.
//!
//! | file | looks at |
//! | --- | --- |
//! | `cells` | the Python that cells run on |
//! | `engines` | MPI, two engines, mpi4py |
//! | `specs` | the kernelspecs that Jupyter finds |
//! | `limits` | cores, memory, files, processes, shared memory |
//! | `report` | what is shown |

mod cells;
mod engines;
mod limits;
mod report;
mod specs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::facts::{Facts, default_python};
use crate::cli::Door;
use report::Report;

/// The options of `parallel-python doctor`.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// The Python that cells run on [default: the one of this installation's environment, else python3 on PATH].
    #[arg(long, value_name = "PYTHON", env = "PARALLEL_PYTHON")]
    python: Option<PathBuf>,
    /// The command that starts MPI programs, with arguments if it needs some [default: mpiexec beside
    /// the Python, else on PATH].
    #[arg(long, value_name = "CMD ARGS", env = "PARALLEL_PYTHON_MPIEXEC")]
    mpiexec: Option<String>,
    /// How to enter Python.
    #[arg(long, value_enum, default_value = "auto", env = "PARALLEL_PYTHON_DOOR", hide = true)]
    door: Door,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Looks at everything and says what it found. The exit code is 1 when something is wrong.
///
/// # Errors
/// None: what goes wrong is what is reported.
pub(crate) async fn run(options: &DoctorOptions) -> anyhow::Result<ExitCode> {
    let mut report = Report::begin(options.json);
    let python = options.python.clone().unwrap_or_else(default_python);
    let facts = Facts::ask(&python);
    cells::look(&facts, options.door, &mut report).await;
    if let Ok(facts) = &facts {
        let words = crate::cli::words(options.mpiexec.as_deref());
        engines::look(facts, options.door, words, &mut report).await;
        specs::look(facts, &mut report);
    }
    limits::look(&mut report);
    Ok(report.end())
}
