//! Vectors of a volume turned along with the image that they belong to.
//!
//! Vectors are directions in the world, so a change of grid leaves them alone; a transform of the world turns them. Each
//! is multiplied by the rotation nearest to the linear map from source world to target world (finite strain: Alexander, Pierpaoli,
//! Basser and Gee 2001, "Spatial transformations of diffusion tensor magnetic resonance images"). The rotation is the same
//! everywhere, and kernels weigh all components alike: so vectors are turned as they are read, and then resampled.

use super::{Request, Values};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    geometry::rotation_of,
    io::{Source, input::Input, nifti::Header},
    layout::{Access, Layout, stream_unit},
    resample::Method,
    transform::Chain,
    voxel::{Rounding, Voxel},
};

/// Raw bytes of one chunk of a source that has none of its own.
const CHUNK_BYTES: u64 = 512 << 10;
/// NIFTI_INTENT_DISPVECT, in the file's own frame.
const DISPLACEMENT: i32 = 1006;
/// NIFTI_INTENT_VECTOR, in LPS, as ITK and ANTs write them.
const VECTOR: i32 = 1007;

/// How the vectors of a source are turned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// The outer axis along which x, y and z stand.
    axis: usize,
    /// In the frame of the vectors.
    rotation: [[f64; 3]; 3],
}

impl Turn {
    /// The turn of the transforms of a request; nothing where it was not asked for, or turns nothing.
    ///
    /// # Errors
    /// A source that does not say that it holds vectors, a displacement field or a list among the transforms, samples that are
    /// no floats or have an intercept, a method that does not weigh voxels.
    pub fn resolve(
        request: &Request,
        input: &Input,
        chain: &Chain,
        (values, method): (&Values, Method),
        warnings: &mut Vec<String>,
    ) -> Result<Option<Turn>> {
        if !request.reorient_vectors {
            return Ok(None);
        }
        let (axis, is_lps) = vectors_of(input).ok_or_else(|| no_vectors(request))?;
        refuse_samples(values)?;
        if method.picks() {
            return Err(Error::usage_hint(
                format!("--reorient-vectors: {method} would take the components of a vector from different voxels"),
                "use nearest, mean or a kernel, such as linear",
            ));
        }
        if request.transform_list.is_some() {
            return Err(Error::usage_hint(
                "--reorient-vectors does not go with --transform-list: the components of a vector are volumes",
                "give one --transform for all of them",
            ));
        }
        let Some(world) = chain.affine() else {
            return Err(Error::usage_hint(
                "--reorient-vectors takes affines: through a displacement field every voxel has a rotation of its own",
                "leave it out, and turn the vectors by the Jacobian of the field afterwards",
            ));
        };
        let Some(to_source) = rotation_of(&world).filter(|rotation| !is_identity(rotation)) else {
            warnings.push(
                "--reorient-vectors turns nothing: the transforms have no rotation, and a grid turns no vectors".into(),
            );
            return Ok(None);
        };
        let sign = |a: usize| if is_lps && a < 2 { -1.0 } else { 1.0 };
        // The inverse of a rotation is its transpose.
        let rotation = std::array::from_fn(|r| std::array::from_fn(|c| sign(r) * sign(c) * to_source[c][r]));
        Ok(Some(Turn { axis, rotation }))
    }

    /// The layout of a source as [`Turned`] hands it over: the three components of a vector share chunks.
    pub fn layout<T: Voxel>(&self, source: &Layout) -> Layout {
        let mut layout = source.clone();
        layout.outer.chunk[self.axis] = layout.outer.axes[self.axis].len;
        if layout.access == Access::Random {
            layout.access = Access::Chunked;
            layout.chunk = stream_unit(layout.grid.shape, 3 * size_of::<T>() as u64, CHUNK_BYTES);
        }
        layout
    }
}

fn is_identity(rotation: &[[f64; 3]; 3]) -> bool {
    (0..9).all(|n| rotation[n / 3][n % 3] == f64::from(u8::from(n % 4 == 0)))
}

/// The outer axis of the components, and whether they are in LPS; nothing where the file does not say that it holds vectors.
fn vectors_of(input: &Input) -> Option<(usize, bool)> {
    let (&Header { dim, intent_code, .. }, _) = input.nifti_header()?;
    let layout = input.layout();
    let is_lps = match intent_code {
        VECTOR => true,
        DISPLACEMENT => false,
        _ => return None,
    };
    let rank = usize::try_from(dim[0]).ok()?;
    // The fifth dimension, by the standard; some writers leave out the fourth. Outer axes begin with the last dimension.
    let dimension = if rank >= 5 { 5 } else { 4 };
    let axis = rank.checked_sub(dimension)?;
    let is_vector = layout.outer.axes.get(axis).is_some_and(|axis| axis.len == 3);
    (is_vector && layout.components == 1).then_some((axis, is_lps))
}

fn no_vectors(request: &Request) -> Error {
    Error::usage_hint(
        format!("--reorient-vectors: {} does not say that it holds vectors", request.input.display()),
        "it takes NIfTI files of intent 1007 (vectors in LPS, as ITK and ANTs write them) or 1006 (displacements in RAS) with 3 along dimension 5",
    )
}

fn refuse_samples(values: &Values) -> Result<()> {
    let integer = [values.pipeline, values.target].into_iter().find(|dtype| !dtype.is_float());
    if let Some(dtype) = integer {
        return Err(Error::usage_hint(
            format!("--reorient-vectors: turned vectors are no whole numbers, and they would be {dtype}"),
            "give --dtype f32",
        ));
    }
    match values.kept_slope {
        Some((_, inter)) if inter != 0.0 => Err(Error::usage_hint(
            format!("--reorient-vectors: an intercept of {inter} does not turn along"),
            "apply it first: another --dtype, f32 or f64, does so",
        )),
        _ => Ok(()),
    }
}

/// A source whose vectors are turned as they are read.
pub(super) struct Turned<'a, T> {
    source: Box<dyn Source<T> + 'a>,
    layout: Layout,
    turn: Turn,
}

impl<'a, T: Voxel> Turned<'a, T> {
    /// `source` keeps volumes apart and can be read in any order.
    pub(super) fn new(source: Box<dyn Source<T> + 'a>, turn: Turn) -> Turned<'a, T> {
        let layout = turn.layout::<T>(source.layout());
        Turned { source, layout, turn }
    }
}

impl<T: Voxel> Source<T> for Turned<'_, T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let len = into.region.voxels() as usize;
        for (volume, voxels) in self.layout.outer.members(group).into_iter().zip(into.voxels.chunks_exact_mut(len)) {
            self.source.read(volume, BlockMut::new(into.region, 1, voxels))?;
        }
        let (x, yz) = into.voxels.split_at_mut(len);
        let (y, z) = yz.split_at_mut(len);
        for ((x, y), z) in x.iter_mut().zip(y).zip(z) {
            let vector = [x.to_f64(), y.to_f64(), z.to_f64()];
            let turned = self.turn.rotation.map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2]);
            [*x, *y, *z] = turned.map(|component| T::from_f64(component, Rounding::Nearest));
        }
        Ok(())
    }

    fn missing_chunks(&self) -> u64 {
        self.source.missing_chunks()
    }

    fn hidden_keys(&self) -> u64 {
        self.source.hidden_keys()
    }
}
