//! How a transform is asked for: a file, and behind commas what the file does not say of itself.

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

/// What the numbers of a bare matrix mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatrixKind {
    /// Target world to source world in RAS mm, as greedy and c3d write it.
    Ras,
    /// Between the scaled voxels of two images, as FLIRT writes it.
    Fsl,
}

impl MatrixKind {
    fn suffix(self) -> &'static str {
        match self {
            MatrixKind::Ras => "ras",
            MatrixKind::Fsl => "fsl",
        }
    }
}

/// Where a displacement field is.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldFile {
    /// A NIfTI, NRRD or MetaImage file, a Zarr folder or URL, or a transform in HDF5 (`FILE.h5?transform=2`).
    pub path: PathBuf,
    /// What the numbers of a file are that does not say it.
    pub said: Option<MatrixKind>,
}

/// A transform as asked for: `FILE[,inverse][,ras|fsl][,src=A][,ref=B]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransformRequest {
    pub path: PathBuf,
    pub inverse: bool,
    /// What a bare matrix is, where its name does not decide.
    pub matrix: Option<MatrixKind>,
    /// The image that FLIRT moved (its `-in`).
    pub source: Option<PathBuf>,
    /// The image that FLIRT moved it onto (its `-ref`).
    pub reference: Option<PathBuf>,
}

impl TransformRequest {
    /// A file that says all of itself.
    pub fn new(path: impl Into<PathBuf>) -> TransformRequest {
        TransformRequest { path: path.into(), ..TransformRequest::default() }
    }

    /// Takes an argument apart. Names are relative to `folder`.
    ///
    /// Names may hold commas: the longest beginning that is the name of a file there is the file; where none is, the
    /// shortest behind which only suffixes stand.
    pub fn parse(argument: &OsStr, folder: &Path) -> TransformRequest {
        let whole = || TransformRequest::new(folder.join(argument));
        let Some(text) = argument.to_str() else { return whole() };
        let commas = text.match_indices(',').map(|(at, _)| at).chain([text.len()]);
        let readings = commas.filter_map(|end| TransformRequest::split(text, end, folder));
        let readings: Vec<TransformRequest> = readings.filter(|reading| reading.path != folder.join("")).collect();
        let existing = readings.iter().rev().find(|reading| reading.path.exists());
        existing.or(readings.first()).cloned().unwrap_or_else(whole)
    }

    /// The reading with a name of `end` bytes; nothing where no suffixes follow it.
    fn split(text: &str, end: usize, folder: &Path) -> Option<TransformRequest> {
        let mut request = TransformRequest::new(folder.join(&text[..end]));
        let Some(suffixes) = text[end..].strip_prefix(',') else { return Some(request) };
        let mut parts: Vec<String> = Vec::new();
        for part in suffixes.split(',') {
            match parts.last_mut() {
                // Names of images may hold commas, too.
                Some(last) if !is_suffix(part) && last.contains('=') => *last += &format!(",{part}"),
                _ => parts.push(part.to_string()),
            }
        }
        parts.iter().try_for_each(|part| request.take(part, folder))?;
        Some(request)
    }

    /// Takes one suffix; nothing where it is none, or comes twice.
    fn take(&mut self, suffix: &str, folder: &Path) -> Option<()> {
        let role = |name: &str| Some(folder.join(name)).filter(|_| !name.is_empty());
        match (suffix, suffix.split_once('=')) {
            ("inverse", _) if !self.inverse => self.inverse = true,
            ("ras", _) if self.matrix.is_none() => self.matrix = Some(MatrixKind::Ras),
            ("fsl", _) if self.matrix.is_none() => self.matrix = Some(MatrixKind::Fsl),
            (_, Some(("src", name))) if self.source.is_none() => self.source = Some(role(name)?),
            (_, Some(("ref", name))) if self.reference.is_none() => self.reference = Some(role(name)?),
            _ => return None,
        }
        Some(())
    }
}

fn is_suffix(part: &str) -> bool {
    ["inverse", "ras", "fsl"].contains(&part) || ["src=", "ref="].iter().any(|key| part.starts_with(key))
}

impl fmt::Display for TransformRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path.display(), if self.inverse { ",inverse" } else { "" })?;
        if let Some(matrix) = self.matrix {
            write!(f, ",{}", matrix.suffix())?;
        }
        for (key, role) in [("src", &self.source), ("ref", &self.reference)] {
            if let Some(name) = role {
                write!(f, ",{key}={}", name.display())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(argument: &str) -> TransformRequest {
        TransformRequest::parse(OsStr::new(argument), Path::new(""))
    }

    #[test]
    fn suffixes_stand_behind_the_name_in_any_order() {
        let all = TransformRequest {
            path: "a.mat".into(),
            inverse: true,
            matrix: Some(MatrixKind::Fsl),
            source: Some("x.nii".into()),
            reference: Some("y, z.nii".into()),
        };
        assert_eq!(parsed("a.mat,inverse,fsl,src=x.nii,ref=y, z.nii"), all);
        assert_eq!(parsed("a.mat,ref=y, z.nii,src=x.nii,fsl,inverse"), all);
        assert_eq!(parsed(&all.to_string()), all);
    }

    #[test]
    fn what_is_no_suffix_belongs_to_the_name() {
        for (argument, path, inverse) in [
            ("a.mat", "a.mat", false),
            ("a.mat,inverse", "a.mat", true),
            ("a,inverse.mat", "a,inverse.mat", false),
            ("a,inverse,inverse", "a,inverse", true),
            ("a,src=", "a,src=", false),
            ("a,ras,fsl", "a,ras", false),
            (",inverse", ",inverse", false),
        ] {
            let request = parsed(argument);
            assert_eq!((request.path, request.inverse), (path.into(), inverse), "{argument}");
        }
    }

    #[test]
    fn a_file_whose_name_ends_like_a_suffix_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let parsed = |argument: &str| TransformRequest::parse(OsStr::new(argument), dir.path());
        assert_eq!(
            parsed("m,inverse"),
            TransformRequest { inverse: true, ..TransformRequest::new(dir.path().join("m")) }
        );
        std::fs::write(dir.path().join("m,inverse"), "x").unwrap();
        assert_eq!(parsed("m,inverse"), TransformRequest::new(dir.path().join("m,inverse")));
        let inverse = TransformRequest { inverse: true, ..TransformRequest::new(dir.path().join("m,inverse")) };
        assert_eq!(parsed("m,inverse,inverse"), inverse);
    }
}
