//! The kernelspecs that Jupyter would offer: whether they are whole and of this build.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::report::Report;
use crate::command::facts::Facts;
use crate::installation;

pub(super) fn look(facts: &Facts, report: &mut Report) {
    const HOW: &str = "`parallel-python install --user` (or --sys-prefix, --prefix) puts one there";
    if facts.kernels.is_empty() {
        return report.note(
            "kernelspec",
            "this Python has no Jupyter that could be asked where it looks",
            HOW,
        );
    }
    let found: Vec<PathBuf> = facts.kernels.iter().flat_map(|folder| ours_in(folder)).collect();
    if found.is_empty() {
        return report.wrong("kernelspec", "Jupyter finds no kernel of this program", HOW);
    }
    for folder in &found {
        judge(folder, report);
    }
}

/// The folders of this program's kernelspecs below one of Jupyter's.
fn ours_in(kernels: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(kernels).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut ours: Vec<PathBuf> = entries.filter(|folder| read(folder).is_some()).collect();
    ours.sort();
    ours
}

/// A kernel.json that starts this kernel.
fn read(folder: &Path) -> Option<Value> {
    let spec: Value = serde_json::from_slice(&std::fs::read(folder.join("kernel.json")).ok()?).ok()?;
    let words = spec["argv"].as_array()?.iter().filter_map(Value::as_str);
    let ours =
        words.take(4).any(|word| word == "{resource_dir}/start.py" || word.ends_with("/parallel-python"));
    (ours && folder.join("start.py").is_file()).then_some(spec)
}

fn judge(folder: &Path, report: &mut Report) {
    let here = folder.display();
    let again = "`parallel-python install` puts it right";
    let program = match installation::program_of(folder) {
        Ok(program) => program,
        Err(error) => return report.wrong("kernelspec", format!("{here} is broken: {error:#}"), again),
    };
    let python = read(folder).and_then(|spec| Some(spec["argv"][0].as_str()?.to_owned())).unwrap_or_default();
    if python.starts_with('/') && !Path::new(&python).exists() {
        return report.wrong(
            "kernelspec",
            format!("{here} names a Python that is not there: {python}"),
            again,
        );
    }
    let python = if python.starts_with('/') { python } else { "Jupyter's own Python".to_owned() };
    match build_of(&program) {
        Some(build) if build == fabric::message::BUILD => {
            report.ok("kernelspec", format!("{here}, on {python}"));
        }
        Some(build) => report.note("kernelspec", format!("{here}, on {python}, is of build {build}"), again),
        None => report.wrong("kernelspec", format!("{}: does not run", program.display()), again),
    }
}

fn build_of(program: &Path) -> Option<String> {
    let answer = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    answer.status.success().then(|| text.trim().rsplit(' ').next().unwrap_or_default().to_owned())
}
