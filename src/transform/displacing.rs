//! What moves points otherwise than an affine.

use std::{path::PathBuf, sync::Arc};

use super::{FieldFile, FieldGrid};
use crate::geometry::Spline;

/// Displacements of points, from target world to source world.
#[derive(Clone, Debug, PartialEq)]
pub struct Displacing {
    pub by: By,
    /// Whether points go to where they would have been displaced from.
    pub is_inverse: bool,
}

/// Where displacements come from.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// Not opened yet.
    Field(FieldFile),
    Spline(Arc<SplineGrid>),
}

/// A cubic B-spline of displacements in the world.
#[derive(Clone, Debug, PartialEq)]
pub struct SplineGrid {
    /// Of the coefficients.
    pub grid: FieldGrid,
    pub spline: Arc<Spline>,
}

impl Displacing {
    /// By the vectors of a field.
    pub fn field(path: PathBuf) -> Displacing {
        Displacing { by: By::Field(FieldFile { path, said: None }), is_inverse: false }
    }

    /// The inverse.
    pub fn inverted(self) -> Displacing {
        Displacing { is_inverse: !self.is_inverse, ..self }
    }
}
