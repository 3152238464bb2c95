//! Partial results of what is made axis by axis: sums, and the smallest or largest.

use super::{Along, Carry, Extents, Part, parts_of, place};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    resample::axes::Axes,
    voxel::{Real, Voxel},
};

/// How samples become one along an axis.
pub(crate) trait Fold<T: Voxel>: Send {
    type Weight: Real;
    /// A partial result.
    type Sum: Copy + Default + Send;

    /// Partial results that one voxel has along a row.
    fn lanes(&self) -> usize;

    /// Begins with the first tap, whole rows at once.
    fn begin_samples(&self, weight: Self::Weight, from: &[T], to: &mut [Self::Sum]);

    /// Goes on with another.
    fn add_samples(&self, weight: Self::Weight, from: &[T], to: &mut [Self::Sum]);

    fn begin(&self, weight: Self::Weight, from: &[Self::Sum], to: &mut [Self::Sum]);

    fn add(&self, weight: Self::Weight, from: &[Self::Sum], to: &mut [Self::Sum]);

    /// Taps number `first` on of a row, one for each of `samples`; tap 0 begins. `weights` are those of all taps.
    fn along_row(&self, weights: &[Self::Weight], first: usize, samples: &[Self::Sum], lanes: &mut [Self::Sum]);

    /// The voxel, once all taps were taken.
    fn voxel(&self, weights: &[Self::Weight], lanes: &[Self::Sum]) -> T;

    /// Whether what becomes a voxel is below, and whether it is above what the type holds; where that is counted.
    fn is_beyond(&self, _lanes: &[Self::Sum]) -> [bool; 2] {
        [false; 2]
    }
}

/// One volume of a column under way: along axis 0 first, then axis 1, then axis 2.
pub(crate) struct Folded<'a, T: Voxel, F: Fold<T>> {
    fold: F,
    axes: &'a Axes<F::Weight>,
    along: [Along; 3],
    /// What the column needs of the source.
    source: Region,
    outside: T,
    state: State<F::Sum>,
    /// Along each axis, those of the chunk at hand.
    parts: [Vec<Part>; 3],
    /// Voxels below and above what the type holds, until they are taken.
    beyond: [u64; 2],
}

/// Partial results, and room to make whole ones.
struct State<S> {
    /// Indices along each axis that may be open at once.
    open: [usize; 3],
    /// Voxels of a chunk along axis 2.
    width: usize,
    /// Of axis 0: a plane of the chunks of one column each.
    planes: Vec<S>,
    plane: usize,
    /// What all of a plane is, where it is begun and one value; the plane is then not kept.
    even_planes: Vec<Option<S>>,
    /// Of axis 1: for each target index along axis 0, rows of a chunk.
    rows: Vec<S>,
    /// The same of rows.
    even_rows: Vec<Option<S>>,
    /// Of axis 2: for each target row, single voxels of some lanes.
    voxels: Vec<S>,
    lanes: usize,
    whole_plane: Vec<S>,
    whole_row: Vec<S>,
}

impl<'a, T: Voxel, F: Fold<T>> Folded<'a, T, F> {
    /// Nothing was added yet.
    pub(crate) fn new(fold: F, axes: &'a Axes<F::Weight>, target: Region, chunk: [u64; 3], outside: T) -> Self {
        let along: [Along; 3] = std::array::from_fn(|s| Along::new(axes, s, target, chunk[s]));
        let extents = Extents::new(axes, target, chunk);
        let state = State::new(&extents, fold.lanes());
        Folded {
            fold,
            axes,
            along,
            source: axes.source_region(target),
            outside,
            state,
            parts: Default::default(),
            beyond: [0; 2],
        }
    }
}

/// Bytes of [`Folded`] with partial results of `sum_bytes`, of which voxels along a row have `lanes`.
pub(crate) fn folded_bytes(extents: &Extents, lanes: usize, sum_bytes: usize) -> u64 {
    let sums: usize = State::<()>::lens(extents, lanes).iter().fold(0, |n, &len| n.saturating_add(len));
    let parts: usize = extents.touched.iter().sum();
    let chunks: usize = (0..3).map(|s| extents.target[s].div_ceil(extents.touched[s].max(1))).sum();
    // Of even planes and rows, and a row of samples.
    let even = extents.open[0].saturating_add(extents.target[0].saturating_mul(extents.open[1]));
    let sums = sums.saturating_add(even.saturating_mul(2)).saturating_add(extents.chunk[2]);
    (sums.saturating_mul(sum_bytes) + (2 * parts + chunks) * size_of::<Part>()) as u64
}

impl<S> State<S> {
    /// Lengths of planes, rows, voxels, and of the whole plane and row.
    fn lens(extents: &Extents, lanes: usize) -> [usize; 5] {
        let Extents { chunk: [_, ny, nx], target, open, .. } = *extents;
        let plane = ny.saturating_mul(nx);
        let product = |of: &[usize]| of.iter().fold(1usize, |n, &len| n.saturating_mul(len));
        [
            plane.saturating_mul(open[0]),
            product(&[target[0], open[1], nx]),
            product(&[target[0], target[1], open[2], lanes]),
            plane,
            nx,
        ]
    }
}

impl<S: Copy + Default> State<S> {
    fn new(extents: &Extents, lanes: usize) -> State<S> {
        let [planes, rows, voxels, whole_plane, whole_row] =
            State::<S>::lens(extents, lanes).map(|len| vec![S::default(); len]);
        let (width, plane) = (whole_row.len(), whole_plane.len());
        let (even_planes, even_rows) =
            (vec![None; extents.open[0]], vec![None; extents.target[0].saturating_mul(extents.open[1])]);
        State {
            open: extents.open,
            width,
            planes,
            plane,
            even_planes,
            rows,
            even_rows,
            voxels,
            lanes,
            whole_plane,
            whole_row,
        }
    }
}

impl<T: Voxel, F: Fold<T>> Carry<T> for Folded<'_, T, F> {
    fn take(&mut self, chunk: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, volume: usize) {
        let Some((mut down, part)) = self.meet(chunk.region) else { return };
        let rows = |z, y| chunk.row(0, z, y, part.lo[2]..part.hi[2]);
        for z in down.parts[0].iter() {
            down.uneven(z, part, &rows, target, volume);
        }
    }

    fn take_even(&mut self, value: T, region: Region, target: &mut BlockMut<'_, T>, volume: usize) -> bool {
        let Some((mut down, part)) = self.meet(region) else { return true };
        let mut row = Vec::new();
        for z in down.parts[0].iter() {
            if !down.even(z, value, target, volume) {
                row.resize(down.width, value);
                down.uneven(z, part, &|_, _| &row, target, volume);
            }
        }
        true
    }

    fn outside(&self) -> T {
        self.outside
    }

    fn take_beyond(&mut self) -> [u64; 2] {
        std::mem::take(&mut self.beyond)
    }
}

impl<T: Voxel, F: Fold<T>> Folded<'_, T, F> {
    /// The way of what the column needs of a chunk; `None` where that is nothing.
    fn meet(&mut self, chunk: Region) -> Option<(Down<'_, T, F>, Region)> {
        let part = chunk.intersect(&self.source);
        if part.is_empty() {
            return None;
        }
        parts_of(&self.along, self.axes, part, &mut self.parts);
        let down = Down {
            fold: &self.fold,
            axes: self.axes,
            first: [self.along[0].inside.start, self.along[1].inside.start],
            target_rows: (self.along[1].inside.end - self.along[1].inside.start).max(0) as usize,
            parts: &self.parts,
            rows: part.shape()[1],
            width: part.shape()[2],
            state: &mut self.state,
            beyond: &mut self.beyond,
        };
        Some((down, part))
    }
}

/// The way of one chunk's part down the axes.
struct Down<'a, T: Voxel, F: Fold<T>> {
    fold: &'a F,
    axes: &'a Axes<F::Weight>,
    /// First target indices of the column along source axes 0 and 1.
    first: [i64; 2],
    target_rows: usize,
    parts: &'a [Vec<Part>; 3],
    /// Rows of a plane of the part, and samples of a row.
    rows: usize,
    width: usize,
    state: &'a mut State<F::Sum>,
    beyond: &'a mut [u64; 2],
}

impl<'a, T: Voxel, F: Fold<T>> Down<'a, T, F> {
    /// Takes in what target plane `z` has of the part, whose rows `rows` gives by their places along axes 0 and 1.
    fn uneven<'r>(
        &mut self,
        z: &Part,
        part: Region,
        rows: &impl Fn(i64, i64) -> &'r [T],
        target: &mut BlockMut<'_, T>,
        volume: usize,
    ) where
        T: 'r,
    {
        let (slot, len) = (place(z.index, self.state.open[0]), self.rows * self.width);
        let (mut planes, mut whole) =
            (std::mem::take(&mut self.state.planes), std::mem::take(&mut self.state.whole_plane));
        let at = slot * self.state.plane;
        let plane = if z.is_whole() { &mut whole[..len] } else { &mut planes[at..at + len] };
        if let Some(even) = begun(z, slot, &mut self.state.even_planes) {
            plane.fill(even);
        }
        self.planes(z, part, rows, plane);
        if z.ends {
            self.plane(z.index, plane, target, volume);
        }
        (self.state.planes, self.state.whole_plane) = (planes, whole);
    }

    /// Folds the planes of the part that target plane `z` looks at into `to`.
    fn planes<'r>(&self, z: &Part, part: Region, rows: &impl Fn(i64, i64) -> &'r [T], to: &mut [F::Sum])
    where
        T: 'r,
    {
        let weights = self.axes.tables[0].at(z.index).1;
        for (n, tap) in (z.taps[0]..z.taps[1]).enumerate() {
            let (weight, at) = (weights[tap], part.lo[0] + (z.from + n) as i64);
            for (y, row) in (part.lo[1]..part.hi[1]).zip(to.chunks_exact_mut(self.width)) {
                let from = rows(at, y);
                match tap {
                    0 => self.fold.begin_samples(weight, from, row),
                    _ => self.fold.add_samples(weight, from, row),
                }
            }
        }
    }

    /// The same as [`Down::uneven`] for a part that is `value` all over, at the cost of a single row; `false` where the plane is
    /// begun and not of one value.
    fn even(&mut self, z: &Part, value: T, target: &mut BlockMut<'_, T>, volume: usize) -> bool {
        let slot = place(z.index, self.state.open[0]);
        let begun = begun(z, slot, &mut self.state.even_planes);
        if z.begun && begun.is_none() {
            return false;
        }
        let mut sum = [begun.unwrap_or_default()];
        let weights = self.axes.tables[0].at(z.index).1;
        for (tap, &weight) in weights.iter().enumerate().take(z.taps[1]).skip(z.taps[0]) {
            match tap {
                0 => self.fold.begin_samples(weight, &[value], &mut sum),
                _ => self.fold.add_samples(weight, &[value], &mut sum),
            }
        }
        if z.ends {
            self.even_plane(z.index, sum[0], target, volume);
        } else {
            self.state.even_planes[slot] = Some(sum[0]);
        }
        true
    }

    /// A plane that is whole along axis 0 and `value` all over.
    fn even_plane(&mut self, z: i64, value: F::Sum, target: &mut BlockMut<'_, T>, volume: usize) {
        let (fold, open, width) = (self.fold, self.state.open[1], self.width);
        let plane_at = (z - self.first[0]) as usize * open;
        let mut rows = std::mem::take(&mut self.state.rows);
        let mut whole = std::mem::take(&mut self.state.whole_row);
        let parts = self.parts;
        for y in &parts[1] {
            let weights = self.axes.tables[1].at(y.index).1;
            let slot = plane_at + place(y.index, open);
            let begun = begun(y, slot, &mut self.state.even_rows);
            let at = slot * self.state.width;
            // Rows of one value are one voxel wide until they are whole.
            let is_even = !y.begun || begun.is_some();
            let mut one = [begun.unwrap_or_default()];
            let row = if is_even { &mut one[..] } else { &mut rows[at..at + width] };
            whole[..row.len()].fill(value);
            for (tap, &weight) in weights.iter().enumerate().take(y.taps[1]).skip(y.taps[0]) {
                match tap {
                    0 => fold.begin(weight, &whole[..row.len()], row),
                    _ => fold.add(weight, &whole[..row.len()], row),
                }
            }
            if !y.ends {
                if is_even {
                    self.state.even_rows[slot] = Some(one[0]);
                }
                continue;
            }
            if is_even {
                whole[..width].fill(one[0]);
                self.row([z, y.index], &whole[..width], target, volume);
            } else {
                self.row([z, y.index], &rows[at..at + width], target, volume);
            }
        }
        (self.state.rows, self.state.whole_row) = (rows, whole);
    }

    /// A plane that is whole along axis 0, at target index `z`.
    fn plane(&mut self, z: i64, plane: &[F::Sum], target: &mut BlockMut<'_, T>, volume: usize) {
        let (fold, axes, parts) = (self.fold, self.axes, self.parts);
        let (open, width) = (self.state.open[1], self.width);
        let plane_at = (z - self.first[0]) as usize * open;
        let (mut rows, mut whole) = (std::mem::take(&mut self.state.rows), std::mem::take(&mut self.state.whole_row));
        for y in &parts[1] {
            let weights = axes.tables[1].at(y.index).1;
            let number = plane_at + place(y.index, open);
            let slot = number * self.state.width;
            let row = if y.is_whole() { &mut whole[..width] } else { &mut rows[slot..slot + width] };
            if let Some(even) = begun(y, number, &mut self.state.even_rows) {
                row.fill(even);
            }
            for (n, tap) in (y.taps[0]..y.taps[1]).enumerate() {
                let from = &plane[(y.from + n) * width..(y.from + n + 1) * width];
                match tap {
                    0 => fold.begin(weights[tap], from, row),
                    _ => fold.add(weights[tap], from, row),
                }
            }
            if y.ends {
                self.row([z, y.index], row, target, volume);
            }
        }
        (self.state.rows, self.state.whole_row) = (rows, whole);
    }

    /// A row that is whole along axes 0 and 1, at these target indices.
    fn row(&mut self, at: [i64; 2], row: &[F::Sum], target: &mut BlockMut<'_, T>, volume: usize) {
        let (open, lanes) = (self.state.open[2], self.state.lanes);
        let row_at = (at[0] - self.first[0]) as usize * self.target_rows + (at[1] - self.first[1]) as usize;
        let stride = self.axes.stride(target.region) as i64;
        // Where what is at hand of the column begins: that is on its way along axis 2.
        let x_lo = target.region.lo[self.axes.target_axis[2]];
        let base = target.offset(volume, self.axes.target_index([at[0], at[1], x_lo])) as i64;
        let mut whole = [F::Sum::default(); MOST_LANES];
        let (axes, parts) = (self.axes, self.parts);
        for x in &parts[2] {
            let weights = axes.tables[2].at(x.index).1;
            let slot = (row_at * open + place(x.index, open)) * lanes;
            let sums = if x.is_whole() { &mut whole[..lanes] } else { &mut self.state.voxels[slot..slot + lanes] };
            self.fold.along_row(weights, x.taps[0], &row[x.from..x.from + x.taps[1] - x.taps[0]], sums);
            if x.ends {
                let [below, above] = self.fold.is_beyond(sums);
                *self.beyond = [self.beyond[0] + u64::from(below), self.beyond[1] + u64::from(above)];
                target.voxels[(base + (x.index - x_lo) * stride) as usize] = self.fold.voxel(weights, sums);
            }
        }
    }
}

/// Takes what a part was begun with, where that is one value. Parts that are not begun leave the place to others.
fn begun<S: Copy>(part: &Part, place: usize, even: &mut [Option<S>]) -> Option<S> {
    even.get_mut(place).filter(|_| part.begun).and_then(Option::take)
}

/// Lanes that any fold has at most.
const MOST_LANES: usize = 8;
