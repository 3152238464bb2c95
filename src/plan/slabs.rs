//! Source regions of slabs: intervals of one target axis, whole along the others.

use crate::{region::Region, resample::Footprint};

/// Answers for slabs without asking about whole axes each time.
pub(super) struct Slabs<'a> {
    footprint: &'a dyn Footprint,
    target: Region,
    /// Source region of the whole target.
    source: Region,
    /// A small part of the target that looks inside the source; nothing for ops whose regions are no products.
    core: Option<Region>,
}

impl<'a> Slabs<'a> {
    /// Slabs of the blocks of an op.
    pub(super) fn new(footprint: &'a dyn Footprint) -> Slabs<'a> {
        let target = Region::of_shape(footprint.target_shape());
        let source = footprint.source_region(target);
        let is_product = (0..3).all(|t| footprint.source_axis(t).is_some());
        let core = (is_product && !source.is_empty()).then(|| core(footprint, target));
        Slabs { footprint, target, source, core }
    }

    /// The source region of target indices `lo..hi` along axis `t`; empty where all of them look outside.
    pub(super) fn source(&self, t: usize, lo: u64, hi: u64) -> Region {
        let mut slab = self.core.unwrap_or(self.target);
        (slab.lo[t], slab.hi[t]) = (lo as i64, (hi as i64).min(self.target.hi[t]));
        let part = self.footprint.source_region(slab);
        match self.footprint.source_axis(t) {
            // A product: along the other axes it is what all of the target needs.
            Some(s) if self.core.is_some() && !part.is_empty() => {
                let mut whole = self.source;
                (whole.lo[s], whole.hi[s]) = (part.lo[s], part.hi[s]);
                whole
            }
            _ => part,
        }
    }
}

/// Halves `target` along each axis as long as one half looks inside.
fn core(footprint: &dyn Footprint, target: Region) -> Region {
    let mut core = target;
    for a in 0..3 {
        while core.hi[a] - core.lo[a] > 1 {
            let middle = core.lo[a] + (core.hi[a] - core.lo[a]) / 2;
            let (mut low, mut high) = (core, core);
            (low.hi[a], high.lo[a]) = (middle, middle);
            core = if footprint.source_region(low).is_empty() { high } else { low };
        }
    }
    core
}
