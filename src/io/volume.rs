//! One entry of a series as a volume of its own: views of a source and a sink, for passes that treat each volume differently.
//!
//! An entry is one index of the outer axes; where the last of them holds the colours of a voxel, an entry has all of those.

use super::{Encoded, Fetched, Layout, Outer, Sink, Source};
use crate::{
    block::{BlockMut, BlockRef},
    error::Result,
    region::Region,
    voxel::Voxel,
};

/// The layout of one of `entries` equal parts of a series, read or written as voxels of `T`.
///
/// Chunks that span several entries are decoded whole for each, which is counted as memory of a transfer.
pub fn entry_layout<T: Voxel>(series: &Layout, entries: u64) -> Layout {
    let mut layout = Layout { outer: entry_outer(&series.outer, entries), ..series.clone() };
    if layout.outer.largest_group() != series.outer.largest_group() {
        let voxels = series.chunk.iter().fold(1, |n: u64, &extent| n.saturating_mul(extent));
        let samples = voxels.saturating_mul(series.outer.largest_group()).saturating_mul(series.components as u64);
        let bytes = samples.saturating_mul(size_of::<T>() as u64);
        layout.transfer_bytes = layout.transfer_bytes.saturating_add(bytes);
    }
    layout
}

/// No axes, or the last one where an entry has several volumes.
fn entry_outer(outer: &Outer, entries: u64) -> Outer {
    match (outer.axes.last(), outer.chunk.last()) {
        (Some(axis), Some(&chunk)) if outer.volumes() > entries => {
            Outer { axes: vec![axis.clone()], chunk: vec![chunk] }
        }
        _ => Outer::default(),
    }
}

/// The first volume of entry `n` of `entries`.
fn first_volume(outer: &Outer, entries: u64, n: u64) -> u64 {
    n * (outer.volumes() / entries.max(1))
}

/// One entry of a source.
///
/// Streams may be viewed entry by entry in ascending order: the source behind goes on where the view before left it.
pub struct EntrySource<'a, T> {
    inner: &'a dyn Source<T>,
    layout: Layout,
    first: u64,
}

impl<'a, T: Voxel> EntrySource<'a, T> {
    /// Entry `n` of `entries`.
    pub fn new(inner: &'a dyn Source<T>, entries: u64, n: u64) -> EntrySource<'a, T> {
        let layout = entry_layout::<T>(inner.layout(), entries);
        let first = first_volume(&inner.layout().outer, entries, n);
        EntrySource { inner, layout, first }
    }

    /// The group of the source behind that holds a group of the entry, and where its members stand in there; nothing where
    /// they are all of it.
    fn behind(&self, group: u64) -> (u64, Option<Vec<usize>>) {
        let outer = &self.inner.layout().outer;
        let members: Vec<u64> =
            self.layout.outer.members(group).into_iter().map(|volume| self.first + volume).collect();
        let (behind, _) = outer.locate(members[0]);
        let places = (outer.members(behind) != members)
            .then(|| members.iter().map(|&volume| outer.locate(volume).1).collect::<Vec<_>>());
        (behind, places)
    }

    /// Reads by `read` into `into`, by way of a whole group where that holds more.
    fn pick(
        &self,
        group: u64,
        into: BlockMut<'_, T>,
        read: impl FnOnce(u64, BlockMut<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let (behind, places) = self.behind(group);
        let Some(places) = places else { return read(behind, into) };
        let components = self.layout.components;
        let members = self.inner.layout().outer.members(behind).len();
        let len = into.region.voxels() as usize * components;
        let mut voxels = vec![T::default(); len * members];
        read(behind, BlockMut::new(into.region, members * components, &mut voxels))?;
        for (part, place) in into.voxels.chunks_exact_mut(len.max(1)).zip(places) {
            part.copy_from_slice(&voxels[place * len..(place + 1) * len]);
        }
        Ok(())
    }
}

impl<T: Voxel> Source<T> for EntrySource<'_, T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        self.pick(group, into, |behind, into| self.inner.read(behind, into))
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        let fetched = self.inner.fetch(self.behind(group).0, region)?;
        Ok(fetched.map(|fetched| Fetched { group, ..fetched }))
    }

    fn read_fetched(&self, fetched: Fetched, into: BlockMut<'_, T>) -> Result<()> {
        let group = fetched.group;
        self.pick(group, into, |behind, into| self.inner.read_fetched(Fetched { group: behind, ..fetched }, into))
    }

    fn missing_chunks(&self) -> u64 {
        self.inner.missing_chunks()
    }

    fn hidden_keys(&self) -> u64 {
        self.inner.hidden_keys()
    }
}

/// One entry of a sink. The sink behind is finished with the last entry.
pub struct EntrySink<'a, T> {
    inner: &'a dyn Sink<T>,
    layout: Layout,
    first: u64,
    is_last: bool,
}

impl<'a, T: Voxel> EntrySink<'a, T> {
    /// Entry `n` of `entries`.
    pub fn new(inner: &'a dyn Sink<T>, entries: u64, n: u64) -> EntrySink<'a, T> {
        let layout = entry_layout::<T>(inner.layout(), entries);
        let first = first_volume(&inner.layout().outer, entries, n);
        EntrySink { inner, layout, first, is_last: n + 1 == entries }
    }
}

impl<T: Voxel> Sink<T> for EntrySink<'_, T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        self.inner.encode(self.first + outer, unit, block)
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        self.inner.put(self.first + outer, unit, encoded)
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
        if self.is_last { self.inner.finish() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::{Affine, Grid, Unit},
        io::{Access, Axis, memory::MemorySource},
        voxel::Dtype,
    };

    fn axis(len: u64) -> Axis {
        Axis { name: "o".into(), len, step: 1.0, start: 0.0, unit: None }
    }

    fn layout(lens: &[u64], chunk: &[u64], components: usize) -> Layout {
        Layout {
            grid: Grid::new([2, 3, 5], Affine::identity(), Unit::Millimetre),
            outer: Outer { axes: lens.iter().map(|&len| axis(len)).collect(), chunk: chunk.to_vec() },
            components,
            stored: Dtype::U16,
            access: Access::Chunked,
            chunk: [2, 3, 5],
            shard: None,
            transfer_bytes: 0,
            resident_bytes: 0,
            stored_bytes: None,
            ahead: Default::default(),
        }
    }

    #[test]
    fn entries_are_the_volumes_whatever_shares_a_chunk() {
        for (lens, chunk, components, entries) in [
            (&[5, 3][..], &[1, 1][..], 1, 15),
            (&[5, 3], &[2, 2], 1, 15),
            (&[7], &[3], 2, 7),
            (&[5, 3], &[1, 3], 1, 5),
            (&[5, 3], &[2, 3], 1, 5),
            (&[5, 3], &[2, 2], 1, 5),
            (&[], &[], 3, 1),
        ] {
            let layout = layout(lens, chunk, components);
            let (region, len) = (Region::of_shape(layout.grid.shape), 30 * components);
            let count = len * layout.outer.volumes() as usize;
            let source = MemorySource::new(layout.clone(), (0..count as u16).collect());
            let mut seen = Vec::new();
            for n in 0..entries {
                let entry = EntrySource::new(&source, entries, n);
                let outer = &Source::<u16>::layout(&entry).outer;
                for group in 0..outer.groups() {
                    let volumes = outer.members(group).len() * components;
                    let mut voxels = vec![0u16; volumes * 30];
                    entry.read(group, BlockMut::new(region, volumes, &mut voxels)).unwrap();
                    seen.extend(voxels);
                }
            }
            assert_eq!(seen, (0..count as u16).collect::<Vec<_>>(), "{lens:?} in chunks of {chunk:?}");
        }
    }

    #[test]
    fn whole_groups_of_chunks_count_as_memory() {
        assert_eq!(entry_layout::<u16>(&layout(&[5], &[1], 1), 5).transfer_bytes, 0);
        assert_eq!(entry_layout::<u16>(&layout(&[5], &[4], 1), 5).transfer_bytes, 30 * 4 * 2);
        assert_eq!(entry_layout::<u16>(&layout(&[5, 3], &[1, 3], 1), 5).transfer_bytes, 0);
    }
}
