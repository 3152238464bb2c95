//! FreeSurfer's MGH, and MGZ, the same in a gzip stream.
//!
//! 284 bytes of header, big-endian, then voxels, then tags that are not read. The place that the header states (`c_ras`) is that of voxel
//! n/2 along each axis, a fraction where n is odd.
//!
//! Source: FreeSurfer, `mri.h`, `mriio.cpp` (`mghRead`).

use std::path::Path;

use super::{Data, Description, Place};
use crate::{
    error::{Error, Result},
    geometry::Unit,
    io::gzip::Coding,
    layout::Axis,
    voxel::Dtype,
};

/// Where the voxels begin.
pub(super) const HEADER_BYTES: u64 = 284;

/// Directions of the axes where the header says that it does not know them: coronal slices.
const CORONAL: [[f64; 3]; 3] = [[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]];

/// Numbers at their offsets.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }

    pub(super) fn int(&self, at: usize) -> i32 {
        i32::from_be_bytes(self.bytes(at))
    }

    fn float(&self, at: usize) -> f64 {
        f64::from(f32::from_be_bytes(self.bytes(at)))
    }

    pub(super) fn vector(&self, at: usize) -> [f64; 3] {
        std::array::from_fn(|n| self.float(at + 4 * n))
    }
}

/// Where the fields end; what follows is zero up to the voxels.
const FIELDS_BYTES: usize = 90;

/// What a volume holds, by the second byte of the version (`MGZ_INTENT_LABEL`, `MGZ_INTENT_WARPMAP`).
const LABELS: i32 = 1;
const WARP: i32 = 3;
const MOST_INTENT: i32 = 0xff;

/// Whether a file that begins like this is one: version 1, with what the volume holds, a type of samples, and zeros behind the fields. The
/// first two alone would take other files for it.
pub(super) fn is_one(head: &[u8]) -> bool {
    let fields = Fields(head);
    let rest = head.get(FIELDS_BYTES..HEADER_BYTES as usize);
    fields.int(0) & 0xff == 1
        && (0..=MOST_INTENT).contains(&intent(&fields))
        && matches!(fields.int(20), 0 | 1 | 3 | 4 | 10)
        && rest.is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
}

/// Whether a header says that its volume is a warp.
pub(super) fn is_warp(head: &[u8]) -> bool {
    intent(&Fields(head)) == WARP
}

fn intent(fields: &Fields<'_>) -> i32 {
    fields.int(0) >> 8
}

/// Where one step along each axis leads, and where the first voxel stands: the place that is stated is that of voxel n/2.
pub(super) fn place(
    shape: [f64; 3],
    steps: [f64; 3],
    directions: [[f64; 3]; 3],
    centre: [f64; 3],
) -> ([[f64; 3]; 3], [f64; 3]) {
    let columns: [[f64; 3]; 3] = std::array::from_fn(|a| directions[a].map(|x| x * steps[a]));
    let origin = std::array::from_fn(|c| centre[c] - (0..3).map(|a| columns[a][c] * shape[a] / 2.0).sum::<f64>());
    (columns, origin)
}

/// Reads a header.
pub(super) fn parse(path: &Path, head: &[u8], gzip: bool) -> Result<Description> {
    let fields = Fields(head);
    let size = |name: &str, at: usize| match fields.int(at) {
        n if n > 0 => Ok(n.unsigned_abs().into()),
        n => Err(Error::malformed(path, name, n, "at least 1")),
    };
    let shape = vec![size("width", 4)?, size("height", 8)?, size("depth", 12)?];
    let frames = size("nframes", 16)?;
    let stored = match fields.int(20) {
        0 => Dtype::U8,
        1 => Dtype::I32,
        3 => Dtype::F32,
        4 => Dtype::I16,
        _ => Dtype::U16,
    };
    let is_good = i16::from_be_bytes(fields.bytes(28)) > 0;
    let (steps, directions, centre) = match is_good {
        true => (fields.vector(30), [42, 54, 66].map(|at| fields.vector(at)), fields.vector(78)),
        false => ([1.0; 3], CORONAL, [0.0; 3]),
    };
    let (columns, origin) = place([shape[0] as f64, shape[1] as f64, shape[2] as f64], steps, directions, centre);
    let mut warnings = Vec::new();
    if !is_good {
        warnings.push("the header does not say where the volume is (goodRASFlag 0): coronal slices of 1 mm are assumed, as FreeSurfer does".into());
    }
    let frames_axis = Axis { name: "t".into(), len: frames, step: 1.0, start: 0.0, unit: None };
    Ok(Description {
        format: "MGH",
        shape,
        columns,
        origin,
        unit: Unit::Millimetre,
        anatomical: true,
        outer: if frames > 1 { vec![frames_axis] } else { Vec::new() },
        interleaved: None,
        components: 1,
        stored,
        big_endian: true,
        data: Data {
            path: path.to_path_buf(),
            place: if gzip { Place::InStream(HEADER_BYTES) } else { Place::At(HEADER_BYTES) },
            coding: gzip.then_some(Coding::Gzip),
        },
        is_label: intent(&fields) == LABELS,
        segments: Vec::new(),
        warnings,
    })
}
