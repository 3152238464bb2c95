//! Errors as exceptions.

use std::path::PathBuf;

use pyo3::{prelude::*, types::PyDict};

use crate::error::{Error, PlanError};

/// The exception for an error. Numbers of memory become what may come beside `held_bytes`, as it was asked for.
pub(super) fn raised(py: Python<'_>, error: Error, held_bytes: u64) -> PyErr {
    let error = beside(error, held_bytes);
    let made = || -> PyResult<PyErr> {
        let about = PyDict::new(py);
        about.set_item("hint", error.hint())?;
        about.set_item("causes", causes(&error))?;
        about.set_item("errno", errno(&error))?;
        about.set_item("path", path(&error))?;
        let module = py.import("reslice._errors")?;
        let exception = module.call_method("raised", (kind(&error), error.to_string()), Some(&about))?;
        Ok(PyErr::from_value(exception))
    };
    made().unwrap_or_else(|failed| failed)
}

fn causes(error: &Error) -> Vec<String> {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |cause| cause.source()).map(ToString::to_string).collect()
}

/// Which class of `reslice._errors` it is.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Plan(_) | Error::AddressSpace { .. } => "MemoryLimitError",
        Error::Malformed { .. }
        | Error::Stream { .. }
        | Error::Chunk { .. }
        | Error::Lost { .. }
        | Error::Unsupported { .. } => "FormatError",
        Error::Io { .. }
        | Error::TargetExists { .. }
        | Error::TargetBusy { .. }
        | Error::OtherJob { .. }
        | Error::Unfinished { .. } => "StorageError",
        Error::Usage { .. } => "OptionError",
        Error::Stopped { .. } => "StoppedError",
        Error::Read { source, .. } | Error::Write { source, .. } | Error::Row { source, .. } => kind(source),
        Error::Panic { .. } | Error::Threads { .. } => "ReslicingError",
    }
}

fn errno(error: &Error) -> Option<i32> {
    match error {
        Error::Io { source, .. } => source.raw_os_error(),
        Error::TargetExists { .. } => Some(libc::EEXIST),
        Error::TargetBusy { .. } => Some(libc::EBUSY),
        Error::Read { source, .. } | Error::Write { source, .. } => errno(source),
        _ => None,
    }
}

fn path(error: &Error) -> Option<PathBuf> {
    match error {
        Error::Io { path, .. }
        | Error::TargetExists { path }
        | Error::TargetBusy { path, .. }
        | Error::OtherJob { path, .. }
        | Error::Unfinished { path, .. } => Some(path.clone()),
        Error::Read { source, .. } | Error::Write { source, .. } => path(source),
        _ => None,
    }
}

/// Budgets without what the process held before.
fn beside(error: Error, held_bytes: u64) -> Error {
    let Error::Plan(mut plan) = error else { return error };
    let less = |bytes: &mut u64| *bytes = bytes.saturating_sub(held_bytes);
    match &mut plan {
        PlanError::TooSmall { memory_bytes, smallest_bytes, instead, .. } => {
            [memory_bytes, smallest_bytes].into_iter().for_each(less);
            instead.iter_mut().for_each(|instead| less(&mut instead.memory_bytes));
        }
        PlanError::TablesTooLarge { memory_bytes, .. } => less(memory_bytes),
        PlanError::WalkTooSmall { memory_bytes, smallest_bytes, .. }
        | PlanError::VerificationTooSmall { memory_bytes, smallest_bytes, .. } => {
            [memory_bytes, smallest_bytes].into_iter().for_each(less);
        }
    }
    Error::Plan(plan)
}
