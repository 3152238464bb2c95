//! What an earlier run has made of added levels.

use super::{BUILT, InPlace, LEVELS};
use crate::{
    error::Result,
    job::{pyramid::levels::LevelPass, work::Work},
};

impl InPlace {
    /// Whether levels are to be made yet: always, but where an earlier run has made all of them and they are there still, or on their way
    /// to their place. Reads what is stored.
    pub(super) fn is_open(&self, work: &mut Work) -> Result<bool> {
        let (site, claim) = (work.staging.site(LEVELS), work.staging.claim());
        let is_marked = work.has_mark(BUILT)?;
        let is_moving = (1..=self.paths.len()).any(|n| !site.folder.join(n.to_string()).exists());
        if is_marked && is_moving {
            return Ok(false);
        }
        if claim.resume {
            work.stored = self.pyramid.restore(&site, work.staging.state().as_ref())?;
        }
        let volumes = self.finest.layout.outer.volumes();
        let is_stored = |pass: &LevelPass| {
            work.stored.voxels(pass.level as u32) == pass.target.grid.voxels().saturating_mul(volumes)
        };
        if is_marked && !self.passes.iter().all(is_stored) {
            work.drop_mark(BUILT)?;
            return Ok(true);
        }
        Ok(!is_marked)
    }
}
