//! A part of a series as a series of its own: some indices of its outer axes, in another order of the axes perhaps.

pub mod components;
pub mod entry;

use super::{Fetched, Source};
use crate::{
    block::BlockMut,
    error::Result,
    layout::{Axis, Layout, Outer},
    region::Region,
    voxel::Voxel,
};

/// Indices of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This one; the axis goes.
    Index(u64),
    /// From the first up to, but without, the second.
    Range(u64, u64),
}

impl Pick {
    /// The first index, and how many.
    fn span(self) -> (u64, u64) {
        match self {
            Pick::Index(index) => (index, 1),
            Pick::Range(first, end) => (first, end.saturating_sub(first)),
        }
    }
}

/// Which volumes of a series there are, and in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    behind: Outer,
    /// First index along each axis behind.
    first: Vec<u64>,
    /// Axes behind that the view has, slowest first, and how many indices of each.
    axes: Vec<(usize, u64)>,
}

impl View {
    /// All of a series.
    pub fn all(outer: &Outer) -> View {
        let axes = outer.axes.iter().enumerate().map(|(a, axis)| (a, axis.len)).collect();
        View { behind: outer.clone(), first: vec![0; outer.axes.len()], axes }
    }

    /// Entry `n` of `entries`: one index of the outer axes; where the last of them holds the colours of a voxel, all of those.
    pub fn entry(outer: &Outer, entries: u64, n: u64) -> View {
        let mut view = View::all(outer);
        let kept = if outer.volumes() > entries { outer.axes.len().saturating_sub(1) } else { outer.axes.len() };
        let mut rest = n;
        for a in (0..kept).rev() {
            let len = outer.axes[a].len.max(1);
            view.first[a] = rest % len;
            rest /= len;
        }
        view.axes.retain(|&(a, _)| a >= kept);
        view
    }

    /// Takes only these indices of axis `a` of the series; `None` where it does not have them.
    pub fn pick(mut self, a: usize, pick: Pick) -> Option<View> {
        let (first, len) = pick.span();
        let end = first.checked_add(len)?;
        if len == 0 || end > self.behind.axes.get(a)?.len {
            return None;
        }
        self.first[a] = first;
        match pick {
            Pick::Index(_) => self.axes.retain(|(axis, _)| *axis != a),
            Pick::Range(..) => self.axes.iter_mut().filter(|(axis, _)| *axis == a).for_each(|axis| axis.1 = len),
        }
        Some(self)
    }

    /// The axes in the order of these names; others come first, as they stand.
    pub fn in_order_of(mut self, names: &[&str]) -> View {
        let behind = &self.behind;
        self.axes.sort_by_key(|&(a, _)| names.iter().position(|name| *name == behind.axes[a].name));
        self
    }

    /// The outer axes of the series behind.
    pub fn behind(&self) -> &Outer {
        &self.behind
    }

    /// The outer axes of the view. What shares a chunk here shares one there.
    pub fn outer(&self) -> Outer {
        let axis = |&(a, len): &(usize, u64)| {
            let axis = &self.behind.axes[a];
            Axis { len, start: axis.start + axis.step * self.first[a] as f64, ..axis.clone() }
        };
        let chunk = |&(a, len): &(usize, u64)| {
            let (chunk, first) = (self.behind.chunk[a].max(1), self.first[a]);
            let is_within_one = first / chunk == (first + len.max(1) - 1) / chunk;
            if is_within_one { len } else { common_divisor(chunk, first % chunk) }
        };
        Outer { axes: self.axes.iter().map(axis).collect(), chunk: self.axes.iter().map(chunk).collect() }
    }

    /// The layout of the view, of voxels of so many bytes.
    ///
    /// Chunks that span other volumes too are decoded whole, which is counted as memory of a transfer.
    pub fn layout(&self, series: &Layout, voxel_bytes: usize) -> Layout {
        let mut layout = Layout { outer: self.outer(), ..series.clone() };
        if layout.outer.largest_group() != series.outer.largest_group() {
            let voxels = series.chunk.iter().fold(1, |n: u64, &extent| n.saturating_mul(extent));
            let samples = voxels.saturating_mul(series.outer.largest_group()).saturating_mul(series.components as u64);
            layout.transfer_bytes = layout.transfer_bytes.saturating_add(samples.saturating_mul(voxel_bytes as u64));
        }
        layout
    }

    /// The volume behind that is volume `n` of the view.
    fn volume_behind(&self, n: u64) -> u64 {
        let (mut at, mut rest) = (self.first.clone(), n);
        for &(a, len) in self.axes.iter().rev() {
            at[a] += rest % len.max(1);
            rest /= len.max(1);
        }
        at.iter().zip(&self.behind.axes).fold(0, |volume, (at, axis)| volume * axis.len + at)
    }
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// A view of a source.
///
/// Streams may be viewed in ascending order: the source behind goes on where it was left.
pub struct ViewSource<'a, T> {
    inner: Behind<'a, T>,
    layout: Layout,
    view: View,
}

enum Behind<'a, T> {
    Lent(&'a dyn Source<T>),
    Owned(Box<dyn Source<T>>),
}

impl<'a, T: Voxel> ViewSource<'a, T> {
    /// Entry `n` of `entries`, see [`View::entry`].
    pub fn entry(inner: &'a dyn Source<T>, entries: u64, n: u64) -> ViewSource<'a, T> {
        let view = View::entry(&inner.layout().outer, entries, n);
        ViewSource { layout: view.layout(inner.layout(), size_of::<T>()), inner: Behind::Lent(inner), view }
    }

    /// `view` of a source, which has the axes that are behind the view.
    pub fn owned(inner: Box<dyn Source<T>>, view: View) -> ViewSource<'static, T> {
        ViewSource { layout: view.layout(inner.layout(), size_of::<T>()), inner: Behind::Owned(inner), view }
    }

    fn inner(&self) -> &dyn Source<T> {
        match &self.inner {
            Behind::Lent(source) => *source,
            Behind::Owned(source) => source.as_ref(),
        }
    }

    /// The group of the source behind that holds a group of the view, and where its members stand in there; nothing where
    /// they are all of it.
    fn behind(&self, group: u64) -> (u64, Option<Vec<usize>>) {
        let outer = &self.view.behind;
        let members: Vec<u64> =
            self.layout.outer.members(group).into_iter().map(|volume| self.view.volume_behind(volume)).collect();
        let (behind, _) = outer.locate(members[0]);
        let places = (outer.members(behind) != members)
            .then(|| members.iter().map(|&volume| outer.locate(volume).1).collect::<Vec<_>>());
        (behind, places)
    }

    /// Reads by `read` into `into`, by way of a whole group where that holds more or has another order.
    fn pick(
        &self,
        group: u64,
        into: BlockMut<'_, T>,
        read: impl FnOnce(u64, BlockMut<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let (behind, places) = self.behind(group);
        let Some(places) = places else { return read(behind, into) };
        let components = self.layout.components;
        let members = self.view.behind.members_of(behind) as usize;
        let len = into.region.voxels() as usize * components;
        let mut voxels = vec![T::default(); len * members];
        read(behind, BlockMut::new(into.region, members * components, &mut voxels))?;
        for (part, place) in into.voxels.chunks_exact_mut(len.max(1)).zip(places) {
            part.copy_from_slice(&voxels[place * len..(place + 1) * len]);
        }
        Ok(())
    }
}

impl<T: Voxel> Source<T> for ViewSource<'_, T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        self.pick(group, into, |behind, into| self.inner().read(behind, into))
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        let fetched = self.inner().fetch(self.behind(group).0, region)?;
        Ok(fetched.map(|fetched| Fetched { group, ..fetched }))
    }

    fn read_fetched(&self, fetched: Fetched, into: BlockMut<'_, T>) -> Result<()> {
        let group = fetched.group;
        self.pick(group, into, |behind, into| self.inner().read_fetched(Fetched { group: behind, ..fetched }, into))
    }

    fn read_absent(&self, fetched: &Fetched) -> Result<Option<T>> {
        self.inner().read_absent(&Fetched::new(self.behind(fetched.group).0, fetched.region, None))
    }

    fn missing_chunks(&self) -> u64 {
        self.inner().missing_chunks()
    }
}

#[cfg(test)]
mod tests;
