//! Partial results of what is made axis by axis: sums, and the smallest or largest.

use super::{Along, Carry, Extents, Part, parts_of, place};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    resample::axes::Axes,
    voxel::{Real, Voxel},
};

/// How samples become one along an axis.
pub trait Fold<T: Voxel>: Send {
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
pub struct Folded<'a, T: Voxel, F: Fold<T>> {
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
    /// Of axis 1: for each target index along axis 0, rows of a chunk.
    rows: Vec<S>,
    /// Of axis 2: for each target row, single voxels of some lanes.
    voxels: Vec<S>,
    lanes: usize,
    whole_plane: Vec<S>,
    whole_row: Vec<S>,
}

impl<'a, T: Voxel, F: Fold<T>> Folded<'a, T, F> {
    pub fn new(fold: F, axes: &'a Axes<F::Weight>, target: Region, chunk: [u64; 3], outside: T) -> Self {
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
pub fn folded_bytes(extents: &Extents, lanes: usize, sum_bytes: usize) -> u64 {
    let sums: usize = State::<()>::lens(extents, lanes).iter().fold(0, |n, &len| n.saturating_add(len));
    let parts: usize = extents.touched.iter().sum();
    let chunks: usize = (0..3).map(|s| extents.target[s].div_ceil(extents.touched[s].max(1))).sum();
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
        State { open: extents.open, width, planes, plane, rows, voxels, lanes, whole_plane, whole_row }
    }
}

impl<T: Voxel, F: Fold<T>> Carry<T> for Folded<'_, T, F> {
    fn take(&mut self, chunk: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, volume: usize) {
        let part = chunk.region.intersect(&self.source);
        if part.is_empty() {
            return;
        }
        parts_of(&self.along, self.axes, part, &mut self.parts);
        let state = &mut self.state;
        let mut planes = std::mem::take(&mut state.planes);
        let mut whole = std::mem::take(&mut state.whole_plane);
        let [_, ny, nx] = part.shape();
        let mut down = Down {
            fold: &self.fold,
            axes: self.axes,
            first: [self.along[0].inside.start, self.along[1].inside.start],
            target_rows: (self.along[1].inside.end - self.along[1].inside.start).max(0) as usize,
            parts: &self.parts,
            width: nx,
            state: &mut *state,
            beyond: &mut self.beyond,
        };
        for z in &self.parts[0] {
            let slot = place(z.index, down.state.open[0]) * down.state.plane;
            let plane = if z.is_whole() { &mut whole[..ny * nx] } else { &mut planes[slot..slot + ny * nx] };
            down.planes(z, chunk, part, plane);
            if z.ends {
                down.plane(z.index, plane, target, volume);
            }
        }
        (state.planes, state.whole_plane) = (planes, whole);
    }

    fn outside(&self) -> T {
        self.outside
    }

    fn take_beyond(&mut self) -> [u64; 2] {
        std::mem::take(&mut self.beyond)
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
    /// Samples of a row of the part.
    width: usize,
    state: &'a mut State<F::Sum>,
    beyond: &'a mut [u64; 2],
}

impl<T: Voxel, F: Fold<T>> Down<'_, T, F> {
    /// Folds the planes of the part that target plane `z` looks at into `to`.
    fn planes(&self, z: &Part, chunk: BlockRef<'_, T>, part: Region, to: &mut [F::Sum]) {
        let weights = self.axes.tables[0].at(z.index).1;
        for (n, tap) in (z.taps[0]..z.taps[1]).enumerate() {
            let (weight, at) = (weights[tap], part.lo[0] + (z.from + n) as i64);
            for (y, row) in (part.lo[1]..part.hi[1]).zip(to.chunks_exact_mut(self.width)) {
                let from = chunk.row(0, at, y, part.lo[2]..part.hi[2]);
                match tap {
                    0 => self.fold.begin_samples(weight, from, row),
                    _ => self.fold.add_samples(weight, from, row),
                }
            }
        }
    }

    /// A plane that is whole along axis 0, at target index `z`.
    fn plane(&mut self, z: i64, plane: &[F::Sum], target: &mut BlockMut<'_, T>, volume: usize) {
        let (fold, axes, parts) = (self.fold, self.axes, self.parts);
        let (open, width) = (self.state.open[1], self.width);
        let plane_at = (z - self.first[0]) as usize * open;
        let (mut rows, mut whole) = (std::mem::take(&mut self.state.rows), std::mem::take(&mut self.state.whole_row));
        for y in &parts[1] {
            let weights = axes.tables[1].at(y.index).1;
            let slot = (plane_at + place(y.index, open)) * self.state.width;
            let row = if y.is_whole() { &mut whole[..width] } else { &mut rows[slot..slot + width] };
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

/// Lanes that any fold has at most.
const MOST_LANES: usize = 8;
