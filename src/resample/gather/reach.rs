//! Which source voxels a box of target voxels looks at, where axes are not aligned.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use super::{
    look,
    stages::{Passage, Spread, image},
};
use crate::{
    geometry::{Affine, TIE_VOXELS, Warp, settle},
    region::Region,
    resample::{Border, ObliqueFootprint, taps::mirrored},
};

/// The taps around a continuous index `c`: voxels `floor(c + shift) + first ..`, `count` of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub shift: f64,
    pub first: i64,
    pub count: i64,
}

/// Widths of the vectors of a stage where a box meets so many of its boxes of ranges.
pub(super) type Widths = HashMap<(usize, [u64; 3]), [f64; 3]>;

/// The image of target boxes under an affine mapping, widened by the taps and by the halo of a filter.
#[derive(Debug)]
pub(super) struct Oblique {
    /// Target index to source index; without the displacement where there is one.
    pub mapping: Affine,
    pub warp: Option<Warp>,
    pub target_shape: [u64; 3],
    /// Source voxels that exist.
    pub bounds: Region,
    /// Whether voxels that look outside are computed too.
    pub extend: bool,
    pub span: Span,
    pub border: Border,
    /// Voxels that a filter looks at beyond the taps.
    pub halo: [i64; 3],
    /// The lowest and highest displacement along each source axis that there is at all; zeros without any.
    pub displaced: [[f64; 2]; 3],
    /// Widths of vectors by stage and boxes met: a plan asks for few of them, each very often.
    pub widths: Mutex<Widths>,
}

impl Oblique {
    /// The voxels that the points of `target` are gathered from: those of `source_region` without the filter's halo.
    pub(super) fn gathered_region(&self, target: Region) -> Region {
        if target.is_empty() {
            return Region::EMPTY;
        }
        match &self.warp {
            Some(warp) => self.around(Passage::of(warp, target).source),
            None => self.around(look::hull(&self.mapping, target)),
        }
    }

    /// The voxels around indices within `hull`.
    pub(super) fn around(&self, hull: [[f64; 2]; 3]) -> Region {
        let mut region = Region::EMPTY;
        for (a, [low, high]) in hull.into_iter().enumerate() {
            let bounds = self.bounds.lo[a]..self.bounds.hi[a];
            let faces = [bounds.start as f64 - 0.5 - TIE_VOXELS, bounds.end as f64 - 0.5];
            if !self.extend && (high < faces[0] || low > faces[1]) {
                return Region::EMPTY;
            }
            let taps = self.taps(low.clamp(faces[0], faces[1]), high.clamp(faces[0], faces[1]));
            let folded = folded(taps, &bounds, self.border);
            (region.lo[a], region.hi[a]) = (folded.start, folded.end);
        }
        region
    }

    /// What no target box of `shape` voxels exceeds on its way through a warp.
    pub(super) fn spread(&self, warp: &Warp, shape: [u64; 3]) -> Spread {
        let mut known = self.widths.lock().unwrap_or_else(PoisonError::into_inner);
        Spread::of(warp, shape, |n, met| *known.entry((n, met)).or_insert_with(|| warp.stages[n].ranges().widest(met)))
    }

    /// Vectors of all fields that a target box of `shape` voxels needs at most.
    pub(super) fn vectors(&self, warp: &Warp, shape: [u64; 3]) -> u64 {
        let looked = self.spread(warp, shape).looked;
        let of_fields = warp.stages.iter().zip(looked).filter(|(stage, _)| stage.is_field());
        of_fields.map(|(_, extents)| extents.iter().product::<u64>()).sum()
    }

    fn taps(&self, low: f64, high: f64) -> Range<i64> {
        // Points are settled on the half-integers that they are next to, which may be one voxel on.
        let first = |c: f64| (c + self.span.shift).floor() as i64 + self.span.first;
        first(low.min(settle(low)))..first(high.max(settle(high))) + self.span.count
    }

    /// `region` with the filter's halo.
    fn with_halo(&self, region: Region) -> Region {
        if region.is_empty() {
            return region;
        }
        let mut widened = region;
        for a in 0..3 {
            let wide = region.lo[a] - self.halo[a]..region.hi[a] + self.halo[a];
            let folded = folded(wide, &(self.bounds.lo[a]..self.bounds.hi[a]), self.border);
            (widened.lo[a], widened.hi[a]) = (folded.start, folded.end);
        }
        widened
    }
}

impl ObliqueFootprint for Oblique {
    fn source_region(&self, target: Region) -> Region {
        self.with_halo(self.gathered_region(target))
    }

    fn target_region(&self, source: Region, shape: [u64; 3]) -> Region {
        let all = Region::of_shape(self.target_shape);
        let reaches_edges = (0..3).any(|a| source.lo[a] <= self.bounds.lo[a] || source.hi[a] >= self.bounds.hi[a]);
        let (Some(inverse), false) = (self.mapping.inverse(), self.extend && reaches_edges) else { return all };
        // The middle of a box looks at most half of its extents away from what any part of its region holds.
        let (mut widened, extents) = (source, self.largest_extents(shape));
        for (a, extent) in extents.into_iter().enumerate() {
            // Taps beyond the border may be folded back by as much as they reach.
            let reach = 2 * (self.span.count + self.halo[a]) + extent.div_ceil(2) as i64 + 2;
            let [back, ahead] = self.displaced[a].map(|x| x.clamp(-1e15, 1e15).ceil() as i64);
            (widened.lo[a], widened.hi[a]) = (source.lo[a] - reach - ahead, source.hi[a] + reach - back + 1);
        }
        let hull = look::hull(&inverse, widened);
        let region = Region {
            lo: hull.map(|[low, _]| (low - 1.0).floor() as i64),
            hi: hull.map(|[_, high]| (high + 2.0).ceil() as i64),
        };
        region.intersect(&all)
    }

    fn largest_extents(&self, shape: [u64; 3]) -> [u64; 3] {
        let moved = self.warp.as_ref().map_or([0.0; 3], |warp| self.spread(warp, shape).displacements);
        let image = image(&self.mapping, shape);
        std::array::from_fn(|a| {
            let taps = ((image[a] + moved[a]).ceil() as u64).saturating_add(2 + self.span.count as u64);
            // Folding adds at most what lies beyond the border.
            let folded = if self.border == Border::Mirror { self.span.count as u64 } else { 0 };
            let exist = (self.bounds.hi[a] - self.bounds.lo[a]) as u64;
            taps.saturating_add(folded + 2 * self.halo[a] as u64).min(exist)
        })
    }
}

/// The voxels within `bounds` that stand for `taps`.
fn folded(taps: Range<i64>, bounds: &Range<i64>, border: Border) -> Range<i64> {
    let clamp = |i: i64| i.clamp(bounds.start, bounds.end - 1);
    let inner = clamp(taps.start)..clamp(taps.end - 1) + 1;
    if border != Border::Mirror || (bounds.contains(&taps.start) && bounds.contains(&(taps.end - 1))) {
        return inner;
    }
    if taps.end - taps.start >= bounds.end - bounds.start {
        return bounds.clone();
    }
    let join = |hull: Range<i64>, i: i64| hull.start.min(i)..hull.end.max(i + 1);
    let last = bounds.end - bounds.start - 1;
    if bounds.start - taps.start <= last && taps.end - bounds.end <= last {
        // Mirrored once: the ends of what lies beyond either border are the ends of its images.
        let (low, high) = (taps.start..taps.end.min(bounds.start), taps.start.max(bounds.end)..taps.end);
        let ends = [low, high].into_iter().filter(|part| !part.is_empty()).flat_map(|part| [part.start, part.end - 1]);
        return ends.map(|i| mirrored(i, bounds)).fold(inner, join);
    }
    let beyond = (taps.start..taps.end).filter(|i| !bounds.contains(i));
    beyond.map(|i| mirrored(i, bounds)).fold(inner, join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_is_the_hull_of_what_each_tap_stands_for() {
        for bounds in [0..1, 3..5, -2..9, 0..40] {
            for start in -60..60 {
                for len in 1..30 {
                    let taps = start..start + len;
                    let images = taps.clone().map(|i| mirrored(i, &bounds));
                    let (lo, hi) = images.fold((i64::MAX, i64::MIN), |(lo, hi), i| (lo.min(i), hi.max(i)));
                    let found = folded(taps.clone(), &bounds, Border::Mirror);
                    // What stands beyond the border is the edge voxel, too.
                    let clamp = |i: i64| i.clamp(bounds.start, bounds.end - 1);
                    let hull = lo.min(clamp(taps.start))..hi.max(clamp(taps.end - 1)) + 1;
                    let all = len >= bounds.end - bounds.start && hull != found;
                    assert!(found == hull || all && found == bounds, "{taps:?} in {bounds:?}: {found:?}");
                }
            }
        }
    }
}
