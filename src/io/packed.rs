//! Voxels that stand in C order in one stream of bytes, components interleaved: the data part of raw files and gzip streams.

use crate::{
    block::{BlockMut, BlockRef},
    io::convert::{Conversion, Lost},
    layout::Layout,
    region::Region,
    voxel::Voxel,
};

/// Voxels whose components are taken apart, or put together, at once.
const RUN: usize = 4096;

/// Where each voxel stands in a stream, and how its samples are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packed {
    pub shape: [u64; 3],
    pub components: usize,
    /// Bytes before the first voxel.
    pub offset: u64,
    pub conversion: Conversion,
}

impl Packed {
    /// The stream of a volume with this layout that starts at byte `offset`.
    pub fn new(layout: &Layout, offset: u64, conversion: Conversion) -> Packed {
        Packed { shape: layout.grid.shape, components: layout.components, offset, conversion }
    }

    /// Bytes of one voxel, all components.
    pub fn voxel_bytes(&self) -> u64 {
        (self.conversion.stored.bytes() * self.components) as u64
    }

    /// Byte position of a voxel; saturating, so that what lies beyond any file stays there.
    pub fn position(&self, volume: u64, at: [i64; 3]) -> u64 {
        let [nz, ny, nx] = self.shape;
        let [z, y, x] = at.map(|i| i as u64);
        let row = volume.saturating_mul(nz).saturating_add(z).saturating_mul(ny).saturating_add(y);
        row.saturating_mul(nx).saturating_add(x).saturating_mul(self.voxel_bytes()).saturating_add(self.offset)
    }

    /// The longest runs of `region` that are contiguous in the stream, in ascending order: position, voxels.
    pub fn runs(&self, volume: u64, region: Region) -> impl Iterator<Item = (u64, usize)> + Clone + use<> {
        let packed = *self;
        let [nz, ny, nx] = region.shape();
        let whole_rows = nx as u64 == self.shape[2];
        let whole_planes = whole_rows && ny as u64 == self.shape[1];
        let (count, len) = match (whole_planes, whole_rows) {
            (true, _) => ([1, 1], nz * ny * nx),
            (_, true) => ([nz, 1], ny * nx),
            _ => ([nz, ny], nx),
        };
        let total = if region.is_empty() { 0 } else { count[0] * count[1] };
        (0..total).map(move |n| {
            let at = [region.lo[0] + (n / count[1]) as i64, region.lo[1] + (n % count[1]) as i64, region.lo[2]];
            (packed.position(volume, at), len)
        })
    }

    /// Stored bytes to voxels: run of voxels that starts at voxel `first` of each component's volume of `into`.
    pub fn unpack<T: Voxel>(&self, bytes: &[u8], into: &mut BlockMut<'_, T>, first: usize) {
        let samples = bytes.len() / self.conversion.stored.bytes();
        let voxels = samples / self.components;
        if self.components == 1 {
            self.conversion.decode(bytes, &mut into.voxels[first..first + voxels]);
            return;
        }
        let volume_len = into.voxels.len() / into.volumes;
        // As many samples as of four components, where there are more: volumes may stand together too.
        let most = RUN.min(4 * RUN / self.components).max(1);
        let mut interleaved = vec![T::default(); samples.min(most * self.components)];
        for (run, bytes) in bytes.chunks(most * self.voxel_bytes() as usize).enumerate() {
            let interleaved = &mut interleaved[..bytes.len() / self.conversion.stored.bytes()];
            self.conversion.decode(bytes, interleaved);
            let start = first + run * most;
            for c in 0..self.components {
                let volume = &mut into.voxels[c * volume_len + start..c * volume_len + first + voxels];
                volume.iter_mut().zip(interleaved[c..].iter().step_by(self.components)).for_each(|(v, &s)| *v = s);
            }
        }
    }

    /// The voxels of `unit` as stored bytes, appended to `bytes`; how many samples the stored type could not hold.
    pub fn pack<T: Voxel>(&self, unit: Region, block: BlockRef<'_, T>, bytes: &mut Vec<u8>) -> Lost {
        bytes.reserve((unit.voxels() * self.voxel_bytes()) as usize);
        let x = unit.lo[2]..unit.hi[2];
        let mut interleaved = Vec::new();
        let mut lost = Lost::default();
        for z in unit.lo[0]..unit.hi[0] {
            for y in unit.lo[1]..unit.hi[1] {
                if self.components == 1 {
                    lost = lost.and(self.conversion.encode(block.row(0, z, y, x.clone()), bytes));
                    continue;
                }
                for start in x.clone().step_by(RUN) {
                    let run = start..(start + RUN as i64).min(x.end);
                    interleaved.resize((run.end - run.start) as usize * self.components, T::default());
                    for c in 0..self.components {
                        let row = block.row(c, z, y, run.clone());
                        interleaved[c..].iter_mut().step_by(self.components).zip(row).for_each(|(s, &v)| *s = v);
                    }
                    lost = lost.and(self.conversion.encode(&interleaved, bytes));
                }
            }
        }
        lost
    }
}
