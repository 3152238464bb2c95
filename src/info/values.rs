//! What the values of a file are: every voxel is read once, in bounded memory.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use rayon::prelude::*;
use serde::Serialize;

use crate::{
    block::BlockMut,
    compare::Walk,
    dispatch,
    error::{Error, Result},
    io::{
        convert::Conversion,
        input::{Input, IoMode},
        reader::RegionReader,
        zarr::OpenOptions,
    },
    sys,
    voxel::Voxel,
};

/// Samples that are looked at by one task: the split is fixed, and parts are added in order.
const PART: usize = 32 << 10;
/// Different labels that are told apart.
const MOST_LABELS: usize = 1 << 16;

/// What to look at, and with what.
#[derive(Clone, Debug, PartialEq)]
pub struct ValuesRequest {
    pub path: PathBuf,
    /// Ceiling of the resident memory of the whole process.
    pub memory_bytes: u64,
    pub threads: usize,
}

/// The values of all volumes and components: real ones, with slopes applied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Values {
    /// Samples: voxels of all volumes, times components.
    pub counted: u64,
    pub nan: u64,
    pub infinite: u64,
    pub zero: u64,
    /// Of finite values, as are the next three; nothing where there are none.
    pub least: Option<f64>,
    pub greatest: Option<f64>,
    pub mean: Option<f64>,
    /// Of all voxels, not of a sample of them: the sum of squares is divided by their number.
    pub standard_deviation: Option<f64>,
    /// How many labels there are beside 0, of a volume of labels with at most 65 536 of them.
    pub labels: Option<u64>,
}

impl Values {
    /// Reads all voxels of a file; `stop` is looked at between boxes.
    ///
    /// # Errors
    /// A file that cannot be read, a budget that is too small, and [`Error::Stopped`].
    pub fn of(request: &ValuesRequest, stop: &AtomicBool) -> Result<Values> {
        let input = Input::open(&request.path, &OpenOptions::default())?;
        let found = match input.slope() {
            None => dispatch!(input.layout().stored, T => counts::<T>(&input, request, stop)),
            Some(_) => counts::<f64>(&input, request, stop),
        };
        Ok(found?.values(input.is_label()))
    }
}

fn counts<T: Voxel>(input: &Input, request: &ValuesRequest, stop: &AtomicBool) -> Result<Counts> {
    let conversion = Conversion { slope: input.slope(), ..input.conversion() };
    let source = input.source::<T>(conversion, IoMode::Auto)?;
    let walk = Walk::of_one(source.layout(), size_of::<T>(), request.memory_bytes, request.threads)?;
    let pool = sys::pool(request.threads)?;
    let mut reader = RegionReader::new(source.as_ref());
    let layout = source.layout();
    let (shape, components) = (layout.grid.shape, layout.components);
    let blocks = walk.boxes(shape).count() as u64 * walk.outer.groups();
    let mut blocks_done = 0;
    let mut counts = Counts::default();
    let mut labels = input.is_label().then(HashSet::new);
    let mut voxels = Vec::new();
    for group in 0..walk.outer.groups() {
        for region in walk.boxes(shape) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped { blocks_done, blocks });
            }
            for volume in walk.outer.members(group) {
                voxels.resize(region.voxels() as usize * components, T::default());
                let failed = |source| Error::Read { outer: volume, region, source: Box::new(source) };
                reader.read(volume, BlockMut::new(region, components, &mut voxels)).map_err(failed)?;
                counts = counts.and(pool.install(|| Counts::of(&voxels)));
                labels = labels.and_then(|labels| with_labels(labels, &voxels));
            }
            blocks_done += 1;
        }
    }
    counts.labels = labels.map(|labels| labels.len() as u64);
    Ok(counts)
}

/// The labels with those of a run of voxels; nothing where they become too many to be told apart.
fn with_labels<T: Voxel>(mut labels: HashSet<u64>, voxels: &[T]) -> Option<HashSet<u64>> {
    let mut last = None;
    for &voxel in voxels {
        if last == Some(voxel) {
            continue;
        }
        last = Some(voxel);
        let label = voxel.to_f64();
        if label != 0.0 && !label.is_nan() && labels.insert(label.to_bits()) && labels.len() > MOST_LABELS {
            return None;
        }
    }
    Some(labels)
}

/// Running counts and moments.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    counted: u64,
    nan: u64,
    infinite: u64,
    zero: u64,
    least: f64,
    greatest: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    labels: Option<u64>,
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            counted: 0,
            nan: 0,
            infinite: 0,
            zero: 0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            mean: 0.0,
            squares: 0.0,
            labels: None,
        }
    }
}

impl Counts {
    /// On the current pool, with the same result on any.
    fn of<T: Voxel>(voxels: &[T]) -> Counts {
        let parts: Vec<Counts> = voxels.par_chunks(PART).map(Counts::part).collect();
        parts.into_iter().fold(Counts::default(), Counts::and)
    }

    /// Two looks: for the mean, and for the distances from it.
    fn part<T: Voxel>(voxels: &[T]) -> Counts {
        let mut counts = Counts { counted: voxels.len() as u64, ..Counts::default() };
        let mut sum = 0.0;
        for voxel in voxels {
            let value = voxel.to_f64();
            if value.is_finite() {
                sum += value;
                counts.zero += u64::from(value == 0.0);
                counts.least = counts.least.min(value);
                counts.greatest = counts.greatest.max(value);
            } else {
                counts.nan += u64::from(value.is_nan());
                counts.infinite += u64::from(value.is_infinite());
            }
        }
        counts.mean = sum / counts.finite().max(1) as f64;
        let distances = voxels.iter().map(|voxel| voxel.to_f64()).filter(|value| value.is_finite());
        counts.squares = distances.map(|value| (value - counts.mean).powi(2)).sum();
        counts
    }

    fn finite(&self) -> u64 {
        self.counted - self.nan - self.infinite
    }

    /// Both, by the formula of Chan, Golub and LeVeque (1979) for the moments.
    fn and(self, other: Counts) -> Counts {
        let (a, b) = (self.finite() as f64, other.finite() as f64);
        let apart = other.mean - self.mean;
        let share = if b == 0.0 { 0.0 } else { b / (a + b) };
        Counts {
            counted: self.counted + other.counted,
            nan: self.nan + other.nan,
            infinite: self.infinite + other.infinite,
            zero: self.zero + other.zero,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
            mean: self.mean + apart * share,
            squares: self.squares + other.squares + apart * apart * a * share,
            labels: None,
        }
    }

    fn values(self, is_label: bool) -> Values {
        let finite = self.finite();
        let of_finite = |value: f64| (finite > 0).then_some(value);
        Values {
            counted: self.counted,
            nan: self.nan,
            infinite: self.infinite,
            zero: self.zero,
            least: of_finite(self.least),
            greatest: of_finite(self.greatest),
            mean: of_finite(self.mean),
            standard_deviation: of_finite((self.squares / finite.max(1) as f64).sqrt()),
            labels: self.labels.filter(|_| is_label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_do_not_depend_on_how_voxels_come() {
        let voxels: Vec<f32> = (0..100_000).map(|n| 1e4 + (n as f32 * 0.7).sin() * 10.0).collect();
        let whole = Counts::of(&voxels).values(false);
        let parts = voxels.chunks(777).map(Counts::of).fold(Counts::default(), Counts::and).values(false);
        let mean = voxels.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let variance = voxels.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / 1e5;
        for found in [&whole, &parts] {
            assert!((found.mean.unwrap() - mean).abs() < 1e-9, "{found:?}");
            assert!((found.standard_deviation.unwrap() - variance.sqrt()).abs() < 1e-9, "{found:?}");
        }
        assert_eq!((whole.least, whole.greatest, whole.counted), (parts.least, parts.greatest, 100_000));
    }

    #[test]
    fn what_is_no_number_is_counted_apart() {
        let found = Counts::of(&[f64::NAN, f64::INFINITY, 0.0, -0.0, 4.0]).values(false);
        assert_eq!((found.nan, found.infinite, found.zero), (1, 1, 2));
        assert_eq!((found.least, found.greatest, found.mean), (Some(0.0), Some(4.0), Some(4.0 / 3.0)));
        let none = Counts::of(&[f32::NAN]).values(false);
        assert_eq!((none.least, none.mean, none.standard_deviation), (None, None, None));
    }

    #[test]
    fn labels_are_counted_beside_zero_and_not_without_end() {
        let labels = with_labels(HashSet::new(), &[0u16, 3, 3, 0, 7, 3]).unwrap();
        assert_eq!(labels.len(), 2);
        let many: Vec<u32> = (0..=MOST_LABELS as u32 + 1).collect();
        assert!(with_labels(HashSet::new(), &many[..=MOST_LABELS]).is_some());
        assert!(with_labels(HashSet::new(), &many).is_none());
    }
}
