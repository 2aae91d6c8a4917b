//! Which MPI function the main thread is in, for whoever asks where the rank is.
//!
//! **Invariant**: only the main thread writes it, so that plain loads and stores are enough; a function that returns
//! puts back what was there before it.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::{STATE, State};

/// The innermost function, or null.
static FUNCTION: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// Until this is dropped, the main thread is in a function.
pub(super) struct Within {
    /// What it was in before; `None` on any other thread.
    before: Option<*mut c_char>,
}

/// A function is entered.
pub(super) fn enter(function: &'static CStr) -> Within {
    if !STATE.get().is_some_and(State::is_main) {
        return Within { before: None };
    }
    let before = FUNCTION.load(Ordering::Relaxed);
    FUNCTION.store(function.as_ptr().cast_mut(), Ordering::Relaxed);
    Within { before: Some(before) }
}

impl Drop for Within {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            FUNCTION.store(before, Ordering::Relaxed);
        }
    }
}

/// See `fabric::abi::Plugin::within`.
pub(crate) fn now() -> *const c_char {
    FUNCTION.load(Ordering::Relaxed)
}

/// Enters the function of that name, until the end of the block.
macro_rules! within {
    ($function:ident) => {
        const NAME: &std::ffi::CStr =
            match std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($function), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a function's name has no zeros"),
            };
        let _within = $crate::layer::within::enter(NAME);
    };
}
pub(super) use within;
