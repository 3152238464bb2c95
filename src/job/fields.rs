//! The displacements of a job: the mapping through them, and the fields among them.

use std::sync::{Arc, atomic::AtomicBool};

use super::field::{Field, Reading, Vectors};
use crate::{
    error::{Error, Result},
    geometry::{self, Affine, Grid, Hull, Matrix, Snapped, Stage, VectorRanges, Warp},
    io::Source,
    pipeline::Progress,
    plan::Budget,
    sys,
    transform::{By, Chain, FieldGrid},
};

/// What displaces points between two grids, not read yet.
#[derive(Debug)]
pub struct Fields {
    /// To the world behind the last displacement.
    way: Way,
    /// What the chain has behind that.
    after: Affine,
    world_to_source: Affine,
    fields: Vec<Opened>,
}

/// A field, and the transform that it belongs to.
#[derive(Debug)]
struct Opened {
    field: Field,
    step: usize,
}

/// What was read of the fields.
pub struct ReadFields {
    /// Of each field.
    pub ranges: Vec<Arc<VectorRanges>>,
    /// Of each field, by position; nothing in a dry run.
    pub vectors: Vec<Vectors>,
}

impl ReadFields {
    fn bytes(&self) -> u64 {
        self.ranges.iter().map(|ranges| ranges.bytes()).sum()
    }
}

/// Fields as passes take them.
pub(super) fn sources(vectors: &[Vectors]) -> Vec<&dyn Source<f32>> {
    vectors.iter().map(|vectors| vectors.source.as_ref()).collect()
}

/// Reads every field of a chain once, for the ranges of all its vectors: in an eighth of the memory, where that is enough.
///
/// # Errors
/// A file that is no displacement field; those of [`Field::read`].
pub(super) fn ranges(chain: &Chain, memory_bytes: u64) -> Result<Vec<(FieldGrid, Hull)>> {
    let mut all = Vec::new();
    for met in &chain.moves {
        let By::Field(path) = &met.what.by else { continue };
        let field = Field::open(path)?;
        let reserved = sys::resident().now_bytes;
        let small = Budget::new(reserved.saturating_add(memory_bytes / 8).min(memory_bytes), 1, reserved);
        let budget = if field.plan(small).is_ok() { small } else { Budget::new(memory_bytes, 1, reserved) };
        let reading = Reading { folder: None, checks_disk: false, budget };
        let (ranges, _) = field.read(reading, sys::stop_flag(), &mut |_| {})?;
        all.push((field.grid.clone(), ranges.all()));
    }
    Ok(all)
}

impl Fields {
    /// Opens what displaces points in a chain, if anything does: metadata, no voxels. The chain learns what the vectors of fields are.
    ///
    /// # Errors
    /// A file that is no displacement field, a source without an inverse.
    pub fn open(chain: &mut Chain, target: &Grid, source: &Grid) -> Result<Option<Fields>> {
        if chain.moves.is_empty() {
            return Ok(None);
        }
        let [target_mm, source_mm] = [target, source].map(Grid::index_to_millimetres);
        let singular = || Error::usage(format!("the affine of the source is singular: {:?}", source.index_to_world.m));
        let world_to_source = source_mm.inverse().ok_or_else(singular)?;
        let (mut fields, mut way) = (Vec::new(), Way::from(target_mm));
        for n in 0..chain.moves.len() {
            let met = chain.moves[n].clone();
            way.go(&met.before);
            let (grid, vectors) = match &met.what.by {
                By::Field(file) => {
                    let field = Field::open(file)?;
                    let (grid, still) = (field.grid.clone(), VectorRanges::new(field.grid.shape));
                    chain.learn(n, grid.kind);
                    fields.push(Opened { field, step: met.step });
                    (grid, geometry::Vectors::Field(Arc::new(still)))
                }
                By::Spline(of) => (of.grid.clone(), geometry::Vectors::Spline(of.spline.clone())),
            };
            way.meet(&grid, vectors, met.what.is_inverse, target.shape);
        }
        Ok(Some(Fields { way, after: chain.after, world_to_source, fields }))
    }

    /// The mapping as if no field moved anything; with `entry`, that of a volume with an affine of its own behind the chain.
    pub fn still(&self, entry: Option<&Affine>) -> Warp {
        let after = entry.map_or(self.after, |entry| entry.after(&self.after));
        self.way.arrive(&self.world_to_source.after(&after))
    }

    /// The grids of the fields, each with the number of its step.
    pub fn grids(&self) -> impl Iterator<Item = (&Grid, usize)> {
        self.fields.iter().map(|opened| (opened.field.voxels(), opened.step))
    }

    /// Reads every field once, each with its number.
    ///
    /// # Errors
    /// Those of [`Field::read`].
    pub fn read(
        &self,
        reading: Reading<'_>,
        stop: &AtomicBool,
        on_progress: &mut dyn FnMut([usize; 2], &Progress),
    ) -> Result<ReadFields> {
        let mut read = ReadFields { ranges: Vec::new(), vectors: Vec::new() };
        for (n, Opened { field, .. }) in self.fields.iter().enumerate() {
            let reading = Reading { budget: with(reading.budget, read.bytes()), ..reading };
            let of = [n, self.fields.len()];
            let (ranges, vectors) = field.read(reading, stop, &mut |progress| on_progress(of, progress))?;
            read.ranges.push(Arc::new(ranges));
            read.vectors.extend(vectors);
        }
        Ok(read)
    }

    /// Whether the budget is enough to read the fields.
    ///
    /// # Errors
    /// It is too small.
    pub fn plan(&self, budget: Budget) -> Result<()> {
        let held = self.still(None).bytes();
        self.fields.iter().try_for_each(|opened| opened.field.plan(with(budget, held)))
    }
}

/// A budget of which so much is taken already.
fn with(budget: Budget, held_bytes: u64) -> Budget {
    Budget { reserved_bytes: budget.reserved_bytes.saturating_add(held_bytes), ..budget }
}

/// The way of a point from the target on: where it is without displacements, and what those before have added.
#[derive(Debug)]
struct Way {
    /// Target index to here.
    base: Affine,
    /// For each stage so far, its vectors to steps here.
    added: Vec<Matrix>,
    stages: Vec<Stage>,
}

impl Way {
    fn from(target_to_world: Affine) -> Way {
        Way { base: target_to_world, added: Vec::new(), stages: Vec::new() }
    }

    /// On through an affine.
    fn go(&mut self, affine: &Affine) {
        let linear = linear(affine);
        self.base = affine.after(&self.base);
        self.added.iter_mut().for_each(|added| *added = geometry::product(&linear, added));
    }

    /// Through a grid of vectors in the world that is reached.
    fn meet(&mut self, grid: &FieldGrid, vectors: geometry::Vectors, is_inverse: bool, target_shape: [u64; 3]) {
        let to_own = linear(&grid.world_to_index);
        let vector_to_world = grid.vector_to_world();
        self.stages.push(Stage {
            target_to_own: snapped(grid.world_to_index.after(&self.base), target_shape),
            earlier: self.added.iter().map(|added| geometry::product(&to_own, added)).collect(),
            vector_to_own: geometry::product(&to_own, &vector_to_world),
            // Known at the end of the way.
            vector_to_source: vector_to_world,
            vectors,
            is_inverse,
            ends_at_faces: grid.ends_at_faces(),
        });
        self.added.push(vector_to_world);
    }

    /// At the source's index, from the world that is reached.
    fn arrive(&self, to_source: &Affine) -> Warp {
        let linear = linear(to_source);
        let known = |(stage, added): (&Stage, &Matrix)| Stage {
            vector_to_source: geometry::product(&linear, added),
            ..stage.clone()
        };
        let stages = self.stages.iter().zip(&self.added).map(known).collect();
        Warp { base: to_source.after(&self.base), stages }
    }
}

fn linear(affine: &Affine) -> Matrix {
    affine.m.map(|row| [row[0], row[1], row[2]])
}

/// What the snap rule makes of the way into a field: one on the target's own voxels is met on them, whatever the rounding of the headers.
fn snapped(target_to_field: Affine, target_shape: [u64; 3]) -> Affine {
    if target_to_field.is_finite() {
        Snapped::new(&target_to_field, target_shape).mapping.affine()
    } else {
        target_to_field
    }
}
