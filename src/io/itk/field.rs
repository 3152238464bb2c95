//! A displacement field in an ITK file as an image: three volumes, which are stored together.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use hdf5_pure::Dataset;

use super::{FIELD, ItkFile, ItkPart, damaged};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    io::{Source, convert::Conversion, view::View},
    layout::{Access, Axis, Layout, Outer, stream_unit},
    voxel::{Dtype, Voxel},
};

/// Bytes of the vectors that are read at a time.
const UNIT_BYTES: u64 = 2 << 20;
/// Bytes of an HDF5 chunk at most, which is decoded whole; ITK writes 4 or 8 MiB.
const MOST_CHUNK_BYTES: u64 = 64 << 20;
const COMPONENTS: u64 = 3;

/// An opened displacement field: its geometry, no vectors.
#[derive(Clone)]
pub struct ItkField {
    pub path: PathBuf,
    vectors: Arc<Dataset>,
    place: String,
    /// Three volumes: x, y and z of the vectors, LPS mm.
    pub layout: Layout,
    /// The volumes that `layout` has of those, where it does not have them all.
    pub view: Option<View>,
}

impl fmt::Debug for ItkField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItkField").field("path", &self.path).field("place", &self.place).finish_non_exhaustive()
    }
}

impl ItkField {
    /// Opens a field of a file; `None` where the file has no transforms of ITK in HDF5. `number` says which transform it is, where there are several fields.
    ///
    /// # Errors
    /// No such field, or several; a size or geometry that is none.
    pub fn open(path: &Path, number: Option<&str>) -> Result<Option<ItkField>> {
        let file = match ItkFile::open(path) {
            Ok(Some(file)) if file.has_transforms() => file,
            // Other HDF5 files are refused with their names: see `foreign`.
            _ => return Ok(None),
        };
        let parts = file.parts()?;
        let is_meant =
            |part: &&ItkPart| part.kind() == FIELD && number.is_none_or(|number| number == part.number.to_string());
        let fields: Vec<&ItkPart> = parts.iter().filter(is_meant).collect();
        match fields[..] {
            [part] => ItkField::of_part(&file, part).map(Some),
            [] => {
                let kinds = parts.iter().map(ItkPart::kind).collect::<Vec<_>>().join(", ");
                let what = format!("it holds transforms and no image: {kinds}");
                let hint = Some(format!("give it to resample: --transform {}", path.display()));
                Err(Error::Unsupported { path: path.into(), what, hint })
            }
            _ => {
                let numbers = fields.iter().map(|part| part.number.to_string()).collect::<Vec<_>>().join(", ");
                let what =
                    format!("{} holds {} displacement fields, transforms {numbers}", path.display(), fields.len());
                Err(Error::usage_hint(what, format!("choose one: {}?transform={}", path.display(), fields[0].number)))
            }
        }
    }

    fn of_part(file: &ItkFile, part: &ItkPart) -> Result<ItkField> {
        let (path, place) = (file.path.clone(), part.place());
        let grid = grid(&path, &place, &part.class, &part.fixed)?;
        let voxels = grid.shape.iter().try_fold(COMPONENTS, |n, &len| n.checked_mul(len));
        if voxels != Some(part.len) {
            let [nz, ny, nx] = grid.shape;
            let found = format!("{} parameters", part.len);
            return Err(Error::malformed(&path, place, found, format!("3 for each of {nx}x{ny}x{nz} voxels")));
        }
        let vectors = file
            .numbers_of(part.number, "Parameters")
            .ok_or_else(|| Error::malformed(&path, &place, "no parameters", "vectors"))?;
        let of = |error: hdf5_pure::Error| damaged(&path, &place, &error);
        let stored = match vectors.dtype().map_err(of)? {
            hdf5_pure::DType::F32 => Dtype::F32,
            hdf5_pure::DType::F64 => Dtype::F64,
            other => {
                return Err(Error::malformed(&path, place, format!("numbers of the type {other:?}"), "f32 or f64"));
            }
        };
        let voxel_bytes = COMPONENTS * stored.bytes() as u64;
        let chunk = stream_unit(grid.shape, voxel_bytes, UNIT_BYTES);
        let unit_bytes = chunk.iter().product::<u64>() * voxel_bytes;
        let axis = Axis { name: "c".into(), len: COMPONENTS, step: 1.0, start: 0.0, unit: None };
        let layout = Layout {
            access: Access::Chunked,
            chunk,
            outer: Outer { axes: vec![axis], chunk: vec![COMPONENTS] },
            // A chunk as it is stored and decoded, and the unit twice: its bytes, and as numbers.
            transfer_bytes: 2 * chunk_bytes(&path, &place, &vectors, stored)? + 2 * unit_bytes,
            ..Layout::of(grid, stored)
        };
        Ok(ItkField { path, vectors: Arc::new(vectors), place, layout, view: None })
    }
}

/// Bytes of a chunk of HDF5; 0 where there are none.
fn chunk_bytes(path: &Path, place: &str, vectors: &Dataset, stored: Dtype) -> Result<u64> {
    let shape = vectors.chunk_shape().map_err(|error| damaged(path, place, &error))?;
    let Some(shape) = shape else { return Ok(0) };
    let bytes = shape.iter().fold(stored.bytes() as u64, |n, &len| n.saturating_mul(len));
    if bytes <= MOST_CHUNK_BYTES {
        return Ok(bytes);
    }
    let what = format!("{place} is stored in chunks of {bytes} bytes, of which {MOST_CHUNK_BYTES} are read at once");
    Err(Error::Unsupported { path: path.into(), what, hint: Some("write it by ITK, in chunks of 1 Mi numbers".into()) })
}

/// The voxels of a field, or the steps of a B-spline's grid, in RAS mm.
///
/// # Errors
/// `fixed` parameters that are no size, origin, spacing and direction.
pub fn grid(path: &Path, place: &str, class: &str, fixed: &[f64]) -> Result<Grid> {
    let Ok(fixed) = <[f64; 18]>::try_from(fixed) else {
        let found = format!("{} fixed parameters of {class}", fixed.len());
        return Err(Error::malformed(path, place, found, "18: size, origin, spacing and direction in 3 dimensions"));
    };
    let [size, origin, spacing] = [0, 3, 6].map(|first| [fixed[first], fixed[first + 1], fixed[first + 2]]);
    let is_size = |n: f64| n >= 1.0 && n.fract() == 0.0 && n <= 2f64.powi(31);
    if !size.into_iter().all(is_size) {
        return Err(Error::malformed(path, place, format!("a size of {size:?}"), "whole numbers from 1 on"));
    }
    let lps_to_ras = |[x, y, z]: [f64; 3]| [-x, -y, z];
    let column = |a: usize| lps_to_ras(std::array::from_fn(|r| fixed[9 + 3 * r + a] * spacing[a]));
    let index_to_world = Affine::from_columns([column(2), column(1), column(0)], lps_to_ras(origin));
    if !index_to_world.is_finite() || index_to_world.inverse().is_none() {
        let found = format!("spacing {spacing:?} along {:?} from {origin:?}", &fixed[9..]);
        return Err(Error::malformed(path, place, found, "axes that span space"));
    }
    Ok(Grid::new([size[2] as u64, size[1] as u64, size[0] as u64], index_to_world, Unit::Millimetre))
}

/// The vectors, read by runs of voxels.
pub struct FieldSource {
    field: ItkField,
    layout: Layout,
    conversion: Conversion,
}

impl FieldSource {
    /// `layout` is that of all three volumes.
    pub fn new(field: &ItkField, layout: Layout, conversion: Conversion) -> FieldSource {
        FieldSource { field: field.clone(), layout, conversion }
    }

    /// The bytes of `len` vectors from number `first` on, little endian.
    fn run(&self, first: u64, len: u64) -> Result<Vec<u8>> {
        let ItkField { path, vectors, place, .. } = &self.field;
        let (first, len) = (first * COMPONENTS, len * COMPONENTS);
        let bytes = match self.layout.stored {
            Dtype::F32 => vectors.read_f32_rows(first, len).map(|values| bytes_of(&values, f32::to_le_bytes)),
            _ => vectors.read_f64_rows(first, len).map(|values| bytes_of(&values, f64::to_le_bytes)),
        };
        let bytes = bytes.map_err(|error| damaged(path, place, &error))?;
        if bytes.len() as u64 == len * self.layout.stored.bytes() as u64 {
            return Ok(bytes);
        }
        Err(Error::malformed(
            path,
            place,
            format!("{} bytes from number {first} on", bytes.len()),
            format!("{len} numbers"),
        ))
    }
}

fn bytes_of<V: Copy, const N: usize>(values: &[V], bytes: impl Fn(V) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

impl<T: Voxel> Source<T> for FieldSource {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let ([_, ny, nx], region) = (self.layout.grid.shape, into.region);
        let [kz, ky, kx] = region.shape().map(|n| n as u64);
        // Chunks are runs of whole rows, in one plane or in whole planes.
        let is_run = kx == nx && (ky == ny || kz == 1);
        if group != 0 || into.volumes as u64 != COMPONENTS || !is_run {
            return Err(Error::usage(format!("region {region} x {} is no run of vectors", into.volumes)));
        }
        let first = (region.lo[0] as u64 * ny + region.lo[1] as u64) * nx;
        let bytes = self.run(first, kz * ky * kx)?;
        let mut values = vec![T::default(); (kz * ky * kx * COMPONENTS) as usize];
        self.conversion.decode(&bytes, &mut values);
        let voxels = into.voxels.len() / into.volumes;
        for (component, plane) in into.voxels.chunks_exact_mut(voxels.max(1)).enumerate() {
            let of_component = values.iter().skip(component).step_by(COMPONENTS as usize);
            plane.iter_mut().zip(of_component).for_each(|(voxel, &value)| *voxel = value);
        }
        Ok(())
    }
}
