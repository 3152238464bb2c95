//! What is known of the vectors of a displacement field before they are read: their ranges, box by box.
//!
//! The vectors are read piece by piece during the run. A plan needs only the range of the vectors in each part of the
//! field, which is collected once.

use multiversion::multiversion;

use crate::{block::BlockRef, region::Region};

/// Boxes that a field is cut into at most: their ranges stay in memory.
const MOST_BOXES: u64 = 1 << 15;
/// Extent of the smallest boxes, in field voxels.
const SMALLEST_BOX: u64 = 16;

/// Ranges of a field's vectors, box by box. NaNs do not count.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorRanges {
    /// Voxels of the field, storage order.
    shape: [u64; 3],
    /// Extent of a box along every axis.
    step: u64,
    counts: [u64; 3],
    /// Lowest and highest value of each component; empty where nothing was added.
    boxes: Vec<[[f32; 2]; 3]>,
}

const NOTHING: [f32; 2] = [f32::INFINITY, f32::NEG_INFINITY];

impl VectorRanges {
    /// Of a field of which nothing is known yet.
    pub fn new(shape: [u64; 3]) -> VectorRanges {
        VectorRanges::by_boxes(shape, SMALLEST_BOX)
    }

    /// The same with boxes of at least `step` voxels along each axis.
    pub fn by_boxes(shape: [u64; 3], mut step: u64) -> VectorRanges {
        let counts = |step: u64| shape.map(|n| n.div_ceil(step));
        while counts(step).iter().fold(1u64, |n, &count| n.saturating_mul(count)) > MOST_BOXES {
            step *= 2;
        }
        let counts = counts(step);
        let len = counts.iter().product::<u64>() as usize;
        VectorRanges { shape, step, counts, boxes: vec![[NOTHING; 3]; len] }
    }

    /// Voxels of the field, storage order.
    pub fn shape(&self) -> [u64; 3] {
        self.shape
    }

    /// Memory that the ranges take.
    pub fn bytes(&self) -> u64 {
        (self.boxes.len() * size_of::<[[f32; 2]; 3]>()) as u64
    }

    /// Of the boxes that `part` of a block has something of, values of one component: their numbers, lowest and highest values.
    pub fn of(&self, part: Region, block: BlockRef<'_, f32>) -> Vec<(usize, [f32; 2])> {
        let step = self.step as i64;
        let raster = Region { lo: part.lo.map(|lo| lo.div_euclid(step) * step), hi: part.hi };
        let boxes = raster.tiles([self.step as usize; 3]);
        boxes.map(|of| (self.box_of(of.lo), range_of(block, of.intersect(&part)))).collect()
    }

    /// Takes in what [`VectorRanges::of`] found of component `component`.
    pub fn add(&mut self, component: usize, found: &[(usize, [f32; 2])]) {
        for &(at, range) in found {
            let known = &mut self.boxes[at][component];
            *known = [known[0].min(range[0]), known[1].max(range[1])];
        }
    }

    fn box_of(&self, voxel: [i64; 3]) -> usize {
        let [z, y, x] = voxel.map(|i| i as u64 / self.step);
        ((z * self.counts[1] + y) * self.counts[2] + x) as usize
    }

    /// The ranges of interpolated vectors at field indices within `hull`; beyond the field vectors are 0.
    pub fn within(&self, hull: [[f64; 2]; 3]) -> [[f64; 2]; 3] {
        let mut ranges = [NOTHING; 3];
        let (mut lo, mut hi) = ([0; 3], [0; 3]);
        for (a, [low, high]) in hull.into_iter().enumerate() {
            let last = self.shape[a] as i64 - 1;
            if low < 0.0 || high > last as f64 {
                ranges = ranges.map(|[least, most]| [least.min(0.0), most.max(0.0)]);
            }
            lo[a] = (low.floor() as i64).clamp(0, last) as u64 / self.step;
            hi[a] = (high.floor() as i64).saturating_add(1).clamp(0, last) as u64 / self.step;
        }
        for z in lo[0]..=hi[0] {
            for y in lo[1]..=hi[1] {
                let row = (z * self.counts[1] + y) * self.counts[2];
                let boxes = &self.boxes[(row + lo[2]) as usize..=(row + hi[2]) as usize];
                boxes.iter().for_each(|found| ranges = joined(ranges, *found));
            }
        }
        ranges.map(or_nothing)
    }

    /// The ranges of all vectors, and of none.
    pub fn all(&self) -> [[f64; 2]; 3] {
        let ranges = self.boxes.iter().fold([[0.0; 2]; 3], |ranges, found| joined(ranges, *found));
        ranges.map(or_nothing)
    }

    /// Boxes along each axis that a part of the field of `extents` voxels meets at most: it may begin anywhere in its first.
    pub fn boxes_met(&self, extents: [u64; 3]) -> [u64; 3] {
        std::array::from_fn(|a| (extents[a].div_ceil(self.step) + 1).min(self.counts[a]))
    }

    /// The widest ranges that any part of the field that meets so many boxes has, as widths per component. Looks at all boxes.
    pub fn widest(&self, boxes_met: [u64; 3]) -> [f64; 3] {
        let mut boxes = self.boxes.clone();
        let strides = [self.counts[1] * self.counts[2], self.counts[2], 1].map(|stride| stride as usize);
        for a in 0..3 {
            let reach = boxes_met[a] as usize;
            let before = boxes.clone();
            for (n, range) in boxes.iter_mut().enumerate() {
                let at = n / strides[a] % self.counts[a] as usize;
                let others = (1..reach.min(self.counts[a] as usize - at)).map(|k| before[n + k * strides[a]]);
                *range = others.fold(*range, joined);
            }
        }
        // Beyond the field there is no displacement.
        let widths =
            boxes.iter().map(|ranges| joined(*ranges, [[0.0; 2]; 3]).map(or_nothing).map(|[least, most]| most - least));
        widths.fold([0.0; 3], |most, width| [0, 1, 2].map(|c| width[c].max(most[c])))
    }
}

/// Values that are held against the ends at once.
const LANES: usize = 16;

/// The lowest and highest value of a part of a block, without NaNs.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn range_of(block: BlockRef<'_, f32>, part: Region) -> [f32; 2] {
    let (mut low, mut high) = ([NOTHING[0]; LANES], [NOTHING[1]; LANES]);
    for z in part.lo[0]..part.hi[0] {
        for y in part.lo[1]..part.hi[1] {
            for values in block.row(0, z, y, part.lo[2]..part.hi[2]).chunks(LANES) {
                for ((low, high), &value) in low.iter_mut().zip(&mut high).zip(values) {
                    *low = if value < *low { value } else { *low };
                    *high = if value > *high { value } else { *high };
                }
            }
        }
    }
    [low.into_iter().fold(NOTHING[0], f32::min), high.into_iter().fold(NOTHING[1], f32::max)]
}

fn joined(a: [[f32; 2]; 3], b: [[f32; 2]; 3]) -> [[f32; 2]; 3] {
    [0, 1, 2].map(|c| [a[c][0].min(b[c][0]), a[c][1].max(b[c][1])])
}

fn or_nothing(range: [f32; 2]) -> [f64; 2] {
    if range[0] > range[1] { [0.0; 2] } else { range.map(f64::from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_every_vector_of_a_part() {
        let shape = [40, 20, 35];
        let mut ranges = VectorRanges::new(shape);
        let value = |at: [i64; 3], c: i64| ((at[0] * 7 + at[1] * 3 + at[2] * (c + 1)) % 23) as f32 - 9.0;
        for c in 0..3 {
            for part in Region::of_shape(shape).tiles([9, 20, 35]) {
                let values: Vec<f32> = part.tiles([1; 3]).map(|voxel| value(voxel.lo, c)).collect();
                let found = ranges.of(part, BlockRef::new(part, 1, &values));
                ranges.add(c as usize, &found);
            }
        }
        let part = Region::new([3, 5, 17], [6, 9, 21]);
        let hull = [[3.2, 4.9], [5.0, 7.5], [17.7, 19.0]];
        let found = ranges.within(hull);
        let widest = ranges.widest(ranges.boxes_met([3, 4, 4]));
        for c in 0..3 {
            for voxel in part.tiles([1; 3]) {
                let value = f64::from(value(voxel.lo, c as i64));
                assert!(found[c][0] <= value && value <= found[c][1]);
            }
            assert!(found[c][1] - found[c][0] <= widest[c]);
        }
        assert_eq!(
            ranges.within([[-3.0, -1.0], [0.0, 1.0], [0.0, 1.0]]).map(|r| r[0] <= 0.0 && r[1] >= 0.0),
            [true; 3]
        );
        assert_eq!(VectorRanges::new(shape).all(), [[0.0; 2]; 3]);
    }

    #[test]
    fn large_fields_have_larger_boxes() {
        let ranges = VectorRanges::new([4000, 4000, 4000]);
        assert!(ranges.bytes() <= MOST_BOXES * 24 && ranges.step == 128);
    }
}
