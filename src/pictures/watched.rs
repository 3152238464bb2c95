//! A source and a sink that also hand the samples of some pixels to pictures.

use super::{Pictures, Values};
use crate::{
    block::{BlockMut, BlockRef},
    error::Result,
    io::{Encoded, Fetched, Sink, Source},
    layout::Layout,
    region::Region,
    voxel::Voxel,
};

/// Parts of a colour, by how bright they look (ITU-R BT.601).
const BRIGHTNESS: [f64; 3] = [0.299, 0.587, 0.114];

/// The volume that pictures show.
pub(super) const SHOWN: u64 = 0;

/// A source whose voxels are seen by pictures as they are read.
pub struct WatchedSource<'a, T: Voxel> {
    inner: &'a dyn Source<T>,
    pictures: &'a Pictures,
    /// Group and member of the volume that is shown.
    shown: (u64, usize),
}

impl<'a, T: Voxel> WatchedSource<'a, T> {
    /// Watches the first volume.
    pub fn new(inner: &'a dyn Source<T>, pictures: &'a Pictures) -> WatchedSource<'a, T> {
        WatchedSource { inner, pictures, shown: inner.layout().outer.locate(SHOWN) }
    }

    fn see(&self, group: u64, block: BlockRef<'_, T>) {
        let (shown, member) = self.shown;
        if group != shown {
            return;
        }
        let components = self.inner.layout().components;
        let sample = |at| sample(block, member * components, components, at, &self.pictures.values[0]);
        self.pictures.befores().for_each(|before| before.take(block.region, &sample));
    }
}

impl<T: Voxel> Source<T> for WatchedSource<'_, T> {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let (region, volumes) = (into.region, into.volumes);
        let voxels = into.voxels;
        self.inner.read(group, BlockMut::new(region, volumes, voxels))?;
        self.see(group, BlockRef::new(region, volumes, voxels));
        Ok(())
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        self.inner.fetch(group, region)
    }

    fn read_fetched(&self, fetched: Fetched, into: BlockMut<'_, T>) -> Result<()> {
        let (group, region, volumes) = (fetched.group, into.region, into.volumes);
        let voxels = into.voxels;
        self.inner.read_fetched(fetched, BlockMut::new(region, volumes, voxels))?;
        self.see(group, BlockRef::new(region, volumes, voxels));
        Ok(())
    }

    fn read_absent(&self, fetched: &Fetched) -> Result<Option<T>> {
        let value = self.inner.read_absent(fetched)?;
        if let Some(value) = value.filter(|_| fetched.group == self.shown.0) {
            let value = self.pictures.values[0].of(value);
            self.pictures.befores().for_each(|before| before.take(fetched.region, &|_| value));
        }
        Ok(value)
    }

    fn missing_chunks(&self) -> u64 {
        self.inner.missing_chunks()
    }

    fn hidden_keys(&self) -> u64 {
        self.inner.hidden_keys()
    }
}

/// A sink whose voxels are seen by pictures as they are encoded.
pub struct WatchedSink<'a, T: Voxel> {
    inner: &'a dyn Sink<T>,
    pictures: &'a Pictures,
}

impl<'a, T: Voxel> WatchedSink<'a, T> {
    /// Watches the first volume.
    pub fn new(inner: &'a dyn Sink<T>, pictures: &'a Pictures) -> WatchedSink<'a, T> {
        WatchedSink { inner, pictures }
    }
}

impl<T: Voxel> Sink<T> for WatchedSink<'_, T> {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn encode(&self, outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        if outer == SHOWN {
            let components = self.inner.layout().components;
            let sample = |at| sample(block, 0, components, at, &self.pictures.values[1]);
            self.pictures.pairs.iter().for_each(|pair| pair.after.take(unit, &sample));
            if let Some(highest) = &self.pictures.highest {
                let x = unit.lo[2]..unit.hi[2];
                match components {
                    1 => highest.take(unit, |z, y| {
                        block.row(0, z, y, x.clone()).iter().map(|&v| self.pictures.values[1].of(v) as f32)
                    }),
                    _ => highest.take(unit, |z, y| x.clone().map(move |x| sample([z, y, x]) as f32)),
                }
            }
        }
        self.inner.encode(outer, unit, block)
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        self.inner.put(outer, unit, encoded)
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn settle(&self) -> Result<()> {
        self.inner.settle()
    }

    fn finish(&self) -> Result<()> {
        self.inner.finish()
    }
}

/// What a picture shows of the voxel at `at`: its value, the brightness of a colour, the first part of anything else. Its parts are
/// the stacked volumes from `first` on.
pub(super) fn sample<T: Voxel>(
    block: BlockRef<'_, T>,
    first: usize,
    components: usize,
    at: [i64; 3],
    values: &Values,
) -> f64 {
    let part = |n: usize| values.of(block.row(first + n, at[0], at[1], at[2]..at[2] + 1)[0]);
    match components {
        3 | 4 if T::DTYPE.bytes() == 1 => BRIGHTNESS.iter().enumerate().map(|(n, weight)| weight * part(n)).sum(),
        _ => part(0),
    }
}
