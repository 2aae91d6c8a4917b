//! The only code that calls MPI: a rank opens this plugin at run time and calls it through the table
//! of `fabric::abi`. It is built once per MPI ABI (Open MPI, MPICH) from that family's headers.
//!
//! **Invariant**: no panic and no MPI error leaves the plugin other than as [`abi::FAILED`] with
//! words. **Who owns what**: the caller owns an [`End`] between [`start`] and [`finalize`], lends it
//! to one call at a time, and owns every other pointer. **Boundary**: packets are bytes here.
//!
//! The plugin's own calls are `PMPI_` ones (MPI 4.1, 15.2.1): what carries packets must not pass
//! through [`layer`], which stands between user code and MPI.

mod call;
mod end;
mod layer;
mod world;

use fabric::abi::{self, Arrival, DONE, FAILED, Layer, NOTHING, Plugin, VERSION, Words, World};

use end::End;

static PLUGIN: Plugin = Plugin {
    version: VERSION,
    start,
    signalled,
    within,
    barrier,
    send,
    probe,
    take,
    progress,
    lose,
    finalize,
};

/// The plugin's one exported symbol ([`abi::Entry`]).
#[unsafe(no_mangle)]
pub extern "C" fn parallel_python_mpi() -> *const Plugin {
    &raw const PLUGIN
}

unsafe extern "C" fn start(
    layer: *const Layer,
    end: *mut *mut abi::End,
    world: *mut World,
    words: *mut Words,
) -> i32 {
    // SAFETY: the caller passes live values (`abi`), and the new end is its own from here on.
    answer(words, || unsafe {
        let (started, about) = world::start()?;
        layer::start(&*layer, started.comm(), about.rank, about.size)?;
        *world = about;
        *end = Box::into_raw(Box::new(started)).cast();
        Ok(true)
    })
}

extern "C" fn signalled() {
    layer::signalled();
}

extern "C" fn within() -> *const std::ffi::c_char {
    layer::within()
}

unsafe extern "C" fn barrier(end: *mut abi::End, words: *mut Words) -> i32 {
    // SAFETY: as `with` says.
    answer(words, || unsafe { with(end) }.barrier().map(|()| true))
}

unsafe extern "C" fn send(
    end: *mut abi::End,
    to: u32,
    bytes: *const u8,
    length: usize,
    words: *mut Words,
) -> i32 {
    // SAFETY: as `with` says; `bytes` are `length` live bytes, which `send` copies.
    answer(words, || unsafe { with(end).send(to, std::slice::from_raw_parts(bytes, length)) }.map(|()| true))
}

unsafe extern "C" fn probe(end: *mut abi::End, arrival: *mut Arrival, words: *mut Words) -> i32 {
    // SAFETY: as `with` says; `arrival` is live.
    answer(words, || unsafe {
        let Some(found) = with(end).probe()? else { return Ok(false) };
        *arrival = found;
        Ok(true)
    })
}

unsafe extern "C" fn take(end: *mut abi::End, bytes: *mut u8, length: usize, words: *mut Words) -> i32 {
    // SAFETY: as `with` says; `bytes` has room for `length` bytes, which need not be initialised
    // because they are only copied to.
    answer(words, || unsafe {
        let message = with(end).take(length)?;
        std::ptr::copy_nonoverlapping(message.as_ptr(), bytes, length);
        Ok(true)
    })
}

unsafe extern "C" fn progress(end: *mut abi::End, pending: *mut usize, words: *mut Words) -> i32 {
    // SAFETY: as `with` says; `pending` is live.
    answer(words, || unsafe {
        *pending = with(end).progress()?;
        Ok(true)
    })
}

unsafe extern "C" fn lose(end: *mut abi::End, rank: u32) {
    // SAFETY: as `with` says.
    unsafe { with(end) }.lose(rank);
    layer::lose(rank);
}

unsafe extern "C" fn finalize(end: *mut abi::End, words: *mut Words) -> i32 {
    // SAFETY: `end` came from `start` and is not used again.
    let end = unsafe { Box::from_raw(end.cast::<End>()) };
    answer(words, || world::finalize(*end).map(|()| true))
}

/// The end behind the caller's pointer.
///
/// # Safety
/// `end` came from `start`, was not finalised, and no other call uses it now.
unsafe fn with<'a>(end: *mut abi::End) -> &'a mut End {
    // SAFETY: as the contract says.
    unsafe { &mut *end.cast::<End>() }
}

fn answer(words: *mut Words, call: impl FnOnce() -> Result<bool, String>) -> i32 {
    match call() {
        Ok(true) => DONE,
        Ok(false) => NOTHING,
        Err(reason) => {
            // SAFETY: the caller's words live through the call.
            unsafe { (*words).set(&reason) };
            FAILED
        }
    }
}
