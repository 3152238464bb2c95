//! Everything of a job that decides the bytes of its target.

use std::{
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    GridChoice, GridSummary, Job, Request,
    status::{LEVELS, levels_text},
};
use crate::{
    checkpoint::{Identity, digest},
    error::{Error, Result},
    geometry::{Grid, Mapping},
    io::{dicom::DicomSeries, input::Input, nifti},
    storage::{self, InArchive, Location, RangedFile, nfs},
    transform::Convention,
};

/// Changes when the same job would make other bytes.
pub(super) const RESULTS_VERSION: u32 = 6;
/// Bytes at the beginning of a file that tell it from others: more than any header has.
const HEAD_BYTES: u64 = 64 << 10;
/// Documents of a Zarr array, image or group, and the NIfTI header beside the levels.
const DOCUMENTS: [&str; 6] = ["zarr.json", ".zarray", ".zattrs", ".zgroup", "nifti/c/0", "nifti/0"];
/// Libraries whose versions decide compressed bytes.
const CODECS: [&str; 5] = ["zlib-rs", "libdeflate-sys", "zstd-sys", "blosc-src", "zarrs"];

impl Job {
    /// What another run must have in common with this one to go on with its work.
    pub(super) fn identity(&self) -> Result<Identity> {
        let (request, op) = (&self.request, &self.op);
        let mut identity = Identity::default();
        identity.add("version of results", RESULTS_VERSION);
        identity.add("codecs", codec_versions());
        match self.input.own_name() {
            Some(name) => identity.add("input", format!("named {name}")),
            None => identity.add("input", file(&request.input)?),
        }
        if let Input::Plain(file) = &self.input {
            identity.add("voxels of the input", one_file(&file.data_path)?);
        }
        if let Input::Hdf5(image) = &self.input {
            identity.add("voxels of the input", one_file(&image.path)?);
        }
        if let Input::Dicom(series) = &self.input {
            identity.add("files of the input", series_files(series)?);
        }
        identity.add("level and step of the input", format!("{:?}", request.open));
        if let GridChoice::Like { path, .. } = &request.grid {
            identity.add("reference", file(path)?);
        }
        for (n, (transform, step)) in request.transforms.iter().zip(&self.chain.steps).enumerate() {
            let inverse = if transform.inverse { ", inverse" } else { "" };
            let kind = transform.matrix.map_or(String::new(), |matrix| format!(", {matrix:?}"));
            identity.add(format!("transform {} from the target", n + 1), file(&transform.path)? + inverse + &kind);
            if let Convention::Elastix { initial, .. } = &step.convention {
                let initial = initial.iter().map(|path| file(path)).collect::<Result<Vec<String>>>()?;
                identity.add(format!("files that transform {} begins with", n + 1), initial.join("; "));
            }
            if let Convention::FslField { source, .. } = &step.convention {
                identity.add(format!("source of transform {}", n + 1), file(source)?);
            }
            if let Convention::Fsl { source, reference } | Convention::FslSpline { source, reference } =
                &step.convention
            {
                identity.add(format!("images of transform {}", n + 1), file(source)? + "; " + &file(reference)?);
            }
        }
        if let Some(list) = &request.transform_list {
            identity.add("transform list", listed(list)?);
        }
        // Before the field is read, the mapping stands in for what it will be.
        let mapping = match (&self.fields, &op.mapping) {
            (Some(_), _) | (None, Mapping::Warped(_)) => "through a displacement field".into(),
            (None, aligned_or_affine) => format!("{aligned_or_affine:?}"),
        };
        identity.add("interpolation", op.method.to_string());
        identity.add("antialias", request.antialias);
        identity.add("outside", format!("{:?}", op.outside));
        identity.add("rounding", format!("{:?}", request.rounding));
        identity.add("sample type", format!("{:?}", self.values.target));
        identity.add("raw samples", request.raw);
        identity.add("vectors turned", self.turn.is_some());
        identity.add("target grid", words(&self.output.layout.grid));
        identity.add("source voxels", format!("{} of {}", op.bounds, words(&self.source_grid)));
        identity.add("mapping", mapping);
        identity.add(LEVELS, levels_text(&self.level_voxels(), self.output.layout.voxel_bytes()));
        self.output.identify(&mut identity);
        Ok(identity)
    }

    /// What the finished target is known by. In place the source is gone then: what was asked for, and the files `made` by it.
    pub(super) fn finished_identity(&self, identity: &Identity, made: &[PathBuf]) -> Result<Identity> {
        if !self.is_in_place {
            return Ok(identity.clone());
        }
        let blank = Request::new("", "", 0, 0);
        let Request { input, output, memory_bytes, threads, io, scratch, named, .. } = blank;
        let Request { resume, restart, keeps_note, made_by, parents, checks_disk, rank, .. } = blank;
        let asked = self.request.clone();
        let asked = Request { input, output, memory_bytes, threads, io, scratch, named, ..asked };
        let asked = Request { resume, restart, keeps_note, made_by, parents, checks_disk, rank, ..asked };
        let mut finished = Identity::default();
        finished.add("version of results", RESULTS_VERSION);
        finished.add("codecs", codec_versions());
        finished.add("asked for, in place", digest(format!("{asked:?}").as_bytes()));
        for path in made {
            let document = DOCUMENTS.iter().map(|name| path.join(name)).find(|document| document.is_file());
            finished.add("made", one_file(&document.unwrap_or_else(|| path.clone()))?);
        }
        Ok(finished)
    }
}

/// A grid in the order of the file's axes; its numbers come back as they are.
fn words(grid: &Grid) -> String {
    let GridSummary { shape: [nx, ny, nz], spacing: [x, y, z], .. } = GridSummary::new(grid);
    format!("{nx}x{ny}x{nz} voxels of {x}x{y}x{z}, index to world {:?}", grid.index_to_world.m)
}

/// A file by size, time and beginning; a store by its documents.
fn file(path: &Path) -> Result<String> {
    let (path, image) = storage::split_image(path);
    let location = Location::of(&path)?;
    let image = image.map_or(String::new(), |image| format!(", image {image}"));
    if let Some(place) = InArchive::of(&location)?
        && let Some(archive) = place.open()?
    {
        let archive = match place.archive.local() {
            Some(local) => one_file(local)?,
            None => format!("{}, {}", archive.path().display(), archive.version()),
        };
        return Ok(format!("{archive}, in it {:?}{image}", place.inner));
    }
    if location.local().is_none() && nifti::is_file_name(&path) {
        return Ok(format!("{}, {}{image}", path.display(), RangedFile::at(&location)?.version()));
    }
    if let Location::Folder(folder) = &location {
        let meta = fs::metadata(folder).map_err(Error::io("look at", folder))?;
        if meta.is_file() {
            let own = one_file(folder)?;
            // The other half of a header and its voxels.
            let endings = folder.extension().filter(|ending| *ending == "hdr" || *ending == "img");
            let other = endings.map(|ending| folder.with_extension(if ending == "hdr" { "img" } else { "hdr" }));
            return match other.filter(|other| other.is_file()) {
                Some(other) => Ok(format!("{own}; {}", one_file(&other)?)),
                None => Ok(own),
            };
        }
    }
    let store = storage::connect(&location)?;
    let mut documents = Vec::new();
    for key in DOCUMENTS {
        let document = match store.get(key, 64 << 20) {
            // Servers that hide their keys refuse what is absent; what is needed was read before.
            Err(e) if e.is_denied() && store.folder().is_none() => None,
            other => other.map_err(|e| e.at("read", store.describe(key)))?,
        };
        documents.extend(document.unwrap_or_default());
        if let Some((above, _)) = store.above() {
            // Web servers and buckets may have nothing above, or refuse to say.
            documents.extend(above.get(key, 64 << 20).ok().flatten().unwrap_or_default());
        }
    }
    Ok(format!("documents {}{image}", digest(&documents)))
}

fn one_file(path: &Path) -> Result<String> {
    let meta = fs::metadata(path).map_err(Error::io("look at", path))?;
    let (seconds, nanos) = (meta.mtime(), meta.mtime_nsec());
    Ok(format!("{} bytes of {seconds}.{nanos:09}, beginning {}", meta.len(), digest(&head(path)?)))
}

fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let opened = nfs::open(path).map_err(Error::io("open", path))?;
    opened.take(HEAD_BYTES).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok(head)
}

/// The files of a series by their names, sizes and times.
fn series_files(series: &DicomSeries) -> Result<String> {
    let mut all = Vec::new();
    for path in series.paths() {
        let meta = fs::metadata(&path).map_err(Error::io("look at", &path))?;
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        all.extend(name);
        all.extend(format!(" {} {}.{:09}\n", meta.len(), meta.mtime(), meta.mtime_nsec()).bytes());
    }
    Ok(format!("series {} of {} files, {}", series.uid, series.files, digest(&all)))
}

/// A list of transforms, or the files of a folder of them, by their contents.
fn listed(list: &Path) -> Result<String> {
    let mut paths: Vec<PathBuf> = vec![list.to_path_buf()];
    if list.is_dir() {
        let entries = fs::read_dir(list).map_err(Error::io("list", list))?;
        paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(Error::io("list", list))?;
        paths.sort();
    }
    let mut all = Vec::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        all.extend(head(path)?);
    }
    Ok(format!("{} files, {}", paths.len(), digest(&all)))
}

/// As this program was built with.
pub(super) fn codec_versions() -> String {
    let lock = include_str!("../../Cargo.lock");
    let version = |name: &str| {
        let (_, behind) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        behind.split_once('"').map(|(version, _)| format!("{name} {version}"))
    };
    CODECS.into_iter().filter_map(version).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found() {
        let versions = codec_versions();
        assert_eq!(versions.split(", ").count(), CODECS.len(), "{versions}");
    }

    #[test]
    fn a_changed_file_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.nii");
        fs::write(&path, b"one").unwrap();
        let one = file(&path).unwrap();
        fs::write(&path, b"two").unwrap();
        assert_ne!(one, file(&path).unwrap());
    }
}
