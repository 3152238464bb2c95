//! A picture that is filled sample by sample, by any number of threads.

use std::{
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{geometry::Affine, region::Region};

/// Bits of a pixel without a sample: a NaN that no conversion makes.
const UNSET: u32 = 0xffff_dead;
/// Steps along an axis below this are none.
const NO_STEP: f64 = 1e-12;
/// Voxels by which a place may be off where an axis has no step.
const SLACK: f64 = 1e-6;

/// Pixels of a plane, each the sample of the voxel in which its centre lies, as f32. Rows from top to bottom.
#[derive(Debug)]
pub struct Raster {
    /// Columns and rows.
    pub size: [usize; 2],
    /// From (column, row, 0) to the index of the volume, in storage order.
    to_index: Affine,
    /// All voxels of the volume.
    volume: Region,
    /// The box around all voxels that pixels show.
    hull: Region,
    samples: Vec<AtomicU32>,
}

/// The voxel in which the centre of pixel (column, row) lies.
pub(super) fn nearest(to_index: &Affine, [column, row]: [usize; 2]) -> [i64; 3] {
    to_index.apply([column as f64, row as f64, 0.0]).map(|c| (c + 0.5).floor() as i64)
}

impl Raster {
    /// A picture without samples of a volume of this shape.
    pub fn new(size: [usize; 2], to_index: Affine, shape: [u64; 3]) -> Raster {
        let [columns, rows] = size;
        let corners = [[0, 0], [columns - 1, 0], [0, rows - 1], [columns - 1, rows - 1]];
        let hull = corners.into_iter().map(|corner| nearest(&to_index, corner)).fold(Region::EMPTY, |hull, at| {
            // Rounding may take a pixel between the corners one voxel farther.
            hull.hull(&Region::new(at.map(|i| i.saturating_sub(1)), at.map(|i| i.saturating_add(2))))
        });
        let volume = Region::of_shape(shape);
        let samples = (0..columns * rows).map(|_| AtomicU32::new(UNSET)).collect();
        Raster { size, to_index, volume, hull: hull.intersect(&volume), samples }
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.samples.len()
    }

    /// The sample of pixel `n`; nothing where none was brought.
    pub fn get(&self, n: usize) -> Option<f32> {
        let bits = self.samples[n].load(Ordering::Relaxed);
        (bits != UNSET).then(|| f32::from_bits(bits))
    }

    /// Takes the sample `value` for pixel `n`.
    fn set(&self, n: usize, value: f64) {
        self.samples[n].store((value as f32).to_bits(), Ordering::Relaxed);
    }

    /// The voxel that pixel (column, row) shows; nothing outside the volume.
    pub fn voxel(&self, pixel: [usize; 2]) -> Option<[i64; 3]> {
        let at = nearest(&self.to_index, pixel);
        holds(&self.volume, at).then_some(at)
    }

    /// Takes the samples of all pixels that show a voxel of `region`: `value` says that of a voxel.
    pub fn take(&self, region: Region, value: &dyn Fn([i64; 3]) -> f64) {
        self.each(region, &mut |n, at| self.set(n, value(at)));
    }

    /// Calls `pixel` with the number and the voxel of each pixel that shows a voxel of `region`.
    fn each(&self, region: Region, pixel: &mut dyn FnMut(usize, [i64; 3])) {
        let region = region.intersect(&self.hull);
        if region.is_empty() {
            return;
        }
        let [columns, rows] = self.size;
        for row in self.rows(rows, columns, &region) {
            for column in self.columns(row, columns, &region) {
                let at = nearest(&self.to_index, [column, row]);
                if holds(&region, at) {
                    pixel(row * columns + column, at);
                }
            }
        }
    }

    /// Rows that may have voxels in `region`: all of them, and perhaps two more.
    fn rows(&self, rows: usize, columns: usize, region: &Region) -> Range<usize> {
        let (mut first, mut last) = (0.0f64, rows as f64 - 1.0);
        for (a, &[across, down, _, begin]) in self.to_index.m.iter().enumerate() {
            let along = across * (columns as f64 - 1.0);
            let low = region.lo[a] as f64 - 0.5 - begin - along.max(0.0);
            let high = region.hi[a] as f64 - 0.5 - begin - along.min(0.0);
            if down.abs() < NO_STEP {
                if low > SLACK || high < -SLACK {
                    return 0..0;
                }
                continue;
            }
            let (one, other) = (low / down, high / down);
            first = first.max(one.min(other) - 1.0);
            last = last.min(one.max(other) + 1.0);
        }
        whole(first, last, rows)
    }

    /// Columns of a row whose voxels may lie in `region`: all of them, and perhaps two more.
    fn columns(&self, row: usize, columns: usize, region: &Region) -> Range<usize> {
        let (mut first, mut last) = (0.0f64, columns as f64 - 1.0);
        let begin = self.to_index.apply([0.0, row as f64, 0.0]);
        for (a, &begin) in begin.iter().enumerate() {
            let step = self.to_index.m[a][0];
            let (lo, hi) = (region.lo[a] as f64 - 0.5, region.hi[a] as f64 - 0.5);
            if step.abs() < NO_STEP {
                if begin < lo - SLACK || begin > hi + SLACK {
                    return 0..0;
                }
                continue;
            }
            let (one, other) = ((lo - begin) / step, (hi - begin) / step);
            first = first.max(one.min(other) - 1.0);
            last = last.min(one.max(other) + 1.0);
        }
        whole(first, last, columns)
    }

    /// How many pixels that show a voxel of the volume have no sample.
    pub fn lacking(&self) -> usize {
        let [columns, _] = self.size;
        (0..self.pixels())
            .filter(|&n| self.get(n).is_none() && self.voxel([n % columns, n / columns]).is_some())
            .count()
    }
}

/// The whole numbers below `of` from `first` to `last`.
fn whole(first: f64, last: f64, of: usize) -> Range<usize> {
    if first > last { 0..0 } else { first.max(0.0) as usize..(last.max(0.0) as usize + 1).min(of) }
}

fn holds(region: &Region, at: [i64; 3]) -> bool {
    (0..3).all(|a| (region.lo[a]..region.hi[a]).contains(&at[a]))
}
