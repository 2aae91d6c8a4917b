//! Memory files of other processes as Python's memory.
//!
//! **Invariant**: a mapping is this process's own, so that whoever has it may write to it, and lives as long as any view
//! of it. The GIL is not held while it is made, nor while its pages are given back, of which a large one has many.

use std::ffi::c_int;
use std::fmt::Display;

use fabric::message::payload::Shared;
use pyo3::exceptions::PyOSError;
use pyo3::ffi::Py_buffer;
use pyo3::prelude::*;

use crate::ffi::{self, Pages};
use crate::threads;

/// From this size on, in bytes, a thread takes less time to start (30 us) than pages to be given back.
const LARGE: usize = 2 << 20;

/// Memory files side by side, mapped privately; what has the buffer protocol is a view of them.
#[pyclass(frozen, module = "_parallel_python")]
pub(crate) struct Mapping {
    /// `None` once it is let go of.
    pages: Option<Pages>,
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Mapping>()
}

#[pymethods]
impl Mapping {
    /// Maps files that a process has open: descriptors there, inodes, and how many bytes of each, of all but the last
    /// whole pages; `None`: all of it.
    #[new]
    fn new(py: Python<'_>, holder: u32, files: Vec<(u32, u64, Option<usize>)>) -> PyResult<Mapping> {
        let failed = |error: &dyn Display| format!("shared memory cannot be mapped: {error}");
        let open = |(descriptor, inode, length): (u32, u64, Option<usize>)| {
            let file = Shared { holder, descriptor, inode, offset: 0, length: 0 }.open()?;
            let length = match length {
                Some(length) => length,
                None => file.metadata().map_err(|error| failed(&error))?.len() as usize,
            };
            Ok::<_, String>((file, length))
        };
        let pages = py.detach(|| {
            let files: Vec<_> = files.into_iter().map(open).collect::<Result<_, _>>()?;
            Pages::map(&files).map_err(|error| failed(&error))
        });
        Ok(Mapping { pages: Some(pages.map_err(PyOSError::new_err)?) })
    }

    /// # Safety
    /// To be called by Python alone, as the buffer protocol has it.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut Py_buffer, flags: c_int) -> PyResult<()> {
        let pages = slf.get().pages.as_ref().map(|pages| (pages.address(), pages.length()));
        let (address, length) = pages.unwrap_or((std::ptr::null_mut(), 0));
        // SAFETY: the caller vouches for `view`; the memory is there as long as `slf`, which the view holds.
        unsafe { ffi::fill_buffer(&slf, view, address, length, flags) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(pages) = self.pages.take_if(|pages| pages.length() >= LARGE) {
            // Where there are no threads to be had it is unmapped here: what is not run is dropped.
            let _ = threads::spawn("unmap", move || pages.give_back());
        }
    }
}
