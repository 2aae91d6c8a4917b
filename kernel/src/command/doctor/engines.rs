//! MPI and the engines: which MPI, whether two engines become one world, and whether mpi4py joins them in it.

use serde::Deserialize;

use super::report::Report;
use crate::cli::Door;
use crate::command::facts::Facts;
use crate::driver::trial::{Answer, Trial};

/// What each engine runs: mpi4py's view of the world, and every libmpi in the process.
const QUESTION: &str = r#"
import json, re
def ask():
    facts = {"import_error": None, "size": 0, "library": "", "sum": 0}
    try:
        from mpi4py import MPI
    except ImportError as error:
        facts["import_error"] = str(error)
    else:
        world = MPI.COMM_WORLD
        facts |= {"size": world.size, "library": MPI.Get_library_version().splitlines()[0].strip("\0 ")}
        if world.size == 2:
            facts["sum"] = world.allreduce(world.rank + 1)
    maps = open("/proc/self/maps").read()
    facts["libraries"] = sorted(set(re.findall(r"/\S*/libmpi(?:ch)?\.so\S*", maps)))
    print(json.dumps(facts))
ask()
"#;

/// What an engine answers.
#[derive(Debug, Deserialize)]
struct Binding {
    import_error: Option<String>,
    size: u32,
    library: String,
    sum: u32,
    libraries: Vec<String>,
}

pub(super) async fn look(facts: &Facts, door: Door, mpiexec: Option<Vec<String>>, report: &mut Report) {
    let trial = match Trial::prepare(&facts.executable, door, mpiexec).await {
        Ok(trial) => trial,
        Err(reason) => {
            let (text, advice) = reason.split_once("; ").unwrap_or((&reason, ""));
            return report.wrong("MPI", text, advice);
        }
    };
    let mpi = format!("{} ({})", trial.mpi, trial.mpiexec);
    match &trial.plugin {
        Ok(_) => report.ok("MPI", mpi),
        Err(reason) => {
            let advice =
                "build the project (`make`) on a machine that has this MPI or can reach a package index";
            return report.wrong("MPI", format!("{mpi}: {reason}"), advice);
        }
    }
    if facts.unfit().is_some() {
        return report.note("engines", "not started: they need what cells need", "");
    }
    match trial.ask(2, QUESTION).await {
        Ok(answer) => judge(facts, &answer, report),
        Err(reason) => report.wrong("engines", format!("two engines, {reason}"), ""),
    }
}

fn judge(facts: &Facts, answer: &Answer, report: &mut Report) {
    let library = answer.engines.first().map_or("", |engine| engine.mpi.as_str());
    let library = library.split_whitespace().collect::<Vec<_>>().join(" ");
    let seconds = answer.started.as_secs_f64();
    report.ok("engines", format!("two started in {seconds:.1} s, one world of 2 on {library}"));
    let mut bindings = Vec::new();
    for output in &answer.output {
        match output.as_ref().map(|text| serde_json::from_str::<Binding>(text.trim())) {
            Ok(Ok(binding)) => bindings.push(binding),
            Ok(Err(_)) | Err(_) => {
                let said = output.as_ref().map_or_else(Clone::clone, Clone::clone);
                return report.wrong("mpi4py", format!("an engine did not answer: {said}"), "");
            }
        }
    }
    let Some(binding) = bindings.first() else { return };
    let python = facts.executable.display();
    match (&facts.mpi4py, &binding.import_error) {
        (None, _) => report.note(
            "mpi4py",
            "is not installed: `%px` works, MPI in cells does not",
            format!("`{python} -m pip install mpi4py`"),
        ),
        (Some(version), Some(error)) => report.wrong(
            "mpi4py",
            format!("{version} cannot be imported: {error}"),
            format!("`{python} -m pip install --force-reinstall mpi4py`"),
        ),
        (Some(version), None) if bindings.iter().all(|binding| binding.is_one_world()) => {
            report.ok("mpi4py", format!("{version}, bound to the engines' {}", binding.libraries.join(", ")));
        }
        (Some(version), None) => report.wrong(
            "mpi4py",
            format!(
                "{version} is bound to another MPI than the engines: {} in a world of {}; loaded are {}",
                binding.library,
                binding.size,
                binding.libraries.join(" and ")
            ),
            format!(
                "`{python} -m pip install --force-reinstall mpi4py`: its wheel binds to the MPI that is there"
            ),
        ),
    }
}

impl Binding {
    fn is_one_world(&self) -> bool {
        self.size == 2 && self.sum == 3 && self.libraries.len() == 1
    }
}
