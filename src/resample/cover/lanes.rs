//! Modes and medians of several target voxels of a row at once, one in each lane: what small boxes are fastest by.

use std::ops::Range;

use super::{Boxes, Spanned};
use crate::{
    block::{BlockMut, BlockRef},
    resample::{TapTable, order::is_nan},
    voxel::Voxel,
};

/// The boxes of `N` voxels of a row that have as many taps along it.
pub(super) struct Lanes<'a, T, const N: usize> {
    /// Samples of every box, in C order, by lane.
    pub samples: &'a [[T; N]],
    /// Weights of the rows of samples.
    pub rows: &'a [f64],
    /// Weights along each row, by lane.
    pub along: &'a [[f64; N]],
}

/// Numbers of taps that voxels of a row have: those within it one of two, and those next to its ends fewer. Voxels with others are made one
/// by one.
const CLASSES: usize = 6;

/// Up to `N` voxels of a row with as many taps. They are the same for all rows of a piece.
struct Group<const N: usize> {
    /// Which of [`Groups::order`].
    voxels: Range<usize>,
    taps: usize,
    /// The source voxels along a row that they look at.
    columns: Range<i64>,
    /// The first of each lane's, from the start of `columns`. Lanes without a voxel of their own have the last one's.
    from: [u32; N],
}

/// The voxels of a row in groups.
struct Groups<const N: usize> {
    /// Voxels of a row, from its first one on: those with fewest taps first, each that looks at something of its own.
    order: Vec<u32>,
    groups: Vec<Group<N>>,
    /// Weights along rows, by lane: `taps` of each group.
    along: Vec<[f64; N]>,
    /// Of `order`, those that are in no group.
    rest: Range<usize>,
    /// Voxels that look at just what the one before them does, ascending: they are in neither.
    repeated: Vec<u32>,
}

/// Bytes of groups and of their samples, for rows of `voxels` voxels with up to `taps` taps, and boxes of up to `samples` samples; lists grow
/// by doubling, and are sorted in others.
pub(super) fn lane_bytes<T, const N: usize>(voxels: usize, taps: usize, samples: usize) -> usize {
    let of_samples = samples * (size_of::<[T; N]>() + size_of::<f64>());
    let groups = voxels.div_ceil(N) + CLASSES;
    let of_groups = groups * (size_of::<Group<N>>() + taps.min(samples) * size_of::<[f64; N]>());
    2 * (of_samples + of_groups + voxels * size_of::<u32>())
}

impl<const N: usize> Groups<N> {
    /// For target indices `inside` along `table`; voxels with more than `most` taps are in no group.
    fn new(table: &TapTable<f64>, inside: &Range<i64>, most: usize) -> Groups<N> {
        let at = |n: u32| table.at(inside.start + i64::from(n));
        let is_repeated = |n: &u32| n.checked_sub(1).is_some_and(|before| at(before) == at(*n));
        let (repeated, mut order): (Vec<u32>, Vec<u32>) =
            (0..(inside.end - inside.start) as u32).partition(is_repeated);
        order.sort_by_key(|&n| at(n).1.len());
        let (mut groups, mut along, mut end) = (Vec::new(), Vec::new(), 0);
        for alike in order.chunk_by(|&a, &b| at(a).1.len() == at(b).1.len()).take(CLASSES) {
            let taps = at(alike[0]).1.len();
            if taps > most {
                break;
            }
            for some in alike.chunks(N) {
                let of: [(i64, &[f64]); N] = std::array::from_fn(|lane| at(some[lane.min(some.len() - 1)]));
                let first = of.iter().map(|(first, _)| *first).fold(i64::MAX, i64::min);
                let last = of.iter().map(|(first, _)| *first).fold(i64::MIN, i64::max);
                let from = of.map(|(of_lane, _)| (of_lane - first) as u32);
                along.extend((0..taps).map(|tap| of.map(|(_, weights)| weights[tap])));
                groups.push(Group { voxels: end..end + some.len(), taps, columns: first..last + taps as i64, from });
                end += some.len();
            }
        }
        let rest = end..order.len();
        Groups { order, groups, along, rest, repeated }
    }
}

impl Boxes<'_> {
    /// Fills each target voxel with what `lanes` makes of the boxes of up to `N` of them, where they have at most `most` samples each; or with
    /// what `single` makes of its box, where they have more, or `lanes` says that it does not know.
    pub(super) fn in_lanes<T: Voxel, const N: usize>(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        most: usize,
        mut lanes: impl FnMut(Lanes<'_, T, N>) -> ([T; N], [bool; N]),
        mut single: impl FnMut(&Spanned<'_, T>) -> T,
    ) {
        let tables = &self.axes.tables;
        let start = self.inside[2].start;
        let Groups { order, groups, along, rest, repeated } = Groups::<N>::new(&tables[2], &self.inside[2], most);
        let (mut samples, mut rows): (Vec<[T; N]>, Vec<f64>) = (Vec::new(), Vec::new());
        self.each_row(target, |volume, at, out| {
            let source = source.volume(volume);
            let across = [tables[0].at(at[0]), tables[1].at(at[1])];
            let [(_, z_weights), (_, y_weights)] = across;
            rows.clear();
            rows.extend(z_weights.iter().flat_map(|z| y_weights.iter().map(move |y| z * y)));
            let spanned =
                |n: u32| Spanned { source: &source, taps: [across[0], across[1], tables[2].at(start + i64::from(n))] };
            let mut along = along.as_slice();
            for group in &groups {
                let (of_group, others) = along.split_at(group.taps);
                along = others;
                let voxels = &order[group.voxels.clone()];
                let known = if rows.len() * group.taps > most {
                    [false; N]
                } else {
                    group.gather(
                        &source,
                        across.map(|(first, weights)| first..first + weights.len() as i64),
                        &mut samples,
                    );
                    let (found, known) = match samples.first() {
                        Some(first) if !differ(&samples) => (*first, [true; N]),
                        _ => lanes(Lanes { samples: &samples, rows: &rows, along: of_group }),
                    };
                    voxels.iter().zip(found).for_each(|(&n, voxel)| out[n as usize] = voxel);
                    known
                };
                for (&n, _) in voxels.iter().zip(known).filter(|(_, known)| !known) {
                    out[n as usize] = single(&spanned(n));
                }
            }
            for &n in &order[rest.clone()] {
                out[n as usize] = single(&spanned(n));
            }
            for &n in &repeated {
                out[n as usize] = out[n as usize - 1];
            }
        });
    }
}

impl<const N: usize> Group<N> {
    /// The samples of all boxes, row by row.
    fn gather<T: Voxel>(&self, source: &BlockRef<'_, T>, [zs, ys]: [Range<i64>; 2], samples: &mut Vec<[T; N]>) {
        let rows = (zs.end - zs.start) as usize * (ys.end - ys.start) as usize;
        samples.resize(rows * self.taps, [T::default(); N]);
        let of_rows = zs.flat_map(|z| ys.clone().map(move |y| (z, y)));
        for (values, (z, y)) in samples.chunks_exact_mut(self.taps).zip(of_rows) {
            let row = source.row(0, z, y, self.columns.clone());
            match self.taps {
                1 => self.gather_row::<T, 1>(row, values),
                2 => self.gather_row::<T, 2>(row, values),
                3 => self.gather_row::<T, 3>(row, values),
                4 => self.gather_row::<T, 4>(row, values),
                _ => self.gather_long_row(row, values),
            }
        }
    }

    /// `values[k][lane]` becomes the sample of tap `k` of each lane, of which there are `K`.
    #[inline]
    fn gather_row<T: Voxel, const K: usize>(&self, row: &[T], values: &mut [[T; N]]) {
        let Some(values) = values.first_chunk_mut::<K>() else { return };
        for (lane, &from) in self.from.iter().enumerate() {
            let Some(taps) = row[from as usize..].first_chunk::<K>() else { return };
            for k in 0..K {
                values[k][lane] = taps[k];
            }
        }
    }

    fn gather_long_row<T: Voxel>(&self, row: &[T], values: &mut [[T; N]]) {
        for (lane, &from) in self.from.iter().enumerate() {
            for (values, &sample) in values.iter_mut().zip(&row[from as usize..]) {
                values[lane] = sample;
            }
        }
    }
}

/// Whether any sample of a box is another than its first; a NaN differs from itself.
fn differ<T: Voxel, const N: usize>(samples: &[[T; N]]) -> bool {
    let Some((first, others)) = samples.split_first() else { return false };
    others.iter().any(|lanes| lanes != first) || first.iter().any(|&value| is_nan(value))
}
