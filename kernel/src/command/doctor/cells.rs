//! The Python that cells run on: whether it is there, has what it needs, and how it is entered.

use super::report::Report;
use crate::cli::Door;
use crate::command::facts::Facts;
use crate::driver::trial;

pub(super) async fn look(facts: &anyhow::Result<Facts>, door: Door, report: &mut Report) {
    let facts = match facts {
        Ok(facts) => facts,
        Err(error) => {
            return report.wrong("Python", format!("{error:#}"), "name one with --python or PARALLEL_PYTHON");
        }
    };
    let python = match trial::python(&facts.executable, door).await {
        Ok(python) => python,
        Err(reason) => return report.wrong("Python", reason, ""),
    };
    report.ok("Python", format!("{} ({})", facts.version, python.0.display()));
    match facts.unfit() {
        None => {
            let versions = [("ipykernel", &facts.ipykernel), ("IPython", &facts.ipython)];
            let known =
                versions.iter().filter_map(|(name, version)| Some(format!("{name} {}", version.as_ref()?)));
            report.ok("ipykernel", known.collect::<Vec<_>>().join(", "));
        }
        Some(unfit) => {
            let (text, advice) = unfit.split_once(": ").unwrap_or((&unfit, ""));
            report.wrong("ipykernel", text, advice);
        }
    }
    match python.1 {
        Some(library) => report.ok("libpython", format!("embedded from {}", library.display())),
        None => report.ok("libpython", "none is used: this Python loads the engine as an extension module"),
    }
}
