//! `reslice pyramid`: levels added to an image that is there.
//!
//! The new levels are built beside the store and moved in at the end; the group's metadata, which make them visible, change
//! last and in one step.

use std::{fs, io, path::Path, sync::atomic::AtomicBool};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    levels::{LevelPass, LevelsTo, Pyramid},
    paths,
};
use crate::{
    checkpoint::{
        Identity,
        lease::RENEW_EVERY,
        ledger::Restored,
        staging::{Claim, LEVEL_NOTES, Staging, state_folder},
    },
    error::{Error, Result},
    io::{
        convert::Conversion,
        foreign,
        ome::{Carried, OmeVersion},
        zarr::{self, AddedLevel, Codec, DEFAULT_ZSTD_LEVEL, Levels, OpenOptions, ZarrFile, ZarrTarget},
    },
    job::{
        Disk, Event, InPlaceRequest, PassKind, PassSummary,
        disk::{self, Packing, Part, Prospect, RawBytes, disks},
        method::warning_of_levels,
        size::stored_raw_bytes,
        work::{Work, is_noted, settle},
    },
    pipeline::{self, Progress},
    plan::Budget,
    resample::Reduction,
    storage::{self, DirStore, Location},
    sys,
};

mod begun;
mod documents;

use documents::{read_document, replace_document, rewritten_literals};

/// Where the levels are built, within the staging folder.
const LEVELS: &str = "levels";
/// Set when all levels are built, before the first is moved.
const BUILT: &str = "levels-built";

/// One level of the image. Triples in file order (x, y, z).
#[derive(Clone, Debug, Serialize)]
pub struct LevelSummary {
    pub path: String,
    pub shape: [u64; 3],
    pub spacing: [f64; 3],
    /// Voxels of the level above that one voxel spans.
    pub factors: [u64; 3],
}

/// What was planned and done.
#[derive(Clone, Debug, Serialize)]
pub struct InPlaceSummary {
    pub version: &'static str,
    pub store: String,
    pub method: Reduction,
    pub levels: Vec<LevelSummary>,
    pub passes: Vec<PassSummary>,
    pub memory_bytes: u64,
    pub threads: usize,
    pub warnings: Vec<String>,
    /// An earlier run had added the levels; this one did nothing.
    pub finished_before: bool,
    /// Highest resident memory of the process; 0 in a dry run.
    pub peak_bytes: u64,
    /// What the disk of the store is to take, and what it has free.
    pub disks: Vec<Disk>,
}

/// An image whose new levels are planned.
#[derive(Debug)]
pub struct InPlace {
    request: InPlaceRequest,
    finest: ZarrFile,
    pyramid: Pyramid,
    passes: Vec<LevelPass>,
    /// Paths of the new levels within the store.
    paths: Vec<String>,
    budget: Budget,
    identity: Identity,
    /// An earlier run has added the levels.
    is_finished: bool,
    pub summary: InPlaceSummary,
}

impl InPlace {
    /// Opens the image and plans its levels. Nothing is written.
    ///
    /// # Errors
    /// There is no image, it has levels already, or it is stored in a way that levels cannot be added to.
    pub fn resolve(mut request: InPlaceRequest) -> Result<InPlace> {
        request.store = match Location::of(&request.store)? {
            Location::Folder(path) => path,
            Location::Url(url) => {
                return Err(Error::Unsupported {
                    path: url.to_string().into(),
                    what: "levels are added to images in local folders only".into(),
                    hint: Some("give --pyramid when the image is written".into()),
                });
            }
        };
        let opened = zarr::open(&request.store, &OpenOptions { level: Some(0), ..OpenOptions::default() });
        let finest = foreign::explained(&request.store, opened)?.in_stored_order();
        check(&request, &finest)?;
        let mut warnings = finest.warnings.clone();
        warnings.extend(rewritten_literals(&request.store));
        warnings.extend(warning_of_levels(&finest, &request));
        let method = request.method.unwrap_or(if finest.is_label { Reduction::Mode } else { Reduction::Mean });
        let target = level_target(&finest, &mut warnings);
        let pyramid = Pyramid::new(&request.store, &target, method, request.levels)?;
        let reserved_bytes = sys::reserved_bytes();
        let budget = Budget::new(request.memory_bytes, request.threads, reserved_bytes);
        let plan = |budget| pyramid.plan(&request.store, &finest.layout, budget, &Restored::default());
        let passes = plan(budget).map_err(|error| {
            crate::job::least::named(error, |memory_bytes, effort| {
                plan(Budget { memory_bytes, effort, ..budget }).map(drop)
            })
        })?;
        let paths: Vec<String> = (1..=passes.len()).map(|n| zarr::level_path(&finest.array_path, n)).collect();
        let identity = identity(&finest, &pyramid, &paths);
        let state = DirStore::new(state_folder(&request.store));
        let has_levels = !finest.coarser_paths()?.is_empty();
        let may_go_on = request.resume && has_levels;
        let is_finished = may_go_on && is_noted(&state, LEVEL_NOTES.finished, &request.store, &identity)?;
        // A run that was ended when the image had its levels has left its job behind.
        let is_named = may_go_on && is_noted(&state, LEVEL_NOTES.job, &request.store, &identity)?;
        if !is_finished && !is_named {
            paths::check_former(&request, &finest)?;
        }
        if !request.resume {
            paths::check_free(&request, &finest, &paths)?;
        }
        paths::check_places(&request.store, &finest, &paths)?;
        let summary = InPlaceSummary {
            version: env!("CARGO_PKG_VERSION"),
            store: request.store.display().to_string(),
            method,
            levels: level_summaries(&pyramid, &paths),
            passes: passes.iter().map(LevelPass::summary).collect(),
            memory_bytes: request.memory_bytes,
            threads: request.threads,
            warnings,
            finished_before: is_finished,
            peak_bytes: 0,
            disks: disks_of_levels(&finest, &passes, &request.store),
        };
        Ok(InPlace { request, finest, pyramid, passes, paths, budget, identity, is_finished, summary })
    }

    /// Makes the levels and moves them into the store.
    pub fn run(mut self, stop: &AtomicBool, mut on_event: impl FnMut(Event<'_>)) -> Result<InPlaceSummary> {
        let store = self.request.store.clone();
        let InPlaceRequest { resume, restart, .. } = self.request;
        let claim = Claim { resume, restart, notes: LEVEL_NOTES, ..Claim::fresh(true) };
        if self.is_finished {
            // What a run has left that was ended after it had named the levels; only for tidiness.
            let _ = Staging::create(&store, claim).and_then(|staging| staging.sweep());
            return Ok(self.summary);
        }
        if self.request.checks_disk && !self.request.resume {
            disk::check(&self.summary.disks, &store)?;
        }
        let mut staging = Staging::create(&store, claim)?;
        let volumes = self.finest.layout.outer.volumes();
        let voxels = |pass: &LevelPass| pass.target.grid.voxels().saturating_mul(volumes);
        let levels: Vec<u64> = std::iter::once(0).chain(self.passes.iter().map(voxels)).collect();
        settle(&mut staging, &self.identity, &levels, self.finest.layout.voxel_bytes())?;
        if staging.cleared {
            on_event(Event::Cleared(&staging.cleared_path()));
        }
        let mut work = Work::begin(staging, &self.identity)?;
        let lease = work.staging.lease();
        pipeline::heartbeat(RENEW_EVERY, &|| lease.renew(), || {
            if self.is_open(&mut work)? {
                self.make(&work, stop, &mut on_event)?;
                work.set_mark(BUILT)?;
            }
            self.finish(work)
        })
    }

    /// The levels, as far as they are not stored.
    fn make(&mut self, work: &Work, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let site = work.staging.site(LEVELS);
        let mut stored = work.stored.clone();
        for (&level, stored) in &mut stored.levels {
            let target = self.pyramid.target.at_level(level as usize);
            zarr::adopt(&site, &target, &work.ledger(), stored, |_, _| true)?;
        }
        if !stored.is_empty() {
            self.passes = self.pyramid.plan(&self.request.store, &self.finest.layout, self.budget, &stored)?;
            self.summary.passes = self.passes.iter().map(LevelPass::summary).collect();
        }
        let passes = self.passes.len();
        for (n, pass) in self.passes.iter().enumerate() {
            let kind = PassKind::Pyramid;
            let mut on_progress = |progress: &Progress| on_event(Event::Progress { pass: n, passes, kind, progress });
            let to = LevelsTo { site: &site, work, stored: &stored };
            let done = self.pyramid.run(pass, &self.finest, &to, self.budget, stop, &mut on_progress)?;
            self.summary.passes[n].complete(done);
        }
        Ok(())
    }

    fn finish(mut self, work: Work) -> Result<InPlaceSummary> {
        let staging = work.staging;
        let built = staging.path(LEVELS);
        storage::tidy(staging.site(LEVELS).store.as_ref()).map_err(|e| e.at("tidy", &built))?;
        // Else a run before this one came as far.
        if self.finest.coarser_paths()? != self.paths
            || (1..=self.paths.len()).any(|n| built.join(n.to_string()).exists())
        {
            self.commit(&staging, &built)?;
        }
        staging.commit(&[], &self.identity.note(), self.request.resume)?;
        self.summary.peak_bytes = sys::resident().peak_bytes;
        Ok(self.summary)
    }

    /// The image loses its former levels, the new ones are moved in, and then it names them.
    fn commit(&self, staging: &Staging, dir: &Path) -> Result<()> {
        let store = &self.request.store;
        let former = self.finest.coarser_paths()?;
        if !former.is_empty() {
            self.write_group(staging, &[])?;
            for (n, path) in former.iter().enumerate() {
                let old = store.join(path);
                fs::rename(&old, staging.path(&format!("former-{n}"))).map_err(Error::io("replace", &old))?;
            }
        }
        for (n, path) in self.paths.iter().enumerate() {
            let (built, to) = (dir.join((n + 1).to_string()), store.join(path));
            match fs::rename(&built, &to) {
                // A run before this one came as far as here.
                Err(e) if e.kind() == io::ErrorKind::NotFound && self.request.resume && to.is_dir() => {}
                other => other.map_err(Error::io("rename to", &to))?,
            }
        }
        self.write_group(staging, &self.paths)
    }

    /// Replaces the group's metadata in one step.
    fn write_group(&self, staging: &Staging, paths: &[String]) -> Result<()> {
        let attributes = self.finest.image_attributes.clone().unwrap_or_default();
        let mut spans = [1u64; 3];
        let levels: Vec<AddedLevel> = paths
            .iter()
            .zip(&self.pyramid.factors)
            .map(|(path, factors)| {
                spans = std::array::from_fn(|a| spans[a] * factors[a]);
                let lacking = self.finest.lacking();
                let space = (0..3).filter(|&a| !lacking[a]).map(|a| spans[a]);
                let outer = vec![1; self.finest.layout.outer.axes.len()];
                AddedLevel { path: path.clone(), factors: outer.into_iter().chain(space).collect() }
            })
            .collect();
        let method = (!paths.is_empty()).then(|| self.pyramid.method.name());
        let (store, centred) = (&self.request.store, self.pyramid.method.is_centred());
        let attributes = zarr::with_levels(store, &attributes, &levels, method, centred)?;
        if self.finest.zarr_format == 2 {
            let attributes = Value::Object(attributes);
            replace_document(staging, &store.join(".zattrs"), &attributes)?;
            return self.write_consolidated(staging, &attributes, paths);
        }
        let group = json!({"zarr_format": 3, "node_type": "group", "attributes": attributes});
        replace_document(staging, &store.join("zarr.json"), &group)
    }

    /// Brings the copies of metadata that a Zarr v2 store may keep in one document up to date.
    fn write_consolidated(&self, staging: &Staging, attributes: &Value, paths: &[String]) -> Result<()> {
        let store = &self.request.store;
        let path = store.join(".zmetadata");
        let Some(mut document) = read_document(&path)? else { return Ok(()) };
        let mut added = vec![(".zattrs".to_string(), attributes.clone())];
        for level in paths {
            for name in [".zarray", ".zattrs"] {
                let own = read_document(&store.join(level).join(name))?;
                added.extend(own.map(|document| (format!("{level}/{name}"), document)));
            }
        }
        zarr::reconsolidate(&mut document, &self.finest.coarser_paths()?, added);
        replace_document(staging, &path, &document)
    }
}

fn check(request: &InPlaceRequest, finest: &ZarrFile) -> Result<()> {
    let store = request.store.display();
    let resample = "reslice resample STORE NEW.zarr --pyramid writes a new store";
    if finest.store.folder().is_none() {
        return Err(Error::usage_hint(format!("{store} is in a zip archive, to which no levels are added"), resample));
    }
    if finest.image_attributes.is_none() {
        return Err(Error::usage_hint(format!("{store} is an array and not an OME-Zarr image"), resample));
    }
    if !finest.is_in_written_order() {
        return Err(Error::usage_hint(format!("the axes of {store} are not (t), (c), (z), y, x"), resample));
    }
    if finest.ome.as_ref().is_some_and(|ome| ome.multiscales[0].has_systems()) {
        let what = format!("{store} is of OME-Zarr 0.6 (coordinateSystems), to which no levels are added");
        return Err(Error::usage_hint(what, resample));
    }
    if !finest.is_stored_plain() {
        return Err(Error::usage_hint(format!("the samples of {store} are bool or half precision"), resample));
    }
    Ok(())
}

/// What another run must have in common with this one to go on with its work.
fn identity(finest: &ZarrFile, pyramid: &Pyramid, paths: &[String]) -> Identity {
    let mut identity = Identity::default();
    identity.add("version of results", crate::job::identity::RESULTS_VERSION);
    identity.add("codecs", crate::job::identity::codec_versions());
    identity.add("finest level", format!("{:?}", finest.layout));
    identity.add("levels", format!("{paths:?} {:?} {}", pyramid.factors, pyramid.method.name()));
    identity.add("image", format!("{:?}", pyramid.target));
    identity
}

/// The finest level as what its coarser levels are written like.
fn level_target(finest: &ZarrFile, warnings: &mut Vec<String>) -> ZarrTarget {
    let codec = finest.codec.unwrap_or_else(|| {
        warnings.push(format!("levels are compressed by zstd, since {} is not written here", finest.codecs));
        Codec::Zstd(DEFAULT_ZSTD_LEVEL)
    });
    ZarrTarget {
        version: if finest.zarr_format == 2 { OmeVersion::V04 } else { OmeVersion::V05 },
        grid: finest.layout.grid.clone(),
        outer: finest.layout.outer.axes.clone(),
        lacking: finest.lacking(),
        components: 1,
        conversion: Conversion::plain(finest.stored),
        // As they are stored: a shard is a multiple of its chunks, and not of what an axis leaves of them.
        chunk: finest.stored_chunk(),
        shard: finest.shard(),
        codec,
        name: String::new(),
        carried: Carried::default(),
        nifti: None,
        levels: Levels { detached: true, ..Levels::default() },
    }
}

/// What new levels take beside the store, at the ratio of its finest.
fn disks_of_levels(finest: &ZarrFile, passes: &[LevelPass], store: &Path) -> Vec<Disk> {
    let raw =
        passes.iter().map(|pass| stored_raw_bytes(&pass.target)).fold(RawBytes::default(), |sum, level| sum + level);
    let sample_bytes = (finest.stored.bytes(), finest.stored.bytes());
    let (packing, source_ratio) = match finest.codec {
        Some(Codec::None) => (Packing::PlainChunks, None),
        _ => (Packing::Chunks, finest.stored_ratio()),
    };
    let prospect = Prospect { packing, source_ratio, sample_bytes, growth: 1.0, inside: Some(1.0) };
    let (least_bytes, estimated_bytes) = prospect.stored(raw);
    disks(&[Part { folder: state_folder(store), least_bytes, estimated_bytes, most_bytes: raw.all() }])
}

fn level_summaries(pyramid: &Pyramid, paths: &[String]) -> Vec<LevelSummary> {
    let levels = paths.iter().zip(&pyramid.target.levels.coarser).zip(&pyramid.factors);
    let reversed = |[z, y, x]: [u64; 3]| [x, y, z];
    levels
        .map(|((path, grid), &factors)| {
            let [z, y, x] = grid.spacing();
            LevelSummary {
                path: path.clone(),
                shape: reversed(grid.shape),
                spacing: [x, y, z],
                factors: reversed(factors),
            }
        })
        .collect()
}
