//! Types of the `nifti` crate at the library's border: its headers give grids and layouts, its volumes are sources, and a layout gives a
//! header back.
//!
//! Files go through this library's own codec, which also knows NIfTI-2 and sizes beyond 64 KiB along an axis. Values are real ones:
//! stored numbers with `scl_slope` and `scl_inter` applied.

use std::{
    io::Read,
    marker::PhantomData,
    path::Path,
    sync::{Mutex, PoisonError},
};

use nifti::{Endianness, InMemNiftiVolume, NiftiHeader, StreamedNiftiVolume};

use super::{
    affine, axes,
    check::check,
    header::{Header, Version},
    target::{TargetSpec, target_header},
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    geometry::Grid,
    io::{Source, convert::Conversion, packed::Packed},
    layout::{Access, Layout, write_unit},
    voxel::{Rounding, Voxel},
};

/// What stands for the file's name in messages.
const NAME: &str = "NIfTI header";

impl TryFrom<&NiftiHeader> for Grid {
    type Error = Error;

    /// Shape (slices, rows, columns) and place of the first volume; world RAS, in the unit of the header.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::Unsupported`] name the field, as for files.
    fn try_from(header: &NiftiHeader) -> Result<Grid> {
        Layout::try_from(header).map(|layout| layout.grid)
    }
}

impl TryFrom<&NiftiHeader> for Layout {
    type Error = Error;

    /// Grid, outer axes (dimensions 4 to 7, slowest first), components and stored type.
    ///
    /// # Errors
    /// As for [`Grid`].
    fn try_from(header: &NiftiHeader) -> Result<Layout> {
        read(header).map(|(layout, _)| layout)
    }
}

/// The layout that a header states, and how its samples become real values.
fn read(theirs: &NiftiHeader) -> Result<(Layout, Conversion)> {
    let (path, mut header) = (Path::new(NAME), ours(theirs));
    // What is only worth a warning was told by whoever read the header.
    let mut warnings = Vec::new();
    let extent = check(path, &mut header, &mut warnings)?;
    let grid = affine::grid(path, &header, extent.shape, &mut warnings)?;
    let layout = Layout {
        chunk: write_unit(grid.shape, extent.voxel_bytes),
        outer: axes::outer(&header),
        components: extent.components,
        ..Layout::of(grid, extent.stored)
    };
    let conversion = Conversion {
        stored: extent.stored,
        big_endian: header.big_endian,
        slope: header.slope(),
        rounding: Rounding::Nearest,
    };
    Ok((layout, conversion))
}

/// The NIfTI-1 header of a volume with this layout, little-endian, for a single file without extensions. What a grid does not say
/// (intent, description, calibration and the like) is taken from `like`.
///
/// # Errors
/// [`Error::Unsupported`] where NIfTI-1 has no such samples, or no axis that long.
pub fn nifti_header(layout: &Layout, like: Option<&NiftiHeader>) -> Result<NiftiHeader> {
    let like = like.map(ours);
    let spec = TargetSpec {
        path: Path::new(NAME),
        like: like.as_ref(),
        place: None,
        extensions: &[],
        grid: &layout.grid,
        outer: &layout.outer,
        stored: layout.stored,
        components: layout.components,
        slope: None,
        slice_axis_resampled: false,
        single_file: true,
    };
    let (header, bytes) = target_header(&spec)?;
    if header.version != Version::One {
        let what = format!("an axis of more than {} voxels needs NIfTI-2", Version::One.max_dim());
        return Err(Error::Unsupported { path: NAME.into(), what, hint: None });
    }
    NiftiHeader::from_reader(&bytes[..]).map_err(crate_error)
}

fn crate_error(error: nifti::NiftiError) -> Error {
    Error::Unsupported { path: NAME.into(), what: error.to_string(), hint: None }
}

/// Their header in the types of ours.
fn ours(theirs: &NiftiHeader) -> Header {
    let wide = |values: [f32; 4]| values.map(f64::from);
    let mut descrip = [0; 80];
    let len = theirs.descrip.len().min(80);
    descrip[..len].copy_from_slice(&theirs.descrip[..len]);
    Header {
        big_endian: matches!(theirs.endianness, Endianness::Big),
        single_file: theirs.magic == *b"n+1\0",
        data_type: theirs.data_type,
        db_name: theirs.db_name,
        extents: theirs.extents,
        session_error: theirs.session_error,
        regular: theirs.regular,
        dim_info: theirs.dim_info,
        dim: theirs.dim.map(i64::from),
        intent_p: [theirs.intent_p1, theirs.intent_p2, theirs.intent_p3].map(f64::from),
        intent_code: theirs.intent_code.into(),
        datatype: theirs.datatype,
        bitpix: theirs.bitpix,
        slice_start: theirs.slice_start.into(),
        slice_end: theirs.slice_end.into(),
        slice_code: theirs.slice_code.into(),
        slice_duration: theirs.slice_duration.into(),
        pixdim: theirs.pixdim.map(f64::from),
        vox_offset: theirs.vox_offset as i64,
        scl_slope: theirs.scl_slope.into(),
        scl_inter: theirs.scl_inter.into(),
        xyzt_units: theirs.xyzt_units.into(),
        cal_max: theirs.cal_max.into(),
        cal_min: theirs.cal_min.into(),
        toffset: theirs.toffset.into(),
        glmax: theirs.glmax,
        glmin: theirs.glmin,
        descrip,
        aux_file: theirs.aux_file,
        qform_code: theirs.qform_code.into(),
        sform_code: theirs.sform_code.into(),
        quatern: [theirs.quatern_b, theirs.quatern_c, theirs.quatern_d].map(f64::from),
        qoffset: [theirs.quatern_x, theirs.quatern_y, theirs.quatern_z].map(f64::from),
        srow: [wide(theirs.srow_x), wide(theirs.srow_y), wide(theirs.srow_z)],
        intent_name: theirs.intent_name,
        ..Header::new(Version::One)
    }
}

/// A volume of the `nifti` crate in memory.
#[derive(Debug)]
pub struct NiftiVolumeSource<T> {
    layout: Layout,
    packed: Packed,
    bytes: Vec<u8>,
    voxel: PhantomData<T>,
}

impl<T: Voxel> NiftiVolumeSource<T> {
    /// `header` is that of the volume. The voxels are not copied.
    ///
    /// # Errors
    /// Those of the header; [`Error::Malformed`] where the volume has another size.
    pub fn new(header: &NiftiHeader, volume: InMemNiftiVolume) -> Result<NiftiVolumeSource<T>> {
        let (layout, conversion) = read(header)?;
        let packed = Packed::new(&layout, 0, conversion);
        let (bytes, expected) = (volume.into_raw_data(), packed.position(layout.outer.volumes(), [0; 3]));
        if bytes.len() as u64 != expected {
            return Err(Error::malformed(
                NAME,
                "dim",
                format!("{expected} bytes of voxels"),
                format!("the {} there are", bytes.len()),
            ));
        }
        Ok(NiftiVolumeSource { layout, packed, bytes, voxel: PhantomData })
    }
}

impl<T: Voxel> Source<T> for NiftiVolumeSource<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let mut first = 0;
        for (position, voxels) in self.packed.runs(group, into.region) {
            let end = position + voxels as u64 * self.packed.voxel_bytes();
            self.packed.unpack(&self.bytes[position as usize..end as usize], &mut into, first);
            first += voxels;
        }
        Ok(())
    }
}

/// A volume of the `nifti` crate that is read slice by slice, and once.
#[derive(Debug)]
pub struct NiftiStreamSource<T, R> {
    layout: Layout,
    packed: Packed,
    state: Mutex<Stream<R>>,
    voxel: PhantomData<T>,
}

#[derive(Debug)]
struct Stream<R> {
    volume: StreamedNiftiVolume<R>,
    buffer: Vec<u8>,
}

impl<T: Voxel, R: Read + Send> NiftiStreamSource<T, R> {
    /// `header` is that of the volume, of which no slice was read yet. Slices may be rows, planes or volumes; planes are what keeps
    /// memory small: `StreamedNiftiVolume::from_reader_rank(reader, &header, 2)`.
    ///
    /// # Errors
    /// Those of the header; [`Error::Usage`] where slices have more than three dimensions, or some were read.
    pub fn new(header: &NiftiHeader, volume: StreamedNiftiVolume<R>) -> Result<NiftiStreamSource<T, R>> {
        let (mut layout, conversion) = read(header)?;
        let packed = Packed::new(&layout, 0, conversion);
        let [nz, ny, nx] = layout.grid.shape;
        layout.access = Access::Ascending;
        layout.chunk = match volume.slice_dim().len() {
            1 => [1, 1, nx],
            2 => [1, ny, nx],
            3 => [nz, ny, nx],
            rank => return Err(Error::usage(format!("slices have {rank} dimensions, and 1 to 3 can be read"))),
        };
        if volume.slices_read() > 0 {
            return Err(Error::usage(format!("{} slices of the stream are gone", volume.slices_read())));
        }
        layout.resident_bytes = layout.chunk.iter().product::<u64>() * packed.voxel_bytes();
        let state = Mutex::new(Stream { volume, buffer: Vec::new() });
        Ok(NiftiStreamSource { layout, packed, state, voxel: PhantomData })
    }
}

impl<T: Voxel, R: Read + Send> Source<T> for NiftiStreamSource<T, R> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let slice_bytes = self.layout.chunk.iter().product::<u64>() * self.packed.voxel_bytes();
        let wanted = self.packed.position(group, into.region.lo) / slice_bytes;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Stream { volume, buffer } = &mut *state;
        if wanted < volume.slices_read() as u64 {
            let what =
                format!("a stream is read forward only: slice {wanted} is wanted after {}", volume.slices_read());
            return Err(Error::usage(what));
        }
        loop {
            let is_wanted = volume.slices_read() as u64 == wanted;
            let slice = volume.read_slice_inline(std::mem::take(buffer)).map_err(crate_error)?;
            *buffer = slice.into_raw_data();
            if is_wanted {
                self.packed.unpack(buffer, &mut into, 0);
                return Ok(());
            }
        }
    }
}
