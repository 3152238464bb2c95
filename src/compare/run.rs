//! Walks two volumes box by box, reading both side by side.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Differences, Request, Tally, Walk, placed::Placed};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{Source, reader::RegionReader},
    layout::Layout,
    region::Region,
    sys,
    voxel::Voxel,
};

/// Compares all voxels of A with those of B, on a pool of its own.
pub(super) fn differences<T: Voxel>(
    walk: &Walk,
    a: &dyn Source<T>,
    b: Other<'_, T>,
    request: &Request,
    stop: &AtomicBool,
) -> Result<Differences> {
    let pool = sys::pool(request.threads)?;
    let layout = a.layout();
    let (mut a, mut b) = (Half::new(Other::Stored(a)), Half::new(b));
    let mut tally = Tally::default();
    let shape = layout.grid.shape;
    let blocks = walk.boxes(shape).count() as u64 * walk.outer.groups();
    let mut blocks_done = 0;
    for group in 0..walk.outer.groups() {
        let members = walk.outer.members(group);
        for region in walk.boxes(shape) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped { blocks_done, blocks });
            }
            for &volume in &members {
                let both = pool.install(|| {
                    let (from_a, from_b) =
                        rayon::join(|| a.read(volume, region, stop), || b.read(volume, region, stop));
                    from_a.and(from_b).map(|()| Tally::of(&a.voxels, &b.voxels, (volume, region), request.tolerance))
                });
                tally = tally.and(both?);
            }
            blocks_done += 1;
        }
    }
    Ok(tally.differences(&layout.grid))
}

/// Where the voxels come from that A is held against.
pub(super) enum Other<'a, T> {
    /// Those of a file, by their index.
    Stored(&'a dyn Source<T>),
    /// Values between those of a file, at the places of A's voxels.
    Placed(&'a Placed),
}

/// One of the volumes, and the box of it that is looked at.
struct Half<'a, T> {
    from: From<'a, T>,
    voxels: Vec<T>,
}

enum From<'a, T> {
    Stored(RegionReader<'a, T>),
    Placed(&'a Placed),
}

impl<'a, T: Voxel> Half<'a, T> {
    fn new(other: Other<'a, T>) -> Self {
        let from = match other {
            Other::Stored(source) => From::Stored(RegionReader::new(source)),
            Other::Placed(placed) => From::Placed(placed),
        };
        Half { from, voxels: Vec::new() }
    }

    fn read(&mut self, volume: u64, region: Region, stop: &AtomicBool) -> Result<()> {
        let layout: &Layout = match &self.from {
            From::Stored(reader) => reader.layout(),
            From::Placed(placed) => placed.layout(),
        };
        let components = layout.components;
        self.voxels.resize(region.voxels() as usize * components, T::default());
        match &mut self.from {
            From::Stored(reader) => {
                let into = BlockMut::new(region, components, &mut self.voxels);
                let failed = |source| Error::Read { outer: volume, region, source: Box::new(source) };
                reader.read(volume, into).map_err(failed)
            }
            From::Placed(placed) => placed.read(volume, region, stop, bytemuck::cast_slice_mut(&mut self.voxels)),
        }
    }
}
