//! Walks two volumes box by box, reading both side by side.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Differences, Request, Tally, Walk};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{Source, reader::RegionReader},
    region::Region,
    sys,
    voxel::Voxel,
};

/// Compares all voxels of two volumes of the same shape, on a pool of its own.
pub fn differences<T: Voxel>(
    walk: &Walk,
    a: &dyn Source<T>,
    b: &dyn Source<T>,
    request: &Request,
    stop: &AtomicBool,
) -> Result<Differences> {
    let pool = sys::pool(request.threads)?;
    let (mut a, mut b) = (Half::new(a), Half::new(b));
    let mut tally = Tally::default();
    let shape = a.reader.layout().grid.shape;
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
                    let (from_a, from_b) = rayon::join(|| a.read(volume, region), || b.read(volume, region));
                    from_a.and(from_b).map(|()| Tally::of(&a.voxels, &b.voxels, request.tolerance))
                });
                tally = tally.and(both?);
            }
            blocks_done += 1;
        }
    }
    Ok(tally.differences())
}

/// One of the volumes, and the box of it that is looked at.
struct Half<'a, T> {
    reader: RegionReader<'a, T>,
    voxels: Vec<T>,
}

impl<'a, T: Voxel> Half<'a, T> {
    fn new(source: &'a dyn Source<T>) -> Self {
        Half { reader: RegionReader::new(source), voxels: Vec::new() }
    }

    fn read(&mut self, volume: u64, region: Region) -> Result<()> {
        let components = self.reader.layout().components;
        self.voxels.resize(region.voxels() as usize * components, T::default());
        let into = BlockMut::new(region, components, &mut self.voxels);
        let failed = |source| Error::Read { outer: volume, region, source: Box::new(source) };
        self.reader.read(volume, into).map_err(failed)
    }
}
