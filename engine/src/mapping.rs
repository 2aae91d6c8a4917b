//! Memory files of other processes as Python's memory.
//!
//! **Invariant**: a mapping is this process's own, so that whoever has it may write to it, and lives as long as any view
//! of it. The GIL is not held while it is made, nor while its pages are given back, of which a large one has many.

use std::ffi::c_int;

use fabric::message::payload::Shared;
use memmap2::MmapRaw;
use pyo3::exceptions::PyOSError;
use pyo3::ffi::Py_buffer;
use pyo3::prelude::*;

use crate::{ffi, threads};

/// From this size on, in bytes, a thread takes less time to start (30 us) than pages to be given back.
const LARGE: usize = 2 << 20;

/// A memory file, mapped privately; what has the buffer protocol is a view of it.
#[pyclass(frozen, module = "_parallel_python")]
pub(crate) struct Mapping {
    /// `None` once it is let go of.
    map: Option<MmapRaw>,
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Mapping>()
}

#[pymethods]
impl Mapping {
    /// Maps the file that a process has open as this descriptor, if its inode is this one.
    #[new]
    fn new(py: Python<'_>, holder: u32, descriptor: u32, inode: u64) -> PyResult<Mapping> {
        let shared = Shared { holder, descriptor, inode, offset: 0, length: 0 };
        let mapped = py.detach(|| {
            let file = shared.open()?;
            ffi::map_privately(&file).map_err(|error| format!("shared memory cannot be mapped: {error}"))
        });
        Ok(Mapping { map: Some(mapped.map_err(PyOSError::new_err)?) })
    }

    /// # Safety
    /// To be called by Python alone, as the buffer protocol has it.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut Py_buffer, flags: c_int) -> PyResult<()> {
        let (address, length) =
            slf.get().map.as_ref().map_or((std::ptr::null_mut(), 0), |map| (map.as_mut_ptr(), map.len()));
        // SAFETY: the caller vouches for `view`; the memory is there as long as `slf`, which the view holds.
        unsafe { ffi::fill_buffer(&slf, view, address, length, flags) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(map) = self.map.take_if(|map| map.len() >= LARGE) {
            // Where there are no threads to be had it is unmapped here: what is not run is dropped.
            let _ = threads::spawn("unmap", move || ffi::unmap_in_pieces(map));
        }
    }
}
