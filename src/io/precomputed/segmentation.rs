//! Labels of a chunk in blocks, each with a table of its values and the bits that choose among them.
//!
//! Source: Neuroglancer, "Compressed segmentation format", `src/sliceview/compressed_segmentation/README.md`.

/// Bits of a place in a table, which a block may have.
const WIDTHS: [u32; 7] = [0, 1, 2, 4, 8, 16, 32];

/// A chunk: voxels along x, y, z, its channels, and how it is cut into blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub extent: [u64; 3],
    pub channels: u64,
    pub block: [u64; 3],
    /// 4 or 8.
    pub sample_bytes: usize,
}

/// The samples of a chunk, little endian, x fastest and channels slowest, into room of just that size.
///
/// # Errors
/// Places beyond the stored bytes.
pub(super) fn decode(stored: &[u8], chunk: Chunk, into: &mut [u8]) -> Result<(), String> {
    let words = Words(stored);
    let [nx, ny, nz] = chunk.extent.map(|n| n as usize);
    let of_channel = nx * ny * nz * chunk.sample_bytes;
    for (c, room) in into.chunks_exact_mut(of_channel.max(1)).take(chunk.channels as usize).enumerate() {
        let base = words.get(c)? as usize;
        let [bx, by, bz] = chunk.block.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let [gx, gy] = [nx.div_ceil(bx), ny.div_ceil(by)];
        for z0 in (0..nz).step_by(bz) {
            for y0 in (0..ny).step_by(by) {
                for x0 in (0..nx).step_by(bx) {
                    let number = x0 / bx + gx * (y0 / by + gy * (z0 / bz));
                    let block = Block::read(words, base, number)?;
                    for z in z0..nz.min(z0.saturating_add(bz)) {
                        for y in y0..ny.min(y0.saturating_add(by)) {
                            for x in x0..nx.min(x0.saturating_add(bx)) {
                                let within = (x - x0) + bx.saturating_mul((y - y0) + by.saturating_mul(z - z0));
                                let at = ((z * ny + y) * nx + x) * chunk.sample_bytes;
                                block.copy(words, within, &mut room[at..at + chunk.sample_bytes])?;
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Words of 32 bits, little endian.
#[derive(Clone, Copy)]
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn get(self, n: usize) -> Result<u32, String> {
        let bytes = n.checked_mul(4).and_then(|at| self.0.get(at..)?.first_chunk());
        bytes
            .map(|bytes| u32::from_le_bytes(*bytes))
            .ok_or_else(|| format!("compressed segmentation leads to word {n} of {}", self.0.len() / 4))
    }
}

/// Where the table and the bits of a block stand.
struct Block {
    table: usize,
    values: usize,
    width: u32,
}

impl Block {
    fn read(words: Words<'_>, base: usize, number: usize) -> Result<Block, String> {
        let head = base.saturating_add(number.saturating_mul(2));
        let (first, values) = (words.get(head)?, words.get(head.saturating_add(1))?);
        let width = first >> 24;
        if !WIDTHS.contains(&width) {
            return Err(format!("compressed segmentation has a block of {width} bits"));
        }
        let table = base.saturating_add((first & 0xff_ffff) as usize);
        Ok(Block { table, values: base.saturating_add(values as usize), width })
    }

    /// Copies the sample at place `within` of the block.
    fn copy(&self, words: Words<'_>, within: usize, into: &mut [u8]) -> Result<(), String> {
        let choice = match self.width {
            0 => 0,
            width => {
                let bit = within.saturating_mul(width as usize);
                let word = words.get(self.values.saturating_add(bit / 32))?;
                let mask = u32::MAX >> (32 - width);
                (word >> (bit % 32) & mask) as usize
            }
        };
        let per_sample = into.len() / 4;
        let first = self.table.saturating_add(choice.saturating_mul(per_sample));
        for (n, part) in into.chunks_exact_mut(4).enumerate() {
            part.copy_from_slice(&words.get(first + n)?.to_le_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_choose_from_their_tables() {
        let chunk = Chunk { extent: [3, 2, 1], channels: 1, block: [2, 2, 1], sample_bytes: 8 };
        // Two blocks: one with a bit a voxel, one with one value.
        let words = [1u32, 4 | 1 << 24, 8, 9, 9, 7, 0, 8, 1, 0b0110, 5, 6];
        let stored: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut room = vec![0; 6 * 8];
        decode(&stored, chunk, &mut room).unwrap();
        let read: Vec<u64> = room.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap())).collect();
        let (a, b, c) = (7, 8 | 1 << 32, 5 | 6 << 32);
        assert_eq!(read, [a, b, c, b, a, c]);
        for cut in 0..stored.len() {
            assert!(decode(&stored[..cut], chunk, &mut room).is_err(), "{cut}");
        }
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let _ = decode(&bad, chunk, &mut room);
        }
    }
}
