//! Jobs and answers.

use std::{ffi::OsString, path::PathBuf};

use numpy::{PyArray2, PyReadonlyArray2, ToPyArray, ndarray::Array2};
use pyo3::{exceptions::PyValueError, prelude::*};
use serde::Serialize;
use serde_json::json;

use super::{
    array::Given,
    asked::{self, Asked, GridGiven},
    attended::{Left, Told, attended},
    raised,
};
use crate::{
    cli::called,
    compare::By,
    error::Result,
    info::Info,
    io::input::IoMode,
    job::Summary,
    points::{PointMap, Sent},
    sys,
    transform::{Chain, Ends, RoleImage, TransformRequest},
};

/// Problems that a verification keeps.
const PROBLEMS: usize = 1000;

/// The answer as JSON.
pub(super) fn to_json<V: Serialize>(answer: &V) -> PyResult<String> {
    serde_json::to_string(answer).map_err(|error| PyValueError::new_err(format!("no JSON for the answer: {error}")))
}

/// A summary whose numbers of memory are without what the process held before.
fn beside(summary: &Summary, held_bytes: u64) -> Summary {
    let mut summary = summary.clone();
    let less = |bytes: &mut u64| *bytes = bytes.saturating_sub(held_bytes);
    less(&mut summary.memory_bytes);
    summary
        .passes
        .iter_mut()
        .flat_map(|pass| &mut pass.what_memory_buys)
        .for_each(|offer| less(&mut offer.memory_bytes));
    summary
}

/// Runs a job from file or array to file.
#[pyfunction]
#[pyo3(signature = (words, given=None, grid=None, look=None))]
pub(super) fn resample(
    py: Python<'_>,
    words: Vec<OsString>,
    given: Option<Given>,
    grid: Option<GridGiven>,
    look: Option<Py<PyAny>>,
) -> PyResult<String> {
    let before = sys::resident();
    let asked = Asked::new(py, words, given.as_ref(), grid)?;
    let (told, held_bytes) = (Told::default(), asked.held_bytes);
    let left = if asked.own.is_none() && asked.request.resume { Left::Stored } else { Left::Nothing };
    let summary = attended(py, (held_bytes, left), (&told, look.as_ref()), |stop| {
        let job = asked.job()?;
        asked.pictures.check(&job)?;
        let summary = job.run(stop, |event| told.event(&event))?;
        asked.pictures.write(&summary)?;
        Ok(summary)
    })?;
    to_json(&json!({
        "summary": summary,
        "remarks": called::remarked(&beside(&summary, held_bytes)),
        "outcome": called::outcome(&summary),
        "notes": told.notes(),
        "held_bytes": held_bytes,
        "peak_bytes": told.peak_bytes(before, Some(&summary)),
        "seconds": summary.seconds(),
    }))
}

/// What would be done; nothing is written.
#[pyfunction]
#[pyo3(signature = (words, given=None, grid=None))]
pub(super) fn plan(
    py: Python<'_>,
    words: Vec<OsString>,
    given: Option<Given>,
    grid: Option<GridGiven>,
) -> PyResult<String> {
    let asked = Asked::new(py, words, given.as_ref(), grid)?;
    let (told, held_bytes) = (Told::default(), asked.held_bytes);
    let summary = attended(py, (held_bytes, Left::Nothing), (&told, None), |_| asked.job()?.dry_run())?;
    to_json(&json!({
        "summary": summary,
        "text": called::plan(&beside(&summary, held_bytes)),
        "held_bytes": held_bytes,
        "projected_bytes": summary.projected_bytes(),
    }))
}

/// What a file is.
#[pyfunction]
pub(super) fn info(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    let told = Told::default();
    to_json(&attended(py, (0, Left::Nothing), (&told, None), |_| Info::of(&path))?)
}

fn budget(py: Python<'_>, memory: Option<&str>, threads: Option<usize>) -> PyResult<(u64, u64, usize)> {
    let memory = memory.map(called::size).transpose().map_err(|error| raised::raised(py, error, 0))?;
    let (memory_bytes, held_bytes) = asked::budget(memory);
    Ok((memory_bytes, held_bytes, threads.unwrap_or_else(sys::threads)))
}

/// How far the voxels of two files are apart.
#[pyfunction]
pub(super) fn compare(
    py: Python<'_>,
    a: PathBuf,
    b: PathBuf,
    tolerance: f64,
    by: Option<String>,
    memory: Option<String>,
    threads: Option<usize>,
) -> PyResult<String> {
    let by = match by.as_deref() {
        None => None,
        Some("index") => Some(By::Index),
        Some("place") => Some(By::Place),
        Some(other) => return Err(PyValueError::new_err(format!("by is {other:?}, expected \"index\" or \"place\""))),
    };
    let (memory_bytes, held_bytes, threads) = budget(py, memory.as_deref(), threads)?;
    let request = crate::compare::Request { a, b, tolerance, memory_bytes, threads, io: IoMode::Auto, by };
    let told = Told::default();
    let found =
        attended(py, (held_bytes, Left::Nothing), (&told, None), |stop| crate::compare::compare(&request, stop))?;
    to_json(&json!({"comparison": found, "agrees": found.agrees()}))
}

/// Whether a file is complete.
#[pyfunction]
#[pyo3(signature = (file, memory=None, threads=None, look=None))]
pub(super) fn verify(
    py: Python<'_>,
    file: PathBuf,
    memory: Option<String>,
    threads: Option<usize>,
    look: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (memory_bytes, held_bytes, threads) = budget(py, memory.as_deref(), threads)?;
    let request = crate::verify::Request { file, memory_bytes, threads, most_problems: PROBLEMS };
    let told = Told::default();
    let report = attended(py, (held_bytes, Left::Nothing), (&told, look.as_ref()), |stop| {
        crate::verify::verify(&request, stop, |progress| told.step(progress.chunks_done, progress.chunks))
    })?;
    to_json(&report)
}

/// Where transforms send points (RAS mm), and what is to be known of the transforms. `ends` are source and target of a single FSL matrix.
#[pyfunction]
#[pyo3(signature = (points, transforms, ends=None))]
pub(super) fn points<'py>(
    py: Python<'py>,
    points: PyReadonlyArray2<'py, f64>,
    transforms: Vec<OsString>,
    ends: Option<(PathBuf, PathBuf)>,
) -> PyResult<(Bound<'py, PyArray2<f64>>, Vec<String>)> {
    let rows: Vec<[f64; 3]> = points.as_array().rows().into_iter().map(|row| [row[0], row[1], row[2]]).collect();
    let told = Told::default();
    let work = || -> Result<(Vec<[f64; 3]>, Vec<String>)> {
        let parse = |word: &OsString| TransformRequest::parse(word, std::path::Path::new(""));
        let requests: Vec<TransformRequest> = transforms.iter().map(parse).collect();
        let ends = match &ends {
            Some((source, target)) => Some(Ends { source: RoleImage::open(source)?, target: RoleImage::open(target)? }),
            None => None,
        };
        let mut chain = Chain::read(&requests, ends.as_ref())?;
        let map = PointMap::open(&mut chain)?;
        let mut rows = rows;
        let unsettled = map.send(&mut rows)?;
        chain.warnings.extend(Sent { points: rows.len() as u64, unsettled }.warning());
        Ok((rows, chain.warnings))
    };
    let (rows, warnings) = attended(py, (0, Left::Nothing), (&told, None), |_| work())?;
    let flat: Vec<f64> = rows.iter().flatten().copied().collect();
    let sent = Array2::from_shape_vec((rows.len(), 3), flat);
    let sent = sent.map_err(|error| PyValueError::new_err(format!("no array for the points: {error}")))?;
    Ok((sent.to_pyarray(py), warnings))
}

/// The command `reslice` with these words behind its name; the exit code.
#[pyfunction]
pub(super) fn command(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| called::command(words))
}
