//! Where the summary goes: stdout, or a file. This file, as any that is written after the work, is checked before the run, so that hours
//! of work do not end in an error.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::answer;
use reslice::{
    error::{Error, Result},
    sys,
};

/// The name that means stdout.
const STDOUT: &str = "-";

/// A file or folder that a summary must not touch, and what it is.
pub(super) type Kept = (&'static str, PathBuf);

/// A file that is written after the work: what it is, and the option that names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub what: &'static str,
    pub by: &'static str,
}

const SUMMARY: Named = Named { what: "the summary", by: "--summary, or - for stdout" };

/// Where a summary goes.
#[derive(Debug)]
pub(super) enum SummaryPlace {
    Stdout,
    File(PathBuf),
}

impl SummaryPlace {
    /// What `--summary` names, if it is given.
    ///
    /// # Errors
    /// [`Error::Usage`] where the file could not be written, or is one of `kept`, or lies within one of them.
    pub(super) fn check(path: Option<&Path>, kept: impl IntoIterator<Item = Kept>) -> Result<Option<SummaryPlace>> {
        let Some(path) = path else { return Ok(None) };
        if path == Path::new(STDOUT) {
            return Ok(Some(SummaryPlace::Stdout));
        }
        check_file(path, &SUMMARY, kept)?;
        Ok(Some(SummaryPlace::File(path.to_path_buf())))
    }

    /// Writes the whole summary.
    pub(super) fn write(&self, json: &str) -> Result<()> {
        match self {
            SummaryPlace::Stdout => answer::line(json),
            SummaryPlace::File(path) => fs::write(path, json).map_err(Error::io("write", path)),
        }
    }

    /// What takes it piece by piece.
    pub(super) fn open(&self) -> Result<Box<dyn Write + Send>> {
        Ok(match self {
            SummaryPlace::Stdout => Box::new(io::stdout()),
            SummaryPlace::File(path) => Box::new(fs::File::create(path).map_err(Error::io("create", path))?),
        })
    }

    /// The outcome of writing piece by piece. A reader that has gone away is no error.
    pub(super) fn outcome(&self, written: io::Result<()>) -> Result<()> {
        match (self, written) {
            (SummaryPlace::Stdout, Err(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            (SummaryPlace::Stdout, written) => written.map_err(Error::io("write to", "standard output")),
            (SummaryPlace::File(path), written) => written.map_err(Error::io("write", path)),
        }
    }
}

/// Refuses a file that could not be written, or that is one of `kept`, or lies within one of them. Nothing is made.
///
/// # Errors
/// [`Error::Usage`].
pub(super) fn check_file(path: &Path, named: &Named, kept: impl IntoIterator<Item = Kept>) -> Result<()> {
    check_writable(path, named)?;
    let (spot, Named { what: own, by }) = (Spot::of(path), named);
    if let Some((what, kept)) = kept.into_iter().find(|(_, kept)| spot.is_at_or_in(kept)) {
        let (path, kept) = (path.display(), kept.display());
        let what = format!("{own} {path} would be written over or into {what}, {kept}");
        return Err(Error::usage_hint(what, format!("name another file by {by}")));
    }
    Ok(())
}

/// Refuses what cannot become a file.
fn check_writable(path: &Path, Named { what: own, by }: &Named) -> Result<()> {
    let (shown, folder) = (path.display(), folder_of(path));
    let refuse = |what: String| {
        let hint = format!("name a file in a folder that is there by {by}");
        Err(Error::usage_hint(format!("{own} cannot be written to {shown}: {what}"), hint))
    };
    if path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/') {
        return refuse("it is a folder".into());
    }
    match fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return refuse(format!("there is no folder {}", folder.display()));
        }
        Err(error) => return refuse(format!("{}: {error}", folder.display())),
        Ok(meta) if !meta.is_dir() => return refuse(format!("{} is no folder", folder.display())),
        Ok(_) => {}
    }
    let place = if path.exists() { path } else { folder };
    sys::may_write(place).or_else(|error| refuse(format!("{}: {error}", place.display())))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A place for a file, whatever it is called.
struct Spot {
    name: Option<PathBuf>,
    /// Of the file and all folders above it.
    inodes: Vec<(u64, u64)>,
}

impl Spot {
    fn of(path: &Path) -> Spot {
        let name = real_name(path);
        let above = name.iter().flat_map(|name| name.ancestors()).filter_map(inode);
        Spot { inodes: above.chain(inode(path)).collect(), name }
    }

    fn is_at_or_in(&self, kept: &Path) -> bool {
        match inode(kept) {
            Some(inode) => self.inodes.contains(&inode),
            None => self.name.is_some() && self.name == real_name(kept),
        }
    }
}

/// A name in a folder without links and dots.
fn real_name(path: &Path) -> Option<PathBuf> {
    Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?))
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path, kept: &[Kept]) -> String {
        SummaryPlace::check(Some(path), kept.to_vec()).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_cannot_be_is_refused_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "x").unwrap();
        assert!(refusal(&at("none/s.json"), &[]).contains("there is no folder"));
        assert!(refusal(&at("file/s.json"), &[]).contains("file"));
        assert!(
            refusal(dir.path(), &[]).contains("it is a folder") && refusal(&at("new/"), &[]).contains("it is a folder")
        );
        let fine = SummaryPlace::check(Some(&at("s.json")), []).unwrap();
        assert!(matches!(fine, Some(SummaryPlace::File(_))) && !at("s.json").exists());
        assert!(matches!(SummaryPlace::check(Some(Path::new("-")), []).unwrap(), Some(SummaryPlace::Stdout)));
        assert!(SummaryPlace::check(None, []).unwrap().is_none());
    }

    #[test]
    fn what_is_kept_is_found_under_all_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a.zarr/0")).unwrap();
        fs::write(at("a.nii"), "x").unwrap();
        fs::hard_link(at("a.nii"), at("b.nii")).unwrap();
        let kept = [("the source", at("a.nii")), ("the target", at("out.nii")), ("the store", at("a.zarr"))];
        for (path, what) in [
            ("a.nii", "the source"),
            ("b.nii", "the source"),
            ("a.zarr/../out.nii", "the target"),
            ("a.zarr/0/s.json", "the store"),
        ] {
            assert!(refusal(&at(path), &kept).contains(what), "{path}");
        }
        assert!(SummaryPlace::check(Some(&at("out.json")), kept.to_vec()).is_ok());
    }
}
