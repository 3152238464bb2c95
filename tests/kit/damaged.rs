//! What tests do with files that were damaged on purpose.

use std::path::Path;

use reslice::{
    block::BlockMut,
    io::{
        input::{Input, IoMode},
        reader::RegionReader,
        zarr::OpenOptions,
    },
    region::Region,
};

/// A plan would refuse chunks that are larger, or take more to decode, in the little memory that such a file is read in.
const MOST_CHUNK_VOXELS: u64 = 1 << 20;
const MOST_TRANSFER_BYTES: u64 = 64 << 20;

/// Opens whatever the file is and reads `boxes` boxes of its first two volumes; `false` for any error.
pub(crate) fn reads(path: &Path, boxes: usize) -> bool {
    let Ok(input) = Input::open(path, &OpenOptions::default()) else { return false };
    let layout = input.layout();
    let group = (layout.components as u64).saturating_mul(layout.outer.largest_group());
    let chunk = layout.chunk.iter().fold(group, |n, &extent| n.saturating_mul(extent));
    if chunk > MOST_CHUNK_VOXELS || layout.transfer_bytes > MOST_TRANSFER_BYTES {
        return false;
    }
    let Ok(source) = input.source::<f32>(input.conversion(), IoMode::Auto) else { return false };
    let mut reader = RegionReader::new(source.as_ref());
    let whole = Region::of_shape(layout.grid.shape);
    let step = layout.chunk.map(|extent| extent.min(64) as usize);
    let mut is_read = true;
    for volume in 0..layout.outer.volumes().min(2) {
        for region in whole.tiles(step).take(boxes) {
            let mut voxels = vec![0.0; region.voxels() as usize * layout.components];
            is_read &= reader.read(volume, BlockMut::new(region, layout.components, &mut voxels)).is_ok();
        }
    }
    is_read
}
