//! Volumes that are made when they are sliced.

use std::{
    ffi::OsString,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use numpy::{IntoPyArray, PyArray1};
use pyo3::{exceptions::PyIndexError, prelude::*};
use serde_json::json;

use super::{
    array::Given,
    asked::{Asked, GridGiven, held},
    attended::{Left, Told, attended},
    run::to_json,
};
use crate::{
    error::Result,
    job::{GridSummary, Job, OnDemand},
    region::Region,
};

/// A target of which nothing is stored.
#[pyclass(frozen, module = "reslice._reslice")]
pub struct Lazy {
    asked: Asked,
    /// What Python is told of it.
    described: String,
    shape: [u64; 3],
    volumes: u64,
    voxel_bytes: usize,
    /// Open, once somebody has asked for voxels.
    opened: Mutex<Option<Arc<dyn OnDemand>>>,
    /// What the process held then.
    held_bytes: AtomicU64,
}

#[pymethods]
impl Lazy {
    #[new]
    #[pyo3(signature = (words, given=None, grid=None))]
    fn new(py: Python<'_>, words: Vec<OsString>, given: Option<Given>, grid: Option<GridGiven>) -> PyResult<Lazy> {
        let asked = Asked::new(py, words, given.as_ref(), grid)?;
        let told = Told::default();
        let job = attended(py, (asked.held_bytes, Left::Nothing), (&told, None), |_| asked.job())?;
        let layout = &job.output.layout;
        Ok(Lazy {
            described: described(&job)?,
            shape: layout.grid.shape,
            volumes: layout.outer.volumes(),
            voxel_bytes: layout.components * layout.stored.bytes(),
            opened: Mutex::new(None),
            held_bytes: AtomicU64::new(asked.held_bytes),
            asked,
        })
    }

    /// Grid, axes, type and warnings, as JSON.
    #[getter]
    fn described(&self) -> &str {
        &self.described
    }

    /// Samples of the region from `lo` to `hi` (z, y, x) of one volume, as bytes: `[component][z][y][x]`.
    fn read<'py>(
        &self,
        py: Python<'py>,
        volume: u64,
        lo: [u64; 3],
        hi: [u64; 3],
    ) -> PyResult<Bound<'py, PyArray1<u8>>> {
        let is_within = (0..3).all(|a| lo[a] <= hi[a] && hi[a] <= self.shape[a]) && volume < self.volumes;
        if !is_within {
            return Err(PyIndexError::new_err(format!(
                "{lo:?} to {hi:?} of volume {volume} is not in {:?}",
                self.shape
            )));
        }
        let region = Region::new(lo.map(|x| x as i64), hi.map(|x| x as i64));
        let told = Told::default();
        let bytes = attended(py, (self.held_now(), Left::Nothing), (&told, None), |stop| {
            let mut bytes = vec![0u8; region.voxels() as usize * self.voxel_bytes];
            self.open(stop)?.read(volume, region, stop, &mut bytes)?;
            Ok(bytes)
        })?;
        Ok(bytes.into_pyarray(py))
    }
}

impl Lazy {
    /// What the process held when it was opened: now, as long as it is not.
    fn held_now(&self) -> u64 {
        match self.opened.try_lock() {
            Ok(opened) if opened.is_none() => {
                let held_bytes = held();
                self.held_bytes.store(held_bytes, Ordering::Relaxed);
                held_bytes
            }
            _ => self.held_bytes.load(Ordering::Relaxed),
        }
    }

    /// Opens it with the first voxels that are asked for: streams and fields are read then.
    fn open(&self, stop: &AtomicBool) -> Result<Arc<dyn OnDemand>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = opened.as_ref() {
            return Ok(opened.clone());
        }
        let mut asked = self.asked.clone();
        let beside_bytes = asked.request.memory_bytes - asked.held_bytes;
        asked.request.memory_bytes = self.held_bytes.load(Ordering::Relaxed).saturating_add(beside_bytes);
        let now: Arc<dyn OnDemand> = asked.job()?.on_demand(stop)?.into();
        Ok(opened.insert(now).clone())
    }
}

fn described(job: &Job) -> PyResult<String> {
    let layout = &job.output.layout;
    let outer: Vec<_> = layout.outer.axes.iter().map(|axis| json!({"name": axis.name, "len": axis.len})).collect();
    // What is said of a file is not said of a target without one.
    let of_file = |warning: &&String| !job.output.warnings.contains(warning);
    to_json(&json!({
        "grid": GridSummary::new(&layout.grid),
        "source_grid": GridSummary::new(&job.source_grid),
        "outer": outer,
        "components": layout.components,
        "dtype": layout.stored,
        "format": job.input.format_name(),
        "interpolation": job.op.method.to_string(),
        "outside": job.outside.outside,
        "warnings": job.warnings.iter().filter(of_file).collect::<Vec<_>>(),
    }))
}
