//! An interrupt within a finalizer, where Python drops every exception: it comes again.
//!
//! **Invariant**: no Python code runs between Python's dropping it and its being sent again, nor until user code goes on:
//! an interrupt that came again within a hook of Python's own would be dropped for good.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// What stands in the place of `sys.unraisablehook`.
#[pyclass(frozen, module = "_parallel_python")]
pub(crate) struct Dropped {
    interrupt_again: Py<PyAny>,
    former: Py<PyAny>,
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Dropped>()
}

#[pymethods]
impl Dropped {
    /// `interrupt_again` interrupts in a moment, not at once, and is no Python function; `former` is what stood here.
    #[new]
    fn new(interrupt_again: Py<PyAny>, former: Py<PyAny>) -> Dropped {
        Dropped { interrupt_again, former }
    }

    fn __call__(&self, unraisable: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = unraisable.py();
        let kind = unraisable.getattr("exc_type")?;
        if kind.cast::<PyType>()?.is_subclass_of::<PyKeyboardInterrupt>()? {
            self.interrupt_again.call0(py)?;
        } else {
            self.former.call1(py, (unraisable,))?;
        }
        Ok(())
    }
}
