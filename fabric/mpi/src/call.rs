//! MPI's return codes as Rust results.
//!
//! **Invariant**: every code that an MPI function returns goes through [`check`].

use std::ffi::{c_char, c_int};

use mpi::ffi;

/// The error of `name` in MPI's own words (MPI 4.1, 9.4 `MPI_Error_string`).
pub(crate) fn check(name: &str, code: c_int) -> Result<(), String> {
    if code == ffi::MPI_SUCCESS as c_int {
        return Ok(());
    }
    let mut text = vec![0_u8; ffi::MPI_MAX_ERROR_STRING as usize + 1];
    let mut length = 0;
    // SAFETY: `text` has the room that the standard asks for; may be called at any time.
    let told = unsafe { ffi::PMPI_Error_string(code, text.as_mut_ptr().cast::<c_char>(), &mut length) };
    if told != ffi::MPI_SUCCESS as c_int {
        return Err(format!("{name} failed with error code {code}"));
    }
    Err(format!("{name}: {}", words(&text, length)))
}

/// The text that MPI wrote into `bytes`.
pub(crate) fn words(bytes: &[u8], length: c_int) -> String {
    let length = usize::try_from(length).unwrap_or(0).min(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).trim_end_matches('\0').trim().to_owned()
}
