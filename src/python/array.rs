//! Arrays of numpy as sources: read where they are, piece by piece.

use std::sync::Arc;

use numpy::{
    Element, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods,
    ndarray::{ArrayView3, ArrayViewMut3, Axis, Ix3, Zip, s},
};
use pyo3::prelude::*;

use crate::{
    block::BlockMut,
    dispatch,
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    io::{Source, own::OwnSource},
    job::{Request, handed_over},
    layout::{Axis as OuterAxis, Layout, Outer},
    region::Region,
    voxel::{Dtype, Rounding, Voxel},
};

/// An array as Python gives it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(super) struct Given {
    /// Axes: outer ones, components, z, y, x; any strides.
    array: Py<PyAny>,
    /// Rows x, y, z, to the right, anterior, superior; columns i, j, k and the origin.
    affine: [[f64; 4]; 3],
    unit: String,
    name: String,
    /// Names of the outer axes.
    outer: Vec<String>,
    /// Steps along them.
    steps: Vec<f64>,
    /// Whether that of time is in seconds.
    is_timed: bool,
}

/// The affine of rows x, y, z with columns i, j, k, in storage order.
fn affine(rows: [[f64; 4]; 3]) -> Affine {
    Affine { m: rows.map(|[i, j, k, t]| [k, j, i, t]) }
}

/// A grid in the body.
pub(super) fn grid([x, y, z]: [u64; 3], rows: [[f64; 4]; 3], unit: &str) -> Grid {
    Grid { anatomical: true, ..Grid::new([z, y, x], affine(rows), Unit::from_name(unit)) }
}

impl Given {
    /// The array as a source for a request, which learns the type of its samples.
    ///
    /// # Errors
    /// Samples of a type that is not resampled.
    pub(super) fn source(&self, py: Python<'_>, request: &mut Request) -> Result<OwnSource> {
        for stored in Dtype::ALL {
            let found = dispatch!(stored, S => {
                let array = self.array.bind(py).cast::<PyArrayDyn<S>>();
                array.ok().map(|array| self.of::<S>(array.clone().unbind(), array.shape(), request))
            });
            if let Some(source) = found {
                return Ok(source);
            }
        }
        Err(Error::usage_hint(
            format!("{} has samples of a type that is not resampled", self.name),
            "convert them to an integer or float type of 8 to 64 bits first",
        ))
    }

    fn of<S: Voxel + Element>(&self, array: Py<PyArrayDyn<S>>, shape: &[usize], request: &mut Request) -> OwnSource {
        let lengths: Vec<u64> = shape.iter().map(|&len| len as u64).collect();
        let (outer, rest) = lengths.split_at(lengths.len() - 4);
        let axis = |((name, &len), &step): ((&String, &u64), &f64)| {
            let unit = (self.is_timed && name == "t").then(|| "second".to_string());
            OuterAxis { name: name.clone(), len, step, start: 0.0, unit }
        };
        let mut layout = Layout::of(grid([rest[3], rest[2], rest[1]], self.affine, &self.unit), S::DTYPE);
        layout.outer = Outer::separate(self.outer.iter().zip(outer).zip(&self.steps).map(axis).collect());
        layout.components = rest[0] as usize;
        let needed = handed_over(S::DTYPE, request);
        if needed != S::DTYPE {
            request.dtype = request.dtype.or(Some(S::DTYPE));
        }
        let source = ArraySource { array, layout };
        match needed {
            Dtype::F32 if S::DTYPE != Dtype::F32 => OwnSource::new::<f32>(&self.name, Arc::new(source)),
            Dtype::F64 if S::DTYPE != Dtype::F64 => OwnSource::new::<f64>(&self.name, Arc::new(source)),
            _ => OwnSource::new::<S>(&self.name, Arc::new(source)),
        }
    }
}

/// An array with samples of type `S`.
struct ArraySource<S> {
    array: Py<PyArrayDyn<S>>,
    layout: Layout,
}

impl<S: Voxel + Element, T: Voxel> Source<T> for ArraySource<S> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Takes Python's lock for as long as the copy takes.
    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let gone = || Error::usage("Python has ended, and its array with it");
        Python::try_attach(|py| {
            let array = self.array.bind(py).try_readonly();
            let array = array.map_err(|error| Error::usage(format!("the array is being written: {error}")))?;
            let mut volume = array.as_array();
            let mut places = Vec::new();
            let mut rest = group;
            for axis in self.layout.outer.axes.iter().rev() {
                places.push((rest % axis.len) as usize);
                rest /= axis.len;
            }
            for place in places.into_iter().rev() {
                volume = volume.index_axis_move(Axis(0), place);
            }
            let len = into.region.voxels() as usize;
            for (component, voxels) in into.voxels.chunks_exact_mut(len.max(1)).enumerate() {
                let all = volume.index_axis(Axis(0), component).into_dimensionality::<Ix3>();
                let all = all.map_err(|error| Error::usage(format!("an array of other axes: {error}")))?;
                copy(part(&all, into.region), into.region, voxels)?;
            }
            Ok(())
        })
        .unwrap_or_else(|| Err(gone()))
    }
}

fn part<'a, S>(all: &'a ArrayView3<'_, S>, region: Region) -> ArrayView3<'a, S> {
    let [z, y, x] = std::array::from_fn(|a| region.lo[a] as usize..region.hi[a] as usize);
    all.slice(s![z, y, x])
}

/// Copies samples; of another type, as formats convert them on reading.
fn copy<S: Voxel, T: Voxel>(from: ArrayView3<'_, S>, region: Region, voxels: &mut [T]) -> Result<()> {
    let [nz, ny, nx] = region.shape();
    let other = |error| Error::usage(format!("a region of another shape: {error}"));
    if S::DTYPE == T::DTYPE {
        let into = ArrayViewMut3::from_shape((nz, ny, nx), bytemuck::cast_slice_mut::<T, S>(voxels));
        into.map_err(other)?.assign(&from);
        return Ok(());
    }
    let into = ArrayViewMut3::from_shape((nz, ny, nx), voxels).map_err(other)?;
    Zip::from(into).and(from).for_each(|voxel, sample| *voxel = T::from_f64(sample.to_f64(), Rounding::Nearest));
    Ok(())
}
