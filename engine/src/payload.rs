//! Pickles and their buffers between Rust and Python.
//!
//! **Invariant**: a buffer comes to Python as a `bytearray`, which arrays can be written through, or as
//! `(holder, descriptor, inode, offset, length)` of a memory file; what is lost comes as the sentence that says why.

use fabric::message::Buffer;
use fabric::message::payload::{Blob, Payload, Shared};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList, PyString, PyTuple};

/// A pickle and its buffers, as Python gives them: bytes-like objects and tuples that name a memory file.
pub(crate) fn from_python(pickle: &Bound<'_, PyBytes>, buffers: Vec<Bound<'_, PyAny>>) -> PyResult<Payload> {
    let buffers: PyResult<Vec<Blob>> = buffers.iter().map(blob).collect();
    Ok(Payload { pickle: Buffer::from(pickle.as_bytes()), buffers: buffers? })
}

fn blob(buffer: &Bound<'_, PyAny>) -> PyResult<Blob> {
    if let Ok(place) = buffer.cast::<PyTuple>() {
        let (holder, descriptor, inode, offset, length) = place.extract()?;
        return Ok(Blob::Shared(Shared { holder, descriptor, inode, offset, length }));
    }
    let bytes = match buffer.cast::<PyBytes>() {
        Ok(bytes) => bytes.as_bytes().to_vec(),
        Err(_) => PyBuffer::<u8>::get(buffer)?.to_vec(buffer.py())?,
    };
    Ok(Blob::Inline(Buffer::from(bytes)))
}

/// What Python takes: the pickle, and the list of its buffers.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    payload: &Payload,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyList>)> {
    let buffers: PyResult<Vec<Bound<'py, PyAny>>> =
        payload.buffers.iter().map(|blob| buffer(py, blob)).collect();
    Ok((PyBytes::new(py, &payload.pickle), PyList::new(py, buffers?)?))
}

fn buffer<'py>(py: Python<'py>, blob: &Blob) -> PyResult<Bound<'py, PyAny>> {
    Ok(match blob {
        Blob::Inline(bytes) => PyByteArray::new(py, bytes).into_any(),
        Blob::Shared(Shared { holder, descriptor, inode, offset, length }) => {
            (holder, descriptor, inode, offset, length).into_pyobject(py)?.into_any()
        }
        Blob::Lost(why) => PyString::new(py, why).into_any(),
    })
}
