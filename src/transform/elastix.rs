//! elastix' transform parameter files: lines `(Key value ...)`, LPS mm, target to source, and the chain of files that they begin with.
//!
//! Source: elastix 5.2, `elxTransformBase`, `elxBSplineTransform`, `elxEulerTransform`; its manual, section 2.6.

use std::path::{Path, PathBuf};

use super::{
    Convention, Displacing, FieldKind, Map,
    file::{self, Contents, Line, Text},
    itk::Record,
    itk_spline,
};
use crate::{
    error::{Error, Result},
    geometry::MOST_STAGES,
    io::itk::{self, SPLINE},
};

/// Lines of a file at most.
const MOST_LINES: usize = 1000;
/// Keys under which versions name the file of the transform that a point meets before.
const INITIAL: [&str; 2] = ["InitialTransformParameterFileName", "InitialTransformParametersFileName"];
const NONE: &str = "NoInitialTransform";

/// Classes that are affine, and those of ITK with the same parameters.
const AFFINE: [(&str, &str); 4] = [
    ("TranslationTransform", "TranslationTransform_double_3_3"),
    ("EulerTransform", "Euler3DTransform_double_3_3"),
    ("SimilarityTransform", "Similarity3DTransform_double_3_3"),
    ("AffineTransform", "AffineTransform_double_3_3"),
];

/// Whether the first line that is no comment is one of elastix'.
pub(super) fn is_elastix(text: &Text<'_>) -> bool {
    text.lines().find(|line| !is_comment(line)).is_some_and(|line| line.text.starts_with('('))
}

fn is_comment(line: &Line<'_>) -> bool {
    line.text.starts_with("//")
}

/// The maps of a file and of those that it begins with, in the order in which a point meets them.
///
/// # Errors
/// Transforms that are not read, and sums of transforms; a file of the chain that is not there.
pub(super) fn maps(text: &Text<'_>) -> Result<(Vec<Map>, Convention)> {
    let (mut maps, mut parts, mut initial) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = take(text, &mut maps, &mut parts)?;
    while let Some(path) = next {
        if parts.len() == MOST_STAGES {
            let found = format!("a chain of more than {MOST_STAGES} files");
            return Err(Error::malformed(text.path, INITIAL[0], found, "one that ends"));
        }
        let Contents::Text(read) = file::read(&path)? else {
            return Err(Error::malformed(&path, "the file", "no text", "transform parameters of elastix"));
        };
        next = take(&Text::new(&path, &read), &mut maps, &mut parts)?;
        initial.push(path);
    }
    maps.reverse();
    parts.reverse();
    initial.reverse();
    Ok((maps, Convention::Elastix { parts, initial }))
}

/// Takes the transform of one file; the file that a point goes through before it.
fn take(text: &Text<'_>, maps: &mut Vec<Map>, parts: &mut Vec<String>) -> Result<Option<PathBuf>> {
    let parameters = Parameters::of(text)?;
    let class = parameters.needed("Transform")?.word();
    maps.push(parameters.map(class)?);
    parts.push(class.to_string());
    let name = INITIAL.iter().find_map(|key| parameters.get(key)).map(|line| line.word());
    let Some(name) = name.filter(|&name| name != NONE) else { return Ok(None) };
    match parameters.get("HowToCombineTransforms").map(|line| line.word()) {
        Some("Compose") => beside(text.path, name).map(Some),
        how => {
            let what = format!("HowToCombineTransforms is {}, and only \"Compose\" is read", how.unwrap_or("not said"));
            let hint = "write both as one displacement field: transformix -def all -tp FILE";
            Err(unsupported(text.path, what, hint))
        }
    }
}

/// A file of the chain: as it is named, which is as elastix was called, or beside the one that names it.
fn beside(path: &Path, name: &str) -> Result<PathBuf> {
    let named = Path::new(name);
    let folder = path.parent().unwrap_or(Path::new(""));
    let places = [Some(folder.join(named)), named.file_name().map(|file| folder.join(file)), Some(named.into())];
    places.into_iter().flatten().find(|place| place.is_file()).ok_or_else(|| {
        Error::usage_hint(
            format!("{} begins with {name}, and there is no such file, nor one beside it", path.display()),
            format!("put that file beside {}", path.display()),
        )
    })
}

fn unsupported(path: &Path, what: String, hint: &str) -> Error {
    Error::Unsupported { path: path.to_path_buf(), what, hint: Some(hint.into()) }
}

/// The lines of a file.
struct Parameters<'a> {
    path: &'a Path,
    lines: Vec<Parameter<'a>>,
}

/// One of them, without its parentheses.
#[derive(Clone, Copy)]
struct Parameter<'a> {
    key: &'a str,
    values: Line<'a>,
}

impl<'a> Parameter<'a> {
    /// Its first value, without quotes.
    fn word(&self) -> &'a str {
        match self.values.text.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or(""),
            None => self.values.text.split_whitespace().next().unwrap_or(""),
        }
    }

    fn is(&self, word: &str) -> bool {
        self.word() == word
    }
}

impl<'a> Parameters<'a> {
    fn of(text: &Text<'a>) -> Result<Parameters<'a>> {
        let mut lines = Vec::new();
        for line in text.lines().filter(|line| !is_comment(line)) {
            let inner = line.text.strip_prefix('(').and_then(|rest| Some(rest[..rest.rfind(')')?].trim()));
            let Some((key, values)) = inner.and_then(|inner| inner.split_once(char::is_whitespace)) else {
                return Err(line.is_not("(Key value ...)"));
            };
            if lines.len() == MOST_LINES {
                return Err(line.is_not(&format!("the end of {MOST_LINES} parameters")));
            }
            lines.push(Parameter { key, values: Line { text: values.trim(), ..line } });
        }
        Ok(Parameters { path: text.path, lines })
    }

    fn get(&self, key: &str) -> Option<Parameter<'a>> {
        self.lines.iter().find(|line| line.key == key).copied()
    }

    fn needed(&self, key: &str) -> Result<Parameter<'a>> {
        let missing = || Error::malformed(self.path, format!("({key} ...)"), "not there", "a line with it");
        self.get(key).ok_or_else(missing)
    }

    fn three(&self, key: &str) -> Result<[f64; 3]> {
        self.needed(key)?.values.exactly(key)
    }

    fn map(&self, class: &str) -> Result<Map> {
        self.check()?;
        let parameters = self.needed("TransformParameters")?.values;
        if parameters.text.starts_with('"') {
            let what = "the parameters stand in a file of their own, which is not read".to_string();
            return Err(unsupported(
                self.path,
                what,
                "write them as text: (UseBinaryFormatForTransformationParameters \"false\")",
            ));
        }
        let (parameters, place) = (parameters.numbers()?, format!("line {}", parameters.number));
        if class == SPLINE {
            return Ok(Map::Displacing(self.spline(&place, parameters)?));
        }
        let Some((_, name)) = AFFINE.iter().find(|(of_elastix, _)| *of_elastix == class) else {
            let shown: String = class.chars().take(60).flat_map(char::escape_debug).collect();
            let what = format!("elastix' transforms of the class '{shown}' are not read");
            return Err(unsupported(
                self.path,
                what,
                "write it as a displacement field: transformix -def all -tp FILE",
            ));
        };
        let fixed = match class {
            "TranslationTransform" => Vec::new(),
            _ => {
                let zyx = f64::from(u8::from(self.get("ComputeZYX").is_some_and(|line| line.is("true"))));
                let [x, y, z] = self.three("CenterOfRotationPoint")?;
                vec![x, y, z, zyx]
            }
        };
        let record = Record { name, place, parameters: parameters.into(), fixed: fixed.into() };
        Ok(Map::Affine(record.map(self.path)?))
    }

    /// Three dimensions, in the world of the images.
    fn check(&self) -> Result<()> {
        for key in ["FixedImageDimension", "MovingImageDimension"] {
            if let Some(line) = self.get(key).filter(|line| !line.is("3")) {
                return Err(line.values.is_not("3 dimensions"));
            }
        }
        if self.get("UseDirectionCosines").is_some_and(|line| line.is("false")) {
            let what =
                "UseDirectionCosines is \"false\": the transform speaks of images as if their axes were not turned"
                    .to_string();
            return Err(unsupported(
                self.path,
                what,
                "register with \"true\", or write a displacement field: transformix -def all -tp FILE",
            ));
        }
        Ok(())
    }

    fn spline(&self, place: &str, coefficients: Vec<f64>) -> Result<Displacing> {
        let hint = "write it as a displacement field: transformix -def all -tp FILE";
        if let Some(order) = self.get("BSplineTransformSplineOrder").filter(|line| !line.is("3")) {
            return Err(itk_spline::other_order(self.path, place, order.word(), hint));
        }
        if self.get("UseCyclicTransform").is_some_and(|line| line.is("true")) {
            return Err(unsupported(self.path, "cyclic B-splines are not read".to_string(), hint));
        }
        let (size, index) = (self.three("GridSize")?, self.three("GridIndex")?);
        let (spacing, origin) = (self.three("GridSpacing")?, self.three("GridOrigin")?);
        // Column by column, unlike ITK's own files.
        let columns: [f64; 9] = match self.get("GridDirection") {
            Some(line) => line.values.exactly("a direction")?,
            None => [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        };
        let direction = |r: usize, c: usize| columns[3 * c + r];
        let first = |r: usize| origin[r] + (0..3).map(|c| direction(r, c) * spacing[c] * index[c]).sum::<f64>();
        let by_row = (0..9).map(|n| direction(n / 3, n % 3));
        let fixed: Vec<f64> = size.into_iter().chain((0..3).map(first)).chain(spacing).chain(by_row).collect();
        let grid = itk::grid(self.path, "GridSize and GridSpacing", SPLINE, &fixed)?;
        itk_spline::on_grid(self.path, place, (grid, FieldKind::DisplacementsLps), coefficients)
    }
}
