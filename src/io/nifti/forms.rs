//! The fields that place a target in the world: pixdim, qform and sform.
//!
//! What other programs read of the source they must read of the target, whichever form they use. So the fields are copied
//! where the grid stays. Where it is cropped, resized, flipped or permuted, each form moves by the same step of indices.

use std::path::Path;

use super::{
    affine::{self, Form, MAX_STEP_DIFFERENCE, good_qform},
    header::{Header, Version},
    quaternion,
};
use crate::geometry::{Affine, Unit, rotation_of};

/// Cosine between axes up to which a matrix is a rotation with spacings: readers built on ITK refuse more.
const MAX_SHEAR: f64 = 1e-4;

/// Relative to the step of an axis: what counts as no part of another axis.
const OFF_AXIS: f64 = 1e-9;

/// How far b2 + c2 + d2 may be beyond 1 by rounding to f32.
const LONG: f64 = 1e-7;

/// Whose forms a target takes after.
#[derive(Clone, Copy, Debug)]
pub enum FormsOf<'a> {
    /// Those of this header: of the source, or of the reference whose grid the target has.
    Like(&'a Header),
    /// Nobody's, with these codes.
    Codes { qform: i32, sform: i32 },
}

/// Where a target stands, storage order, in the unit of its header.
pub(super) struct Stand<'a> {
    pub affine: Affine,
    /// The columns' length, or the rounder number that stands for it.
    pub spacing: [f64; 3],
    pub unit: &'a Unit,
    /// Whose fields are rounded to f32, and whose are not.
    pub version: Version,
}

/// The fields themselves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Forms {
    /// The first four: mirror, and steps in file order.
    pub pixdim: [f64; 4],
    pub qform_code: i32,
    pub sform_code: i32,
    pub quatern: [f64; 3],
    pub qoffset: [f64; 3],
    pub srow: [[f64; 4]; 3],
}

impl Forms {
    /// The forms of a target that takes after `place`.
    pub(super) fn new(place: FormsOf<'_>, stand: &Stand<'_>) -> Forms {
        match place {
            FormsOf::Codes { qform, sform } => Forms::made(stand, (qform.max(0), sform.max(0))),
            FormsOf::Like(header) => Forms::like(header, stand),
        }
    }

    fn like(header: &Header, stand: &Stand<'_>) -> Forms {
        let codes = (header.qform_code.max(0), header.sform_code.max(0));
        let Some(model) = Model::of(header, stand.unit) else { return Forms::made(stand, codes) };
        if model.affine == stand.affine && !model.sform_is_void() {
            return model.copied(stand);
        }
        let step = model.affine.inverse().and_then(|inverse| on_axes(&inverse.after(&stand.affine)));
        match (step, model.kept_qform()) {
            (Some(step), Some(qform)) => model.moved(stand, &qform, &step),
            _ => Forms::made(stand, codes),
        }
    }

    /// Both forms from the affine alone. Codes of 0 stay 0 where axes are neither turned nor flipped, and become 1 (scanner) where
    /// they are. A sheared affine has no qform: its code is 0, the sform's positive.
    fn made(stand: &Stand<'_>, (mut qform_code, mut sform_code): (i32, i32)) -> Forms {
        let affine = &stand.affine;
        if (qform_code, sform_code) == (0, 0) && !is_scaling(affine) {
            (qform_code, sform_code) = (1, 1);
        }
        let rotation = if affine.shear() <= MAX_SHEAR { Rotation::of(affine) } else { None };
        let Some(rotation) = rotation else {
            sform_code = if sform_code > 0 { sform_code } else { qform_code.max(1) };
            let pixdim = pixdim(1.0, stand.spacing);
            return Forms {
                pixdim,
                qform_code: 0,
                sform_code,
                quatern: [0.0; 3],
                qoffset: [0.0; 3],
                srow: rows(affine),
            };
        };
        Forms {
            pixdim: pixdim(rotation.mirror, stand.spacing),
            qform_code,
            sform_code,
            quatern: rotation.quatern(stand.version),
            qoffset: affine.translation(),
            srow: rows(affine),
        }
    }

    /// Puts the fields into a header.
    pub(super) fn put(self, header: &mut Header) {
        header.pixdim[..4].copy_from_slice(&self.pixdim);
        (header.qform_code, header.sform_code) = (self.qform_code, self.sform_code);
        (header.quatern, header.qoffset, header.srow) = (self.quatern, self.qoffset, self.srow);
    }
}

/// A header that a target takes after, and what is read of it.
struct Model<'a> {
    header: &'a Header,
    shape: [u64; 3],
    form: Form,
    affine: Affine,
}

impl Model<'_> {
    /// `None` where the header states no place, or states it in another unit.
    fn of<'a>(header: &'a Header, unit: &Unit) -> Option<Model<'a>> {
        let shape = [header.dim[3], header.dim[2], header.dim[1]].map(|n| n.max(1).unsigned_abs());
        let (form, affine) = affine::place(Path::new(""), header, shape, &mut Vec::new()).ok()?;
        (affine::spatial_unit(header.xyzt_units) == *unit).then_some(Model { header, shape, form, affine })
    }

    /// An sform that is no geometry, beside the qform that was read.
    fn sform_is_void(&self) -> bool {
        self.form != Form::Sform && self.header.sform_code > 0
    }

    /// Every field as it stands, but for steps that nobody can take as they are.
    fn copied(&self, stand: &Stand<'_>) -> Forms {
        let header = self.header;
        let steps = std::array::from_fn(|a| {
            let (stated, step) = (header.pixdim[3 - a].abs(), stand.spacing[a]);
            let counts = header.qform_code > 0 || (stated - step).abs() <= MAX_STEP_DIFFERENCE * step;
            if stated.is_finite() && stated > 0.0 && counts { stated } else { step }
        });
        Forms {
            pixdim: pixdim(header.pixdim[0], steps),
            qform_code: header.qform_code,
            sform_code: header.sform_code,
            quatern: self.quatern(stand.version, self.header.quatern),
            qoffset: header.qoffset,
            srow: header.srow,
        }
    }

    /// b, c, d as they stand; those of NIfTI-2 rounded with care where the target is NIfTI-1.
    fn quatern(&self, version: Version, bcd: [f64; 3]) -> [f64; 3] {
        match (self.header.version, version) {
            (Version::Two, Version::One) => quaternion::round_to_f32(quaternion::complete(bcd)),
            _ => bcd,
        }
    }

    /// b, c, d of a target that has the same directions: as they stand, but no longer than 1, which nibabel refuses.
    fn sound_quatern(&self, version: Version) -> [f64; 3] {
        let bcd = self.header.quatern;
        if bcd.iter().map(|x| x * x).sum::<f64>() <= 1.0 + LONG {
            return self.quatern(version, bcd);
        }
        let [_, b, c, d] = quaternion::complete(bcd);
        self.quatern(version, [b, c, d])
    }

    /// The qform, where it is good and is to go on beside the sform: not where readers take a sheared sform (code 1) and would
    /// find another place in the qform.
    fn kept_qform(&self) -> Option<Affine> {
        let qform = good_qform(self.header, self.shape)?;
        let sform_rules = self.form == Form::Sform && self.header.sform_code == 1;
        (!sform_rules || self.affine.shear() <= MAX_SHEAR).then_some(qform)
    }

    /// Both forms, each moved by `step`, which takes indices of the target to those of the model.
    fn moved(&self, stand: &Stand<'_>, qform: &Affine, step: &OnAxes) -> Forms {
        let mut moved = qform.after(&step.affine);
        if self.form == Form::Qform {
            moved = stand.affine;
        }
        let (mirror, quatern) = if step.keeps_directions {
            (self.header.pixdim[0], self.sound_quatern(stand.version))
        } else {
            Rotation::of(&moved).map_or((1.0, [0.0; 3]), |rotation| (rotation.mirror, rotation.quatern(stand.version)))
        };
        let steps = std::array::from_fn(|a| {
            let (own, stated) = (moved.column_norm(a), stand.spacing[a]);
            if (own - stated).abs() <= MAX_STEP_DIFFERENCE * stated { stated } else { own }
        });
        Forms {
            pixdim: pixdim(mirror, steps),
            qform_code: self.header.qform_code,
            sform_code: self.header.sform_code.max(0),
            quatern,
            qoffset: moved.translation(),
            srow: rows(&stand.affine),
        }
    }
}

/// A map between indices that takes axes to axes.
struct OnAxes {
    affine: Affine,
    /// No axis is permuted or flipped.
    keeps_directions: bool,
}

/// `map` without the noise off its axes; `None` where it turns or shears.
fn on_axes(map: &Affine) -> Option<OnAxes> {
    let (mut affine, mut keeps_directions) = (Affine { m: [[0.0; 4]; 3] }, true);
    for c in 0..3 {
        let column = map.column(c);
        let r = (1..3).fold(0, |most, r| if column[r].abs() > column[most].abs() { r } else { most });
        let is_alone = (0..3).all(|other| other == r || column[other].abs() <= OFF_AXIS * column[r].abs());
        if !is_alone || affine.m[r][..3] != [0.0; 3] {
            return None;
        }
        affine.m[r][c] = column[r];
        affine.m[c][3] = map.m[c][3];
        keeps_directions &= r == c && column[r] > 0.0;
    }
    Some(OnAxes { affine, keeps_directions })
}

/// The rotation next to the directions of an affine.
struct Rotation {
    /// `pixdim[0]`: -1 where file axes are left-handed.
    mirror: f64,
    quaternion: [f64; 4],
}

impl Rotation {
    fn of(affine: &Affine) -> Option<Rotation> {
        // Storage order is the reverse of file order, which is an odd permutation of three axes.
        let mirror = if affine.determinant() > 0.0 { -1.0 } else { 1.0 };
        let unit = |c: usize, sign: f64| affine.column(c).map(|x| sign * x / affine.column_norm(c));
        let directions = Affine::from_columns([unit(2, 1.0), unit(1, 1.0), unit(0, mirror)], [0.0; 3]);
        let quaternion = quaternion::from_rotation(&rotation_of(&directions)?);
        Some(Rotation { mirror, quaternion })
    }

    fn quatern(&self, version: Version) -> [f64; 3] {
        let q = self.quaternion;
        match version {
            Version::One => quaternion::round_to_f32(q),
            Version::Two => [q[1], q[2], q[3]],
        }
    }
}

/// Whether file axes run along x, y and z: all that pixdim can say, but for the place of voxel 0.
fn is_scaling(affine: &Affine) -> bool {
    let [k, j, i] = std::array::from_fn(|a| affine.column_norm(a));
    let scaling = affine::scaling([i, j, k]);
    (0..3).all(|c| affine.column(c) == scaling.column(c))
}

fn pixdim(mirror: f64, [k, j, i]: [f64; 3]) -> [f64; 4] {
    [mirror, i, j, k]
}

fn rows(affine: &Affine) -> [[f64; 4]; 3] {
    affine.m.map(|[k, j, i, t]| [i, j, k, t])
}

#[cfg(test)]
mod tests;
