//! ITK's transform files in HDF5 (`.h5`), as ANTs, fMRIPrep and SimpleITK write them: their parts, and the displacement field among
//! them as an image of three volumes.
//!
//! Layout: a group `/TransformGroup/<n>` for each transform, with its class, fixed parameters and parameters. 0 is a composite, whose parts follow, or
//! a transform that stands alone. A field's fixed parameters are size, origin, spacing and direction; its parameters are the vectors, component
//! fastest, then x, y and z, in LPS mm.
//!
//! Source: ITK 5.4, `itkHDF5TransformIO` and `itkDisplacementFieldTransform`.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use hdf5_pure::{Dataset, File};

use crate::{
    error::{Error, Result},
    geometry::MOST_COEFFICIENTS,
    storage::nfs,
};

mod field;

pub use field::{FieldSource, ItkField, grid};

/// What an HDF5 file begins with.
pub const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
/// ITK's class of displacement fields.
pub const FIELD: &str = "DisplacementFieldTransform";
/// ITK's class of B-splines.
pub const SPLINE: &str = "BSplineTransform";
const GROUP: &str = "TransformGroup";
/// Transforms in one file, letters of a class, and numbers that are read at once, at most: those of an affine are twelve.
const MOST_PARTS: usize = 1000;
const MOST_LETTERS: u64 = 256;
const MOST_NUMBERS: u64 = 4096;

/// An HDF5 file that is read part by part: no voxels and no vectors are in memory.
pub struct ItkFile {
    file: File,
    path: PathBuf,
}

/// One transform of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ItkPart {
    /// The name of its group.
    pub number: u64,
    /// `AffineTransform_double_3_3`
    pub class: String,
    pub fixed: Vec<f64>,
    /// How many parameters it has.
    pub len: u64,
}

impl ItkPart {
    /// The class without its types: `AffineTransform`.
    pub fn kind(&self) -> &str {
        self.class.split('_').next().unwrap_or("")
    }

    /// Where messages find it.
    pub fn place(&self) -> String {
        format!("/{GROUP}/{}", self.number)
    }
}

impl ItkFile {
    /// Opens an HDF5 file; `None` where it is none. [`ItkFile::has_transforms`] says whether ITK wrote it.
    ///
    /// # Errors
    /// A file that cannot be read, or HDF5 that is damaged.
    pub fn open(path: &Path) -> Result<Option<ItkFile>> {
        let mut start = Vec::new();
        let file = nfs::open(path).map_err(Error::io("open", path))?;
        file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(Error::io("read", path))?;
        if start != MAGIC {
            return Ok(None);
        }
        let file = File::open_streaming(path).map_err(|error| damaged(path, "the file", &error))?;
        Ok(Some(ItkFile { file, path: path.to_path_buf() }))
    }

    /// Whether the file has ITK's group of transforms.
    pub fn has_transforms(&self) -> bool {
        self.file.group(GROUP).is_ok()
    }

    /// All transforms in the order of their numbers, without their parameters.
    ///
    /// # Errors
    /// No transform; damage.
    pub fn parts(&self) -> Result<Vec<ItkPart>> {
        let names = match self.file.group(GROUP) {
            Ok(group) => group.groups().map_err(|error| damaged(&self.path, GROUP, &error))?,
            Err(_) => Vec::new(),
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        if numbers.is_empty() || numbers.len() > MOST_PARTS {
            let found = format!("{} groups", numbers.len());
            return Err(Error::malformed(
                &self.path,
                format!("/{GROUP}"),
                found,
                format!("1 to {MOST_PARTS} transforms of ITK"),
            ));
        }
        numbers.into_iter().map(|number| self.part(number)).collect()
    }

    fn part(&self, number: u64) -> Result<ItkPart> {
        let class = self.class(number)?;
        let mut part = ItkPart { number, class, fixed: Vec::new(), len: 0 };
        if let Some(fixed) = self.numbers_of(number, "FixedParameters") {
            part.fixed = self.few(&fixed, &part, "fixed parameters", MOST_NUMBERS)?;
        }
        if let Some(parameters) = self.numbers_of(number, "Parameters") {
            part.len = self.len(&parameters, &part)?;
        }
        Ok(part)
    }

    fn class(&self, number: u64) -> Result<String> {
        let place = format!("{GROUP}/{number}/TransformType");
        let wrong = |found: String| {
            Error::malformed(&self.path, format!("/{place}"), found, "the class of a transform, as ITK writes it")
        };
        let of = |error: hdf5_pure::Error| wrong(error.to_string());
        let dataset = self.file.dataset(&place).map_err(of)?;
        // Of fixed or of variable length.
        let letters = match dataset.vlen_string_payload_size() {
            Ok(letters) => letters,
            Err(_) => dataset.element_size().map_err(of)?,
        };
        let strings = dataset.shape().map_err(of)?.iter().fold(1u64, |n, &len| n.saturating_mul(len));
        if strings != 1 || letters > MOST_LETTERS {
            return Err(wrong(format!("{strings} strings of {letters} bytes")));
        }
        dataset.read_string().map_err(of)?.into_iter().next().ok_or_else(|| wrong("nothing".into()))
    }

    /// The numbers of a transform; older files have them under a name with a letter less.
    fn numbers_of(&self, number: u64, name: &str) -> Option<Dataset> {
        let spellings = ["Transform", "Tranform"];
        spellings.iter().find_map(|spelling| self.file.dataset(&format!("{GROUP}/{number}/{spelling}{name}")).ok())
    }

    /// All parameters of a transform that is no field.
    ///
    /// # Errors
    /// More than 4096, or of a B-spline than [`MOST_COEFFICIENTS`]; damage.
    pub fn parameters(&self, part: &ItkPart) -> Result<Vec<f64>> {
        match self.numbers_of(part.number, "Parameters") {
            Some(dataset) => {
                let most = if part.kind() == SPLINE { MOST_COEFFICIENTS } else { MOST_NUMBERS };
                self.few(&dataset, part, "parameters", most)
            }
            None => Ok(Vec::new()),
        }
    }

    fn few(&self, dataset: &Dataset, part: &ItkPart, what: &str, most: u64) -> Result<Vec<f64>> {
        let len = self.len(dataset, part)?;
        if len > most {
            let found = format!("{len} {what} of {}", part.class);
            return Err(Error::malformed(&self.path, part.place(), found, format!("at most {most}")));
        }
        if len == 0 {
            return Ok(Vec::new());
        }
        let values = dataset.read_f64_rows(0, len).map_err(|error| damaged(&self.path, &part.place(), &error))?;
        if values.len() as u64 == len {
            return Ok(values);
        }
        let found = format!("{} of {len} {what}", values.len());
        Err(Error::malformed(&self.path, part.place(), found, "all of them"))
    }

    /// Numbers of a dataset of one axis.
    fn len(&self, dataset: &Dataset, part: &ItkPart) -> Result<u64> {
        let shape = dataset.shape().map_err(|error| damaged(&self.path, &part.place(), &error))?;
        match shape[..] {
            [len] => Ok(len),
            _ => Err(Error::malformed(&self.path, part.place(), format!("numbers of the shape {shape:?}"), "one axis")),
        }
    }
}

fn damaged(path: &Path, place: &str, error: &hdf5_pure::Error) -> Error {
    Error::malformed(path, place, error, "HDF5 that can be read")
}
