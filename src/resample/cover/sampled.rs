//! The samples of boxes that several chunks have parts of, kept until the last part has come.

use std::collections::HashMap;

use super::{Pick, Spanned, Tally, median, tally_bytes};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    resample::{
        axes::Axes,
        carry::{Along, Carry, Extents, Part, parts_of},
    },
    voxel::{Rounding, Voxel},
};

/// Memory beside the samples of a box, about.
const BOX_BYTES: usize = 128;

/// One volume of a column of modes or medians.
pub(super) struct Sampled<'a, T: Voxel> {
    axes: &'a Axes<f64>,
    made: Made<T>,
    along: [Along; 3],
    /// What the column needs of the source.
    source: Region,
    outside: T,
    parts: [Vec<Part>; 3],
    /// Samples in C order of boxes that are begun, by target index along the source axes; and memory of those that are finished.
    open: HashMap<[i64; 3], Vec<T>>,
    spare: Vec<Vec<T>>,
}

/// What is made of all samples of a box, with the memory for it.
struct Made<T: Voxel> {
    pick: Pick,
    rounding: Rounding,
    samples: Vec<T>,
    tally: Tally<T>,
}

impl<'a, T: Voxel> Sampled<'a, T> {
    /// No sample was taken yet.
    pub(super) fn new(
        axes: &'a Axes<f64>,
        (pick, rounding): (Pick, Rounding),
        target: Region,
        chunk: [u64; 3],
        outside: T,
    ) -> Self {
        Sampled {
            axes,
            made: Made { pick, rounding, samples: Vec::new(), tally: Tally::new(0) },
            along: std::array::from_fn(|s| Along::new(axes, s, target, chunk[s])),
            source: axes.source_region(target),
            outside,
            parts: Default::default(),
            open: HashMap::new(),
            spare: Vec::new(),
        }
    }
}

/// Bytes of [`Sampled`]: all samples of the boxes that may be open at once.
pub(super) fn sampled_bytes<T: Voxel>(axes: &Axes<f64>, extents: &Extents) -> u64 {
    let samples = axes.tables.iter().fold(1usize, |n, table| n.saturating_mul(table.widest()));
    let Extents { target, touched, open, .. } = *extents;
    let product = |of: [usize; 3]| of.iter().fold(1usize, |n, &len| n.saturating_mul(len));
    let boxes = product([target[0], target[1], open[2]])
        .saturating_add(product([target[0], open[1], touched[2]]))
        .saturating_add(product([open[0], touched[1], touched[2]]));
    let of_box = samples.saturating_mul(size_of::<T>()).saturating_add(BOX_BYTES);
    // Lists grow by doubling.
    let made = samples.saturating_mul(size_of::<T>()).saturating_add(tally_bytes::<T>(samples)).saturating_mul(2);
    let parts = 2 * touched.iter().sum::<usize>() * size_of::<Part>();
    boxes.saturating_mul(of_box).saturating_add(made).saturating_add(parts) as u64
}

impl<T: Voxel> Made<T> {
    fn of(&mut self, spanned: &Spanned<'_, T>) -> T {
        match self.pick {
            Pick::Mode(order) => self.tally.most_frequent(spanned, order),
            Pick::Median => {
                let samples = &mut self.samples;
                samples.clear();
                spanned.rows(|row, _| samples.extend_from_slice(row));
                median(samples, self.rounding)
            }
            Pick::Extreme(extreme) => {
                let samples = &mut self.samples;
                samples.clear();
                spanned.rows(|row, _| samples.extend_from_slice(row));
                extreme.of(samples)
            }
        }
    }
}

impl<T: Voxel> Carry<T> for Sampled<'_, T> {
    fn take(&mut self, chunk: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, volume: usize) {
        let part = chunk.region.intersect(&self.source);
        if part.is_empty() {
            return;
        }
        parts_of(&self.along, self.axes, part, &mut self.parts);
        let parts = std::mem::take(&mut self.parts);
        let [zs, ys, xs] = &parts;
        for z in zs {
            for y in ys {
                for x in xs {
                    if let Some(voxel) = self.take_part(chunk, part, [z, y, x]) {
                        let index = self.axes.target_index([z.index, y.index, x.index]);
                        let at = target.offset(volume, index);
                        target.voxels[at] = voxel;
                    }
                }
            }
        }
        self.parts = parts;
    }

    /// Boxes that are begun with such chunks alone are not kept: their samples are nothing so far.
    fn take_even(&mut self, value: T, region: Region, target: &mut BlockMut<'_, T>, volume: usize) -> bool {
        if value != T::default() || value.to_f64().is_sign_negative() {
            return false;
        }
        let part = region.intersect(&self.source);
        if part.is_empty() {
            return true;
        }
        parts_of(&self.along, self.axes, part, &mut self.parts);
        let parts = std::mem::take(&mut self.parts);
        let [zs, ys, xs] = parts.each_ref().map(|parts| parts.iter().filter(|part| part.ends).map(|part| part.index));
        for z in zs {
            for y in ys.clone() {
                for x in xs.clone() {
                    let voxel = self.finish([z, y, x]).unwrap_or_default();
                    let at = target.offset(volume, self.axes.target_index([z, y, x]));
                    target.voxels[at] = voxel;
                }
            }
        }
        self.parts = parts;
        true
    }

    fn outside(&self) -> T {
        self.outside
    }
}

impl<T: Voxel> Sampled<'_, T> {
    /// Takes the part that the chunk has of one box; the voxel, if that finishes it.
    fn take_part(&mut self, chunk: BlockRef<'_, T>, part: Region, parts: [&Part; 3]) -> Option<T> {
        let axes = self.axes;
        let taps: [(i64, &[f64]); 3] = std::array::from_fn(|s| axes.tables[s].at(parts[s].index));
        if parts.iter().all(|part| part.is_whole()) {
            return Some(self.made.of(&Spanned { source: &chunk, taps }));
        }
        let lens = taps.map(|(_, weights)| weights.len());
        let index = parts.map(|part| part.index);
        let spare = &mut self.spare;
        let samples = self.open.entry(index).or_insert_with(|| {
            let mut samples = spare.pop().unwrap_or_default();
            samples.clear();
            samples.resize(lens.iter().product(), T::default());
            samples
        });
        let [z, y, x] = parts;
        for (n, tap_z) in (z.taps[0]..z.taps[1]).enumerate() {
            for (m, tap_y) in (y.taps[0]..y.taps[1]).enumerate() {
                let from = part.lo[2] + x.from as i64;
                let run = from..from + (x.taps[1] - x.taps[0]) as i64;
                let row = chunk.row(0, part.lo[0] + (z.from + n) as i64, part.lo[1] + (y.from + m) as i64, run);
                let at = (tap_z * lens[1] + tap_y) * lens[2] + x.taps[0];
                samples[at..at + row.len()].copy_from_slice(row);
            }
        }
        if parts.iter().all(|part| part.ends) { self.finish(index) } else { None }
    }

    /// The voxel of a box all of whose parts have come; `None` where none was kept of any.
    fn finish(&mut self, index: [i64; 3]) -> Option<T> {
        let samples = self.open.remove(&index)?;
        let axes = self.axes;
        let taps: [(i64, &[f64]); 3] = std::array::from_fn(|s| axes.tables[s].at(index[s]));
        let lens = taps.map(|(_, weights)| weights.len());
        let lo = taps.map(|(first, _)| first);
        let region = Region { lo, hi: std::array::from_fn(|s| lo[s] + lens[s] as i64) };
        let voxel = self.made.of(&Spanned { source: &BlockRef::new(region, 1, &samples), taps });
        self.spare.push(samples);
        Some(voxel)
    }
}
