//! Refuses targets that conflict: no job may write what another one writes or reads, so that jobs can run in any order
//! and side by side.

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
    path::{Component, Path, PathBuf},
};

use super::table::Table;
use reslice::{
    error::{Error, Result},
    job::{GridChoice, Jobs, Request, halves},
    storage::{Location, split_image},
    transform::TransformRequest,
};

/// Rows by hashes of paths, so that a table takes little memory however long its paths are. What seems to clash is looked at again.
#[derive(Default)]
struct Rows {
    hasher: RandomState,
    /// Who writes a path.
    writers: HashMap<u64, u32>,
    /// Who writes below a path.
    above: HashSet<u64>,
    /// Who reads a path, or one below it: the first two rows.
    readers: HashMap<u64, (u32, u32)>,
}

impl Rows {
    fn hash(&self, path: &Path) -> u64 {
        self.hasher.hash_one(path)
    }

    fn reads(&mut self, path: &Path, row: u32) {
        for part in path.ancestors() {
            let hash = self.hash(part);
            self.readers.entry(hash).and_modify(|(_, last)| *last = row).or_insert((row, row));
        }
    }

    /// Whether any row writes what another writes or reads, or within it; now and then where none does.
    fn seem_to_clash(&self) -> bool {
        let is_read = |hash: &u64, row: u32| self.readers.get(hash).is_some_and(|&(a, b)| a != row || b != row);
        self.writers.iter().any(|(hash, &row)| self.above.contains(hash) || is_read(hash, row))
    }
}

/// # Errors
/// A row that makes no sense; two rows with the same target, a target within another, or a target that another row reads.
pub(super) fn check(table: &Table, jobs: &dyn Jobs) -> Result<()> {
    let mut rows = Rows::default();
    let mut is_twice = false;
    for n in 0..jobs.len() {
        let (request, row) = (jobs.request(n)?, n as u32);
        for output in halves(&request.output) {
            let output = key(&output)?;
            for part in output.ancestors().skip(1) {
                let hash = rows.hash(part);
                rows.above.insert(hash);
            }
            let hash = rows.hash(&output);
            is_twice |= rows.writers.insert(hash, row).is_some();
        }
        for (_, path) in read_by(&request) {
            rows.reads(&key(&path)?, row);
            rows.reads(&followed(&path)?, row);
        }
    }
    if is_twice || rows.seem_to_clash() { look_closely(table, jobs, &rows) } else { Ok(()) }
}

/// The first clash, told.
fn look_closely(table: &Table, jobs: &dyn Jobs, rows: &Rows) -> Result<()> {
    // By the last row of each target, and the first one of those that have the same.
    let mut first: HashMap<u64, usize> = HashMap::new();
    let is_key = |n: usize, wanted: &Path| {
        let keys = halves(&jobs.request(n)?.output).iter().map(|path| key(path)).collect::<Result<Vec<_>>>()?;
        Ok::<_, Error>(keys.iter().any(|key| key == wanted))
    };
    for n in 0..jobs.len() {
        for path in halves(&jobs.request(n)?.output) {
            let output = key(&path)?;
            if let Some(other) = first.insert(rows.hash(&output), n)
                && is_key(other, &output)?
            {
                return Err(clash(table, table.line(n), "output", &path, table.line(other), "writes"));
            }
        }
    }
    let writer = |path: &Path| {
        for part in path.ancestors() {
            if let Some(&n) = first.get(&rows.hash(part))
                && is_key(n, part)?
            {
                return Ok(Some(n));
            }
        }
        Ok::<_, Error>(None)
    };
    for n in 0..jobs.len() {
        let request = jobs.request(n)?;
        let above = key(&request.output)?.parent().map_or(Ok(None), writer)?;
        if let Some(other) = above {
            return Err(clash(table, table.line(n), "output", &request.output, table.line(other), "writes"));
        }
        for (column, path) in read_by(&request) {
            let found = match writer(&key(&path)?)? {
                None => writer(&followed(&path)?)?,
                found => found,
            };
            if let Some(other) = found.filter(|&other| other != n) {
                return Err(clash(table, table.line(n), column, &path, table.line(other), "writes"));
            }
        }
    }
    Ok(())
}

/// The files that a job reads, with the columns that name them.
fn read_by(request: &Request) -> Vec<(&'static str, PathBuf)> {
    let mut read = vec![("input", &request.input)];
    if let GridChoice::Like { path, .. } = &request.grid {
        read.push(("like", path));
    }
    for TransformRequest { path, source, reference, .. } in &request.transforms {
        let named = [Some(path), source.as_ref(), reference.as_ref()];
        read.extend(named.into_iter().flatten().map(|path| ("transform", path)));
    }
    read.extend(request.transform_list.iter().map(|path| ("transform-list", path)));
    let both = |(column, path): (&'static str, &PathBuf)| {
        let (path, _) = split_image(path);
        halves(&path).into_iter().map(move |half| (column, half)).collect::<Vec<_>>()
    };
    read.into_iter().flat_map(both).collect()
}

fn clash(table: &Table, line: usize, column: &str, path: &Path, other: usize, does: &str) -> Error {
    let what = format!("{}: line {other} {does} {}", table.place(line, Some(column)), path.display());
    Error::usage_hint(
        what,
        "jobs of a batch run in any order: give each its own output, and what needs another's to a second batch",
    )
}

/// One name for what has several: absolute, without `.` and `..`, links in its folder followed.
fn key(path: &Path) -> Result<PathBuf> {
    let (path, _) = split_image(path);
    let location = Location::of(&path)?;
    let Some(path) = location.local() else {
        return Ok(PathBuf::from(location.into_path().to_string_lossy().trim_end_matches('/')));
    };
    let absolute = std::path::absolute(path).map_err(Error::io("find", path))?;
    let folders = absolute.ancestors().skip(1);
    let real = folders.filter_map(|folder| Some(folder.canonicalize().ok()?.join(absolute.strip_prefix(folder).ok()?)));
    Ok(without_dots(&real.into_iter().next().unwrap_or_else(|| absolute.clone())))
}

/// The same with a link at its end followed too.
fn followed(path: &Path) -> Result<PathBuf> {
    let (path, _) = split_image(path);
    let path = &path;
    let location = Location::of(path)?;
    match location.local().map(Path::canonicalize) {
        Some(Ok(path)) => Ok(path),
        _ => key(path),
    }
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
        of_requests(jobs.iter().map(|(input, output)| Request::new(input, output, 1 << 30, 1)).collect())
    }

    /// The same of requests, one for each row of a table from line 2 on.
    fn of_requests(jobs: Vec<Request>) -> std::result::Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        let rows: String =
            jobs.iter().map(|job| format!("{}\t{}\n", job.input.display(), job.output.display())).collect();
        std::fs::write(dir.path().join("jobs.tsv"), format!("input\toutput\n{rows}")).unwrap();
        let mut table = Table::read(&dir.path().join("jobs.tsv"), 1 << 30).unwrap();
        table.path = "jobs.tsv".into();
        check(&table, &jobs).map_err(|error| error.to_string())
    }

    #[test]
    fn one_target_has_many_names() {
        assert_eq!(checked(&[("a.nii", "b.nii"), ("a.nii", "c.nii"), ("d.nii", "d.nii")]), Ok(()));
        for same in ["./b.hdr", "x/../b.hdr", "b.img"] {
            let told = checked(&[("a.nii", "b.hdr"), ("a.nii", same)]).unwrap_err();
            assert_eq!(told, format!("jobs.tsv, line 3, column output: line 2 writes {same}"));
        }
        // A header and its voxels are two files.
        let told = checked(&[("a.nii", "b.nhdr"), ("a.nii", "b.mhd")]).unwrap_err();
        assert_eq!(told, "jobs.tsv, line 3, column output: line 2 writes b.raw");
        assert!(checked(&[("b.mhd", "c.nii"), ("a.nii", "b.nhdr")]).is_err());
        assert_eq!(checked(&[("a.nii", "b.nhdr"), ("a.nii", "c.mhd"), ("d.mhd", "d.nrrd")]), Ok(()));
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
        for (named, is_refused) in
            [("b.nii", true), ("m.mat,src=b.nii", true), ("m.mat,ref=b.nii", true), ("c.nii", false)]
        {
            let transform = TransformRequest::parse(std::ffi::OsStr::new(named), Path::new(""));
            let reader = Request { transforms: vec![transform], ..Request::new("a.nii", "d.nii", 1 << 30, 1) };
            let told = of_requests(vec![Request::new("a.nii", "b.nii", 1 << 30, 1), reader]);
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
