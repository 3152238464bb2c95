//! Targets that get in each other's way: no job writes what another one writes or reads, so that jobs may run in any order
//! and side by side.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

use super::{rows::Planned, table::Table};
use crate::{
    error::{Error, Result},
    io::zarr::store::{Location, split_image},
    job::{GridChoice, Request},
    transform::TransformRequest,
};

/// # Errors
/// Two rows with the same target, a target within another, or a target that another row reads.
pub fn check(table: &Table, jobs: &[Planned]) -> Result<()> {
    let mut targets = HashMap::new();
    for job in jobs {
        if let Some(other) = targets.insert(key(&job.request.output)?, job.line) {
            return Err(clash(table, job.line, "output", &job.request.output, other, "writes"));
        }
    }
    let writer = |key: &Path| key.ancestors().find_map(|part| targets.get(part).copied());
    for job in jobs {
        let output = key(&job.request.output)?;
        if let Some(other) = output.parent().and_then(writer) {
            return Err(clash(table, job.line, "output", &job.request.output, other, "writes"));
        }
        for (column, path) in read_by(&job.request) {
            let found = [key(path)?, followed(path)?].iter().find_map(|key| writer(key));
            if let Some(other) = found.filter(|&other| other != job.line) {
                return Err(clash(table, job.line, column, path, other, "writes"));
            }
        }
    }
    Ok(())
}

/// The files that a job reads, with the columns that name them.
fn read_by(request: &Request) -> Vec<(&'static str, &PathBuf)> {
    let mut read = vec![("input", &request.input)];
    if let GridChoice::Like { path, .. } = &request.grid {
        read.push(("like", path));
    }
    for TransformRequest { path, source, reference, .. } in &request.transforms {
        let named = [Some(path), source.as_ref(), reference.as_ref()];
        read.extend(named.into_iter().flatten().map(|path| ("transform", path)));
    }
    read.extend(request.transform_list.iter().map(|path| ("transform-list", path)));
    read
}

fn clash(table: &Table, line: usize, column: &str, path: &Path, other: usize, does: &str) -> Error {
    let what = format!("{}: line {other} {does} {}", table.place(line, Some(column)), path.display());
    Error::usage_hint(
        what,
        "jobs of a batch run in any order: give each its own output, and what needs another's to a second batch",
    )
}

/// One name for what has several: absolute, without `.` and `..`, links in its folder followed; the header for a pair.
fn key(path: &Path) -> Result<PathBuf> {
    let (path, _) = split_image(path);
    let location = Location::of(&path)?;
    let Some(path) = location.local() else {
        return Ok(PathBuf::from(location.into_path().to_string_lossy().trim_end_matches('/')));
    };
    let absolute = std::path::absolute(path).map_err(Error::io("find", path))?;
    let folders = absolute.ancestors().skip(1);
    let real = folders.filter_map(|folder| Some(folder.canonicalize().ok()?.join(absolute.strip_prefix(folder).ok()?)));
    Ok(header_of(without_dots(&real.into_iter().next().unwrap_or_else(|| absolute.clone()))))
}

/// The same with a link at its end followed too.
fn followed(path: &Path) -> Result<PathBuf> {
    let (path, _) = split_image(path);
    let path = &path;
    let location = Location::of(path)?;
    match location.local().map(Path::canonicalize) {
        Some(Ok(path)) => Ok(header_of(path)),
        _ => key(path),
    }
}

fn header_of(path: PathBuf) -> PathBuf {
    let is_image = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("img"));
    if is_image { path.with_extension("hdr") } else { path }
}

fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(jobs: &[(&str, &str)]) -> std::result::Result<(), String> {
        let table = Table { path: "jobs.tsv".into(), header_line: 1, columns: Vec::new(), rows: Vec::new() };
        let planned = |(n, (input, output)): (usize, &(&str, &str))| Planned {
            line: n + 2,
            request: Request::new(input, output, 1 << 30, 1),
        };
        let jobs: Vec<Planned> = jobs.iter().enumerate().map(planned).collect();
        check(&table, &jobs).map_err(|error| error.to_string())
    }

    #[test]
    fn one_target_has_many_names() {
        assert_eq!(checked(&[("a.nii", "b.nii"), ("a.nii", "c.nii"), ("d.nii", "d.nii")]), Ok(()));
        for same in ["./b.hdr", "x/../b.hdr", "b.img"] {
            let told = checked(&[("a.nii", "b.hdr"), ("a.nii", same)]).unwrap_err();
            assert_eq!(told, format!("jobs.tsv, line 3, column output: line 2 writes {same}"));
        }
        assert!(checked(&[("a.nii", "s3://b/x.zarr"), ("a.nii", "s3://b/x.zarr/")]).is_err());
        assert!(checked(&[("a.nii", "b.zarr/c.zarr"), ("a.nii", "b.zarr")]).is_err());
    }

    #[test]
    fn what_another_job_writes_is_not_read() {
        let told = checked(&[("b.zarr/0", "c.nii"), ("a.nii", "b.zarr")]).unwrap_err();
        assert_eq!(told, "jobs.tsv, line 2, column input: line 3 writes b.zarr/0");
        assert!(checked(&[("s3://b/x.zarr/1", "c.nii"), ("a.nii", "s3://b/x.zarr")]).is_err());
        assert_eq!(checked(&[("b.zarr2", "c.nii"), ("a.nii", "b.zarr")]), Ok(()));
    }

    #[test]
    fn transforms_and_the_images_that_they_speak_of_are_read() {
        let table = Table { path: "jobs.tsv".into(), header_line: 1, columns: Vec::new(), rows: Vec::new() };
        for (named, is_refused) in
            [("b.nii", true), ("m.mat,src=b.nii", true), ("m.mat,ref=b.nii", true), ("c.nii", false)]
        {
            let transform = TransformRequest::parse(std::ffi::OsStr::new(named), Path::new(""));
            let reader = Request { transforms: vec![transform], ..Request::new("a.nii", "d.nii", 1 << 30, 1) };
            let jobs = [
                Planned { line: 2, request: Request::new("a.nii", "b.nii", 1 << 30, 1) },
                Planned { line: 3, request: reader },
            ];
            let told = check(&table, &jobs).map_err(|error| error.to_string());
            let refusal = "jobs.tsv, line 3, column transform: line 2 writes b.nii".to_string();
            assert_eq!(told, if is_refused { Err(refusal) } else { Ok(()) }, "{named}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let name = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(name("real.nii"), "x").unwrap();
        std::os::unix::fs::symlink(name("real.nii"), name("link.nii")).unwrap();
        assert!(checked(&[(&name("link.nii"), &name("a.nii")), (&name("b.nii"), &name("real.nii"))]).is_err());
    }
}
