//! ITK's transform classes: from their parameters to an affine.
//!
//! All of them are `M (x - centre) + centre + translation` in LPS+ mm, target to source.
//!
//! Source: ITK 5.4, `ComputeMatrix` and `SetParameters` of each class.

use std::{borrow::Cow, path::Path};

use super::ras_of_lps;
use crate::{
    error::{Error, Result},
    geometry::Affine,
    io::itk::SPLINE,
};

type Matrix = [[f64; 3]; 3];

pub(super) const COMPOSITE: &str = "CompositeTransform";

/// One transform as a file has it.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    /// `AffineTransform_double_3_3`.
    pub name: &'a str,
    /// What a message calls the place of it: `line 3`.
    pub place: String,
    pub parameters: Cow<'a, [f64]>,
    pub fixed: Cow<'a, [f64]>,
}

/// Linear part, centre and translation.
struct Parts {
    matrix: Matrix,
    centre: [f64; 3],
    translation: [f64; 3],
}

/// One map in RAS+ of a file with one transform, or with a composite: of its parts the last one meets the point first.
///
/// A composite stands first, if at all, and without parameters of its own.
///
/// # Errors
/// Several transforms without a composite: they are one for each volume, and no product.
pub(super) fn compose(path: &Path, records: &[Record<'_>]) -> Result<Affine> {
    refuse_unjoined(path, records)?;
    let mut product = Affine::identity();
    for (n, record) in records.iter().enumerate() {
        if record.class() != COMPOSITE {
            product = product.after(&record.affine(path)?);
        } else if n > 0 || !record.parameters.is_empty() {
            let found = "a composite with contents of its own";
            return Err(Error::malformed(path, &record.place, found, "parts that follow it, in a .tfm"));
        }
    }
    Ok(ras_of_lps(&product))
}

/// Several transforms without a composite are no product.
pub(super) fn refuse_unjoined(path: &Path, records: &[Record<'_>]) -> Result<()> {
    if is_composite(records) || records.len() < 2 {
        return Ok(());
    }
    Err(Error::usage_hint(
        format!(
            "{} holds {} transforms that no composite joins: one for each volume of a series",
            path.display(),
            records.len()
        ),
        format!("give the series each its own: --transform-list {}", path.display()),
    ))
}

/// The maps of a file in RAS+, one for each volume; a composite is one.
pub(super) fn one_each(path: &Path, records: &[Record<'_>]) -> Result<Vec<Affine>> {
    if is_composite(records) {
        return Ok(vec![compose(path, records)?]);
    }
    records.chunks(1).map(|record| compose(path, record)).collect()
}

pub(super) fn is_composite(records: &[Record<'_>]) -> bool {
    records.iter().any(|record| record.class() == COMPOSITE)
}

impl Record<'_> {
    /// ITK's name of the class, without its types.
    pub(super) fn class(&self) -> &str {
        self.name.split('_').next().unwrap_or("")
    }

    /// The map in RAS+.
    pub(super) fn map(&self, path: &Path) -> Result<Affine> {
        Ok(ras_of_lps(&self.affine(path)?))
    }

    /// The map in LPS+.
    fn affine(&self, path: &Path) -> Result<Affine> {
        if !self.name.ends_with("_3_3") {
            return Err(Error::malformed(path, &self.place, self.name, "a transform of 3 dimensions (_3_3)"));
        }
        let parts = self.parts(path)?;
        let Parts { matrix, centre, translation } = parts;
        let turned: [f64; 3] = std::array::from_fn(|r| (0..3).map(|c| matrix[r][c] * centre[c]).sum());
        let offset = |r: usize| translation[r] + centre[r] - turned[r];
        let m = std::array::from_fn(|r| [matrix[r][0], matrix[r][1], matrix[r][2], offset(r)]);
        Ok(Affine { m })
    }

    fn parts(&self, path: &Path) -> Result<Parts> {
        let p = &self.parameters;
        Ok(match self.class() {
            "IdentityTransform" => Parts { matrix: scaling([1.0; 3]), centre: [0.0; 3], translation: [0.0; 3] },
            "TranslationTransform" => {
                Parts { matrix: scaling([1.0; 3]), centre: [0.0; 3], translation: self.counted(path)? }
            }
            "ScaleTransform" => self.about_centre(path, scaling(self.counted(path)?), [0.0; 3])?,
            "ScaleLogarithmicTransform" => {
                let logarithms: [f64; 3] = self.counted(path)?;
                self.about_centre(path, scaling(logarithms.map(libm::exp)), [0.0; 3])?
            }
            "AffineTransform" | "MatrixOffsetTransformBase" | "Rigid3DTransform" => {
                self.counted::<12>(path)?;
                let matrix = std::array::from_fn(|r| three(p, 3 * r));
                self.about_centre(path, matrix, three(p, 9))?
            }
            "Euler3DTransform" => {
                self.counted::<6>(path)?;
                let zyx = self.fixed.get(3).is_some_and(|&flag| flag != 0.0);
                self.about_centre(path, euler(three(p, 0), zyx), three(p, 3))?
            }
            "VersorTransform" => self.about_centre(path, rotation(versor(self.counted(path)?)), [0.0; 3])?,
            "VersorRigid3DTransform" => {
                self.counted::<6>(path)?;
                self.about_centre(path, rotation(versor(three(p, 0))), three(p, 3))?
            }
            "Similarity3DTransform" => {
                let [.., scale] = self.counted::<7>(path)?;
                let matrix = rotation(versor(three(p, 0))).map(|row| row.map(|x| x * scale));
                self.about_centre(path, matrix, three(p, 3))?
            }
            "ScaleVersor3DTransform" => {
                self.counted::<9>(path)?;
                self.about_centre(path, scaled_versor(p, [0.0; 6]), three(p, 3))?
            }
            "ScaleSkewVersor3DTransform" => {
                let [.., a, b, c, d, e, f] = self.counted::<15>(path)?;
                self.about_centre(path, scaled_versor(p, [a, b, c, d, e, f]), three(p, 3))?
            }
            "QuaternionRigidTransform" => {
                let [x, y, z, w, ..] = self.counted::<7>(path)?;
                self.about_centre(path, rotation([x, y, z, w]), three(p, 4))?
            }
            SPLINE => {
                return Err(Error::usage_hint(
                    format!("{}: {} is a {SPLINE}, and a list takes affines", path.display(), self.place),
                    "what displaces all volumes alike is --transform; else resample each volume by itself",
                ));
            }
            _ => return Err(self.unknown(path)),
        })
    }

    /// All parameters, which are `N`.
    fn counted<const N: usize>(&self, path: &Path) -> Result<[f64; N]> {
        let found = || format!("{} parameters of {}", self.parameters.len(), self.class());
        let wrong = |_| Error::malformed(path, &self.place, found(), format!("{N} parameters"));
        <[f64; N]>::try_from(&self.parameters[..]).map_err(wrong)
    }

    fn about_centre(&self, path: &Path, matrix: Matrix, translation: [f64; 3]) -> Result<Parts> {
        let Some(&centre) = self.fixed.first_chunk::<3>() else {
            let found = format!("{} fixed parameters of {}", self.fixed.len(), self.class());
            return Err(Error::malformed(path, &self.place, found, "a centre of 3 numbers"));
        };
        Ok(Parts { matrix, centre, translation })
    }

    fn unknown(&self, path: &Path) -> Error {
        let hint = match self.class() {
            "DisplacementFieldTransform" | "GaussianExponentialDiffeomorphicTransform" => {
                "write it as a displacement field in NIfTI, by SimpleITK's TransformToDisplacementField"
            }
            _ => "write it as an AffineTransform, or as a displacement field in NIfTI",
        };
        let shown: String = self.name.chars().take(60).flat_map(char::escape_debug).collect();
        let what = format!("{}: transforms of the class '{shown}' are not read", self.place);
        Error::Unsupported { path: path.to_path_buf(), what, hint: Some(hint.into()) }
    }
}

/// Three numbers from `first` on; the caller has counted them.
fn three(numbers: &[f64], first: usize) -> [f64; 3] {
    std::array::from_fn(|n| numbers[first + n])
}

fn scaling(s: [f64; 3]) -> Matrix {
    [[s[0], 0.0, 0.0], [0.0, s[1], 0.0], [0.0, 0.0, s[2]]]
}

/// Rotations about x, y and z: `Rz Rx Ry`, or `Rz Ry Rx`.
fn euler(angles: [f64; 3], zyx: bool) -> Matrix {
    let [(sx, cx), (sy, cy), (sz, cz)] = angles.map(|angle| (libm::sin(angle), libm::cos(angle)));
    let x = [[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]];
    let y = [[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]];
    let z = [[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]];
    if zyx { product(&product(&z, &y), &x) } else { product(&product(&z, &x), &y) }
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|r| std::array::from_fn(|c| (0..3).map(|k| a[r][k] * b[k][c]).sum()))
}

/// The unit quaternion (x, y, z, w) with this vector part; one that is too long is shortened, as ITK does.
fn versor(vector: [f64; 3]) -> [f64; 4] {
    const EPSILON: f64 = 1e-10;
    let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    let [x, y, z] = if norm >= 1.0 - EPSILON { vector.map(|v| v / (norm + EPSILON * norm)) } else { vector };
    [x, y, z, (1.0 - (x * x + y * y + z * z)).max(0.0).sqrt()]
}

/// The matrix of a quaternion (x, y, z, w); one that is no unit quaternion scales by the square of its length.
fn rotation([x, y, z, w]: [f64; 4]) -> Matrix {
    let (xx, yy, zz, ww) = (x * x, y * y, z * z, w * w);
    [
        [ww + xx - yy - zz, 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
        [2.0 * (x * y + z * w), ww - xx + yy - zz, 2.0 * (y * z - x * w)],
        [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), ww - xx - yy + zz],
    ]
}

/// ITK adds scales less one to the diagonal of the rotation, and skews beside it.
fn scaled_versor(p: &[f64], skew: [f64; 6]) -> Matrix {
    let mut matrix = rotation(versor(three(p, 0)));
    for (axis, scale) in three(p, 6).into_iter().enumerate() {
        matrix[axis][axis] += scale - 1.0;
    }
    for ((r, c), skew) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)].into_iter().zip(skew) {
        matrix[r][c] += skew;
    }
    matrix
}
