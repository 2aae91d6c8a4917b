//! The C interface between the rank and its MPI plugin: what the plugin exports, and nothing of MPI's
//! own types, so that one engine works with every MPI.
//!
//! **Invariant**: both sides are of the same [`VERSION`], which is the first member of the table and
//! is read before anything else. **Contract**: all calls but [`Plugin::start`], [`Plugin::signalled`] and [`Plugin::within`]
//! take the end that `start` returned; one call at a time (the caller's lock), from any thread; `start` and `finalize` from the
//! same thread.

use std::ffi::{c_char, c_void};

/// The version of this interface. Raise it with every change of this file.
pub const VERSION: u32 = 3;

/// The exported symbol: an [`Entry`].
pub const SYMBOL: &[u8] = b"parallel_python_mpi\0";

/// The exported function, which returns a table that lives as long as the process.
pub type Entry = unsafe extern "C" fn() -> *const Plugin;

/// A rank's end of the private communicator; the plugin's own.
pub type End = c_void;

/// The call did what it should.
pub const DONE: i32 = 0;
/// Nothing was there to be done.
pub const NOTHING: i32 = 1;
/// The call failed, and its [`Words`] say why.
pub const FAILED: i32 = 2;

/// Room for a text that the plugin has to say.
#[repr(C)]
pub struct Words {
    /// How many of the bytes are in use.
    pub length: usize,
    /// UTF-8.
    pub bytes: [u8; 1024],
}

impl Words {
    /// Room, empty.
    #[must_use]
    pub fn new() -> Words {
        Words { length: 0, bytes: [0; 1024] }
    }

    /// Writes `text`, cut where the room ends.
    pub fn set(&mut self, text: &str) {
        let text = &text.as_bytes()[..text.len().min(self.bytes.len())];
        self.bytes[..text.len()].copy_from_slice(text);
        self.length = text.len();
    }

    /// What was written.
    #[must_use]
    pub fn get(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.length.min(self.bytes.len())]).into_owned()
    }
}

impl Default for Words {
    fn default() -> Words {
        Words::new()
    }
}

/// What a rank learns when MPI is up.
#[repr(C)]
#[derive(Default)]
pub struct World {
    /// Its rank in `MPI_COMM_WORLD`.
    pub rank: u32,
    /// The size of `MPI_COMM_WORLD`.
    pub size: u32,
    /// The first line of `MPI_Get_library_version`.
    pub library: Words,
}

/// What the layer over user code's MPI calls is given ([`Plugin::start`]).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    /// Memory that every rank of this host has mapped, zeroed before the first rank came; null for none.
    /// It stays mapped as long as the process lives.
    pub board: *mut u8,
    /// How many bytes that is.
    pub board_length: usize,
    /// Talks to Python about signals, on the thread that called `start`; `None` where nobody would listen.
    pub signals: Option<Signals>,
}

/// What [`Layer::signals`] is called with.
pub type Signals = unsafe extern "C" fn(question: i32) -> i32;

/// Have Python handle what signals have come: 1 when that raised an exception, which Python then keeps for the
/// error of the MPI call that is about to fail; otherwise 0.
pub const HANDLE: i32 = 0;

/// The MPI call did not fail after all: Python is to raise what it kept as soon as it can.
pub const TOO_LATE: i32 = 1;

/// A message that is there to be taken.
#[repr(C)]
#[derive(Default)]
pub struct Arrival {
    /// Who sent it.
    pub from: u32,
    /// How many bytes it has.
    pub length: usize,
}

/// The plugin's functions. Each returns [`DONE`], [`NOTHING`] or [`FAILED`]; pointers are to live
/// values of the caller, and are not kept.
#[repr(C)]
#[derive(Debug)]
pub struct Plugin {
    /// [`VERSION`] of the plugin.
    pub version: u32,
    /// Initialises MPI, duplicates `MPI_COMM_WORLD` and stores the new end. User code's MPI calls heed
    /// `layer` from here on.
    pub start: unsafe extern "C" fn(
        layer: *const Layer,
        end: *mut *mut End,
        world: *mut World,
        words: *mut Words,
    ) -> i32,
    /// A signal was sent to the thread that called `start`: an MPI call that it waits in is to have Python handle
    /// it. Takes no end and may be called at any time, from any thread.
    pub signalled: extern "C" fn(),
    /// Which MPI function of user code the thread that called `start` is in: a name that lives as long as the process,
    /// or null. Takes no end and may be called at any time, from any thread.
    pub within: extern "C" fn() -> *const c_char,
    /// Waits until every rank has called it.
    pub barrier: unsafe extern "C" fn(end: *mut End, words: *mut Words) -> i32,
    /// Copies `length` bytes and starts to send them to the rank `to`.
    pub send: unsafe extern "C" fn(
        end: *mut End,
        to: u32,
        bytes: *const u8,
        length: usize,
        words: *mut Words,
    ) -> i32,
    /// Looks for a message; [`DONE`] when one is there, which [`Plugin::take`] must then take.
    pub probe: unsafe extern "C" fn(end: *mut End, arrival: *mut Arrival, words: *mut Words) -> i32,
    /// Takes the message that `probe` found into `bytes`, which has room for all of it.
    pub take: unsafe extern "C" fn(end: *mut End, bytes: *mut u8, length: usize, words: *mut Words) -> i32,
    /// Completes what can be completed and stores how many sends to living ranks are pending.
    pub progress: unsafe extern "C" fn(end: *mut End, pending: *mut usize, words: *mut Words) -> i32,
    /// Gives up the sends to a dead rank.
    pub lose: unsafe extern "C" fn(end: *mut End, rank: u32),
    /// Finalises MPI and frees the end, which is not to be used again whatever this returns.
    pub finalize: unsafe extern "C" fn(end: *mut End, words: *mut Words) -> i32,
}
