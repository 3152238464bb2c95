//! From what Python gives to a job.
//!
//! Memory: a program holds arrays of its own, so a budget is what may come beside what it holds already. The library counts the whole process.

use std::ffi::OsString;

use pyo3::prelude::*;

use super::{
    array::{self, Given},
    raised,
};
use crate::{
    cli::called,
    error::Result,
    geometry::{GridRequest, Sizing},
    io::own::OwnSource,
    job::{GridChoice, Job, Request},
    sys,
};

/// Shape (x, y, z), affine and unit of a target grid, which no file holds.
pub(super) type GridGiven = ([u64; 3], [[f64; 4]; 3], String);

/// A job, its source if that is no file, and what the process held before.
#[derive(Clone)]
pub(super) struct Asked {
    pub request: Request,
    pub own: Option<OwnSource>,
    pub held_bytes: u64,
    pub pictures: called::Pictures,
}

impl Asked {
    /// Reads the words of `resample`. `grid` takes the place of the grid options.
    pub(super) fn new(
        py: Python<'_>,
        words: Vec<OsString>,
        given: Option<&Given>,
        grid: Option<GridGiven>,
    ) -> PyResult<Asked> {
        let made = || -> Result<Asked> {
            let called::Asked { mut request, memory_bytes, pictures } = called::asked(words)?;
            let (memory_bytes, held_bytes) = budget(memory_bytes);
            request.memory_bytes = memory_bytes;
            if let (Some((shape, rows, unit)), GridChoice::Rules(rules)) = (grid, &request.grid) {
                let sizing = Sizing::Like(array::grid(shape, rows, &unit));
                request.grid = GridChoice::Rules(GridRequest { sizing, ..rules.clone() });
            }
            let own = given.map(|given| given.source(py, &mut request)).transpose()?;
            Ok(Asked { request, own, held_bytes, pictures })
        };
        made().map_err(|error| raised::raised(py, error, 0))
    }

    /// Opens the source and decides everything but the schedule.
    pub(super) fn job(&self) -> Result<Job> {
        match &self.own {
            Some(own) => Job::from_source(own.clone(), self.request.clone()),
            None => Job::resolve(self.request.clone()),
        }
    }
}

/// What the whole process may hold, and what it holds: `beside_bytes` more than that, or half of what the job may still use.
///
/// The allocator keeps no more for later than such a budget can bear. The last call counts, where there are several at once.
pub(super) fn budget(beside_bytes: Option<u64>) -> (u64, u64) {
    let held_bytes = held();
    let beside = beside_bytes.unwrap_or_else(|| sys::memory_limit().bytes.saturating_sub(held_bytes) / 2);
    let memory_bytes = held_bytes.saturating_add(beside);
    sys::tune_allocator(beside);
    sys::set_budget(memory_bytes);
    (memory_bytes, held_bytes)
}

/// What the process holds, without what the allocator keeps of ended work: that may go at any moment.
pub(super) fn held() -> u64 {
    sys::trim_allocator();
    sys::resident().now_bytes
}
