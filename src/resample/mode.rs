//! The most frequent of the voxels that a target voxel spans: for labels, which must not be averaged.

use super::{BlockOp, Footprint, Scratch, halved::Halved};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    voxel::Voxel,
};

/// Most frequent voxel of boxes of 1, 2, 4 or 8 source voxels; at the far border of those that exist. Ties go to the lower value.
#[derive(Clone, Copy, Debug)]
pub struct Mode(Halved);

impl Mode {
    /// `factors` (1 or 2 along each axis) are the source voxels that a target voxel spans.
    pub fn new(source_shape: [u64; 3], factors: [u64; 3]) -> Mode {
        Mode(Halved::new(source_shape, factors))
    }
}

impl Footprint for Mode {
    fn target_shape(&self) -> [u64; 3] {
        self.0.target_shape()
    }

    fn source_region(&self, target: Region) -> Region {
        self.0.source_region(target)
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        self.0.source_axis(target_axis)
    }

    fn scratch_bytes(&self, _: Region) -> u64 {
        0
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

impl<T: Voxel> BlockOp<T> for Mode {
    fn apply(&self, source: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, piece: Region, _: &mut Scratch<T::Acc>) {
        for volume in 0..target.volumes {
            let source = source.volume(volume);
            for z in piece.lo[0]..piece.hi[0] {
                for y in piece.lo[1]..piece.hi[1] {
                    let rows = self.0.rows(&source, z, y);
                    let step = self.0.factor_along_rows();
                    let out = target.row(volume, z, y, piece.lo[2]..piece.hi[2]);
                    for (x, voxel) in out.iter_mut().enumerate() {
                        *voxel = most_frequent(rows.iter().flatten(), x * step, step);
                    }
                }
            }
        }
    }
}

/// The most frequent of the samples `x..x + step` of all rows.
fn most_frequent<'a, T: Voxel>(rows: impl Iterator<Item = &'a &'a [T]>, x: usize, step: usize) -> T {
    let mut values = [T::default(); 8];
    let mut len = 0;
    for row in rows {
        for &value in &row[x..(x + step).min(row.len())] {
            values[len] = value;
            len += 1;
        }
    }
    let values = &values[..len];
    let Some((&first, rest)) = values.split_first() else { return T::default() };
    if rest.iter().all(|&value| same(value, first)) {
        return first;
    }
    let count = |value: T| values.iter().filter(|&&other| same(value, other)).count();
    let better = |best: (usize, T), value: T| {
        let times = count(value);
        if times > best.0 || (times == best.0 && lower(value, best.1)) { (times, value) } else { best }
    };
    values.iter().fold((0, first), |best, &value| better(best, value)).1
}

/// Equal, where NaNs are equal among themselves.
fn same<T: Voxel>(a: T, b: T) -> bool {
    a == b || (is_nan(a) && is_nan(b))
}

/// Lower, where NaN is above everything.
fn lower<T: Voxel>(a: T, b: T) -> bool {
    a < b || (is_nan(b) && !is_nan(a))
}

fn is_nan<T: Voxel>(value: T) -> bool {
    value.partial_cmp(&value).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of<T: Voxel>(rows: &[&[T]]) -> T {
        most_frequent(rows.iter(), 0, 2)
    }

    #[test]
    fn the_most_frequent_wins_and_ties_go_to_the_lower() {
        assert_eq!(mode_of::<u64>(&[&[u64::MAX, 3], &[u64::MAX, 5]]), u64::MAX);
        assert_eq!(mode_of::<u64>(&[&[9, 3], &[3, 9]]), 3);
        assert_eq!(mode_of::<u64>(&[&[u64::MAX, u64::MAX - 1]]), u64::MAX - 1);
        assert_eq!(mode_of::<i16>(&[&[1, -1]]), -1);
        assert_eq!(mode_of::<f32>(&[&[f32::NAN, 2.0], &[f32::NAN, 1.0]]).to_bits(), f32::NAN.to_bits());
        assert_eq!(mode_of::<f32>(&[&[f32::NAN, 2.0]]), 2.0);
    }
}
