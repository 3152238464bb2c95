//! What NGFF 0.4 and 0.5 cannot say of a NIfTI volume, as earlier versions kept it in an attribute of the image's group. It is read,
//! and written no more: the NIfTI header beside the levels says the same to other programs too.
//!
//! The standard metadata hold the spacing (lengths of the affine's columns) as scale, and the place of the first voxel
//! (the affine's last column) as translation. The attribute counts only while they agree: if somebody edits the standard
//! metadata, those count.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{OWN_ATTRIBUTE, Placed};
use crate::geometry::{Affine, Unit};

/// Relative difference up to which standard metadata and the attribute agree.
const AGREEMENT: f64 = 1e-6;

/// The affine of a NIfTI volume and the codes of its two forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NiftiAttribute {
    /// Voxel index (i, j, k) to world in RAS+ millimetres, rows x, y, z.
    pub affine: [[f64; 4]; 3],
    pub sform_code: i16,
    pub qform_code: i16,
    /// Extents (i, j, k) of the finest level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<[u64; 3]>,
    /// Names of the outer axes in the order of the volumes, slowest first, where the array has them in another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outer: Option<Vec<String>>,
}

impl NiftiAttribute {
    /// The attribute of a grid in RAS+ millimetres; columns of the grid are in storage order (k, j, i).
    pub fn of_grid(index_to_world: &Affine, shape: [u64; 3], sform_code: i16, qform_code: i16) -> NiftiAttribute {
        let affine = index_to_world.m.map(|[k, j, i, t]| [i, j, k, t]);
        NiftiAttribute { affine, sform_code, qform_code, shape: Some([shape[2], shape[1], shape[0]]), outer: None }
    }

    /// The attribute among a group's attributes, where it is there and of the right form.
    pub fn from_attributes(attributes: &Map<String, Value>) -> Option<NiftiAttribute> {
        serde_json::from_value(attributes.get(OWN_ATTRIBUTE)?.get("nifti")?.clone()).ok()
    }

    /// Index to world with columns in storage order, in millimetres.
    pub fn index_to_world(&self) -> Affine {
        Affine { m: self.affine.map(|[i, j, k, t]| [k, j, i, t]) }
    }

    /// Index to world of a level, in `unit`, where the attribute agrees with the standard metadata.
    ///
    /// `finest` and `level` are the placements along z, y, x of the finest level and of the one that is read; `origin` is
    /// the world position of the finest level's first voxel (x, y, z) by the standard metadata; `shape` is the extent
    /// (z, y, x) of the finest level, where it is known.
    pub fn resolve(
        &self,
        finest: [Placed; 3],
        origin: [f64; 3],
        level: [Placed; 3],
        shape: Option<[u64; 3]>,
        unit: &Unit,
    ) -> Option<Affine> {
        if let (Some([i, j, k]), Some(shape)) = (self.shape, shape)
            && shape != [k, j, i]
        {
            return None;
        }
        let factor = if *unit == Unit::Unknown { 1.0 } else { Unit::Millimetre.factor_to(unit)? };
        let affine = Affine { m: self.index_to_world().m.map(|row| row.map(|x| x * factor)) };
        affine.inverse()?;
        let largest = (0..3).map(|a| affine.column_norm(a)).fold(0.0, f64::max);
        for (a, placed) in finest.iter().enumerate() {
            let (norm, own) = (affine.column_norm(a), affine.translation()[a]);
            let spacing_agrees = (placed.scale - norm).abs() <= AGREEMENT * norm;
            let origin_agrees = (origin[a] - own).abs() <= AGREEMENT * own.abs().max(largest);
            if !(spacing_agrees && origin_agrees) {
                return None;
            }
        }
        Some(affine.after(&index_between(finest, level)))
    }
}

/// From indices of `level` to indices of `finest`; exactly the identity where they are the same.
pub fn index_between(finest: [Placed; 3], level: [Placed; 3]) -> Affine {
    let mut between = Affine::identity();
    for a in 0..3 {
        between.m[a][a] = level[a].scale / finest[a].scale;
        between.m[a][3] = (level[a].translation - finest[a].translation) / finest[a].scale;
    }
    between
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oblique() -> Affine {
        Affine::from_columns([[0.1, 0.3, 2.0], [-1.2, 0.2, 0.1], [0.4, 1.5, -0.3]], [-90.0, 12.5, 33.0])
    }

    fn placed(affine: &Affine) -> [Placed; 3] {
        std::array::from_fn(|a| Placed { scale: affine.column_norm(a), translation: affine.translation()[2 - a] })
    }

    #[test]
    fn agrees_with_what_it_was_written_with_and_not_after_an_edit() {
        let affine = oblique();
        let attribute = NiftiAttribute::of_grid(&affine, [7, 6, 5], 1, 2);
        assert_eq!(attribute.shape, Some([5, 6, 7]));
        let (finest, origin) = (placed(&affine), affine.translation());
        let resolve = |placed, origin, shape, unit| attribute.resolve(placed, origin, placed, shape, unit);
        assert_eq!(resolve(finest, origin, Some([7, 6, 5]), &Unit::Millimetre), Some(affine));
        assert_eq!(resolve(finest, origin, Some([7, 6, 4]), &Unit::Millimetre), None);
        let moved = [origin[0], origin[1] + 0.01, origin[2]];
        assert_eq!(resolve(finest, moved, None, &Unit::Millimetre), None);
        let mut stretched = finest;
        stretched[2].scale *= 1.001;
        assert_eq!(resolve(stretched, origin, None, &Unit::Millimetre), None);
        assert_eq!(resolve(finest, origin, None, &Unit::Metre), None);
    }

    #[test]
    fn a_coarser_level_keeps_the_direction() {
        let affine = oblique();
        let attribute = NiftiAttribute::of_grid(&affine, [7, 6, 5], 1, 0);
        let finest = placed(&affine);
        let half = finest.map(|p| Placed { scale: 2.0 * p.scale, translation: p.translation + 0.5 * p.scale });
        let level = attribute.resolve(finest, affine.translation(), half, None, &Unit::Millimetre).unwrap();
        let (found, expected) = (level.apply([1.0, 2.0, 3.0]), affine.apply([2.5, 4.5, 6.5]));
        assert!((0..3).all(|r| (found[r] - expected[r]).abs() < 1e-9));
    }
}
