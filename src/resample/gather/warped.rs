//! Gathering through displacements: points wander, so that each is looked at by itself.

use super::{
    AtPoints, Gather, at_stage,
    displaced::{self, Moved},
    fill, look,
    look::{STRIP, Strip},
};
use crate::{
    block::{BlockMut, BlockRef},
    geometry::Warp,
    region::Region,
    resample::{Outside, Vectors, Workspace},
    voxel::Voxel,
};

impl<T: Voxel> Gather<T> {
    /// [`crate::resample::BlockOp::apply`] with the vectors that `scratch` holds.
    pub(super) fn apply_warped(
        &self,
        warp: &Warp,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        scratch: &mut Workspace<T::Acc>,
    ) {
        fill(target, piece, self.outside.voxel());
        if source.region.is_empty() {
            scratch.outside += piece.voxels();
            return;
        }
        let fields = std::mem::take(&mut scratch.fields);
        let mut counts = [0; 4];
        for volume in 0..target.volumes {
            let source = source.volume(volume);
            let [outside, unsettled, below, above] = self.at_points(source, piece, scratch, |points| {
                self.wander((warp, &fields), points, target, piece, volume)
            });
            // All volumes have the same points.
            counts = [outside, unsettled, counts[2] + below, counts[3] + above];
        }
        let [outside, unsettled, below, above] = counts;
        scratch.fields = fields;
        scratch.outside += outside;
        scratch.unsettled += unsettled;
        scratch.add_beyond([below, above]);
    }

    /// Fills the voxels of one volume of `piece` that look inside; how many do not, how many an inverse did not settle, and how many
    /// are below and above what the type holds.
    fn wander(
        &self,
        (warp, fields): (&Warp, &[Vectors]),
        points: &mut dyn AtPoints<T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        volume: usize,
    ) -> [u64; 4] {
        let (mut strip, mut moved) = (Strip::new(), Moved::new(warp));
        let (mut found, mut counts) = ([T::default(); STRIP], [0; 4]);
        for run in piece.tiles([1, 1, STRIP]) {
            strip.len = run.shape()[2];
            look::fill(&self.reach.mapping, run.lo, &mut strip);
            let unsettled = displaced::displace(warp, fields, run.lo, &mut strip, &mut moved);
            let row = target.row(volume, run.lo[0], run.lo[1], run.lo[2]..run.hi[2]);
            let [below, above] = match self.keep_inside(&mut strip) {
                None => points.strip(&strip, row),
                Some(places) => {
                    let places = &places[..strip.len];
                    let beyond = points.strip(&strip, &mut found[..places.len()]);
                    places.iter().zip(&found).for_each(|(&place, &voxel)| row[usize::from(place)] = voxel);
                    beyond
                }
            };
            let outside = run.voxels() - strip.len as u64;
            let new = [outside, unsettled, below, above];
            counts = [0, 1, 2, 3].map(|n| counts[n] + new[n]);
        }
        counts
    }

    /// Keeps the points of `strip` that look inside, and says where in it they were; `None` where that is all of them.
    fn keep_inside(&self, strip: &mut Strip) -> Option<[u8; STRIP]> {
        let mut is_kept = [false; STRIP];
        let is_kept = &mut is_kept[..strip.len];
        at_stage::are_inside(strip, self.reach.bounds, is_kept);
        if is_kept.iter().all(|&kept| kept) {
            return None;
        }
        let mut places = [0; STRIP];
        let mut len = 0;
        for (n, &is_inside) in is_kept.iter().enumerate() {
            let c = strip.index(n);
            let is_extended = self.outside == Outside::Edge && c.iter().all(|c| c.is_finite());
            if is_inside || is_extended {
                places[len] = n as u8;
                (0..3).for_each(|a| strip.at[a][len] = c[a]);
                len += 1;
            }
        }
        strip.len = len;
        Some(places)
    }
}
