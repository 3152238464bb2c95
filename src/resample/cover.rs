//! What a target voxel is, of the source voxels that it covers, where that is no weighed sum.
//!
//! The smallest and the largest fold the rows of a box into one and then its columns; the most frequent and the median need all
//! samples of a box at once. Small boxes of a row are looked at together, one in each lane. Means are sums over tap tables (see
//! `separable.rs`).

use std::ops::Range;

use super::{
    BlockOp, Footprint, Outside, Workspace,
    axes::Axes,
    carry::{Carry, Carrying, Extents, Extremes, Folded, folded_bytes},
    fill::fill,
    looks::Looks,
    order::Order,
};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    voxel::{Rounding, Voxel},
};

mod extreme;
mod frequent;
mod lanes;
mod median;
mod network;
mod sampled;
mod tally;
#[cfg(test)]
mod tests;
mod vote;

pub(super) use extreme::Extreme;
pub(super) use frequent::{heaviest, most_frequent};
use lanes::{Lanes, lane_bytes};
pub(super) use median::median;
use sampled::{Sampled, sampled_bytes};
use tally::{Tally, tally_bytes};
use vote::{Votes, vote_bytes};

/// What is made of the source voxels of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    Extreme(Extreme),
    /// The most frequent, weighed by the overlap; ties to the lower by this order.
    Mode(Order),
    Median,
}

/// The smallest, largest, middle or most frequent voxel of a box of source voxels, over an axis-aligned mapping.
#[derive(Clone, Debug)]
pub(super) struct Covered<T: Voxel> {
    /// Covered voxels and the parts of their overlaps.
    axes: Axes<f64>,
    pick: Pick,
    outside: T,
    rounding: Rounding,
}

impl<T: Voxel> Covered<T> {
    pub(super) fn new(axes: Axes<f64>, pick: Pick, outside: Outside, rounding: Rounding) -> Covered<T> {
        Covered { axes, pick, outside: outside.voxel(), rounding }
    }

    /// Samples of the largest box of a piece.
    fn box_samples(&self, inside: &[Range<i64>; 3]) -> usize {
        (0..3).map(|s| self.axes.tables[s].most_taps(inside[s].clone())).product()
    }
}

impl<T: Voxel> Footprint for Covered<T> {
    fn target_shape(&self) -> [u64; 3] {
        self.axes.target_shape
    }

    fn source_region(&self, target: Region) -> Region {
        self.axes.source_region(target)
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        self.axes.source_axis(target_axis)
    }

    fn scratch_bytes(&self, target: Region) -> u64 {
        let inside = self.axes.inside(target);
        let row = (inside[2].end - inside[2].start).max(0) as usize;
        let source = self.source_region(target).shape()[2];
        let samples = || self.box_samples(&inside);
        let taps = || self.axes.tables[2].most_taps(inside[2].clone());
        let picking = match self.pick {
            Pick::Extreme(_) => source * size_of::<T>(),
            Pick::Mode(_) => {
                let most = samples().min(vote::MOST_SAMPLES);
                tally_bytes::<T>(samples())
                    + vote_bytes::<T>(most)
                    + lane_bytes::<T, { vote::LANES }>(row, taps(), most)
            }
            Pick::Median => {
                let most = samples().min(network::MOST_SAMPLES);
                (samples() + 2 * most * network::LANES) * size_of::<T>()
                    + lane_bytes::<T, { network::LANES }>(row, taps(), most)
            }
        };
        (row * size_of::<T>() + picking) as u64
    }

    fn table_bytes(&self) -> u64 {
        self.axes.table_bytes()
    }

    fn carrying(&self) -> Option<&dyn Carrying> {
        Some(self)
    }
}

impl<T: Voxel> Looks for Covered<T> {
    fn target_axis(&self, s: usize) -> usize {
        self.axes.target_axis(s)
    }

    fn inside(&self, s: usize) -> Range<i64> {
        Looks::inside(&self.axes, s)
    }

    fn taps(&self, s: usize, i: i64) -> Range<i64> {
        self.axes.taps(s, i)
    }
}

impl<T: Voxel> Carrying for Covered<T> {
    fn carried_bytes(&self, extents: &Extents) -> u64 {
        match self.pick {
            Pick::Extreme(_) => folded_bytes(extents, 1, size_of::<T>()),
            Pick::Mode(_) | Pick::Median => sampled_bytes::<T>(&self.axes, extents),
        }
    }
}

impl<T: Voxel> BlockOp<T> for Covered<T> {
    fn apply(&self, source: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, piece: Region, _: &mut Workspace<T::Acc>) {
        let inside = self.axes.inside(piece);
        let filled: u64 = inside.iter().map(|r| (r.end - r.start).max(0) as u64).product();
        if filled < piece.voxels() {
            fill(target, piece, self.outside);
        }
        if filled == 0 {
            return;
        }
        let boxes = Boxes { axes: &self.axes, inside: &inside };
        match self.pick {
            Pick::Extreme(extreme) => boxes.extremes(source, target, extreme),
            Pick::Mode(order) => {
                let mut tally = Tally::new(self.box_samples(&inside));
                let mut votes = Votes::new();
                let lanes = |lanes: Lanes<'_, T, { vote::LANES }>| votes.most_frequent(&lanes, order);
                let single = |spanned: &Spanned<'_, T>| tally.most_frequent(spanned, order);
                boxes.in_lanes(source, target, vote::MOST_SAMPLES, lanes, single);
            }
            Pick::Median => self.medians(&boxes, source, target),
        }
    }

    fn carry<'a>(&'a self, target: Region, chunk: [u64; 3]) -> Option<Box<dyn Carry<T> + 'a>> {
        let (axes, outside) = (&self.axes, self.outside);
        Some(match self.pick {
            Pick::Extreme(extreme) => Box::new(Folded::<T, _>::new(Extremes(extreme), axes, target, chunk, outside)),
            pick => Box::new(Sampled::new(axes, (pick, self.rounding), target, chunk, outside)),
        })
    }
}

impl<T: Voxel> Covered<T> {
    fn medians(&self, boxes: &Boxes<'_>, source: BlockRef<'_, T>, target: &mut BlockMut<'_, T>) {
        let mut samples = Vec::with_capacity(self.box_samples(boxes.inside));
        let single = |spanned: &Spanned<'_, T>| {
            samples.clear();
            spanned.rows(|row, _| samples.extend_from_slice(row));
            median(&mut samples, self.rounding)
        };
        let mut sorted = Vec::new();
        let lanes = |lanes: Lanes<'_, T, { network::LANES }>| {
            (network::medians(&lanes, &mut sorted, self.rounding), [true; network::LANES])
        };
        // Of floats, which zero or NaN it is depends on how samples are selected.
        let most = if T::DTYPE.is_float() { 0 } else { network::MOST_SAMPLES };
        boxes.in_lanes(source, target, most, lanes, single);
    }
}

/// The boxes of the target voxels `inside` of one piece, which is not empty.
struct Boxes<'a> {
    axes: &'a Axes<f64>,
    /// Per source axis, in target indices.
    inside: &'a [Range<i64>; 3],
}

/// The source voxels of one box, and their weights along each axis.
struct Spanned<'a, T> {
    source: &'a BlockRef<'a, T>,
    taps: [(i64, &'a [f64]); 3],
}

impl<T: Voxel> Spanned<'_, T> {
    fn samples(&self) -> usize {
        self.taps.iter().map(|(_, weights)| weights.len()).product()
    }

    fn first(&self) -> T {
        let [z, y, x] = self.taps.map(|(first, _)| first);
        self.source.row(0, z, y, x..x + 1)[0]
    }

    /// Every row of the box, with its weight.
    fn rows(&self, each: impl FnMut(&[T], f64)) {
        let (x, x_weights) = self.taps[2];
        self.rows_within(x..x + x_weights.len() as i64, each);
    }

    /// Every row of the box from and to these columns, with its weight.
    fn rows_within(&self, columns: Range<i64>, mut each: impl FnMut(&[T], f64)) {
        let [(z, z_weights), (y, y_weights), _] = self.taps;
        for (z, z_weight) in (z..).zip(z_weights) {
            for (y, y_weight) in (y..).zip(y_weights) {
                each(self.source.row(0, z, y, columns.clone()), z_weight * y_weight);
            }
        }
    }

    /// Every run of equal samples along a row, with the sum of its weights.
    fn runs(&self, mut each: impl FnMut(T, f64)) {
        let x_weights = self.taps[2].1;
        self.rows(|row, weight| {
            let mut samples = row.iter().zip(x_weights);
            let Some((&first, &along)) = samples.next() else { return };
            let (mut value, mut sum) = (first, along);
            for (&other, along) in samples {
                if other == value {
                    sum += along;
                } else {
                    each(value, weight * sum);
                    (value, sum) = (other, *along);
                }
            }
            each(value, weight * sum);
        });
    }

    /// Every sample of the box, with its weight.
    fn weighed(&self, mut each: impl FnMut(T, f64)) {
        let x_weights = self.taps[2].1;
        self.rows(|row, weight| row.iter().zip(x_weights).for_each(|(&value, x)| each(value, weight * x)));
    }
}

impl Boxes<'_> {
    /// Fills each target voxel with the smallest or largest of its box: rows first, then along them.
    fn extremes<T: Voxel>(&self, source: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, extreme: Extreme) {
        let tables = &self.axes.tables;
        let Range { start: x_lo, end: x_hi } = tables[2].source(self.inside[2].clone());
        let mut folded = vec![T::default(); (x_hi - x_lo) as usize];
        self.each_row(target, |volume, at, out| {
            let source = source.volume(volume);
            let ((z, z_weights), (y, y_weights)) = (tables[0].at(at[0]), tables[1].at(at[1]));
            // The order in which chunks that pass by are folded: it decides over zeros of either sign, and over which NaN.
            let rows = (y..).zip(y_weights).flat_map(|(y, _)| (z..).zip(z_weights).map(move |(z, _)| (z, y)));
            for (n, (z, y)) in rows.enumerate() {
                let row = source.row(0, z, y, x_lo..x_hi);
                if n == 0 { folded.copy_from_slice(row) } else { extreme.fold(row, &mut folded) }
            }
            for (out, x) in out.iter_mut().zip(self.inside[2].clone()) {
                let (first, weights) = tables[2].at(x);
                let first = (first - x_lo) as usize;
                *out = extreme.of(&folded[first..first + weights.len()]);
            }
        });
    }

    /// Has `row` fill each row along source axis 2: of a volume, at target indices along source axes 0 and 1. A row or a plane that covers
    /// the same voxels as the one before it, as on finer grids, is the same.
    fn each_row<T: Voxel>(&self, target: &mut BlockMut<'_, T>, mut row: impl FnMut(usize, [i64; 2], &mut [T])) {
        let stride = self.axes.stride(target.region);
        let mut out = vec![T::default(); (self.inside[2].end - self.inside[2].start) as usize];
        let tables = &self.axes.tables;
        let same = |s: usize, a: i64, b: i64| a == b || tables[s].at(a) == tables[s].at(b);
        for volume in 0..target.volumes {
            let mut before: Option<[i64; 2]> = None;
            for z in self.inside[0].clone() {
                let is_repeated = z > self.inside[0].start && same(0, z - 1, z);
                for y in self.inside[1].clone() {
                    let offset = |z: i64| target.offset(volume, self.axes.target_index([z, y, self.inside[2].start]));
                    if is_repeated {
                        let (from, to) = (offset(z - 1), offset(z));
                        (0..out.len()).for_each(|n| target.voxels[to + n * stride] = target.voxels[from + n * stride]);
                        continue;
                    }
                    if !before.is_some_and(|[before_z, before_y]| same(0, before_z, z) && same(1, before_y, y)) {
                        row(volume, [z, y], &mut out);
                    }
                    before = Some([z, y]);
                    let first = offset(z);
                    target.voxels[first..].iter_mut().step_by(stride).zip(&out).for_each(|(voxel, &v)| *voxel = v);
                }
            }
        }
    }
}
