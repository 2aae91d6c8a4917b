//! Every unsafe call of the engine library.

use std::ffi::{c_char, c_int};

/// Python's own `main`, with `_parallel_python` among its built-in modules: the embedded door.
///
/// # Safety
/// To be called once, from the main thread of a process in which libpython has been loaded into the
/// global scope and no interpreter runs; `argv` must hold `argc` C strings and a null pointer, all of
/// which live until the process ends.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn parallel_python_main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    use crate::_parallel_python;
    pyo3::append_to_inittab!(_parallel_python);
    // SAFETY: the caller vouches for `argv`, and no interpreter has been started.
    unsafe { pyo3::ffi::Py_BytesMain(argc, argv) }
}
