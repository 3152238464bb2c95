//! Resident memory over a run.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde::Serialize;

use crate::sys;

/// Points that are kept, at most.
const MOST_POINTS: usize = 500;

/// Resident memory at a time since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MemoryPoint {
    pub seconds: f64,
    pub bytes: u64,
}

/// A curve of at most 500 points. When it is full, every other one goes, and points are taken half as often; of the memory between two points
/// the highest is kept.
#[derive(Debug)]
pub struct Track {
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    points: Vec<MemoryPoint>,
    /// Seconds between points.
    every: f64,
    /// Highest since the last point.
    highest: u64,
}

impl Track {
    /// Begins now.
    pub fn new() -> Track {
        Track { begun: Instant::now(), state: Mutex::default() }
    }

    /// Notes how much is resident now.
    pub fn note(&self) {
        self.note_at(self.begun.elapsed().as_secs_f64(), sys::resident().now_bytes);
    }

    fn note_at(&self, seconds: f64, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.highest = state.highest.max(bytes);
        if state.points.last().is_some_and(|last| seconds < last.seconds + state.every) {
            return;
        }
        if state.points.len() >= MOST_POINTS {
            let halved = state.points.chunks(2).map(|pair| MemoryPoint {
                seconds: pair[0].seconds,
                bytes: pair.iter().map(|point| point.bytes).max().unwrap_or(0),
            });
            state.points = halved.collect();
            state.every = (2.0 * state.every).max(2.0 * seconds / MOST_POINTS as f64);
        }
        let bytes = std::mem::take(&mut state.highest);
        state.points.push(MemoryPoint { seconds, bytes });
    }

    /// The curve so far.
    pub fn points(&self) -> Vec<MemoryPoint> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).points.clone()
    }
}

impl Default for Track {
    fn default() -> Track {
        Track::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_few_points_and_its_highest() {
        let track = Track::new();
        for n in 0..100_000u64 {
            track.note_at(n as f64 / 10.0, if n == 54_321 { 1_000_000 } else { n });
        }
        let points = track.points();
        assert!((MOST_POINTS / 3..=MOST_POINTS).contains(&points.len()), "{}", points.len());
        assert_eq!(points.iter().map(|point| point.bytes).max(), Some(1_000_000));
        assert!(points.windows(2).all(|pair| pair[0].seconds < pair[1].seconds));
    }
}
