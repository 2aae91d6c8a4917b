//! MPI's beginning and end.
//!
//! **Invariant**: the private communicator is made right after MPI is up, by every rank alike, and
//! its errors return; user code's communicators keep whatever error handler they have.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::time::{Duration, Instant};

use fabric::abi::World;
use mpi::ffi;

use crate::call::{check, words};
use crate::end::End;

/// How long a rank waits at the end for the others.
const LEAVE: Duration = Duration::from_secs(5);

/// Brings MPI up for several threads at once, and takes a communicator of its own.
pub(crate) fn start() -> Result<(End, World), String> {
    initialize()?;
    let library = library()?;
    // SAFETY: MPI is initialised, the out-pointers live; `comm` is valid from MPI_Comm_dup on.
    unsafe {
        let (mut comm, mut rank, mut size) = (ffi::RSMPI_COMM_NULL, 0, 0);
        // MPI 4.1, 7.4.2 MPI_Comm_dup: collective, and a context of its own, so no receive of user
        // code can match a packet. 9.3 MPI_Comm_set_errhandler, 7.4.1 MPI_Comm_rank, _size.
        check("MPI_Comm_dup", ffi::PMPI_Comm_dup(ffi::RSMPI_COMM_WORLD, &mut comm))?;
        check("MPI_Comm_set_errhandler", ffi::PMPI_Comm_set_errhandler(comm, ffi::RSMPI_ERRORS_RETURN))?;
        check("MPI_Comm_rank", ffi::PMPI_Comm_rank(comm, &mut rank))?;
        check("MPI_Comm_size", ffi::PMPI_Comm_size(comm, &mut size))?;
        let number =
            |value: c_int| u32::try_from(value).map_err(|_negative| format!("MPI counts {value} ranks"));
        let mut world = World { rank: number(rank)?, size: number(size)?, ..World::default() };
        world.library.set(&library);
        Ok((End::new(comm), world))
    }
}

/// MPI 4.1, 11.2.1 `MPI_Init`, 11.6.2 `MPI_Init_thread`, `MPI_Query_thread`.
fn initialize() -> Result<(), String> {
    let wanted = thread_multiple();
    let (mut initialized, mut provided) = (0, 0);
    // SAFETY: MPI_Initialized may be called at any time; null is a valid argc and argv.
    unsafe {
        check("MPI_Initialized", ffi::PMPI_Initialized(&mut initialized))?;
        if initialized == 0 {
            let code = ffi::PMPI_Init_thread(ptr::null_mut(), ptr::null_mut(), wanted, &mut provided);
            check("MPI_Init_thread", code)?;
        } else {
            check("MPI_Query_thread", ffi::PMPI_Query_thread(&mut provided))?;
        }
    }
    if provided < wanted {
        return Err(format!(
            "this MPI lets only one thread at a time call it (thread level {provided}, needed is \
             MPI_THREAD_MULTIPLE = {wanted}): use an MPI that was built with thread support. It is: {}",
            library()?
        ));
    }
    Ok(())
}

/// The first line of MPI 4.1, 9.1.1 `MPI_Get_library_version`, with single spaces.
fn library() -> Result<String, String> {
    let mut text = vec![0_u8; ffi::MPI_MAX_LIBRARY_VERSION_STRING as usize + 1];
    let mut length = 0;
    // SAFETY: `text` has the room that the standard asks for; may be called at any time.
    let code = unsafe { ffi::PMPI_Get_library_version(text.as_mut_ptr().cast::<c_char>(), &mut length) };
    check("MPI_Get_library_version", code)?;
    // MPICH aligns its words with tabs and runs of spaces.
    let line = words(&text, length).lines().next().unwrap_or_default().to_owned();
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// MPI 4.1, 11.2.2 `MPI_Finalize`: collective, so it is entered only when every rank is about to.
/// A rank that never comes makes this an error and not a process that hangs.
pub(crate) fn finalize(mut end: End) -> Result<(), String> {
    let mut finalized = 0;
    // SAFETY: MPI_Finalized may be called at any time.
    check("MPI_Finalized", unsafe { ffi::PMPI_Finalized(&mut finalized) })?;
    if finalized != 0 {
        return Ok(());
    }
    let until = Instant::now() + LEAVE;
    let mut pause = Duration::from_micros(20);
    end.say_leaving()?;
    while !end.all_leave()? {
        if Instant::now() > until {
            end.abandon();
            return Err(format!("not every rank came to MPI_Finalize within {} s", LEAVE.as_secs()));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
    end.free()?;
    // SAFETY: all of this plugin's requests are complete, its communicator is freed.
    check("MPI_Finalize", unsafe { ffi::PMPI_Finalize() })
}

fn thread_multiple() -> c_int {
    // SAFETY: a constant.
    unsafe { ffi::RSMPI_THREAD_MULTIPLE }
}
