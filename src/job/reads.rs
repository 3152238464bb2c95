//! The files that a job reads. A target must not replace one of them while it is needed, whatever either is called.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{GridChoice, Request};
use crate::{
    checkpoint::staging::state_folder,
    error::{Error, Result},
    io::{format::Format, input::Input, plain},
    storage::Location,
};

/// A file, folder or URL that a job reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    /// `the source`, `the reference (--like)`, ...
    pub what: &'static str,
    pub path: PathBuf,
}

/// All that a job reads, the source first.
pub(super) fn reads(request: &Request, input: Option<&Input>) -> Vec<Read> {
    let own = input.and_then(|input| input.voxels_path().map(Path::to_path_buf));
    let is_named = input.is_none_or(|input| input.own_name().is_none());
    let named = is_named.then(|| with_other_half(&request.input)).into_iter().flatten();
    // Of many files only those that the target would replace are looked for.
    let many = input.filter(|_| request.output.exists()).map(Input::many_files).unwrap_or_default();
    let replaced = many.into_iter().filter(|path| is_within(path, &request.output));
    let sources = own.into_iter().chain(replaced).chain(named);
    let mut reads: Vec<Read> = sources.map(|path| Read { what: SOURCE, path }).collect();
    let mut add = |what, path: &Path| reads.extend(with_other_half(path).map(|path| Read { what, path }));
    if let GridChoice::Like { path, .. } = &request.grid {
        add("the reference (--like)", path);
    }
    for transform in &request.transforms {
        add("a transform", &transform.path);
        for image in transform.source.iter().chain(&transform.reference) {
            add("an image of a transform", image);
        }
    }
    if let Some(list) = &request.transform_list {
        add("the list of transforms", list);
    }
    reads
}

const SOURCE: &str = "the source";

/// A file and, of a header and its voxels, the other one: by its name, or as the header says.
fn with_other_half(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path.to_string_lossy().to_lowercase();
    let is_half = [".hdr", ".img", ".hdr.gz", ".img.gz"].iter().any(|ending| name.ends_with(ending));
    let plain = if name.ends_with(".gz") { path.with_extension("") } else { path.to_path_buf() };
    let halves = ["hdr", "hdr.gz", "img", "img.gz"].map(|ending| plain.with_extension(ending));
    let others = halves.into_iter().filter(move |half| is_half && half.exists());
    let named = plain::voxels_named_by(path).filter(|named| named.exists() && named != path);
    std::iter::once(path.to_path_buf()).chain(others).chain(named)
}

/// What a job reads and writes, that nothing else may be written to meanwhile: files and folders, and what each is. `input` is the
/// source, where it is open.
pub fn files(request: &Request, input: Option<&Input>) -> Vec<(&'static str, PathBuf)> {
    let root = match input {
        Some(Input::Zarr(file)) => Some((SOURCE, file.root())),
        _ => None,
    };
    let written = Format::of_name(&request.output).map_or(Vec::new(), |format| format.files(&request.output));
    let built_in = ("the folder in which the target is built", state_folder(&request.output));
    let read = reads(request, input).into_iter().map(|Read { what, path }| (what, path));
    let targets = written.into_iter().map(|path| ("the target", path));
    root.into_iter().chain(read).chain(targets).chain([built_in]).collect()
}

/// Whether `path` is what stands at `holder`, or lies within it: by device and inode, so that links and spellings do not matter.
/// Behind URLs names are compared.
pub(super) fn is_within(path: &Path, holder: &Path) -> bool {
    let [Ok(inner), Ok(outer)] = [path, holder].map(Location::of) else { return false };
    let (Some(inner), Some(outer)) = (inner.local(), outer.local()) else {
        let is_mixed = inner.local().is_some() != outer.local().is_some();
        return !is_mixed && inner.into_path().ancestors().any(|part| part == outer.clone().into_path());
    };
    let Some(own) = inode(outer) else { return false };
    let names = [std::path::absolute(inner), inner.canonicalize()];
    names.iter().flatten().flat_map(|name| name.ancestors()).any(|part| inode(part) == Some(own))
}

/// The files of a target of this name, and of an input all that a name stands for: of a pair both, of a detached header also the file that
/// one of ours has beside it. The named one is the first; nothing is opened.
pub fn halves(path: &Path) -> Vec<PathBuf> {
    let files = Format::of_name(path).map_or(Vec::new(), |format| format.files(path));
    let others = files.into_iter().filter(|file| file != path);
    std::iter::once(path.to_path_buf()).chain(others).collect()
}

/// Device and inode of what a name leads to.
fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Whether the target takes the place of the source, as the request may ask for.
///
/// # Errors
/// It would without being asked to; it would take more with it than the source; it would take another file that the job reads,
/// or begins by emptying the folder in which one lies.
pub(super) fn takes_place_of_source(request: &Request, input: &Input, format: Format) -> Result<bool> {
    let (output, reads) = (&request.output, reads(request, Some(input)));
    let (shown, built_in) = (output.display(), state_folder(output));
    if let Some(Read { what, path }) = reads.iter().find(|read| is_within(&read.path, &built_in)) {
        let what = format!("{what}, {}, lies in the folder in which {shown} is built", path.display());
        return Err(Error::usage_hint(what, "move it out of there, or choose another name for the target"));
    }
    let written = format.files(output);
    let is_taken = |read: &&Read| written.iter().any(|place| is_within(&read.path, place));
    let (sources, others): (Vec<&Read>, Vec<&Read>) = reads.iter().partition(|read| read.what == SOURCE);
    let is_source = |read: &Read| sources.iter().any(|source| is_within(&read.path, &source.path));
    if let Some(Read { what, path }) = others.into_iter().filter(is_taken).find(|read| !is_source(read)) {
        let what = format!("the target {shown} would take the place of {what}, {}", path.display());
        return Err(Error::usage_hint(what, "choose another name for the target"));
    }
    if !sources.iter().any(&is_taken) {
        return Ok(false);
    }
    if Location::of(output)?.local().is_none() {
        let what =
            format!("the target {shown} would take the place of the source, which no store keeps until it is complete");
        return Err(Error::usage_hint(what, "choose another name for the target"));
    }
    refuse_more_than_source(input, output)?;
    if let Some(Read { path, .. }) = sources.iter().find(|read| !is_taken(read)) {
        let what = format!("{} would be left beside the new {shown}", path.display());
        return Err(Error::usage_hint(what, "choose another name for the target"));
    }
    if !request.in_place {
        let source = request.input.display();
        let what = format!("the target {shown} would take the place of the source, {source}");
        return Err(Error::usage_hint(
            what,
            "--in-place replaces it when the new one is complete, or choose another name",
        ));
    }
    Ok(true)
}

/// Refuses a target in whose place stands more than the image that is read.
fn refuse_more_than_source(input: &Input, output: &Path) -> Result<()> {
    let (shown, another) = (output.display(), "choose another name for the target");
    let Some(root) = input.replaceable() else {
        let what = format!("the target {shown} would take the place of the source, which is no single file");
        return Err(Error::usage_hint(what, another));
    };
    if input.zarr().is_none() && !output.is_dir() {
        return Ok(());
    }
    if !(is_within(output, &root) && is_within(&root, output)) {
        let what = format!("the target {shown} would take the place of more than the source, {}", root.display());
        return Err(Error::usage_hint(what, another));
    }
    let Some(file) = input.zarr() else { return Ok(()) };
    match file.labels().first() {
        Some((name, _)) => {
            let what = format!("{shown} has labels ({name:.100}), which would go with the image that is replaced");
            Err(Error::usage_hint(what, another))
        }
        None => Ok(()),
    }
}

/// The error of a source that was not found, with the way out where a run was ended in the midst of replacing it.
pub(super) fn missing_source(request: &Request, error: Error) -> Error {
    let aside = state_folder(&request.output).join("replaced-0");
    if !request.in_place || request.input.exists() || !aside.exists() {
        return error;
    }
    let (aside, input) = (aside.display(), request.input.display());
    Error::usage_hint(
        format!("a run was ended while it replaced {input}: the old one is {aside}"),
        format!("mv {aside} {input}, and begin anew with --restart"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_found_under_all_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a.zarr/0/c")).unwrap();
        fs::create_dir(at("b.zarr")).unwrap();
        fs::write(at("a.nii"), "x").unwrap();
        symlink(at("a.nii"), at("soft.nii")).unwrap();
        fs::hard_link(at("a.nii"), at("hard.nii")).unwrap();
        symlink(at("a.zarr"), at("link.zarr")).unwrap();
        symlink(at("b.zarr"), at("a.zarr/1")).unwrap();
        for name in ["a.nii", "soft.nii", "hard.nii", "b.zarr/../a.nii", "./a.nii", "link.zarr/../a.nii"] {
            assert!(is_within(&at(name), &at("a.nii")) && is_within(&at("a.nii"), &at(name)), "{name}");
        }
        for name in ["a.zarr", "a.zarr/", "a.zarr/0", "link.zarr/0/c", "a.zarr/1", "a.zarr/0/c/none"] {
            assert!(is_within(&at(name), &at("a.zarr")), "{name}");
            assert!(is_within(&at(name), &at("link.zarr")), "{name}");
        }
        for name in ["b.zarr", "a.nii", "a.zarr2", "none"] {
            assert!(!is_within(&at(name), &at("a.zarr")), "{name}");
        }
        assert!(!is_within(&at("a.zarr"), &at("a.zarr/0")) && !is_within(&at("none"), &at("none")));
    }

    #[test]
    fn behind_a_url_names_are_compared() {
        let within = |path: &str, holder: &str| is_within(Path::new(path), Path::new(holder));
        assert!(within("s3://b/a.zarr", "s3://b/a.zarr/") && within("s3://b/a.zarr/0", "s3://b/a.zarr"));
        assert!(!within("s3://b/a.zarr2", "s3://b/a.zarr") && !within("s3://b/a.zarr", "s3://c/a.zarr"));
        assert!(!within("a.zarr", "s3://b/a.zarr"));
    }
}
