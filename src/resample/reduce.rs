//! From one level of a pyramid to the next: axes halved, nothing of the last plane lost.

use std::str::FromStr;

use serde::Serialize;

use super::{
    BlockOp, Kernel, KernelShape, Nearest, Outside, Separable, TapTable,
    halved::{Halved, Summary},
};
use crate::{
    geometry::AxisMap,
    region::Region,
    voxel::{Rounding, Voxel},
};

/// Sigma of the Gaussian in source voxels along a halved axis: the smoothing that takes a full width at half maximum of one
/// source voxel to one target voxel, `sqrt((2^2 - 1) / (8 ln 2))` (Cardoso et al. 2015).
const HALVING_SIGMA: f64 = 0.735_534_255_037_358;

/// How voxels of a coarser level are made from those of the level above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// The mean of the 2, 4 or 8 voxels spanned, at the far border of those that exist.
    Mean,
    /// The most frequent of them, ties to the lower: for labels.
    Mode,
    /// A Gaussian of 0.7355 voxel at their centre; voxels beyond the border are left out.
    Gaussian,
    /// The first of them.
    Stride,
}

impl Reduction {
    /// Every one.
    pub const ALL: [Reduction; 4] = [Reduction::Mean, Reduction::Mode, Reduction::Gaussian, Reduction::Stride];

    /// As `--method` has it.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Mean => "mean",
            Reduction::Mode => "mode",
            Reduction::Gaussian => "gaussian",
            Reduction::Stride => "stride",
        }
    }

    /// Whether a voxel stands at the centre of those that it spans, and not on the first of them.
    pub fn is_centred(self) -> bool {
        self != Reduction::Stride
    }

    /// Whether a voxel looks at nothing but those that it spans.
    pub fn is_local(self) -> bool {
        self != Reduction::Gaussian
    }
}

impl FromStr for Reduction {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Reduction::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| format!("'{name}' is none of mean, mode, gaussian, stride"))
    }
}

/// The op from a level of `source_shape` voxels to the next, whose voxels span `factors` (1 or 2 along each axis) of it.
pub fn reduction_op<T: Voxel>(method: Reduction, source_shape: [u64; 3], factors: [u64; 3]) -> Box<dyn BlockOp<T>> {
    let shape = std::array::from_fn(|a| source_shape[a].div_ceil(factors[a]));
    let map = |a: usize| {
        let offset = if method.is_centred() { (factors[a] - 1) as f64 / 2.0 } else { 0.0 };
        AxisMap { source_axis: a, scale: factors[a] as f64, offset }
    };
    let maps = [map(0), map(1), map(2)];
    let kernel = match method {
        Reduction::Mode => return Box::new(Halved::new(Summary::Mode, source_shape, factors)),
        Reduction::Stride => {
            return Box::new(Nearest::new(shape, maps, Region::of_shape(source_shape), Outside::Edge));
        }
        Reduction::Mean => return Box::new(Halved::new(Summary::Mean, source_shape, factors)),
        Reduction::Gaussian => KernelShape::Gaussian { sigma: HALVING_SIGMA },
    };
    let tables = std::array::from_fn(|a| {
        // An axis that stays is not smoothed.
        let shape_along = if factors[a] == 1 { KernelShape::Linear } else { kernel };
        let kernel = Kernel { shape: shape_along, stretch: 1.0 };
        TapTable::<T::Acc>::new(&maps[a], shape[a], 0..source_shape[a] as i64, &kernel, true)
    });
    Box::new(Separable::new(shape, &maps, tables, Outside::Edge, Rounding::Nearest))
}
