//! What this session may use, as engines started from it would find it.

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};

use super::report::Report;
use crate::machine::{Capacity, gibibytes};

/// Files that the kernel holds for each engine, with room for what cells open.
const FILES: u64 = 64;

/// Processes and threads of one engine: supervisor, worker, its threads, and MPI's.
const TASKS: u64 = 16;

/// Shared memory that MPIs take for each rank at most.
const SHARED: u64 = 20 << 20;

/// What RDMA hardware wants to pin.
const PINNED: u64 = 64 << 20;

pub(super) fn look(report: &mut Report) {
    let capacity = Capacity::now();
    let engines = u64::from(capacity.engines());
    if u64::from(capacity.usable_cores()) > engines {
        report.note("machine", capacity.explain(), "memory is short: more engines would have to swap");
    } else {
        report.ok("machine", capacity.explain());
    }
    limit(report, "open files", Resource::Nofile, 256 + FILES * engines, "ulimit -n 4096");
    limit(report, "processes", Resource::Nproc, 64 + TASKS * engines, "ulimit -u 4096");
    if Path::new("/sys/class/infiniband").exists() {
        limit(
            report,
            "memlock",
            Resource::Memlock,
            PINNED,
            "ulimit -l unlimited (MPI pins memory for its network)",
        );
    }
    shared_memory(report, SHARED * engines);
    runtime_folder(report);
}

fn limit(report: &mut Report, what: &'static str, resource: Resource, wanted: u64, command: &str) {
    match getrlimit(resource).current {
        None => report.ok(what, "no limit"),
        Some(found) if found >= wanted => report.ok(what, format!("{found} allowed")),
        Some(found) => {
            let advice = format!("`{command}` before Jupyter starts, or ask whoever runs the machine");
            report.note(what, format!("{found} allowed, engines may need {wanted}"), advice);
        }
    }
}

fn shared_memory(report: &mut Report, wanted: u64) {
    const WHAT: &str = "/dev/shm";
    match statvfs("/dev/shm") {
        Err(_) => report.note(
            WHAT,
            "is not there: MPICH does not start without",
            "mount a tmpfs there, or use Open MPI",
        ),
        Ok(found) => {
            let free = found.f_bavail * found.f_frsize;
            let text = format!("{} free", gibibytes(free));
            if free >= wanted {
                report.ok(WHAT, text);
            } else {
                let advice = "make it larger (containers: --shm-size=1g)";
                report.note(
                    WHAT,
                    format!("{text}, and the engines' MPI may take {}", gibibytes(wanted)),
                    advice,
                );
            }
        }
    }
}

fn runtime_folder(report: &mut Report) {
    match crate::driver::trial::runtime_folder() {
        Ok(folder) => {
            report.ok("sockets", format!("in {}", folder.parent().unwrap_or(&PathBuf::new()).display()))
        }
        Err(error) => {
            report.wrong("sockets", format!("{error:#}"), "set TMPDIR to a folder that can be written to")
        }
    }
}
