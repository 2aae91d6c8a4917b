//! Submissions as Python writes them.

use fabric::message::client::{Caller, Dependency, Placement, Submission};
use fabric::message::task::Work;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::payload;

/// Name, label, placement and work.
pub(super) type Submitted<'py> = (String, String, Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// `("any", targets, retries, timeout, after, follow)`
type Any = (String, Option<Vec<u32>>, u32, Option<f64>, Option<Names>, Option<Names>);

/// `(names, all, success, failure)`
type Names = (Vec<String>, bool, bool, bool);

pub(super) fn submission((name, label, placement, work): Submitted<'_>) -> PyResult<Submission> {
    let (placement, work) = (placement_of(&placement)?, work_of(&work)?);
    Ok(Submission { name, label, placement, work, caller: Caller::Program })
}

/// A list of ranks, or a tuple that begins with `any`.
fn placement_of(placement: &Bound<'_, PyAny>) -> PyResult<Placement> {
    let Ok(words) = placement.cast::<PyTuple>() else {
        return Ok(Placement::Each { targets: placement.extract()? });
    };
    let (kind, targets, retries, timeout, after, follow): Any = words.extract()?;
    if kind != "any" {
        return Err(PyValueError::new_err(format!("there is no placement `{kind}`")));
    }
    let (after, follow) = (after.map(dependency), follow.map(dependency));
    Ok(Placement::Any { targets, retries, timeout, after, follow })
}

fn dependency((names, all, success, failure): Names) -> Dependency {
    Dependency { names, all, success, failure }
}

/// `("execute", code, store_history)` or `("apply", pickle, buffers)`
fn work_of(work: &Bound<'_, PyTuple>) -> PyResult<Work> {
    let kind: String = work.get_item(0)?.extract()?;
    match kind.as_str() {
        "execute" => {
            let (_, code, store_history): (String, String, bool) = work.extract()?;
            Ok(Work::Execute { code, store_history, measure: false })
        }
        "apply" => {
            let (_, pickle, buffers): (String, Bound<'_, PyBytes>, Vec<Bound<'_, PyAny>>) = work.extract()?;
            Ok(Work::Apply { payload: payload::from_python(&pickle, buffers)? })
        }
        other => Err(PyValueError::new_err(format!("there is no work `{other}`"))),
    }
}
