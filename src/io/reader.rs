//! Any region of any source, for callers that walk a volume forward: comparisons, checks, tests.

use std::collections::BTreeMap;

use super::Source;
use crate::{
    block::{BlockMut, BlockRef},
    error::Result,
    layout::{Access, Layout},
    region::Region,
    voxel::Voxel,
};

/// Serves regions of one source, whatever its chunks, and keeps only the chunks of the region asked for last.
///
/// Of an ascending source regions must ascend as its chunks do: volumes in order, and within a volume each region asks
/// for no chunk before the first one of the region before it. Others may be read in any order, at the price of decoding
/// a chunk again.
pub struct RegionReader<'a, T> {
    source: &'a dyn Source<T>,
    kept: BTreeMap<(u64, [u64; 3]), Vec<T>>,
    /// Memory of chunks that were dropped; together with `kept` never more than the largest region took.
    spare: Vec<Vec<T>>,
    decodes: u64,
}

impl<'a, T: Voxel> RegionReader<'a, T> {
    /// A reader that holds no chunk yet.
    pub fn new(source: &'a dyn Source<T>) -> RegionReader<'a, T> {
        RegionReader { source, kept: BTreeMap::new(), spare: Vec::new(), decodes: 0 }
    }

    /// The source's.
    pub fn layout(&self) -> &'a Layout {
        self.source.layout()
    }

    /// Chunks decoded so far.
    pub fn decodes(&self) -> u64 {
        self.decodes
    }

    /// Fills `into` with its region of one volume; `into.volumes` is the layout's number of components.
    ///
    /// # Errors
    /// Those of the source; of an ascending one also a region that lies behind.
    pub fn read(&mut self, volume: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let layout = self.source.layout();
        let (group, member) = layout.outer.locate(volume);
        if reads_directly(layout) {
            return self.source.read(group, into);
        }
        let needed = into.region;
        let passed: Vec<_> = self.kept.keys().copied().filter(|&key| !is_needed(layout, key, group, needed)).collect();
        self.spare.extend(passed.iter().filter_map(|key| self.kept.remove(key)));
        for at in chunks_of(layout, needed) {
            if !self.kept.contains_key(&(group, at)) {
                let chunk = self.decode(group, at)?;
                self.kept.insert((group, at), chunk);
            }
            let region = layout.chunk_region(at);
            let voxels = &self.kept[&(group, at)];
            let volumes = layout.outer.members_of(group) as usize * layout.components;
            into.copy_from(BlockRef::new(region, volumes, voxels), member * layout.components);
        }
        Ok(())
    }

    fn decode(&mut self, group: u64, at: [u64; 3]) -> Result<Vec<T>> {
        let layout = self.source.layout();
        let region = layout.chunk_region(at);
        let volumes = layout.outer.members_of(group) as usize * layout.components;
        let mut voxels = self.spare.pop().unwrap_or_default();
        voxels.resize(region.voxels() as usize * volumes, T::default());
        self.source.read(group, BlockMut::new(region, volumes, &mut voxels))?;
        self.decodes += 1;
        Ok(voxels)
    }
}

/// Whether a region is read as it stands, without chunks in between.
pub fn reads_directly(layout: &Layout) -> bool {
    layout.access == Access::Random && layout.outer.largest_group() == 1
}

fn is_needed(layout: &Layout, key: (u64, [u64; 3]), group: u64, needed: Region) -> bool {
    key.0 == group && !layout.chunk_region(key.1).intersect(&needed).is_empty()
}

/// Chunks that hold voxels of `region`, in C order.
pub fn chunks_of(layout: &Layout, region: Region) -> impl Iterator<Item = [u64; 3]> + use<> {
    let first: [u64; 3] = std::array::from_fn(|a| region.lo[a].max(0) as u64 / layout.chunk[a]);
    let end: [u64; 3] = std::array::from_fn(|a| {
        let hi = region.hi[a].clamp(0, layout.grid.shape[a] as i64) as u64;
        if region.is_empty() { first[a] } else { hi.div_ceil(layout.chunk[a]) }
    });
    (first[0]..end[0])
        .flat_map(move |z| (first[1]..end[1]).flat_map(move |y| (first[2]..end[2]).map(move |x| [z, y, x])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::{Affine, Grid, Unit},
        io::memory::MemorySource,
        layout::{Axis, Outer},
        voxel::Dtype,
    };

    fn source(access: Access, chunk: [u64; 3], outer_chunk: u64) -> MemorySource<u16> {
        let axis = Axis { name: "t".into(), len: 5, step: 1.0, start: 0.0, unit: None };
        let layout = Layout {
            grid: Grid::new([5, 7, 11], Affine::identity(), Unit::Millimetre),
            outer: Outer { axes: vec![axis], chunk: vec![outer_chunk] },
            components: 2,
            stored: Dtype::U16,
            access,
            chunk,
            shard: None,
            transfer_bytes: 0,
            resident_bytes: 0,
            stored_bytes: None,
            ahead: Default::default(),
        };
        MemorySource::new(layout, (0..5 * 2 * 385).map(|n| n as u16).collect())
    }

    fn check(source: &MemorySource<u16>, step: [usize; 3]) -> u64 {
        let mut reader = RegionReader::new(source);
        for volume in 0..5u64 {
            for region in Region::of_shape([5, 7, 11]).tiles(step) {
                let mut voxels = vec![0; region.voxels() as usize * 2];
                reader.read(volume, BlockMut::new(region, 2, &mut voxels)).unwrap();
                let block = BlockRef::new(region, 2, &voxels);
                for c in 0..2u64 {
                    for z in region.lo[0]..region.hi[0] {
                        for y in region.lo[1]..region.hi[1] {
                            let row = block.row(c as usize, z, y, region.lo[2]..region.hi[2]);
                            let first = (volume * 2 + c) as i64 * 385 + (z * 7 + y) * 11 + region.lo[2];
                            assert!(row.iter().enumerate().all(|(n, &v)| v == (first + n as i64) as u16));
                        }
                    }
                }
            }
        }
        reader.decodes()
    }

    #[test]
    fn any_region_of_any_chunking() {
        for (chunk, outer) in [([2, 3, 4], 1), ([5, 7, 11], 2), ([1, 2, 11], 5)] {
            for step in [[5, 7, 11], [1, 7, 11], [2, 2, 5], [1, 1, 1]] {
                check(&source(Access::Chunked, chunk, outer), step);
            }
        }
        assert_eq!(check(&source(Access::Random, [1, 1, 11], 1), [2, 2, 5]), 0);
    }

    #[test]
    fn a_forward_walk_decodes_each_chunk_once() {
        assert_eq!(check(&source(Access::Ascending, [1, 3, 11], 1), [1, 2, 11]), 5 * 5 * 3);
        assert_eq!(check(&source(Access::Ascending, [2, 7, 11], 1), [1, 7, 11]), 5 * 3);
        assert_eq!(check(&source(Access::Ascending, [2, 7, 11], 1), [5, 7, 11]), 5 * 3);
    }
}
