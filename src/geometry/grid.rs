//! A grid: how many voxels, where they stand, and in which unit.

use serde::{Serialize, Serializer};

use super::Affine;

/// The unit of world coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Not said by the file. NIfTI readers take millimetre instead of this.
    Unknown,
    Metre,
    Millimetre,
    Micrometre,
    Nanometre,
    Angstrom,
    /// Any other length of the OME-Zarr vocabulary, by its name there.
    Other(String),
}

impl Unit {
    /// Length of one unit in metres, where it is known.
    pub fn metres(&self) -> Option<f64> {
        Some(match self {
            Unit::Metre => 1.0,
            Unit::Millimetre => 1e-3,
            Unit::Micrometre => 1e-6,
            Unit::Nanometre => 1e-9,
            Unit::Angstrom => 1e-10,
            Unit::Other(name) => match name.as_str() {
                "centimeter" => 1e-2,
                "decimeter" => 1e-1,
                "kilometer" => 1e3,
                "picometer" => 1e-12,
                "inch" => 0.0254,
                "foot" => 0.3048,
                _ => return None,
            },
            Unit::Unknown => return None,
        })
    }

    /// Factor from lengths in `self` to lengths in `other`; `None` where one of them is not known.
    ///
    /// Whole numbers and their reciprocals are exact.
    pub fn factor_to(&self, other: &Unit) -> Option<f64> {
        if self == other {
            return Some(1.0);
        }
        let (factor, inverse) = (self.metres()? / other.metres()?, other.metres()? / self.metres()?);
        let is_whole = |x: f64| (x - x.round()).abs() <= 1e-12 * x;
        Some(match (is_whole(factor), is_whole(inverse)) {
            (true, _) => factor.round(),
            (_, true) => 1.0 / inverse.round(),
            _ => factor,
        })
    }

    /// The name in the OME-Zarr vocabulary (UDUNITS-2 long names).
    pub fn ome_name(&self) -> Option<&str> {
        Some(match self {
            Unit::Unknown => return None,
            Unit::Metre => "meter",
            Unit::Millimetre => "millimeter",
            Unit::Micrometre => "micrometer",
            Unit::Nanometre => "nanometer",
            Unit::Angstrom => "angstrom",
            Unit::Other(name) => name,
        })
    }

    /// The unit of this name in the OME-Zarr vocabulary; anything else is kept as it stands.
    pub fn from_ome_name(name: &str) -> Unit {
        match name {
            "meter" => Unit::Metre,
            "millimeter" => Unit::Millimetre,
            "micrometer" => Unit::Micrometre,
            "nanometer" => Unit::Nanometre,
            "angstrom" => Unit::Angstrom,
            other => Unit::Other(other.to_string()),
        }
    }

    /// The abbreviation that people read.
    pub fn symbol(&self) -> &str {
        match self {
            Unit::Unknown => "units",
            Unit::Metre => "m",
            Unit::Millimetre => "mm",
            Unit::Micrometre => "um",
            Unit::Nanometre => "nm",
            Unit::Angstrom => "angstrom",
            Unit::Other(name) => name,
        }
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.ome_name().unwrap_or("unknown"))
    }
}

/// Voxel counts and the index-to-world affine, both in storage order (slowest axis first).
///
/// An integer index is the centre of a voxel.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    pub shape: [u64; 3],
    pub index_to_world: Affine,
    /// Spacing as the file states it, where that agrees with the affine; the grid rules prefer it over the rounded norm.
    pub stated_spacing: Option<[f64; 3]>,
    pub unit: Unit,
}

impl Grid {
    pub fn new(shape: [u64; 3], index_to_world: Affine, unit: Unit) -> Grid {
        Grid { shape, index_to_world, stated_spacing: None, unit }
    }

    /// Step along each axis: the stated spacing where it agrees with the column norm to 1e-6, else the norm.
    pub fn spacing(&self) -> [f64; 3] {
        std::array::from_fn(|a| {
            let norm = self.index_to_world.column_norm(a);
            match self.stated_spacing {
                Some(stated) if (stated[a] - norm).abs() <= 1e-6 * norm.abs() => stated[a],
                _ => norm,
            }
        })
    }

    /// Index to world in millimetres; a unit that is not known is taken for one.
    pub fn index_to_millimetres(&self) -> Affine {
        let factor = self.unit.factor_to(&Unit::Millimetre).unwrap_or(1.0);
        Affine { m: self.index_to_world.m.map(|row| row.map(|x| x * factor)) }
    }

    /// World position of voxel (0, 0, 0).
    pub fn origin(&self) -> [f64; 3] {
        self.index_to_world.translation()
    }

    /// Number of voxels, saturating.
    pub fn voxels(&self) -> u64 {
        self.shape.iter().fold(1u64, |n, &extent| n.saturating_mul(extent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_exact_where_they_are_whole() {
        for (from, to, factor) in [
            (Unit::Millimetre, Unit::Micrometre, 1000.0),
            (Unit::Micrometre, Unit::Nanometre, 1000.0),
            (Unit::Angstrom, Unit::Nanometre, 0.1),
            (Unit::Nanometre, Unit::Metre, 1e-9),
            (Unit::Other("parsec".into()), Unit::Other("parsec".into()), 1.0),
        ] {
            assert_eq!(from.factor_to(&to), Some(factor));
        }
        assert_eq!(Unit::Unknown.factor_to(&Unit::Metre), None);
        let inch = Unit::Other("inch".into()).factor_to(&Unit::Millimetre).unwrap();
        assert!((inch - 25.4).abs() < 1e-12);
    }

    #[test]
    fn the_stated_spacing_counts_where_the_affine_agrees() {
        let columns = [[0.0, 0.0, 3.0], [0.0, 2.0, 0.0], [1.0, 0.0, 0.0]];
        let mut grid = Grid::new([2; 3], Affine::from_columns(columns, [0.0; 3]), Unit::Millimetre);
        assert_eq!(grid.spacing(), [3.0, 2.0, 1.0]);
        grid.stated_spacing = Some([2.9999998, 2.1, 1.0]);
        assert_eq!(grid.spacing(), [2.9999998, 2.0, 1.0]);
    }
}
