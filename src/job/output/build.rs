//! How a target is built: in its staging folder, or where it stays, by one run or several.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Output, Recipe};
use crate::{
    checkpoint::staging::{Claim, REMOTE_STATE, Staging, state_folder},
    error::{Error, Result},
    io::{
        Sink,
        format::Format,
        gzip::{self, GzipSink},
        ome::OmeVersion,
        raw::RawSink,
        zarr::{self, ZarrSink},
    },
    job::work::Work,
    region::Region,
    storage::{self, BuildSite, DirStore, Store, nfs},
    voxel::Voxel,
};

/// Names within the staging folder.
pub(super) const BUILT: &str = "target";
pub(super) const BUILT_HEADER: &str = "target.hdr";
const PACKED: &str = "target.ozx";

impl Output {
    /// The place where the target is built; `scratch` is for what a store behind a URL needs of local disk.
    pub fn stage(&self, claim: Claim, scratch: Option<&Path>) -> Result<Staging> {
        match &self.store {
            Some(store) => Staging::remote(store.clone(), claim, scratch),
            None => Staging::create(&self.path, claim),
        }
    }

    /// Where runs leave notes of their work on the target.
    pub fn state(&self) -> Arc<dyn Store> {
        match &self.store {
            Some(store) => store.below(REMOTE_STATE),
            None => Arc::new(DirStore::new(state_folder(&self.path))),
        }
    }

    /// Whether there is no other place for it while it is built than where it stays.
    pub fn stays_where_built(&self) -> bool {
        self.store.is_some()
    }

    /// Whether there is something under the final name.
    pub fn exists(&self) -> Result<bool> {
        match &self.store {
            Some(store) => store
                .exists("zarr.json")
                .and_then(|v3| Ok(v3 || store.exists(".zgroup")?))
                .map_err(|e| e.at("look into", &self.path)),
            None => Ok(nfs::look_at(&self.path)?.is_some()),
        }
    }

    /// Takes over what earlier runs have left unfinished of what is to be made by this one: where `is_ours` holds (volume, region).
    pub fn adopt(&self, work: &mut Work, is_ours: &dyn Fn(u64, Region) -> bool) -> Result<()> {
        match &self.recipe {
            Recipe::Zarr(target) => {
                let (site, ledger) = (self.site(&work.staging), work.ledger());
                for (&level, stored) in &mut work.stored.levels {
                    let stored_form = self.pyramid.as_ref().map_or(target.as_ref(), |pyramid| &pyramid.target);
                    zarr::adopt(&site, &stored_form.at_level(level as usize), &ledger, stored, is_ours)?;
                }
            }
            Recipe::File { framing: Some(_), .. } => {
                let volumes = gzip::stored_regions(&work.staging.path(BUILT), &self.layout, &mut work.stored);
                work.stored.levels.entry(0).or_default().volumes.extend(volumes);
            }
            Recipe::File { framing: None, .. } => {
                let (whole, volumes) = (Region::of_shape(self.layout.grid.shape), self.layout.outer.volumes());
                let levels = work.stored.levels.values_mut();
                levels.for_each(|level| level.keep_within(whole, volumes, |_, _| String::new()));
            }
        }
        Ok(())
    }

    /// Whether a stream was joined to the end: it has its name in the staging folder then, and only then.
    pub fn is_built(&self, staging: &Staging) -> bool {
        self.is_stream() && staging.path(BUILT).is_file()
    }

    /// Creates the target in its staging folder, or comes to what is stored of it.
    pub fn create<T: Voxel>(&self, work: &Work) -> Result<Box<dyn Sink<T>>> {
        let (built, ledger, layout) = (work.staging.path(BUILT), work.ledger(), self.layout.clone());
        match &self.recipe {
            Recipe::Zarr(target) => {
                let stored = work.stored.levels.get(&0).cloned().unwrap_or_default();
                Ok(Box::new(ZarrSink::<T>::create_in(self.site(&work.staging), target, ledger, &stored)?))
            }
            Recipe::File { around, packed, framing } => {
                if let Some(header) = &around.beside {
                    let state = work.staging.state();
                    state
                        .put_durable(BUILT_HEADER, header.clone())
                        .map_err(|e| e.at("write", state.describe(BUILT_HEADER)))?;
                }
                Ok(match framing {
                    Some(framing) => {
                        let stored = work.stored.clone();
                        Box::new(GzipSink::join(&built, layout, *packed, around, *framing, ledger, stored)?)
                    }
                    None => Box::new(RawSink::join(&built, layout, *packed, around, ledger)?),
                })
            }
        }
    }

    /// The stream as it is stored so far; `None` for other targets.
    pub(super) fn stream(&self, work: &Work) -> Result<Option<GzipSink<u8>>> {
        let Recipe::File { around, packed, framing: Some(framing) } = &self.recipe else { return Ok(None) };
        let (built, layout, stored) = (work.staging.path(BUILT), self.layout.clone(), work.stored.clone());
        GzipSink::join(&built, layout, *packed, around, *framing, work.ledger(), stored).map(Some)
    }

    /// Removes what killed runs have left half written within a Zarr target.
    pub fn tidy(&self, staging: &Staging) -> Result<()> {
        let Recipe::Zarr(_) = &self.recipe else { return Ok(()) };
        let store = self.site(staging).store;
        storage::tidy(store.as_ref()).map_err(|e| e.at("tidy", store.describe("")))
    }

    /// Packs a target that is an archive, of which all files are written; `go_on` may end it. A run that comes again packs anew.
    pub fn pack(&self, staging: &Staging, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        if self.format != Format::Ozx {
            return Ok(());
        }
        self.tidy(staging)?;
        storage::pack(&staging.path(BUILT), &staging.path(PACKED), &archive_comment(self.options.ome), go_on)
    }

    /// Where a Zarr target is built.
    pub fn site(&self, staging: &Staging) -> BuildSite {
        staging.site(BUILT)
    }

    /// Gives the finished target its name. The note tells runs that come again what it is of; it stays where `keeps_note`.
    pub fn commit(&self, staging: Staging, note: &[u8], keeps_note: bool) -> Result<()> {
        if self.format.has_two_files() {
            let header = staging.path(BUILT_HEADER);
            let synced = File::open(&header).and_then(|file| file.sync_all());
            synced.map_err(Error::io("write back", &header))?;
        }
        // Somebody may have put something there meanwhile.
        self.check_place()?;
        self.check_owner()?;
        let moves = self.moves(&staging);
        staging.commit(&moves, note, keeps_note)
    }

    /// Whether all is built and only lacks its name: then a run was ended while it gave it. `None` where no run came as far.
    pub fn lacks_name(&self, staging: &Staging) -> Result<Option<bool>> {
        staging.is_built(&self.moves(staging))
    }

    /// What is built, under the name that it has by now.
    pub fn built(&self, staging: &Staging) -> Vec<PathBuf> {
        let moves = self.moves(staging).into_iter();
        moves.map(|(built, to)| if built.exists() { built } else { to }).collect()
    }

    /// Where the target will be, file by file.
    pub(super) fn final_names(&self) -> Vec<PathBuf> {
        self.format.files(&self.path)
    }

    /// What is built, and where it goes, in this order.
    fn moves(&self, staging: &Staging) -> Vec<(PathBuf, PathBuf)> {
        let built = staging.path(if self.format == Format::Ozx { PACKED } else { BUILT });
        [built, staging.path(BUILT_HEADER)].into_iter().zip(self.final_names()).collect()
    }
}

/// What an archive says of itself (RFC-9, "OME-Zarr Zip Comment Structure").
fn archive_comment(version: OmeVersion) -> String {
    let directory = serde_json::json!({ "centralDirectory": { "jsonFirst": true } });
    serde_json::json!({ "ome": { "version": version.name(), "zipFile": directory } }).to_string()
}
