//! Finding an MPI: the `mpiexec` that was named, else the one in the Python environment, else the one on PATH; and
//! what it is, which it is asked.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::{Family, Mpi};

impl Mpi {
    /// Finds an `mpiexec` and asks it what it is. `named` is what the user gave, as words.
    ///
    /// # Errors
    /// A sentence for the user that says what to install or to name.
    pub(in crate::driver) async fn find(named: Option<&[String]>, python: &Path) -> Result<Self, String> {
        let command = match named {
            Some(words) => words.to_vec(),
            None => vec![search(python).ok_or_else(|| missing(python))?],
        };
        let program = command.first().ok_or_else(|| missing(python))?;
        let text = ask(program, python).await?;
        if let Some(family) = family(&text) {
            let (library, has_ofi) = (library(Path::new(program), family), has_ofi(&text));
            return Ok(Self {
                command,
                family,
                version: version(&text),
                library,
                is_foreign: false,
                has_ofi,
            });
        }
        // `srun`, `ibrun` and others of their kind: the MPI is the one that is there.
        let unknown =
            || format!("`{program}` is neither Open MPI's nor MPICH's mpiexec; {}", install(python));
        let own = search(python).filter(|own| own != program).ok_or_else(unknown)?;
        let text = ask(&own, python).await?;
        let family = family(&text).ok_or_else(unknown)?;
        let (library, has_ofi) = (library(Path::new(&own), family), has_ofi(&text));
        Ok(Self { command, family, version: version(&text), library, is_foreign: true, has_ofi })
    }
}

/// What a launcher says when it is asked for its version.
async fn ask(program: &str, python: &Path) -> Result<String, String> {
    let answer = Command::new(program).arg("--version").stdin(Stdio::null()).output().await;
    let answer = answer.map_err(|error| {
        // Where there is no room for another process, another MPI is no help.
        let full = error.kind() == ErrorKind::WouldBlock;
        let advice = if full { String::new() } else { format!("; {}", install(python)) };
        format!("`{program}` cannot be started: {error}{advice}")
    })?;
    let said = [answer.stdout, answer.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The `mpiexec` that nobody has named.
fn search(python: &Path) -> Option<String> {
    let environment = python.parent().map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = environment.into_iter().chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join("mpiexec")).find(|candidate| candidate.is_file())?;
    Some(found.to_string_lossy().into_owned())
}

/// Whose launcher says this of its version.
fn family(version: &str) -> Option<Family> {
    let says = |word: &str| version.contains(word);
    if says("Open MPI") || says("OpenRTE") || says("prte") || says("PRRTE") {
        Some(Family::OpenMpi)
    } else if says("HYDRA") || says("MPICH") || says("Intel(R) MPI") {
        Some(Family::Mpich)
    } else {
        None
    }
}

/// The first word that looks like a version.
fn version(text: &str) -> String {
    let is_version =
        |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
    text.split_whitespace().find(is_version).unwrap_or_default().trim_end_matches(',').to_owned()
}

/// Whether a launcher's build was for UCX and OFI: `--with-device=ch4:ucx,ofi`.
pub(super) fn has_ofi(text: &str) -> bool {
    let device = text.split_once("--with-device=ch4:").map_or("", |(_, after)| after);
    let end = device.find(|next: char| !next.is_alphanumeric() && next != ',').unwrap_or(device.len());
    let networks: Vec<&str> = device[..end].split(',').collect();
    networks.contains(&"ofi") && networks.contains(&"ucx")
}

/// The name of a family's library, which is that of its binary interface.
pub(super) fn soname(family: Family) -> &'static str {
    match family {
        Family::OpenMpi => "libmpi.so.40",
        Family::Mpich => "libmpi.so.12",
    }
}

/// The library of `<prefix>/bin/mpiexec`: in `<prefix>/lib`, where distributions may add the machine's name.
fn library(program: &Path, family: Family) -> Option<PathBuf> {
    let prefix = program.parent()?.parent()?;
    let multiarch = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
    let names = [soname(family), "libmpich.so.12"];
    let names = &names[..if family == Family::Mpich { 2 } else { 1 }];
    let candidates =
        names.iter().flat_map(|name| ["lib", "lib64", &multiarch].map(|lib| prefix.join(lib).join(name)));
    candidates.into_iter().find(|path| path.is_file())
}

/// The sentence when there is none.
fn missing(python: &Path) -> String {
    format!(
        "there is no MPI on this machine: no `mpiexec` beside `{}` or on PATH; {}",
        python.display(),
        install(python)
    )
}

/// What to do then.
fn install(python: &Path) -> String {
    format!(
        "install one with `{} -m pip install mpich mpi4py` (or load your site's MPI module), or name its mpiexec with \
         --mpiexec or PARALLEL_PYTHON_MPIEXEC",
        python.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mpiexec_is_known_by_its_version() {
        for (text, expected, number) in [
            ("mpiexec (OpenRTE) 4.1.4\n\nReport bugs to …", Some(Family::OpenMpi), "4.1.4"),
            ("mpiexec (Open MPI) 5.0.11", Some(Family::OpenMpi), "5.0.11"),
            ("HYDRA build details:\n    Version: 4.0.2", Some(Family::Mpich), "4.0.2"),
            ("Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 2023", Some(Family::Mpich), "2021.9"),
            ("GNU bash, version 5.2", None, "5.2"),
            ("nothing", None, ""),
        ] {
            assert_eq!((family(text), version(text).as_str()), (expected, number), "{text}");
        }
    }
}
