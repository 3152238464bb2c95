//! Source chunks by their numbers.

use crate::region::Region;

/// A source chunk: the group of volumes it holds, and its place among the chunks of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chunk {
    pub group: u64,
    pub at: [u64; 3],
}

/// A half-open box of chunk numbers along each source axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkBox {
    pub lo: [u64; 3],
    pub hi: [u64; 3],
}

impl ChunkBox {
    /// The chunks of this shape that a region meets.
    pub fn of(region: Region, chunk: [u64; 3]) -> ChunkBox {
        if region.is_empty() {
            return ChunkBox::default();
        }
        ChunkBox {
            lo: std::array::from_fn(|a| region.lo[a] as u64 / chunk[a]),
            hi: std::array::from_fn(|a| (region.hi[a] as u64).div_ceil(chunk[a])),
        }
    }

    /// Number of chunks, saturating.
    pub fn len(&self) -> u64 {
        (0..3).map(|a| self.hi[a].saturating_sub(self.lo[a])).fold(1, u64::saturating_mul)
    }

    /// Whether it holds no chunk.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it holds the chunk `at`.
    pub fn contains(&self, at: [u64; 3]) -> bool {
        (0..3).all(|a| self.lo[a] <= at[a] && at[a] < self.hi[a])
    }

    /// Chunk `number` in C order, from 0.
    pub fn nth(&self, number: u64) -> [u64; 3] {
        let [_, ny, nx] = std::array::from_fn(|a| self.hi[a] - self.lo[a]);
        [self.lo[0] + number / (ny * nx), self.lo[1] + number / nx % ny, self.lo[2] + number % nx]
    }

    /// The number of chunk `at` in C order; it is one of the box's.
    pub fn number(&self, at: [u64; 3]) -> u64 {
        let [z, y, x]: [u64; 3] = std::array::from_fn(|a| at[a] - self.lo[a]);
        (z * (self.hi[1] - self.lo[1]) + y) * (self.hi[2] - self.lo[2]) + x
    }

    /// The chunks of both.
    pub fn intersect(&self, other: &ChunkBox) -> ChunkBox {
        let both = ChunkBox {
            lo: std::array::from_fn(|a| self.lo[a].max(other.lo[a])),
            hi: std::array::from_fn(|a| self.hi[a].min(other.hi[a])),
        };
        if both.is_empty() { ChunkBox::default() } else { both }
    }

    /// The chunks, in C order.
    pub fn iter(&self) -> impl Iterator<Item = [u64; 3]> + use<> {
        let ChunkBox { lo, hi } = *self;
        (lo[0]..hi[0]).flat_map(move |z| (lo[1]..hi[1]).flat_map(move |y| (lo[2]..hi[2]).map(move |x| [z, y, x])))
    }
}
