//! The Python package as text, embedded by `build.rs`, and the way its first file is run.
//!
//! **Invariant**: `_bootstrap` imports nothing of ours but `_parallel_python`; it serves every other
//! file from [`SOURCES`] through a meta-path finder.

use std::ffi::CString;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// One embedded file.
struct Source {
    name: &'static str,
    file: &'static str,
    is_package: bool,
    text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/sources.rs"));

const BOOTSTRAP: &str = "parallel_python._bootstrap";

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(source, module)?)?;
    module.add_function(wrap_pyfunction!(boot, module)?)
}

/// The embedded file behind a module name: `(file, is_package, text)`, or `None`.
#[pyfunction]
fn source(name: &str) -> Option<(&'static str, bool, &'static str)> {
    let index = SOURCES.binary_search_by(|source| source.name.cmp(name)).ok().or_else(|| {
        // The table is sorted by path, in which a package and its files may stand apart.
        SOURCES.iter().position(|source| source.name == name)
    })?;
    let found = &SOURCES[index];
    Some((found.file, found.is_package, found.text))
}

/// Runs `_bootstrap.main()`, which takes the role and its options from `sys.argv[1:]`.
#[pyfunction]
fn boot(py: Python<'_>) -> PyResult<()> {
    let (file, _, text) =
        source(BOOTSTRAP).ok_or_else(|| PyValueError::new_err("the engine library holds no bootstrap"))?;
    let c_string = |text: &str| CString::new(text).map_err(PyErr::from);
    let module = PyModule::from_code(py, &c_string(text)?, &c_string(file)?, &c_string(BOOTSTRAP)?)?;
    module.getattr("main")?.call0()?;
    Ok(())
}
