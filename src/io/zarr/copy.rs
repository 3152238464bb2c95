//! From the bytes of a decoded chunk, samples in any order, to rows of voxels along x.

use super::sample::{Sample, decode_half};
use crate::{block::BlockMut, io::convert::Conversion, voxel::Voxel};

/// Rows that are gathered together where samples along x do not stand together: one cache line of f64.
pub(crate) const ROWS: usize = 8;

/// A decoded chunk: bytes, and the distance in samples of neighbours along z, y and x.
pub(crate) struct ChunkView<'a> {
    pub bytes: &'a [u8],
    pub strides: [usize; 3],
    pub sample: Sample,
    pub conversion: Conversion,
}

impl ChunkView<'_> {
    /// Copies one volume, which starts at sample `first` of the chunk, to volume `n` of `into`.
    pub(crate) fn copy_volume<T: Voxel>(&self, first: usize, n: usize, into: &mut BlockMut<'_, T>) {
        let shape = into.region.shape();
        if self.strides[2] == 1 || shape[2] == 1 {
            self.copy_rows(first, n, into);
        } else {
            self.copy_gathered(first, n, into);
        }
    }

    fn copy_rows<T: Voxel>(&self, first: usize, n: usize, into: &mut BlockMut<'_, T>) {
        let [nz, ny, nx] = into.region.shape();
        let size = self.sample.bytes();
        for z in 0..nz {
            for y in 0..ny {
                let at = (first + z * self.strides[0] + y * self.strides[1]) * size;
                self.decode(&self.bytes[at..at + nx * size], row(into, n, z, y));
            }
        }
    }

    /// Gathers `ROWS` rows at a time along whichever of z and y stands closer together, so that what one cache line
    /// holds is used while it is there.
    fn copy_gathered<T: Voxel>(&self, first: usize, n: usize, into: &mut BlockMut<'_, T>) {
        let [nz, ny, nx] = into.region.shape();
        let size = self.sample.bytes();
        let near_is_z = self.strides[0] < self.strides[1];
        let (near, far) = if near_is_z { (0, 1) } else { (1, 0) };
        let (near_len, far_len) = if near_is_z { (nz, ny) } else { (ny, nz) };
        let mut rows = vec![0u8; ROWS * nx * size];
        for f in 0..far_len {
            for start in (0..near_len).step_by(ROWS) {
                let count = ROWS.min(near_len - start);
                let corner = first + f * self.strides[far] + start * self.strides[near];
                for x in 0..nx {
                    for r in 0..count {
                        let at = (corner + x * self.strides[2] + r * self.strides[near]) * size;
                        let to = (r * nx + x) * size;
                        rows[to..to + size].copy_from_slice(&self.bytes[at..at + size]);
                    }
                }
                for (r, gathered) in rows.chunks_exact(nx * size).take(count).enumerate() {
                    let (z, y) = if near_is_z { (start + r, f) } else { (f, start + r) };
                    self.decode(gathered, row(into, n, z, y));
                }
            }
        }
    }

    /// Stored samples to voxels.
    pub(crate) fn decode<T: Voxel>(&self, bytes: &[u8], voxels: &mut [T]) {
        match self.sample {
            Sample::Half => decode_half(bytes, self.conversion.big_endian, self.conversion.slope, voxels),
            Sample::Plain(_) | Sample::Bool => self.conversion.decode(bytes, voxels),
        }
    }
}

/// Row `y` of plane `z`, counted from the block's own corner.
fn row<'a, T: Voxel>(into: &'a mut BlockMut<'_, T>, n: usize, z: usize, y: usize) -> &'a mut [T] {
    let region = into.region;
    into.row(n, region.lo[0] + z as i64, region.lo[1] + y as i64, region.lo[2]..region.hi[2])
}
