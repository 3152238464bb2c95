//! What is taken at points: from voxels as they are, or weighted sums of samples.

use super::{
    covered::AreaSamples,
    filter::Filter,
    label,
    linear::{self, Neighbours},
    look::{self, Line, Strip},
    nearest,
    reach::Span,
    stencil::Stencil,
    sums,
};
use crate::{
    block::BlockRef,
    geometry::Affine,
    region::Region,
    resample::{Border, order::Order, rows},
    voxel::{Real, Rounding, Voxel},
};

/// What happens at a point.
#[derive(Clone, Debug)]
pub(super) enum Point<A> {
    Plain(Plain),
    Summed(Summed<A>),
}

/// Something taken from voxels as they are.
#[derive(Clone, Debug)]
pub(super) enum Plain {
    Nearest,
    Linear,
    Label,
    LabelGaussian(Stencil<f64>),
    Covered(AreaSamples),
}

/// Weighted sums of samples in the type that they are summed in, after a filter where there is one.
#[derive(Clone, Debug)]
pub(super) struct Summed<A> {
    pub filter: Option<Filter<A>>,
    pub weights: Weights<A>,
}

#[derive(Clone, Debug)]
pub(super) enum Weights<A> {
    Linear,
    Stencil(Stencil<A>),
}

impl<A: Real> Point<A> {
    /// How far points look, and what stands beyond the border.
    pub(super) fn span(&self) -> (Span, Border) {
        let linear = Span { shift: 0.0, first: 0, count: 2 };
        match self {
            Point::Plain(Plain::Nearest) => (Span { shift: 0.5, first: 0, count: 1 }, Border::Repeat),
            Point::Plain(Plain::Linear | Plain::Label) => (linear, Border::Repeat),
            Point::Plain(Plain::LabelGaussian(stencil)) => (stencil.span(), stencil.border),
            Point::Plain(Plain::Covered(spread)) => {
                let reach = spread.reach.ceil() as i64;
                (Span { shift: 0.5, first: -reach, count: 2 * reach + 1 }, Border::Repeat)
            }
            Point::Summed(Summed { weights: Weights::Linear, .. }) => (linear, Border::Repeat),
            Point::Summed(Summed { weights: Weights::Stencil(stencil), .. }) => (stencil.span(), stencil.border),
        }
    }

    /// Source voxels that a filter looks at beyond those that points look at.
    pub(super) fn halo(&self) -> [i64; 3] {
        match self {
            Point::Summed(Summed { filter: Some(filter), .. }) => filter.halo(),
            Point::Plain(_) | Point::Summed(_) => [0; 3],
        }
    }

    /// Time that each source voxel takes, against that of copying it.
    pub(super) fn fetch_cost(&self) -> f64 {
        match self {
            Point::Summed(Summed { filter: Some(filter), .. }) => filter.cost(),
            Point::Plain(_) | Point::Summed(_) => 1.0,
        }
    }

    /// Memory of the tables.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Point::Plain(Plain::Nearest | Plain::Linear | Plain::Label) => 0,
            Point::Plain(Plain::LabelGaussian(stencil)) => stencil.bytes(),
            Point::Plain(Plain::Covered(spread)) => spread.bytes(),
            Point::Summed(Summed { filter, weights }) => {
                let stencil = if let Weights::Stencil(stencil) = weights { stencil.bytes() } else { 0 };
                stencil + filter.as_ref().map_or(0, Filter::bytes)
            }
        }
    }

    /// Memory that a piece takes beside its voxels; of a source region of `source` voxels at most, with samples of type `T`.
    pub(super) fn scratch_bytes<T: Voxel<Acc = A>>(&self, source: impl FnOnce() -> [usize; 3]) -> u64 {
        match self {
            Point::Plain(Plain::Covered(spread)) => spread.scratch_bytes(),
            Point::Plain(_) => 0,
            Point::Summed(summed) => (summed.scratch_len::<T>(source()) * size_of::<A>()) as u64,
        }
    }
}

impl<A: Real> Summed<A> {
    fn scratch_len<T: Voxel<Acc = A>>(&self, source: [usize; 3]) -> usize {
        match &self.filter {
            Some(filter) => filter.scratch_len(source),
            None if T::DTYPE == A::DTYPE => 0,
            None => source.iter().product(),
        }
    }

    /// The samples that points of `kept` are summed from. `memory` gives so many samples of scratch.
    pub(super) fn samples<'s, T: Voxel<Acc = A>>(
        &self,
        source: BlockRef<'s, T>,
        kept: Region,
        bounds: Region,
        memory: impl FnOnce(usize) -> &'s mut [A],
    ) -> BlockRef<'s, A> {
        let len = self.scratch_len::<T>(source.region.shape());
        match &self.filter {
            Some(filter) => filter.apply(source, kept, bounds, memory(len)),
            None if T::DTYPE == A::DTYPE => BlockRef::new(source.region, 1, bytemuck::cast_slice(source.voxels)),
            None => {
                let samples = memory(len);
                rows::load(source.voxels, samples);
                BlockRef::new(source.region, 1, samples)
            }
        }
    }
}

/// Fills target voxels from what is around their points; how many sums are below and above what the type holds.
pub(super) trait AtPoints<T: Voxel> {
    /// The voxels at the points of a strip.
    fn strip(&mut self, strip: &Strip, out: &mut [T]) -> [u64; 2];

    /// The voxels of a row from `at` on, of a mapping without displacements. `strip` has as many points as `out` voxels.
    fn row(&mut self, mapping: &Affine, at: [i64; 3], strip: &mut Strip, out: &mut [T]) -> [u64; 2] {
        look::fill(mapping, at, strip);
        self.strip(strip, out)
    }
}

/// Voxels as they are.
pub(super) struct AtVoxels<'a, T: Voxel> {
    pub take: &'a Plain,
    pub voxels: BlockRef<'a, T>,
    pub bounds: Region,
    pub rounding: Rounding,
    pub order: Order,
    pub corners: Neighbours<T, T::Acc>,
}

impl<T: Voxel> AtPoints<T> for AtVoxels<'_, T> {
    fn strip(&mut self, strip: &Strip, out: &mut [T]) -> [u64; 2] {
        let (voxels, bounds, rounding, order) = (self.voxels, self.bounds, self.rounding, self.order);
        match self.take {
            Plain::Nearest => nearest::strip(voxels, bounds, strip, out),
            Plain::Linear => linear::strip(voxels, bounds, strip, &mut self.corners, rounding, out),
            Plain::Label => label::linear(voxels, bounds, order, strip, out),
            Plain::LabelGaussian(stencil) => label::gaussian(voxels, bounds, (stencil, order), strip, out),
            Plain::Covered(spread) => spread.strip(voxels, bounds, strip, (rounding, order), out),
        }
        [0; 2]
    }

    fn row(&mut self, mapping: &Affine, at: [i64; 3], strip: &mut Strip, out: &mut [T]) -> [u64; 2] {
        if let Plain::Linear = self.take {
            linear::strip(self.voxels, self.bounds, &Line::new(mapping, at), &mut self.corners, self.rounding, out);
            return [0; 2];
        }
        look::fill(mapping, at, strip);
        self.strip(strip, out)
    }
}

/// Samples that are summed.
pub(super) struct AtSamples<'a, A: Real> {
    pub weights: &'a Weights<A>,
    pub samples: BlockRef<'a, A>,
    pub bounds: Region,
    pub rounding: Rounding,
    pub corners: Neighbours<A, A>,
}

impl<T: Voxel> AtPoints<T> for AtSamples<'_, T::Acc> {
    fn strip(&mut self, strip: &Strip, out: &mut [T]) -> [u64; 2] {
        match self.weights {
            Weights::Linear => {
                linear::strip(self.samples, self.bounds, strip, &mut self.corners, self.rounding, out);
                [0; 2]
            }
            Weights::Stencil(stencil) => sums::strip(self.samples, self.bounds, stencil, strip, self.rounding, out),
        }
    }
}
