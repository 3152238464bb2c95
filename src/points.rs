//! Where transforms send points: tables of them, through affines and displacements, in bounded memory.
//!
//! The direction is that of resampling, from target world to source world, as antsApplyTransformsToPoints has it.

use std::{
    io::{BufRead, Write},
    path::Path,
};

use crate::{
    error::{Error, Result},
    geometry::{Affine, MOST_STEPS},
    transform::{Chain, Move},
};

mod displacement;
mod mover;
mod table;

pub use displacement::Displacement;
pub use table::Table;

use mover::Mover;
use table::Rows;

/// The frame of the points in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frame {
    #[default]
    Ras,
    /// As ITK and ANTs have it: x and y have the other sign.
    Lps,
}

impl Frame {
    /// To RAS, or back.
    fn turn(self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        match self {
            Frame::Ras => [x, y, z],
            Frame::Lps => [-x, -y, z],
        }
    }
}

/// What became of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub points: u64,
    /// How often an inverse did not settle.
    pub unsettled: u64,
}

impl Sent {
    /// What is to be told of points whose inverse did not settle.
    pub fn warning(&self) -> Option<String> {
        let Sent { points, unsettled } = self;
        (*unsettled > 0).then(|| {
            format!(
                "for {unsettled} of {points} points the inverse of a displacement does not settle in {MOST_STEPS} steps: they stand \
                 where the last one led; where the registration wrote an inverse field, give that"
            )
        })
    }
}

/// A chain of transforms, ready for points.
#[derive(Debug)]
pub struct PointMap {
    /// What displaces points, each behind an affine.
    moves: Vec<(Affine, Mover)>,
    after: Affine,
}

impl PointMap {
    /// Opens the fields of a chain: their metadata, no voxels. The chain learns what their vectors are.
    ///
    /// # Errors
    /// A field that cannot be opened, or is none.
    pub fn open(chain: &mut Chain) -> Result<PointMap> {
        let mut moves = Vec::new();
        for n in 0..chain.moves.len() {
            let Move { before, what, .. } = &chain.moves[n];
            let (before, mover) = (*before, Mover::open(what)?);
            mover.kind().into_iter().for_each(|kind| chain.learn(n, kind));
            moves.push((before, mover));
        }
        Ok(PointMap { moves, after: chain.after })
    }

    /// Sends points (x, y, z in RAS mm) where the chain sends them; how often an inverse did not settle.
    ///
    /// # Errors
    /// Those of reading fields.
    pub fn send(&self, points: &mut [[f64; 3]]) -> Result<u64> {
        let mut unsettled = 0;
        for (before, mover) in &self.moves {
            points.iter_mut().for_each(|point| *point = before.apply(*point));
            unsettled += mover.send(points)?;
        }
        points.iter_mut().for_each(|point| *point = self.after.apply(*point));
        Ok(unsettled)
    }

    /// Points that are sent together: a few where each is looked up by itself, many where a field is read from end to end.
    fn batch(&self) -> usize {
        if self.moves.iter().all(|(_, mover)| mover.is_random()) { 1 << 10 } else { 1 << 18 }
    }

    /// Copies a table with its points sent through the chain.
    ///
    /// `name` is what messages call the table. Memory holds one batch of rows.
    ///
    /// # Errors
    /// Rows that are none, with the line; those of [`PointMap::send`]; those of reading and writing.
    pub fn table(&self, name: &Path, input: impl BufRead, output: &mut impl Write, frame: Frame) -> Result<Sent> {
        let mut table = Table::open(name, input)?;
        write(output, table.header())?;
        let mut rows = Rows::default();
        let mut sent = Sent::default();
        while table.take(self.batch(), &mut rows)? {
            let mut points: Vec<[f64; 3]> = rows.points.iter().map(|&point| frame.turn(point)).collect();
            sent.unsettled += self.send(&mut points)?;
            sent.points += points.len() as u64;
            for (row, point) in points.into_iter().enumerate() {
                let point = Some(frame.turn(point)).filter(|point| point.iter().all(|x| x.is_finite()));
                write(output, &rows.with_point(row, point.ok_or_else(|| nowhere(name, row, frame, &rows))?))?;
            }
        }
        output.flush().map_err(Error::io("write to", "the table of points"))?;
        Ok(sent)
    }
}

/// The point of a row has no place in the source.
fn nowhere(name: &Path, row: usize, frame: Frame, rows: &Rows) -> Error {
    let [x, y, z] = rows.points[row];
    let frame = match frame {
        Frame::Ras => "RAS",
        Frame::Lps => "LPS",
    };
    Error::malformed(
        name,
        format!("the place of the point {x}, {y}, {z} ({frame})"),
        "no number: a field of positions ends before it, or the numbers grow too large",
        "points that the transforms send somewhere",
    )
}

fn write(output: &mut impl Write, bytes: &[u8]) -> Result<()> {
    output.write_all(bytes).map_err(Error::io("write to", "the table of points"))
}
