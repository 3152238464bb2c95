//! Tap tables: for every index of one target axis, the source indices it looks at and their weights.

use std::ops::Range;

use super::{Border, Kernel, kernel::Repeating};
use crate::{
    geometry::{AxisMap, inside, settle},
    voxel::Real,
};

/// The taps of every target index along one axis, in one flat table.
///
/// Built in f64 from global indices, stored in the type of accumulation. Weights of 0 at either end are no taps, and ops pass over those
/// between. Taps beyond `bounds`
/// are moved to its edge voxels.
#[derive(Clone, Debug)]
pub struct TapTable<A> {
    /// Target indices that look inside the source; contiguous, since the map is monotone.
    inside: Range<i64>,
    /// Source index of the first tap, per index of `inside`.
    first: Vec<i64>,
    /// Start of the weights of each index of `inside`; one more entry than `first`.
    start: Vec<u32>,
    weights: Vec<A>,
    /// Whether any weight is 0: those between others, at the zeros of stretched kernels.
    has_gaps: bool,
    /// The most taps that any index has.
    widest: usize,
    /// Hulls of the taps of each [`BUCKET`] indices of `inside`, so that long ranges are not walked index by index.
    hulls: Vec<Range<i64>>,
}

/// Ranges that are longer are not looked at index by index.
const LONG: i64 = 1024;
/// Indices that share an entry of `hulls`.
const BUCKET: usize = 64;

impl<A: Real> TapTable<A> {
    /// The table of one target axis of `len` voxels over source indices `bounds`.
    ///
    /// With `extend`, target indices beyond the source look at its edge voxels instead of being outside.
    pub fn new(map: &AxisMap, len: u64, bounds: Range<i64>, kernel: &Kernel, extend: bool) -> TapTable<A> {
        let most = most_of_kernel(kernel, &bounds);
        let mut repeating = Repeating::new(kernel);
        Self::of_taps(map, len, &bounds, extend, most, |c| clamped_taps(&mut repeating, c, &bounds))
    }

    /// The table of the source voxels that target voxels cover, [c - |scale|/2, c + |scale|/2], and the parts of what exists of that.
    ///
    /// Those overlapped by at most `least` of a source voxel are left out; where that leaves none, it is the nearest one.
    pub fn covering(map: &AxisMap, len: u64, bounds: Range<i64>, least: f64, extend: bool) -> TapTable<A> {
        let most = most_covered(map, &bounds);
        Self::of_taps(map, len, &bounds, extend, most, |c| covered(c, map.scale.abs() / 2.0, least, &bounds))
    }

    /// The table of the taps that `taps` gives at each source index: the first one, within `bounds`, and at most `most` weights.
    ///
    /// The table has its room from the start: one that grows is held twice meanwhile, and room that is not written takes no memory.
    fn of_taps(
        map: &AxisMap,
        len: u64,
        bounds: &Range<i64>,
        extend: bool,
        most: f64,
        mut taps: impl FnMut(f64) -> (i64, Vec<f64>),
    ) -> TapTable<A> {
        let inside = inside_range(map, len, bounds, extend);
        let count = (inside.end - inside.start) as usize;
        let most = most.min((bounds.end - bounds.start) as f64) as usize;
        let mut table = TapTable {
            inside: inside.clone(),
            first: Vec::with_capacity(count),
            start: Vec::with_capacity(count + 1),
            weights: Vec::with_capacity(count.saturating_mul(most)),
            has_gaps: false,
            widest: 0,
            hulls: Vec::with_capacity(count.div_ceil(BUCKET)),
        };
        table.start.push(0);
        for i in inside {
            let (first, weights) = taps(map.at(i));
            let nonzero = |w: &f64| A::of_f64(*w) != A::ZERO;
            let skip = weights.iter().position(nonzero).unwrap_or(0);
            let end = weights.iter().rposition(nonzero).map_or(0, |n| n + 1);
            table.first.push(first + skip as i64);
            table.weights.extend(weights[skip..end].iter().map(|&w| A::of_f64(w)));
            table.start.push(table.weights.len() as u32);
        }
        table.weights.shrink_to_fit();
        table.has_gaps = table.weights.contains(&A::ZERO);
        table.widest = table.start.windows(2).map(|at| (at[1] - at[0]) as usize).max().unwrap_or(0);
        for n in (0..count).step_by(BUCKET) {
            let hull = table.hull(n..(n + BUCKET).min(count));
            table.hulls.push(hull);
        }
        table
    }

    /// Target indices that look inside the source.
    pub fn inside(&self) -> Range<i64> {
        self.inside.clone()
    }

    /// First source index and weights of target index `i`, which must be inside.
    #[inline]
    pub fn at(&self, i: i64) -> (i64, &[A]) {
        let n = (i - self.inside.start) as usize;
        (self.first[n], &self.weights[self.start[n] as usize..self.start[n + 1] as usize])
    }

    /// The same of every target index of `target`, which are all inside.
    #[inline(always)]
    pub fn each(&self, target: Range<i64>) -> impl Iterator<Item = (i64, &[A])> {
        let [from, to] = [target.start, target.end.max(target.start)].map(|i| (i - self.inside.start) as usize);
        let ends = self.start[from..=to].windows(2);
        let weights = ends.map(|ends| &self.weights[ends[0] as usize..ends[1] as usize]);
        self.first[from..to].iter().copied().zip(weights)
    }

    /// Products for each source voxel along this axis, at most about, where all of the target is made.
    pub fn products(&self) -> f64 {
        let source = self.source(self.inside());
        let [made, looked_at] = [self.inside(), source].map(|range| (range.end - range.start).max(0) as f64);
        self.widest as f64 * made / looked_at.max(1.0)
    }

    /// The most taps of any target index of `target`, which are all inside; of a long range at most.
    pub fn most_taps(&self, target: Range<i64>) -> usize {
        if target.end - target.start > LONG {
            return self.widest;
        }
        if target.is_empty() {
            return 0;
        }
        let [from, to] = [target.start, target.end].map(|i| (i - self.inside.start) as usize);
        let starts = &self.start[from..=to];
        starts.iter().zip(&starts[1..]).fold(0, |most, (start, end)| most.max(end - start)) as usize
    }

    /// The source indices that target index `i`, which must be inside, looks at.
    pub fn hull_at(&self, i: i64) -> Range<i64> {
        let (first, weights) = self.at(i);
        first..first + weights.len() as i64
    }

    /// Taps of the index that has most.
    pub fn widest(&self) -> usize {
        self.widest
    }

    /// Hull of the taps of the target indices in `target`; empty when none of them is inside.
    pub fn source(&self, target: Range<i64>) -> Range<i64> {
        let start = (target.start.max(self.inside.start) - self.inside.start) as usize;
        let end = (target.end.min(self.inside.end) - self.inside.start).max(0) as usize;
        if start >= end {
            return 0..0;
        }
        // Whole buckets in the middle, single indices at both ends.
        let (first_bucket, last_bucket) = (start.div_ceil(BUCKET), end / BUCKET);
        if first_bucket >= last_bucket {
            return self.hull(start..end);
        }
        let middle = self.hulls[first_bucket..last_bucket].iter().cloned();
        let ends = [self.hull(start..first_bucket * BUCKET), self.hull(last_bucket * BUCKET..end)];
        ends.into_iter().chain(middle).fold(0..0, join)
    }

    /// Hull of the taps of a run of entries.
    fn hull(&self, entries: Range<usize>) -> Range<i64> {
        entries.fold(0..0, |hull, n| {
            let taps = (self.start[n + 1] - self.start[n]) as i64;
            join(hull, self.first[n]..self.first[n] + taps)
        })
    }

    /// Whether every index has one tap of weight 1, so that interpolating is copying.
    pub fn selects(&self) -> bool {
        let one = A::of_f64(1.0);
        self.weights.len() == self.first.len() && self.weights.iter().all(|&w| w == one)
    }

    /// Whether some voxels have no tap.
    pub fn has_gaps(&self) -> bool {
        self.has_gaps
    }

    /// Memory of the table.
    pub fn bytes(&self) -> u64 {
        (self.first.len() * 8 + self.start.len() * 4 + self.hulls.len() * 16 + self.weights.len() * size_of::<A>())
            as u64
    }
}

/// Target indices whose source index lies inside `bounds`, by bisection: the map is monotone.
pub(super) fn inside_range(map: &AxisMap, len: u64, bounds: &Range<i64>, extend: bool) -> Range<i64> {
    let len = len as i64;
    if extend {
        return 0..len;
    }
    let is_inside = |i: i64| inside(settle(map.at(i)), bounds.start, bounds.end);
    let past_low = |i: i64| settle(map.at(i)) >= bounds.start as f64 - 0.5;
    let before_high = |i: i64| settle(map.at(i)) < bounds.end as f64 - 0.5;
    let (enters, leaves): (&dyn Fn(i64) -> bool, &dyn Fn(i64) -> bool) =
        if map.scale >= 0.0 { (&past_low, &before_high) } else { (&before_high, &past_low) };
    let start = bisect(0..len, |i| !enters(i));
    let end = bisect(start..len, leaves);
    debug_assert!(start == end || (is_inside(start) && is_inside(end - 1)));
    start..end
}

/// A kernel that reaches farther than so many voxels, and whose taps beyond the source do not count, gets taps within the source only.
const FAR: f64 = 65_536.0;

fn is_cut_at_bounds(kernel: &Kernel) -> bool {
    kernel.shape.border() == Border::LeaveOut && kernel.support() > FAR
}

/// The most taps of a kernel that are made at once, those beyond the source among them: its weight is 0 at both ends of the support.
pub(super) fn most_of_kernel(kernel: &Kernel, bounds: &Range<i64>) -> f64 {
    let most = (2.0 * kernel.support()).ceil();
    if is_cut_at_bounds(kernel) { most.min((bounds.end - bounds.start) as f64) } else { most }
}

/// The most source voxels that a target voxel covers a part of.
pub(super) fn most_covered(map: &AxisMap, bounds: &Range<i64>) -> f64 {
    (map.scale.abs().ceil() + 1.0).min((bounds.end - bounds.start) as f64)
}

/// The smallest range that holds both; an empty one adds nothing.
fn join(a: Range<i64>, b: Range<i64>) -> Range<i64> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}

/// First index of `range` for which `holds` is false; `holds` is true, then false.
#[inline(always)]
pub(super) fn bisect(range: Range<i64>, holds: impl Fn(i64) -> bool) -> i64 {
    let (mut lo, mut hi) = (range.start, range.end);
    while lo < hi {
        let mid = lo + (hi - lo) / 2;
        if holds(mid) { lo = mid + 1 } else { hi = mid }
    }
    lo
}

/// The taps at `c` with those beyond `bounds` added to the voxels that stand for them.
fn clamped_taps(repeating: &mut Repeating<'_>, c: f64, bounds: &Range<i64>) -> (i64, Vec<f64>) {
    let kernel = repeating.kernel;
    if kernel.shape.border() == Border::Mirror && !inside(c, bounds.start, bounds.end) {
        // What lies farther out than the border is the edge voxel, and no mirror image.
        return (if c < bounds.start as f64 { bounds.start } else { bounds.end - 1 }, vec![1.0]);
    }
    // Beyond the edges every tap is the edge voxel; moving `c` next to the edge first keeps indices small.
    let reach = kernel.support() + 1.0;
    let c = c.clamp(bounds.start as f64 - reach, (bounds.end - 1) as f64 + reach);
    if is_cut_at_bounds(kernel) {
        let (first, weights) = kernel.taps_within(c, bounds);
        return existing_taps(first, &weights, bounds);
    }
    let (first, weights) = repeating.taps(c);
    let stand_in = match kernel.shape.border() {
        Border::LeaveOut => return existing_taps(first, &weights, bounds),
        Border::Repeat => |i: i64, bounds: &Range<i64>| i.clamp(bounds.start, bounds.end - 1),
        Border::Mirror => mirrored,
    };
    let ends = (first..first + weights.len() as i64).map(|i| stand_in(i, bounds));
    let (lo, hi) = ends.fold((i64::MAX, i64::MIN), |(lo, hi), i| (lo.min(i), hi.max(i)));
    let mut folded = vec![0.0; (hi - lo + 1) as usize];
    for (i, weight) in (first..).zip(weights) {
        folded[(stand_in(i, bounds) - lo) as usize] += weight;
    }
    (lo, folded)
}

/// The source voxels that [c - half, c + half] overlaps by more than `least`, and the parts of their sum.
fn covered(c: f64, half: f64, least: f64, bounds: &Range<i64>) -> (i64, Vec<f64>) {
    let (lo, hi) = ((c - half).max(bounds.start as f64 - 0.5), (c + half).min(bounds.end as f64 - 0.5));
    let overlap = |k: i64| hi.min(k as f64 + 0.5) - lo.max(k as f64 - 0.5);
    let touched = (lo + 0.5).floor() as i64..=((hi + 0.5).floor() as i64).min(bounds.end - 1);
    let mut overlaps = touched.map(|k| (k, overlap(k))).filter(|&(_, part)| part > least).peekable();
    let Some(&(first, _)) = overlaps.peek() else {
        // Beyond the edge, or narrower than what counts.
        return (((settle(c) + 0.5).floor() as i64).clamp(bounds.start, bounds.end - 1), vec![1.0]);
    };
    let parts: Vec<f64> = overlaps.map(|(_, part)| part).collect();
    let sum: f64 = parts.iter().sum();
    (first, parts.iter().map(|part| part / sum).collect())
}

/// The index within `bounds` that index `i` mirrors, the edge voxels standing for themselves.
pub(super) fn mirrored(i: i64, bounds: &Range<i64>) -> i64 {
    let last = bounds.end - bounds.start - 1;
    if last == 0 {
        return bounds.start;
    }
    let phase = (i - bounds.start).rem_euclid(2 * last);
    bounds.start + phase.min(2 * last - phase)
}

/// The taps within `bounds`, normalised; the nearest edge voxel where there is none.
fn existing_taps(first: i64, weights: &[f64], bounds: &Range<i64>) -> (i64, Vec<f64>) {
    let lo = first.clamp(bounds.start, bounds.end - 1);
    let weights = (first..).zip(weights).filter(|(i, _)| bounds.contains(i));
    let existing: Vec<f64> = weights.map(|(_, &weight)| weight).collect();
    let sum: f64 = existing.iter().sum();
    if sum > 0.0 { (lo, existing.iter().map(|w| w / sum).collect()) } else { (lo, vec![1.0]) }
}

#[cfg(test)]
mod tests;
