//! What a stream is cut into, and the room that this takes beside its samples.

/// Tiles that are read of one frame, at most.
const MOST_TILES: usize = 1 << 12;
/// Bytes for each sample that tiles, precincts and blocks may take.
pub(super) const STRUCTURE_BYTES: u64 = 16;
/// Bytes that they may take in any frame.
const LEAST_STRUCTURE_BYTES: u64 = 1 << 20;
/// Of a tile, a precinct, a block, a layer of one, a pass of one: as the decoder keeps them, with what growing lists have to spare.
const TILE_BYTES: u64 = 2048;
const PRECINCT_BYTES: u64 = 512;
const BLOCK_BYTES: u64 = 384;
const LAYER_BYTES: u64 = 192;
const PASSES_BYTES: u64 = 96 * 96;

/// The grid of tiles over the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    /// Left, top, right and bottom of the samples on the reference grid.
    pub area: [u32; 4],
    /// Where the first tile begins.
    pub first: [u32; 2],
    pub size: [u32; 2],
}

impl Tiles {
    /// Whether there are samples, and the first tile has some of them.
    ///
    /// # Errors
    /// The numbers, where not.
    pub(super) fn check(&self) -> Result<(), String> {
        let Tiles { area, first, size } = self;
        let is_sound = (0..2).all(|a| {
            let begins = first[a] <= area[a] && u64::from(first[a]) + u64::from(size[a]) > u64::from(area[a]);
            area[a] < area[a + 2] && area[a + 2] - area[a] <= 0xffff && area[a + 2] < 1 << 31 && size[a] > 0 && begins
        });
        if is_sound { Ok(()) } else { Err(format!("samples at {area:?} in tiles of {size:?} from {first:?} on")) }
    }

    /// How many; `None` where there are more than are read.
    pub(super) fn count(&self) -> Option<usize> {
        let along = |a: usize| u64::from(self.area[a + 2] - self.first[a]).div_ceil(u64::from(self.size[a]));
        usize::try_from(along(0).saturating_mul(along(1))).ok().filter(|&count| count <= MOST_TILES)
    }

    /// Columns and rows of a tile, at most.
    fn largest(&self) -> [u64; 2] {
        std::array::from_fn(|a| u64::from(self.size[a].min(self.area[a + 2] - self.area[a])))
    }
}

/// How tiles are coded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coding {
    pub levels: u8,
    pub layers: u16,
    /// Columns and rows of a block, as powers of two.
    pub block: [u8; 2],
    /// The same of precincts, from the smallest resolution on; as large as can be where there are none.
    pub precincts: Vec<[u8; 2]>,
    /// Whether passes of a block have ends of their own.
    pub ends_passes: bool,
    pub is_fast: bool,
    pub is_reversible: bool,
}

impl Coding {
    /// Whether what the samples are cut into takes no more room than is counted.
    ///
    /// # Errors
    /// Both, where it takes more.
    pub(super) fn check(&self, tiles: &Tiles, samples: u32) -> Result<(), String> {
        let count = tiles.count().unwrap_or(usize::MAX) as u64;
        let [columns, rows] = tiles.largest();
        let all =
            (tiles.area[2] - tiles.area[0]) as u64 * u64::from(tiles.area[3] - tiles.area[1]) * u64::from(samples);
        let needed = (count.saturating_mul(TILE_BYTES))
            .saturating_add(self.structure_bytes([columns, rows]).saturating_mul(u64::from(samples)));
        let most = all.saturating_mul(STRUCTURE_BYTES).saturating_add(LEAST_STRUCTURE_BYTES);
        if needed <= most {
            return Ok(());
        }
        let [wide, high] = self.block;
        Err(format!(
            "{count} tiles, blocks of 2^{wide} x 2^{high} and {} layers, which take {needed} bytes beside {all} samples, of {most}",
            self.layers
        ))
    }

    /// Of one component of the largest tile.
    fn structure_bytes(&self, size: [u64; 2]) -> u64 {
        let mut bytes = 0u64;
        for resolution in 0..=self.levels {
            let halvings = self.levels - resolution;
            let [precinct_x, precinct_y] = self.precincts.get(usize::from(resolution)).copied().unwrap_or([15, 15]);
            // One more of each, for tiles that begin within one.
            let count = |axis: usize, power: u8| (size[axis] >> halvings >> power) + 2;
            let precincts = count(0, precinct_x).saturating_mul(count(1, precinct_y));
            let (bands, smaller) = if resolution == 0 { (1, 0) } else { (3, 1) };
            let side = |axis: usize, precinct: u8| {
                let power = self.block[axis].min(precinct.saturating_sub(smaller));
                let band = size[axis] >> halvings >> smaller;
                // A precinct may cut a block in two.
                (band >> power) + 2 + count(axis, precinct)
            };
            let blocks = side(0, precinct_x).saturating_mul(side(1, precinct_y));
            let passes = if self.ends_passes { PASSES_BYTES } else { 0 };
            let block = BLOCK_BYTES + LAYER_BYTES * u64::from(self.layers) + passes;
            let of_band = precincts.saturating_mul(PRECINCT_BYTES).saturating_add(blocks.saturating_mul(block));
            bytes = bytes.saturating_add(of_band.saturating_mul(bands));
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiles(size: u32, tile: u32) -> Tiles {
        Tiles { area: [0, 0, size, size], first: [0, 0], size: [tile, tile] }
    }

    #[test]
    fn what_encoders_write_has_room_and_crumbs_have_none() {
        let coding = Coding { levels: 5, layers: 1, block: [6, 6], ..Coding::default() };
        for (size, tile) in [(1, 1), (64, 64), (512, 512), (512, 128), (4096, 4096), (65535, 65535)] {
            assert_eq!(coding.check(&tiles(size, tile), 1), Ok(()), "{size} {tile}");
        }
        let many = Coding { layers: 12, block: [5, 5], ..coding.clone() };
        assert_eq!(many.check(&tiles(2048, 2048), 1), Ok(()));
        let small = Coding { block: [2, 2], layers: 32, ..coding.clone() };
        assert!(small.check(&tiles(2048, 2048), 1).is_err());
        let crumbs = Coding { precincts: vec![[0, 0]; 6], ..coding.clone() };
        assert!(crumbs.check(&tiles(2048, 2048), 1).is_err());
        assert_eq!(tiles(65535, 1).count(), None);
    }

    #[test]
    fn tiles_begin_before_the_samples() {
        assert_eq!(tiles(512, 512).check(), Ok(()));
        let empty = Tiles { area: [5, 0, 5, 9], first: [0, 0], size: [9, 9] };
        let behind = Tiles { area: [5, 0, 9, 9], first: [6, 0], size: [9, 9] };
        let before = Tiles { area: [5, 0, 9, 9], first: [0, 0], size: [5, 9] };
        for wrong in [empty, behind, before, tiles(1 << 20, 1 << 20)] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
