//! Voxels and layouts.

use reslice::{
    geometry::{Affine, Grid, Unit},
    layout::{Access, Axis, Layout, Outer},
    voxel::{Dtype, Rounding, Voxel},
};

use super::rng::Rng;

/// Largest magnitude of random voxels: the whole range of small integers, 2^40 in wide ones.
pub(crate) fn magnitude(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 | Dtype::F64 => 1000.0,
        _ => dtype.range().1.min((1u64 << 40) as f64),
    }
}

pub(crate) fn random_voxels<T: Voxel>(count: usize, rng: &mut Rng) -> Vec<T> {
    let most = magnitude(T::DTYPE);
    (0..count).map(|_| T::from_f64(rng.between(-most, most), Rounding::Nearest)).map(fold_sign::<T>).collect()
}

/// Unsigned types would be 0 half of the time: their zeros become large values.
fn fold_sign<T: Voxel>(voxel: T) -> T {
    if T::range().0 == 0.0 && voxel.to_f64() == 0.0 {
        T::from_f64(0.7 * magnitude(T::DTYPE), Rounding::Nearest)
    } else {
        voxel
    }
}

pub(crate) fn count(shape: [u64; 3]) -> usize {
    shape.iter().product::<u64>() as usize
}

/// A layout without outer axes, one component.
pub(crate) fn layout(dtype: Dtype, shape: [u64; 3], access: Access, chunk: [u64; 3]) -> Layout {
    Layout {
        grid: Grid::new(shape, Affine::identity(), Unit::Millimetre),
        outer: Outer::default(),
        components: 1,
        stored: dtype,
        access,
        chunk: std::array::from_fn(|a| chunk[a].min(shape[a])),
        shard: None,
        transfer_bytes: 0,
        resident_bytes: 0,
        stored_bytes: None,
        ahead: Default::default(),
    }
}

/// Outer axes of these lengths, chunked like this.
pub(crate) fn outer(lens: &[u64], chunk: &[u64]) -> Outer {
    let axis = |(n, &len): (usize, &u64)| Axis { name: format!("o{n}"), len, step: 1.0, start: 0.0, unit: None };
    Outer { axes: lens.iter().enumerate().map(axis).collect(), chunk: chunk.to_vec() }
}
