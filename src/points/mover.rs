//! One displacement of points: by a field or a spline, or the inverse of it by fixed point.

use std::sync::Arc;

use super::Displacement;
use crate::{
    error::Result,
    geometry::{MOST_STEPS, SETTLED_VOXELS},
    io::input::Input,
    transform::{Beyond, By, Displacing, FieldGrid, FieldKind, SplineGrid},
};

/// What displaces points, opened.
#[derive(Debug)]
pub(super) struct Mover {
    by: Opened,
    is_inverse: bool,
}

#[derive(Debug)]
enum Opened {
    Field(Box<Displacement>),
    Spline(Arc<SplineGrid>),
}

impl Mover {
    /// # Errors
    /// A field that cannot be opened, or is none.
    pub(super) fn open(what: &Displacing) -> Result<Mover> {
        let by = match &what.by {
            By::Field(file) => {
                let input = Input::open_field(&file.path)?;
                Opened::Field(Box::new(Displacement::open(input, file)?))
            }
            By::Spline(spline) => Opened::Spline(spline.clone()),
        };
        Ok(Mover { by, is_inverse: what.is_inverse })
    }

    /// What the vectors of a field are in its file.
    pub(super) fn kind(&self) -> Option<FieldKind> {
        match &self.by {
            Opened::Field(field) => Some(field.kind()),
            Opened::Spline(_) => None,
        }
    }

    /// Whether each point is looked up by itself.
    pub(super) fn is_random(&self) -> bool {
        match &self.by {
            Opened::Field(field) => field.is_random(),
            Opened::Spline(_) => true,
        }
    }

    /// Sends points (RAS mm) on; to NaN where they look nowhere. How many of them an inverse did not settle.
    ///
    /// # Errors
    /// Those of reading.
    pub(super) fn send(&self, points: &mut [[f64; 3]]) -> Result<u64> {
        if self.is_inverse {
            return self.send_back(points);
        }
        let moved = self.at(points, Beyond::Nothing)?;
        for (point, moved) in points.iter_mut().zip(moved) {
            *point = if self.is_nowhere(*point) { [f64::NAN; 3] } else { added(*point, moved, 1.0) };
        }
        Ok(0)
    }

    /// `y <- x - u(y)` from `y = x` on, each point until a step of it is short enough.
    fn send_back(&self, points: &mut [[f64; 3]]) -> Result<u64> {
        // A field that ends at its faces goes on while points find their way into it.
        let beyond = if self.grid().ends_at_faces() { Beyond::Edge } else { Beyond::Nothing };
        let from = points.to_vec();
        let mut looked = from.clone();
        let mut open: Vec<usize> = (0..from.len()).filter(|&n| from[n].iter().all(|x| x.is_finite())).collect();
        for _ in 0..MOST_STEPS {
            if open.is_empty() {
                break;
            }
            let places: Vec<[f64; 3]> = open.iter().map(|&n| points[n]).collect();
            let moved = self.at(&places, beyond)?;
            let settled = |(k, &n): (usize, &usize)| {
                looked[n] = places[k];
                points[n] = added(from[n], moved[k], -1.0);
                self.are_near(points[n], places[k])
            };
            let is_settled: Vec<bool> = open.iter().enumerate().map(settled).collect();
            let mut of_open = is_settled.into_iter();
            open.retain(|_| !of_open.next().unwrap_or(true));
        }
        for (point, looked) in points.iter_mut().zip(&looked) {
            if self.is_nowhere(*looked) {
                *point = [f64::NAN; 3];
            }
        }
        Ok(open.into_iter().filter(|&n| !self.is_nowhere(looked[n])).count() as u64)
    }

    fn at(&self, points: &[[f64; 3]], beyond: Beyond) -> Result<Vec<[f64; 3]>> {
        match &self.by {
            Opened::Field(field) => field.at(points, beyond),
            Opened::Spline(of) => {
                let vector = |&point: &[f64; 3]| of.spline.at(of.grid.world_to_index.apply(point));
                Ok(points.iter().map(|point| of.grid.displacement(vector(point).unwrap_or_default())).collect())
            }
        }
    }

    fn grid(&self) -> &FieldGrid {
        match &self.by {
            Opened::Field(field) => field.grid(),
            Opened::Spline(of) => &of.grid,
        }
    }

    /// Whether nothing is said of a place.
    fn is_nowhere(&self, place: [f64; 3]) -> bool {
        self.grid().ends_at_faces() && !self.grid().is_inside(place)
    }

    /// Whether two places are next to each other, in voxels of the grid.
    fn are_near(&self, a: [f64; 3], b: [f64; 3]) -> bool {
        let index = |place| self.grid().world_to_index.apply(place);
        let (a, b) = (index(a), index(b));
        (0..3).all(|axis| (a[axis] - b[axis]).abs() < SETTLED_VOXELS)
    }
}

fn added(point: [f64; 3], moved: [f64; 3], factor: f64) -> [f64; 3] {
    std::array::from_fn(|a| point[a] + factor * moved[a])
}
