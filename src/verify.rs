//! Checks whether a file is complete: every chunk is there or was left out on purpose, can be decoded, and has the right
//! size.
//!
//! Reads and decodes everything, in parallel and in bounded memory, and continues after errors. Nothing is changed.
//! Chunks are read as every other command reads them (`verify::zarr::array`).

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use crate::{
    error::{Error, Result},
    io::{
        foreign, hdf5,
        input::Input,
        precomputed, tiff,
        zarr::{OpenOptions, store_at},
    },
    storage::{InArchive, Location, split_image},
    sys,
};

mod chunks;
mod file;
mod pieces;
mod report;
pub(crate) mod zarr;

pub use report::{ArrayReport, Problem, Report};

/// What to verify, and with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub file: PathBuf,
    /// Ceiling of the resident memory of the whole process.
    pub memory_bytes: u64,
    pub threads: usize,
    /// Problems, and strays, that are kept for the report; all are counted. A sixteenth of the memory bounds them too.
    pub most_problems: usize,
}

/// How far a verification has come.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Progress {
    /// The array at hand.
    pub array: String,
    pub chunks: u64,
    pub chunks_done: u64,
    pub bad: u64,
    pub stored_bytes: u64,
    pub decoded_bytes: u64,
    pub seconds: f64,
}

/// Verifies a NIfTI, NRRD, MetaImage, MGH or TIFF file, an image of Imaris or BigDataViewer in HDF5, a precomputed volume of Neuroglancer, or a Zarr array, OME-Zarr image, label, well, plate or series of images.
///
/// What is wrong with the contents is in the report. `stop` is looked at between chunks; `on_progress` is called on the calling
/// thread.
///
/// # Errors
/// Files that are not there or cannot be opened, what this program does not read, a budget that is too small, and
/// [`Error::Stopped`].
pub fn verify(request: &Request, stop: &AtomicBool, on_progress: impl FnMut(&Progress)) -> Result<Report> {
    let path = request.file.as_path();
    let mut run = Run {
        request,
        stop,
        begun: Instant::now(),
        progress: Progress::default(),
        on_progress: Box::new(on_progress),
        report: Report::new(path.display().to_string(), request),
    };
    let location = Location::of(path)?;
    let outcome = match location.local() {
        Some(local) => {
            let is_store = InArchive::of(&location)?.is_some() || foreign::kind_of(&split_image(local).0)?.is_dir();
            let outcome = if is_store { store(&mut run) } else { file(&mut run, local) };
            foreign::explained(local, outcome)
        }
        None if crate::io::nifti::is_file_name(path) => file::verify(&mut run, path),
        None => store(&mut run),
    };
    if let Err(error) = outcome {
        run.opening_failed(error)?;
    }
    let mut report = run.report;
    report.seconds = run.begun.elapsed().as_secs_f64();
    report.peak_bytes = sys::resident().peak_bytes;
    Ok(report.concluded())
}

/// A Zarr, or a volume of Neuroglancer where there is none.
fn store(run: &mut Run<'_>) -> Result<()> {
    let outcome = zarr::verify(run);
    let absent = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
    if !matches!(&outcome, Err(Error::Io { source, .. }) if absent.contains(&source.kind())) {
        return outcome;
    }
    let (path, store) = (run.path().to_path_buf(), store_at(run.path())?);
    let Some(first) = precomputed::open_in(store.clone(), &OpenOptions::default())? else { return outcome };
    run.report.format = first.format_name();
    for level in 0..first.level.1 {
        let options = OpenOptions { level: Some(level), ..OpenOptions::default() };
        let Some(file) = precomputed::open_in(store.clone(), &options)? else { break };
        pieces::verify(run, &path, &Input::Precomputed(Box::new(file)), true)?;
    }
    Ok(())
}

fn file(run: &mut Run<'_>, path: &Path) -> Result<()> {
    let (path, image) = split_image(path);
    let path = path.as_path();
    if let Some(file) = tiff::open(path, image.as_deref(), None)? {
        run.report.format = file.format_name();
        let is_compressed = file.is_compressed();
        return pieces::verify(run, path, &Input::Tiff(Box::new(file)), is_compressed);
    }
    let Some(first) = hdf5::open(path, image.as_deref(), None)? else { return file::verify(run, path) };
    run.report.format = first.format_name();
    for level in 0..first.level.1 {
        // The file is known by now: what is wrong with a level is damage.
        let file = match hdf5::open(path, image.as_deref(), Some(level)) {
            Ok(file) => file,
            Err(error) => {
                run.opening_failed(error)?;
                continue;
            }
        };
        let Some(file) = file else { break };
        pieces::verify(run, path, &Input::Hdf5(Box::new(file)), true)?;
    }
    Ok(())
}

/// One verification under way.
struct Run<'a> {
    request: &'a Request,
    stop: &'a AtomicBool,
    begun: Instant,
    progress: Progress,
    on_progress: Box<dyn FnMut(&Progress) + 'a>,
    report: Report,
}

impl Run<'_> {
    fn path(&self) -> &Path {
        &self.request.file
    }

    /// Tells how far it has come; an error when it is to stop.
    fn look_up(&mut self) -> Result<()> {
        self.progress.seconds = self.begun.elapsed().as_secs_f64();
        (self.on_progress)(&self.progress);
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped { blocks_done: self.progress.chunks_done, blocks: self.progress.chunks });
        }
        Ok(())
    }

    /// A file whose contents are wrong is an answer; one that cannot be opened is not.
    fn opening_failed(&mut self, error: Error) -> Result<()> {
        match error {
            Error::Malformed { .. } | Error::Stream { .. } | Error::Chunk { .. } => {
                let problem = Problem::of(&error, None);
                self.report.add(problem);
                Ok(())
            }
            other => Err(other),
        }
    }
}
