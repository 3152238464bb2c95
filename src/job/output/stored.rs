//! Checks records of a target against its files.

use super::{Output, Recipe, build::BUILT};
use crate::{
    checkpoint::{
        Said,
        ledger::{Entry, Restored},
        restore_if,
        staging::Staging,
    },
    error::{Error, Result},
    io::{gzip, raw, zarr::StoredLevel},
    job::work::Work,
    region::Region,
};

/// Whose records are held against the files.
pub enum Whose<'a> {
    /// Those of what this run is to make: (volume, region).
    Own(&'a dyn Fn(u64, Region) -> bool),
    /// All, by a run that is about to complete the target.
    All,
}

impl Output {
    /// What earlier runs have stored: their records, except those whose files have gone or changed.
    ///
    /// Each rank checks only its own regions of a raw file: the file changes while the others write.
    ///
    /// # Errors
    /// A raw file that several ranks write is gone or was cut: each of them would have to begin anew.
    pub fn restore(&self, staging: &Staging, whose: &Whose<'_>) -> Result<Restored> {
        let levels = self.stored_levels(staging)?;
        let (built, is_joined) = (staging.path(BUILT), self.is_built(staging));
        let (volumes, mut is_cut) = (self.layout.outer.volumes(), false);
        // The bytes of what this run goes on with are read, whatever the times say: a journal may have been copied or touched later.
        let written = |said: &Said<'_>| said.written.filter(|_| matches!(whose, Whose::All));
        let stored = restore_if(staging.state().as_ref(), &mut |said| match (&self.recipe, said.entry) {
            (Recipe::Zarr(_), &Entry::Region { level, volume, region, .. }) => {
                let level = levels.get(level as usize).and_then(Option::as_ref);
                let level = level.filter(|level| level.has(volume, region));
                level.is_some_and(|level| !whose.includes(volume, region) || level.holds(said.entry, written(&said)))
            }
            (Recipe::Zarr(_), _) => true,
            (Recipe::File { framing: Some(_), .. }, Entry::Unit(unit)) => {
                // Joined units are looked at all together. Others' are believed, where their segment reaches so far: a record that speaks
                // of nothing would stand before those of whoever makes the unit again.
                let (volume, region) = self.place_of_unit(unit.number);
                let is_right = || match whose.includes(volume, region) {
                    true => gzip::holds(&built, said.writer, unit, written(&said)),
                    false => gzip::reaches(&built, said.writer, unit),
                };
                is_joined || volume < volumes && is_right()
            }
            (Recipe::File { packed, around, framing: None }, Entry::Region { volume, region, stamp, .. }) => {
                let is_whole = raw::is_whole(&built, &self.layout, packed, around);
                is_cut |= !is_whole;
                let is_own = matches!(whose, Whose::Own(_)) && *volume < volumes && whose.includes(*volume, *region);
                let holds = |stamp| raw::holds(&built, &self.layout, packed, (*volume, *region, stamp), written(&said));
                is_whole && (!is_own || stamp.is_none_or(holds))
            }
            _ => false,
        })?;
        if is_cut && staging.claim().rank.of > 1 {
            let found = "gone or shorter than what is recorded of it";
            return Err(Error::malformed(&built, "unfinished target", found, "what the ranks have written so far"));
        }
        Ok(stored)
    }

    /// The levels of a Zarr target, by their numbers.
    fn stored_levels(&self, staging: &Staging) -> Result<Vec<Option<StoredLevel>>> {
        let Recipe::Zarr(target) = &self.recipe else { return Ok(Vec::new()) };
        let image = self.pyramid.as_ref().map_or(target.as_ref(), |pyramid| &pyramid.target);
        (0..=image.levels.coarser.len()).map(|n| StoredLevel::of(self.site(staging), &image.at_level(n))).collect()
    }

    /// Volume and region of a unit of a stream.
    fn place_of_unit(&self, number: u64) -> (u64, Region) {
        let [nz, ny, nx] = self.layout.chunk_counts();
        let per_volume = (nz * ny * nx).max(1);
        let (volume, n) = (number / per_volume, number % per_volume);
        (volume, self.layout.chunk_region([n / (ny * nx).max(1), n / nx.max(1) % ny.max(1), n % nx.max(1)]))
    }

    /// Removes a joined stream that is not what its units make; whether it did.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn drop_wrong_join(&self, work: &Work) -> Result<bool> {
        if !self.is_built(&work.staging) || self.stream(work)?.is_none_or(|sink| sink.is_joined()) {
            return Ok(false);
        }
        let built = work.staging.path(BUILT);
        std::fs::remove_file(&built).map_err(Error::io("remove", built))?;
        Ok(true)
    }
}

impl Whose<'_> {
    fn includes(&self, volume: u64, region: Region) -> bool {
        match self {
            Whose::Own(is_own) => is_own(volume, region),
            Whose::All => true,
        }
    }
}
