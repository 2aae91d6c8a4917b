//! Opens the MPI plugin and speaks to it: MPI as a [`Fabric`].
//!
//! **Invariant**: one libmpi per process, in the global symbol scope before user code runs, with the
//! plugin in front of it; so mpi4py's wheel, which looks there, binds to the same one, and a symbol
//! that the plugin defines is found before MPI's own. **Boundary**: calls no MPI function itself.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::ptr;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use crate::abi::{Arrival, DONE, End, Entry, Layer, NOTHING, Plugin, SYMBOL, Signals, VERSION, Words, World};
use crate::board;
use crate::message::Rank;
use crate::transport::{Fabric, FabricError};

/// This rank's end of the private communicator.
#[derive(Debug)]
pub struct Mpi {
    plugin: &'static Plugin,
    end: *mut End,
    rank: Rank,
    size: u32,
    library: String,
    lost: BTreeSet<Rank>,
}

// SAFETY: the end may be used from any thread, one call at a time (`abi`); `&mut self` and the lock
// of the comm thread's link see to the latter, and no method that takes `&self` calls the plugin.
unsafe impl Send for Mpi {}

/// Opens `plugin`, after `libmpi` if one is given: 40 ms in which nothing is initialised, so that a process which
/// has done this may be forked.
///
/// # Errors
/// [`FabricError::Open`].
pub fn load(plugin: &Path, libmpi: Option<&Path>) -> Result<(), FabricError> {
    libraries(plugin, libmpi).map(drop)
}

impl Mpi {
    /// Opens `plugin`, after `libmpi` if one is given, and initialises MPI. Collective over all
    /// ranks; on the thread that will finalise. `board` is the file through which the ranks of this host know
    /// who waits for whom; `signals` is asked when a signal comes while user code waits in MPI.
    ///
    /// # Errors
    /// [`FabricError::Open`] and [`FabricError::Version`] for a library that cannot be used,
    /// [`FabricError::Mpi`] when MPI does not come up, or not with `MPI_THREAD_MULTIPLE`.
    pub fn start(
        plugin: &Path,
        libmpi: Option<&Path>,
        board: Option<&Path>,
        signals: Option<Signals>,
    ) -> Result<Mpi, FabricError> {
        let library = libraries(plugin, libmpi)?;
        let table = table(plugin, &library)?;
        let board = board.map(board::open).transpose().map_err(FabricError::io("cannot map the board"))?;
        let (board, board_length) = board.unwrap_or((ptr::null_mut(), 0));
        let layer = Layer { board, board_length, signals };
        let (mut end, mut world, mut words) = (ptr::null_mut(), World::default(), Words::new());
        // SAFETY: all of them live through the call, which stores a valid end when it is done; the board stays
        // mapped.
        let status = unsafe { (table.start)(&layer, &mut end, &mut world, &mut words) };
        done(status, &words)?;
        let library = world.library.get();
        Ok(Mpi { plugin: table, end, rank: world.rank, size: world.size, library, lost: BTreeSet::new() })
    }

    /// What other threads may know and say of the MPI calls of the thread that started MPI.
    #[must_use]
    pub fn calls(&self) -> MpiCalls {
        MpiCalls(self.plugin)
    }
}

/// See [`Mpi::calls`].
#[derive(Debug, Clone, Copy)]
pub struct MpiCalls(&'static Plugin);

impl MpiCalls {
    /// A signal was sent: an MPI call that the thread waits in has Python handle it.
    pub fn signalled(self) {
        (self.0.signalled)();
    }

    /// The function that the thread is in.
    #[must_use]
    pub fn within(self) -> Option<&'static str> {
        let name = (self.0.within)();
        // SAFETY: null, or a name that lives as long as the process.
        (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_str().ok()).flatten()
    }
}

impl Fabric for Mpi {
    fn rank(&self) -> Rank {
        self.rank
    }

    fn size(&self) -> u32 {
        self.size
    }

    fn library(&self) -> &str {
        &self.library
    }

    fn barrier(&mut self) -> Result<(), FabricError> {
        let mut words = Words::new();
        // SAFETY: `end` is the plugin's, and `words` lives through the call.
        done(unsafe { (self.plugin.barrier)(self.end, &mut words) }, &words).map(drop)
    }

    fn send(&mut self, to: Rank, bytes: &[u8]) -> Result<(), FabricError> {
        if to >= self.size {
            return Err(FabricError::NoSuchRank { rank: to, size: self.size });
        }
        if i32::try_from(bytes.len()).is_err() {
            return Err(FabricError::TooLong { length: bytes.len() });
        }
        let mut words = Words::new();
        // SAFETY: as above; the plugin copies `bytes` before it returns.
        let status = unsafe { (self.plugin.send)(self.end, to, bytes.as_ptr(), bytes.len(), &mut words) };
        done(status, &words).map(drop)
    }

    fn receive(&mut self) -> Result<Option<(Rank, Vec<u8>)>, FabricError> {
        let (mut arrival, mut words) = (Arrival::default(), Words::new());
        // SAFETY: as above.
        let status = unsafe { (self.plugin.probe)(self.end, &mut arrival, &mut words) };
        if !done(status, &words)? {
            return Ok(None);
        }
        let mut bytes: Vec<u8> = Vec::with_capacity(arrival.length);
        // SAFETY: `bytes` has room for `length` bytes, which `take` writes in full when it is done.
        let status = unsafe { (self.plugin.take)(self.end, bytes.as_mut_ptr(), arrival.length, &mut words) };
        done(status, &words)?;
        // SAFETY: capacity and contents as said.
        unsafe { bytes.set_len(arrival.length) };
        Ok(Some((arrival.from, bytes)))
    }

    fn progress(&mut self) -> Result<usize, FabricError> {
        let (mut pending, mut words) = (0, Words::new());
        // SAFETY: as above.
        let status = unsafe { (self.plugin.progress)(self.end, &mut pending, &mut words) };
        done(status, &words)?;
        Ok(pending)
    }

    fn lose(&mut self, rank: Rank) {
        if rank < self.size && self.lost.insert(rank) {
            // SAFETY: as above.
            unsafe { (self.plugin.lose)(self.end, rank) };
        }
    }

    fn finalize(self: Box<Self>) -> Result<(), FabricError> {
        if !self.lost.is_empty() {
            return Err(FabricError::Lost { ranks: self.lost.into_iter().collect() });
        }
        let mut words = Words::new();
        // SAFETY: as above; `self` is consumed, so the end is not used again.
        done(unsafe { (self.plugin.finalize)(self.end, &mut words) }, &words).map(drop)
    }
}

/// The plugin, opened.
fn libraries(plugin: &Path, libmpi: Option<&Path>) -> Result<ManuallyDrop<Library>, FabricError> {
    // Opened first, by its path, so that the plugin's need of a libmpi is met by this one. It
    // stays local: opening the plugin globally promotes the plugin, then what it needs.
    if let Some(libmpi) = libmpi {
        open(libmpi, RTLD_NOW | RTLD_LOCAL)?;
    }
    open(plugin, RTLD_NOW | RTLD_GLOBAL)
}

/// Opens a library for as long as the process lives: MPI cannot be unloaded.
fn open(path: &Path, flags: i32) -> Result<ManuallyDrop<Library>, FabricError> {
    // SAFETY: runs the library's initialisers, which is what the configuration names it for.
    let library = unsafe { Library::open(Some(path), flags) };
    library.map(ManuallyDrop::new).map_err(|error| unusable(path, &error))
}

/// What the linker said is the error's source; the error itself says only which call failed.
fn unusable(path: &Path, error: &libloading::Error) -> FabricError {
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    FabricError::Open { path: path.to_path_buf(), reason }
}

fn table(path: &Path, library: &Library) -> Result<&'static Plugin, FabricError> {
    // SAFETY: the symbol's type is that of `abi`, by which alone the plugin exports it.
    let entry = unsafe { library.get::<Entry>(SYMBOL) }.map_err(|error| unusable(path, &error))?;
    // SAFETY: the plugin returns a table that lives as long as the process, or nothing. Its version
    // is its first member in every version of the interface.
    let found = unsafe { entry().cast::<u32>().as_ref() }.copied().unwrap_or_default();
    if found != VERSION {
        return Err(FabricError::Version { path: path.to_path_buf(), found });
    }
    // SAFETY: not null, and of this version.
    Ok(unsafe { &*entry() })
}

/// Whether the call did something; its words as an error when it failed.
fn done(status: i32, words: &Words) -> Result<bool, FabricError> {
    match status {
        DONE => Ok(true),
        NOTHING => Ok(false),
        _failed => Err(FabricError::Mpi { reason: words.get() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_cannot_be_opened_is_named_with_what_the_linker_says() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text.so");
        std::fs::write(&text, "not a library, though long enough to be looked at by the linker\n".repeat(9))
            .unwrap();
        for (path, said) in [(Path::new("/nowhere/mpi.so"), "No such file"), (&text, "invalid ELF header")] {
            let error = load(path, None).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(&*path.to_string_lossy()), "{error}");
        }
    }
}
