//! Unions of disjoint regions, which grow.

use super::Region;

/// A set of voxels as disjoint regions. Regions that make a larger one together become one, so that what is filled in any
/// steady order stays a few regions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boxes {
    regions: Vec<Region>,
}

impl Boxes {
    /// Disjoint, in no particular order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Whether it holds no index.
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// Forgets the regions but those that hold.
    pub fn retain(&mut self, holds: impl FnMut(&Region) -> bool) {
        self.regions.retain(holds);
    }

    /// Number of voxels, saturating.
    pub fn voxels(&self) -> u64 {
        self.regions.iter().fold(0, |n, region| n.saturating_add(region.voxels()))
    }

    /// Whether every voxel of `region` is in the set.
    pub fn cover(&self, region: Region) -> bool {
        if region.voxels() == u64::MAX {
            return self.missing(region).is_empty();
        }
        // No voxel is counted twice: the regions are disjoint.
        let covered = self.regions.iter().map(|known| known.intersect(&region).voxels());
        covered.sum::<u64>() == region.voxels()
    }

    /// What of `region` is not in the set, as disjoint regions.
    pub fn missing(&self, region: Region) -> Vec<Region> {
        let mut rest = if region.is_empty() { Vec::new() } else { vec![region] };
        for known in &self.regions {
            if rest.is_empty() {
                break;
            }
            if rest.iter().any(|part| !part.intersect(known).is_empty()) {
                rest = rest.into_iter().flat_map(|part| minus(part, *known)).collect();
            }
        }
        rest
    }

    /// Adds a region; whether any of it was new.
    pub fn insert(&mut self, region: Region) -> bool {
        let new = self.missing(region);
        for &part in &new {
            self.join(part);
        }
        !new.is_empty()
    }

    /// Adds a region that overlaps none, joined with its neighbours for as long as that makes larger regions.
    fn join(&mut self, mut region: Region) {
        // The last ones are most often the neighbours.
        while let Some(n) = self.regions.iter().rposition(|known| joined(*known, region).is_some()) {
            let known = self.regions.swap_remove(n);
            region = joined(known, region).unwrap_or(region);
        }
        self.regions.push(region);
    }
}

/// Both as one region, where they have a whole face in common.
fn joined(a: Region, b: Region) -> Option<Region> {
    let same = |axis: usize| a.lo[axis] == b.lo[axis] && a.hi[axis] == b.hi[axis];
    let axis = (0..3).find(|&axis| !same(axis))?;
    let touch = a.hi[axis] == b.lo[axis] || b.hi[axis] == a.lo[axis];
    (touch && (0..3).all(|other| other == axis || same(other))).then(|| a.hull(&b))
}

/// The part of `region` that does not lie in `known`: at most six regions.
fn minus(region: Region, known: Region) -> Vec<Region> {
    let both = region.intersect(&known);
    if both.is_empty() {
        return vec![region];
    }
    let (mut rest, mut left) = (Vec::new(), region);
    for axis in 0..3 {
        let (mut below, mut above) = (left, left);
        below.hi[axis] = both.lo[axis];
        above.lo[axis] = both.hi[axis];
        rest.extend([below, above].into_iter().filter(|part| !part.is_empty()));
        (left.lo[axis], left.hi[axis]) = (both.lo[axis], both.hi[axis]);
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region() -> impl Strategy<Value = Region> {
        (prop::array::uniform3(0i64..6), prop::array::uniform3(0i64..5))
            .prop_map(|(lo, extent)| Region::new(lo, std::array::from_fn(|a| lo[a] + extent[a])))
    }

    fn voxels(region: Region) -> impl Iterator<Item = [i64; 3]> {
        region.tiles([1; 3]).map(|tile| tile.lo)
    }

    proptest! {
        #[test]
        fn a_set_of_voxels_by_any_steps(regions in prop::collection::vec(region(), 0..12), asked in region()) {
            let (mut boxes, mut set) = (Boxes::default(), std::collections::BTreeSet::new());
            for &region in &regions {
                let before = set.len();
                set.extend(voxels(region));
                prop_assert_eq!(boxes.insert(region), set.len() > before);
                prop_assert_eq!(boxes.voxels(), set.len() as u64);
            }
            let missing = boxes.missing(asked);
            let expected: Vec<[i64; 3]> = voxels(asked).filter(|at| !set.contains(at)).collect();
            let mut found: Vec<[i64; 3]> = missing.iter().flat_map(|&part| voxels(part)).collect();
            found.sort_unstable();
            prop_assert_eq!(boxes.cover(asked), expected.is_empty());
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_filled_in_order_is_one_region() {
        let whole = Region::new([0; 3], [7, 9, 11]);
        let mut boxes = Boxes::default();
        let mut most = 0;
        for tile in whole.tiles([2, 4, 3]) {
            assert!(boxes.insert(tile) && !boxes.insert(tile));
            most = most.max(boxes.regions().len());
        }
        assert_eq!(boxes.regions(), [whole]);
        assert!(most <= 4, "{most}");
    }
}
