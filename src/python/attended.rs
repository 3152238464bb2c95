//! Work without Python's lock, under the eyes of the thread that asked for it: signals, progress, memory.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use pyo3::{exceptions::PyKeyboardInterrupt, prelude::*};

use super::raised;
use crate::{
    error::{Error, Result},
    job::{Event, PassKind, Summary},
    pipeline, sys,
};

/// What the work tells, for whoever looks.
#[derive(Default)]
pub(super) struct Told {
    steps: Mutex<Steps>,
    peak_bytes: AtomicU64,
}

#[derive(Default)]
struct Steps {
    /// Blocks of each pass.
    passes: Vec<u64>,
    done: u64,
    all: u64,
    notes: Vec<String>,
}

impl Told {
    /// Takes in what a run tells.
    pub(super) fn event(&self, event: &Event<'_>) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planned(summary) | Event::Begin(summary) | Event::Resumed(summary) => {
                steps.passes = summary.passes.iter().map(|pass| pass.plan.blocks).collect();
            }
            Event::Cleared(folder) => {
                steps.notes.push(format!("cleared {}, left by a run that did not end", folder.display()));
            }
            Event::Progress { kind: PassKind::Field, progress, .. } => {
                (steps.done, steps.all) = (progress.blocks_done, progress.blocks);
            }
            Event::Progress { pass, progress, .. } => {
                let before: u64 = steps.passes.iter().take(*pass).sum();
                let after: u64 = steps.passes.iter().skip(pass + 1).sum();
                (steps.done, steps.all) = (before + progress.blocks_done, before + progress.blocks + after);
            }
        }
    }

    /// So many of so many steps are done.
    pub(super) fn step(&self, done: u64, all: u64) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        (steps.done, steps.all) = (done, all);
    }

    /// What was told beside progress.
    pub(super) fn notes(&self) -> Vec<String> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).notes.clone()
    }

    /// The highest resident memory: the kernel's figure where it rose in the run, else the highest that was seen ten times a second.
    pub(super) fn peak_bytes(&self, before: sys::Resident, summary: Option<&Summary>) -> u64 {
        let kernel = summary.map_or(0, |summary| summary.peak_bytes).max(sys::resident().peak_bytes);
        if kernel > before.peak_bytes { kernel } else { self.peak_bytes.load(Ordering::Relaxed).max(before.now_bytes) }
    }

    /// Signals first, then whoever wants to know; `false` asks to stop.
    fn look(&self, py: Python<'_>, look: Option<&Py<PyAny>>) -> PyResult<bool> {
        py.check_signals()?;
        let Some(look) = look else { return Ok(true) };
        let (done, all) = {
            let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            (steps.done, steps.all)
        };
        if all == 0 {
            return Ok(true);
        }
        Ok(!look.call1(py, (done, all))?.bind(py).is(pyo3::types::PyBool::new(py, false)))
    }
}

/// What stays of work that is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// What was stored, for the same call to go on with.
    Stored,
}

/// Does `work` on another thread; on this one, ten times a second, looks for signals and calls `look` with steps done and all steps.
pub(super) fn attended<R: Send>(
    py: Python<'_>,
    (held_bytes, left): (u64, Left),
    (told, look): (&Told, Option<&Py<PyAny>>),
    work: impl FnOnce(&AtomicBool) -> Result<R> + Send,
) -> PyResult<R> {
    let mut raised_meanwhile: Option<PyErr> = None;
    let outcome = py.detach(|| {
        pipeline::attended(work, |stop| {
            told.peak_bytes.fetch_max(sys::resident().now_bytes, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) {
                return;
            }
            match Python::attach(|py| told.look(py, look)) {
                Ok(true) => {}
                Ok(false) => stop.store(true, Ordering::Relaxed),
                Err(error) => {
                    raised_meanwhile = Some(error);
                    stop.store(true, Ordering::Relaxed);
                }
            }
        })
    });
    match (outcome, raised_meanwhile) {
        (Ok(done), None) => Ok(done),
        (Err(stopped @ Error::Stopped { .. }), Some(error)) if error.is_instance_of::<PyKeyboardInterrupt>(py) => {
            let kept = match left {
                Left::Stored => "; what is stored is kept, and the same call goes on with it",
                Left::Nothing => "",
            };
            Err(PyKeyboardInterrupt::new_err(format!("{stopped}{kept}")))
        }
        (_, Some(error)) => Err(error),
        (Err(error), None) => Err(raised::raised(py, error, held_bytes)),
    }
}
