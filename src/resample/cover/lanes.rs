//! Modes and medians of several target voxels of a row at once, one in each lane: what small boxes are fastest by.

use std::ops::Range;

use super::{Boxes, Spanned};
use crate::{
    block::{BlockMut, BlockRef},
    resample::TapTable,
    voxel::Voxel,
};

/// The boxes of `N` voxels of a row that have as many taps along it.
pub struct Lanes<'a, T, const N: usize> {
    /// Samples of every box, in C order, by lane.
    pub samples: &'a [[T; N]],
    /// Weights of the rows of samples.
    pub rows: &'a [f64],
    /// Weights along each row, by lane.
    pub along: &'a [[f64; N]],
}

/// Memory for [`Lanes`].
pub struct LaneMemory<T, const N: usize> {
    samples: Vec<[T; N]>,
    rows: Vec<f64>,
    along: Vec<[f64; N]>,
    /// Voxels of a row, from its first one on: those with fewest taps first.
    order: Vec<u32>,
}

/// Bytes of [`LaneMemory`] for rows of `voxels` voxels with boxes of up to `samples` samples; lists grow by doubling, and are sorted in others.
pub fn lane_bytes<T, const N: usize>(voxels: usize, samples: usize) -> usize {
    let of_samples = samples * (size_of::<[T; N]>() + size_of::<f64>() + size_of::<[f64; N]>());
    2 * (of_samples + voxels * size_of::<u32>())
}

impl<T: Voxel, const N: usize> LaneMemory<T, N> {
    /// For target indices `inside` along `table`.
    pub fn new(table: &TapTable<f64>, inside: &Range<i64>) -> LaneMemory<T, N> {
        let mut order: Vec<u32> = (0..(inside.end - inside.start) as u32).collect();
        order.sort_by_key(|&n| table.at(inside.start + i64::from(n)).1.len());
        LaneMemory { samples: Vec::new(), rows: Vec::new(), along: Vec::new(), order }
    }
}

impl Boxes<'_> {
    /// Fills each target voxel with what `lanes` makes of the boxes of up to `N` of them, where they have at most `most` samples each; or with
    /// what `single` makes of its box, where they have more, or `lanes` says that it does not know.
    pub fn in_lanes<T: Voxel, const N: usize>(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        most: usize,
        mut lanes: impl FnMut(Lanes<'_, T, N>) -> ([T; N], [bool; N]),
        mut single: impl FnMut(&Spanned<'_, T>) -> T,
    ) {
        let tables = &self.axes.tables;
        let start = self.inside[2].start;
        let mut memory = LaneMemory::<T, N>::new(&tables[2], &self.inside[2]);
        let order = std::mem::take(&mut memory.order);
        self.each_row(target, |volume, at, out| {
            let source = source.volume(volume);
            let across = [tables[0].at(at[0]), tables[1].at(at[1])];
            let along = |n: u32| tables[2].at(start + i64::from(n));
            let spanned = |n: u32| Spanned { source: &source, taps: [across[0], across[1], along(n)] };
            let alike = order.chunk_by(|&a, &b| along(a).1.len() == along(b).1.len());
            for group in alike.flat_map(|alike| alike.chunks(N)) {
                let known = if spanned(group[0]).samples() > most {
                    [false; N]
                } else {
                    let (found, known) = memory.made(&mut lanes, group, spanned);
                    group.iter().zip(found).for_each(|(&n, voxel)| out[n as usize] = voxel);
                    known
                };
                for (&n, _) in group.iter().zip(known).filter(|(_, known)| !known) {
                    out[n as usize] = single(&spanned(n));
                }
            }
        });
    }
}

impl<T: Voxel, const N: usize> LaneMemory<T, N> {
    /// What `lanes` makes of a group of voxels with as many taps.
    fn made<'a>(
        &mut self,
        lanes: impl FnOnce(Lanes<'_, T, N>) -> ([T; N], [bool; N]),
        group: &[u32],
        spanned: impl Fn(u32) -> Spanned<'a, T>,
    ) -> ([T; N], [bool; N]) {
        // Lanes without a voxel of their own have the last one's.
        let boxes: [Spanned<'a, T>; N] = std::array::from_fn(|lane| spanned(group[lane.min(group.len() - 1)]));
        let first = &boxes[0];
        let taps = first.taps[2].1.len();
        let (mut lowest, mut highest) = (i64::MAX, i64::MIN);
        for of in &boxes {
            (lowest, highest) = (lowest.min(of.taps[2].0), highest.max(of.taps[2].0));
        }
        let mut from = [0; N];
        from.iter_mut().zip(&boxes).for_each(|(from, of)| *from = (of.taps[2].0 - lowest) as usize);
        self.samples.clear();
        self.rows.clear();
        first.rows_within(lowest..highest + taps as i64, |row, weight| {
            self.rows.push(weight);
            for tap in 0..taps {
                let (row, mut values) = (&row[tap..], [T::default(); N]);
                values.iter_mut().zip(from).for_each(|(value, from)| *value = row[from]);
                self.samples.push(values);
            }
        });
        self.along.clear();
        for tap in 0..taps {
            let mut weights = [0.0; N];
            weights.iter_mut().zip(&boxes).for_each(|(weight, of)| *weight = of.taps[2].1[tap]);
            self.along.push(weights);
        }
        let mut differ = false;
        for lanes in &self.samples {
            lanes.iter().zip(&self.samples[0]).for_each(|(value, first)| differ |= value != first);
        }
        if !differ {
            return (self.samples[0], [true; N]);
        }
        lanes(Lanes { samples: &self.samples, rows: &self.rows, along: &self.along })
    }
}
