//! What a plan must know of a file, as plain data.

mod unit;

use std::ops::Range;

use crate::{geometry::Grid, region::Region, voxel::Dtype};
pub use unit::{stream_unit, write_unit};

/// In which order storage can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any region at any time: raw files. `Layout::chunk` is then only a hint for good transfer sizes (targets: the
    /// write unit).
    Random,
    /// Whole chunks in any order.
    Chunked,
    /// Whole chunks in ascending order (outer group, then C order), once: gzip streams, either way.
    Ascending,
}

/// A non-spatial axis: time, channel, or any NIfTI dimension from the fourth on.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// `t`, `c`, or the format's own name.
    pub name: String,
    pub len: u64,
    /// Distance of neighbours, 1 where the file does not say.
    pub step: f64,
    pub start: f64,
    /// Name of the unit in the OME vocabulary (`second`), where known.
    pub unit: Option<String>,
}

/// The outer axes, slowest first, and how many of each one storage chunk spans.
///
/// A *volume* is one index of all outer axes, numbered in C order. A *group* is the set of volumes that share chunks,
/// numbered in C order of the outer chunk grid; without outer chunking every volume is its own group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outer {
    pub axes: Vec<Axis>,
    pub chunk: Vec<u64>,
}

impl Outer {
    /// Outer axes whose volumes are stored apart from each other.
    pub fn separate(axes: Vec<Axis>) -> Outer {
        let chunk = vec![1; axes.len()];
        Outer { axes, chunk }
    }

    /// Number of volumes; 1 without outer axes.
    pub fn volumes(&self) -> u64 {
        self.axes.iter().fold(1u64, |n, axis| n.saturating_mul(axis.len))
    }

    /// Number of groups; 1 without outer axes.
    pub fn groups(&self) -> u64 {
        self.group_counts().iter().fold(1u64, |n, &count| n.saturating_mul(count))
    }

    /// Volumes in the largest group.
    pub fn largest_group(&self) -> u64 {
        self.axes.iter().zip(&self.chunk).fold(1u64, |n, (axis, &chunk)| n.saturating_mul(chunk.min(axis.len)))
    }

    /// The volumes of one group, ascending.
    pub fn members(&self, group: u64) -> Vec<u64> {
        let mut volumes = vec![0];
        for (range, axis) in self.ranges(group).into_iter().zip(&self.axes) {
            volumes = volumes.iter().flat_map(|&v| range.clone().map(move |i| v * axis.len + i)).collect();
        }
        volumes
    }

    /// The number of volumes of one group.
    pub fn members_of(&self, group: u64) -> u64 {
        self.ranges(group).iter().fold(1, |n, range| n.saturating_mul(range.end - range.start))
    }

    /// Volume `member` of one group, counted from 0.
    pub fn member(&self, group: u64, member: u64) -> u64 {
        let (mut rest, mut volume, mut stride) = (member, 0, 1);
        for (range, axis) in self.ranges(group).iter().zip(&self.axes).rev() {
            let extent = range.end - range.start;
            volume += (range.start + rest % extent) * stride;
            rest /= extent;
            stride *= axis.len;
        }
        volume
    }

    /// The indices that one group has along each outer axis.
    fn ranges(&self, group: u64) -> Vec<Range<u64>> {
        let mut rest = group;
        let mut ranges = vec![0..0; self.axes.len()];
        for (a, &count) in self.group_counts().iter().enumerate().rev() {
            let at = rest % count;
            rest /= count;
            ranges[a] = at * self.chunk[a]..((at + 1) * self.chunk[a]).min(self.axes[a].len);
        }
        ranges
    }

    /// The group of volume `volume` and its position among the group's members.
    pub fn locate(&self, volume: u64) -> (u64, usize) {
        let (mut group, mut member) = (0, 0);
        let mut rest = volume;
        let mut at = vec![0; self.axes.len()];
        for (a, axis) in self.axes.iter().enumerate().rev() {
            at[a] = rest % axis.len;
            rest /= axis.len;
        }
        for (a, &count) in self.group_counts().iter().enumerate() {
            let chunk = self.chunk[a];
            let chunk_at = at[a] / chunk;
            group = group * count + chunk_at;
            let extent = chunk.min(self.axes[a].len - chunk_at * chunk);
            member = member * extent + at[a] % chunk;
        }
        (group, member as usize)
    }

    fn group_counts(&self) -> Vec<u64> {
        self.axes.iter().zip(&self.chunk).map(|(axis, &chunk)| axis.len.div_ceil(chunk)).collect()
    }
}

/// The shape of a stored volume: grid, outer axes, sample type, chunking and the memory that reading or writing takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub grid: Grid,
    pub outer: Outer,
    /// Interleaved samples per voxel: 1, 2 (complex), 3 (RGB) or 4 (RGBA). Blocks hold them as stacked volumes.
    pub components: usize,
    /// The type in storage; voxels are handed over in the type of the `Source` or `Sink`.
    pub stored: Dtype,
    pub access: Access,
    /// Storage chunk (sources) or write unit (targets) in voxels, storage order; never larger than the grid needs.
    pub chunk: [u64; 3],
    /// Extent of one shard in voxels, a multiple of `chunk`, for targets that gather chunks into shards.
    pub shard: Option<[u64; 3]>,
    /// Bytes that one running read or encode needs beyond the voxels handed over (encoded bytes, mapped pages, codecs).
    pub transfer_bytes: u64,
    /// Bytes held for the whole run (indexes, decoder state).
    pub resident_bytes: u64,
    /// Stored size of the source where known: bytes of the file, or of all chunks.
    pub stored_bytes: Option<u64>,
    pub ahead: Ahead,
}

/// Which chunks of a source are worth fetching before they are needed, because storage answers late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Chunks at most; 0 where waiting for one costs nothing.
    pub chunks: u64,
    /// The largest chunk as it is stored.
    pub chunk_bytes: u64,
}

impl Layout {
    /// One volume of scalars that can be read and written anywhere.
    pub fn of(grid: Grid, stored: Dtype) -> Layout {
        let chunk = write_unit(grid.shape, stored.bytes() as u64);
        Layout {
            grid,
            outer: Outer::default(),
            components: 1,
            stored,
            access: Access::Random,
            chunk,
            shard: None,
            transfer_bytes: 0,
            resident_bytes: 0,
            stored_bytes: None,
            ahead: Ahead::default(),
        }
    }

    /// The same in chunks of this extent (slices, rows, columns), which are read and written as a whole.
    pub fn in_chunks(self, chunk: [u64; 3]) -> Layout {
        let chunk = std::array::from_fn(|a| chunk[a].clamp(1, self.grid.shape[a].max(1)));
        Layout { access: Access::Chunked, chunk, ..self }
    }

    /// Bytes of all voxels of all volumes, before compression; saturating.
    pub fn raw_bytes(&self) -> u64 {
        self.grid.voxels().saturating_mul(self.outer.volumes()).saturating_mul(self.voxel_bytes())
    }

    /// Bytes of one voxel, all its components.
    pub fn voxel_bytes(&self) -> u64 {
        (self.components * self.stored.bytes()) as u64
    }

    /// Number of chunks along each spatial axis.
    pub fn chunk_counts(&self) -> [u64; 3] {
        std::array::from_fn(|a| self.grid.shape[a].div_ceil(self.chunk[a]))
    }

    /// The voxels of chunk `at`, clipped to the grid.
    pub fn chunk_region(&self, at: [u64; 3]) -> Region {
        let lo: [i64; 3] = std::array::from_fn(|a| (at[a] * self.chunk[a]) as i64);
        let hi = std::array::from_fn(|a| ((at[a] + 1) * self.chunk[a]).min(self.grid.shape[a]) as i64);
        Region { lo, hi }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(name: &str, len: u64) -> Axis {
        Axis { name: name.into(), len, step: 1.0, start: 0.0, unit: None }
    }

    #[test]
    fn groups_partition_the_volumes() {
        let outer = Outer { axes: vec![axis("t", 5), axis("c", 3)], chunk: vec![2, 2] };
        assert_eq!((outer.volumes(), outer.groups(), outer.largest_group()), (15, 6, 4));
        let mut seen = Vec::new();
        for group in 0..outer.groups() {
            let members = outer.members(group);
            assert_eq!(outer.members_of(group), members.len() as u64);
            for (member, volume) in members.into_iter().enumerate() {
                assert_eq!(outer.locate(volume), (group, member));
                assert_eq!(outer.member(group, member as u64), volume);
                seen.push(volume);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..15).collect::<Vec<_>>());
    }

    #[test]
    fn without_outer_axes_there_is_one_volume() {
        let none = Outer::default();
        assert_eq!((none.volumes(), none.groups(), none.members(0), none.locate(0)), (1, 1, vec![0], (0, 0)));
    }
}
