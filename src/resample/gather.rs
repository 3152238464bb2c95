//! Gathering: each target voxel from the source voxels around the point that it looks at, whatever the mapping.
//!
//! What oblique mappings need, and labels on any mapping. A block is fetched as the box around its image; splines and
//! down-sampling filter that box first. Every voxel is computed from its own global index, and which loop computes it depends
//! on the source's bounds alone, so blocks of any shape give the same bytes.

use std::{ops::Range, sync::Arc};

use super::{
    Area, BlockOp, Footprint, KernelShape, LabelWeights, ObliqueFootprint, OpRequest, Order, Outside, Workspace,
    fill::fill, kernel::GAUSSIAN_CUT,
};
use crate::{
    block::{BlockMut, BlockRef},
    geometry::{Mapping, Warp},
    region::Region,
    voxel::{Rounding, Voxel},
};

mod at_stage;
mod covered;
mod displaced;
mod filter;
mod inverted;
mod label;
mod linear;
mod look;
mod nearest;
mod points;
mod reach;
mod stages;
mod stencil;
mod sums;
mod warped;

pub(super) use label::LABEL_CUT;

use covered::AreaSamples;
use filter::Filter;
use linear::Neighbours;
use look::{STRIP, Strip};
use points::{AtPoints, AtSamples, AtVoxels, Plain, Point, Summed, Weights};
use reach::Oblique;
use stages::Passage;
use stencil::Stencil;

/// Bytes of a vector of a displacement field.
const VECTOR_BYTES: u64 = 12;

/// Target voxels gathered from around the points that they look at.
#[derive(Clone, Debug)]
pub(super) struct Gather<T: Voxel> {
    reach: Arc<Oblique>,
    /// The source axis of each target axis where the mapping is axis-aligned.
    source_axes: Option<[usize; 3]>,
    point: Point<T::Acc>,
    outside: Outside,
    rounding: Rounding,
    order: Order,
}

impl<T: Voxel> Gather<T> {
    fn new(request: &OpRequest, point: Point<T::Acc>) -> Gather<T> {
        let (span, border) = point.span();
        let warp = match &request.mapping {
            Mapping::Warped(warp) => Some(warp.clone()),
            Mapping::AxisAligned(_) | Mapping::Affine(_) => None,
        };
        let reach = Oblique {
            mapping: request.mapping.affine(),
            displaced: warp.as_ref().map_or([[0.0; 2]; 3], Warp::all_displacements),
            warp,
            target_shape: request.target_shape,
            bounds: request.bounds,
            extend: request.outside == Outside::Edge,
            span,
            border,
            halo: point.halo(),
            widths: Default::default(),
        };
        let source_axes = match &request.mapping {
            Mapping::AxisAligned(maps) => Some(maps.map(|map| map.source_axis)),
            Mapping::Affine(_) | Mapping::Warped(_) => None,
        };
        let &OpRequest { outside, rounding, order, .. } = request;
        Gather { reach: Arc::new(reach), source_axes, point, outside, rounding, order }
    }

    /// Lets `fill` take voxels at points of `piece` from one volume of the source.
    fn at_points<R>(
        &self,
        source: BlockRef<'_, T>,
        piece: Region,
        scratch: &mut Workspace<T::Acc>,
        fill: impl FnOnce(&mut dyn AtPoints<T>) -> R,
    ) -> R {
        let (bounds, rounding, order) = (self.reach.bounds, self.rounding, self.order);
        match &self.point {
            Point::Plain(take) => {
                let corners = Neighbours::new();
                fill(&mut AtVoxels { take, voxels: source, bounds, rounding, order, corners })
            }
            Point::Summed(summed) => {
                let (kept, corners) = (self.reach.gathered_region(piece), Neighbours::new());
                let samples = summed.samples(source, kept, bounds, |len| scratch.take(len));
                fill(&mut AtSamples { weights: &summed.weights, samples, bounds, rounding, corners })
            }
        }
    }

    /// Fills `piece` of one volume from what is around every point of it; how many are below and above what the type holds.
    fn gather(
        &self,
        points: &mut dyn AtPoints<T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        volume: usize,
    ) -> [u64; 2] {
        let (mapping, mut strip, mut beyond) = (&self.reach.mapping, Strip::new(), [0; 2]);
        for z in piece.lo[0]..piece.hi[0] {
            for y in piece.lo[1]..piece.hi[1] {
                let run = self.run([z, y], piece.lo[2]..piece.hi[2]);
                for x in run.clone().step_by(STRIP) {
                    strip.len = (run.end - x).min(STRIP as i64) as usize;
                    let out = target.row(volume, z, y, x..x + strip.len as i64);
                    let [below, above] = points.row(mapping, [z, y, x], &mut strip, out);
                    beyond = [beyond[0] + below, beyond[1] + above];
                }
            }
        }
        beyond
    }

    /// The voxels of a row that are computed; the others look outside.
    fn run(&self, row: [i64; 2], x: Range<i64>) -> Range<i64> {
        if self.reach.extend { x } else { look::inside_run(&self.reach.mapping, row, x, self.reach.bounds) }
    }

    /// Sets the voxels of `piece` that look outside; how many there are.
    fn fill_outside(&self, target: &mut BlockMut<'_, T>, piece: Region) -> u64 {
        let mut outside = 0;
        for z in piece.lo[0]..piece.hi[0] {
            for y in piece.lo[1]..piece.hi[1] {
                let run = self.run([z, y], piece.lo[2]..piece.hi[2]);
                outside += (piece.hi[2] - piece.lo[2] - (run.end - run.start)) as u64;
                for part in [piece.lo[2]..run.start, run.end..piece.hi[2]] {
                    let row = Region::new([z, y, part.start], [z + 1, y + 1, part.end]);
                    if !row.is_empty() {
                        fill(target, row, self.outside.voxel());
                    }
                }
            }
        }
        outside
    }
}

impl<T: Voxel> Footprint for Gather<T> {
    fn target_shape(&self) -> [u64; 3] {
        self.reach.target_shape
    }

    fn source_region(&self, target: Region) -> Region {
        self.reach.source_region(target)
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        self.source_axes.map(|axes| axes[target_axis])
    }

    fn reach(&self) -> Option<Arc<dyn ObliqueFootprint>> {
        if self.source_axes.is_some() {
            return None;
        }
        let reach: Arc<dyn ObliqueFootprint> = self.reach.clone();
        Some(reach)
    }

    fn field_regions(&self, target: Region) -> Vec<Region> {
        let Some(warp) = &self.reach.warp else { return Vec::new() };
        let fields = warp.stages.iter().enumerate().filter(|(_, stage)| stage.is_field());
        if target.is_empty() {
            return fields.map(|_| Region::EMPTY).collect();
        }
        let passage = Passage::of(warp, target);
        fields.map(|(n, stage)| passage.field_region(n, stage)).collect()
    }

    fn scratch_bytes(&self, target: Region) -> u64 {
        let shape = target.shape().map(|n| n as u64);
        let vectors = self.reach.warp.as_ref().map_or(0, |warp| self.reach.vectors(warp, shape));
        let source = || self.reach.largest_extents(shape).map(|n| n as usize);
        vectors * VECTOR_BYTES + self.point.scratch_bytes::<T>(source)
    }

    fn fetch_cost(&self) -> f64 {
        self.point.fetch_cost()
    }

    fn table_bytes(&self) -> u64 {
        let ranges = self.reach.warp.as_ref().map_or(0, Warp::bytes);
        self.point.bytes() + ranges
    }
}

impl<T: Voxel> BlockOp<T> for Gather<T> {
    fn apply(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        scratch: &mut Workspace<T::Acc>,
    ) {
        if let Some(warp) = &self.reach.warp {
            return self.apply_warped(warp, source, target, piece, scratch);
        }
        if !self.reach.extend {
            scratch.outside += self.fill_outside(target, piece);
        }
        if source.region.is_empty() {
            return;
        }
        for volume in 0..target.volumes {
            let source = source.volume(volume);
            let beyond = self.at_points(source, piece, scratch, |points| self.gather(points, target, piece, volume));
            scratch.add_beyond(beyond);
        }
    }
}

/// The nearest voxel.
pub(super) fn nearest<T: Voxel>(request: &OpRequest) -> Gather<T> {
    Gather::new(request, Point::Plain(Plain::Nearest))
}

/// A weighted sum on an oblique mapping: the kernel around each point, and what has to be filtered before.
pub(super) fn kernel<T: Voxel>(request: &OpRequest, shape: KernelShape) -> Gather<T> {
    let filter = match shape {
        KernelShape::BSpline { order } => Some(Filter::spline(order)),
        _ if request.antialias => Filter::low_pass(request.mapping.ratio()),
        _ => None,
    };
    let weights = match shape {
        KernelShape::Linear if filter.is_none() => return Gather::new(request, Point::Plain(Plain::Linear)),
        KernelShape::Linear => Weights::Linear,
        shape => Weights::Stencil(Stencil::new(shape)),
    };
    Gather::new(request, Point::Summed(Summed { filter, weights }))
}

/// What target voxels cover, on an oblique mapping.
pub(super) fn covering<T: Voxel>(request: &OpRequest, cover: Area) -> Gather<T> {
    let spread = AreaSamples::new(cover, &request.mapping.affine());
    Gather::new(request, Point::Plain(Plain::Covered(spread)))
}

/// Bytes of the table of a Gaussian of `sigma` voxels, with weights of so many bytes; what a number too large for one would take, too.
pub(super) fn gaussian_bytes(sigma: f64, weight_bytes: usize) -> f64 {
    Stencil::<f64>::gaussian_len(sigma, GAUSSIAN_CUT.max(LABEL_CUT)) * weight_bytes as f64
}

/// Bytes of the low-pass for `ratio` source voxels per target voxel, in the same way.
pub(super) fn low_pass_bytes(ratio: [f64; 3], weight_bytes: usize) -> f64 {
    ratio.map(filter::low_pass_reach).iter().sum::<f64>() * weight_bytes as f64
}

/// Labels on any mapping.
pub(super) fn labels<T: Voxel>(request: &OpRequest, weights: LabelWeights) -> Gather<T> {
    let take = match weights {
        LabelWeights::Linear => Plain::Label,
        LabelWeights::Gaussian { sigma } => Plain::LabelGaussian(Stencil::gaussian(sigma, LABEL_CUT)),
    };
    Gather::new(request, Point::Plain(take))
}
