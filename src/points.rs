//! Where transforms send points: tables of them, through affines and a displacement field, in bounded memory.
//!
//! The direction is that of resampling, from target world to source world, as antsApplyTransformsToPoints has it.

use std::{
    io::{BufRead, Write},
    path::Path,
};

use crate::{
    error::{Error, Result},
    geometry::Affine,
    io::{input::Input, zarr::OpenOptions},
    transform::Chain,
};

mod displacement;
mod table;

pub use displacement::Displacement;
pub use table::Table;

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

/// A chain of transforms, ready for points.
#[derive(Debug)]
pub struct PointMap {
    before: Affine,
    displacement: Option<Displacement>,
    after: Affine,
}

impl PointMap {
    /// Opens the field, should there be one: its metadata, no voxels. The chain learns what its vectors are.
    ///
    /// # Errors
    /// A field that cannot be opened, or is none.
    pub fn open(chain: &mut Chain) -> Result<PointMap> {
        let open = |path| Displacement::open(Input::open(path, &OpenOptions::default())?, path);
        let displacement = chain.field.as_deref().map(open).transpose()?;
        displacement.iter().for_each(|displacement| chain.learn(displacement.kind()));
        Ok(PointMap { before: chain.before, displacement, after: chain.after })
    }

    /// Sends points (x, y, z in RAS mm) where the chain sends them.
    ///
    /// # Errors
    /// Those of reading the field.
    pub fn send(&self, points: &mut [[f64; 3]]) -> Result<()> {
        points.iter_mut().for_each(|point| *point = self.before.apply(*point));
        if let Some(displacement) = &self.displacement {
            displacement.add_to(points)?;
        }
        points.iter_mut().for_each(|point| *point = self.after.apply(*point));
        Ok(())
    }

    /// Points that are sent together: a few where each is looked up by itself, many where a field is read from end to end.
    fn batch(&self) -> usize {
        match &self.displacement {
            Some(displacement) if !displacement.is_random() => 1 << 18,
            _ => 1 << 10,
        }
    }

    /// Copies a table with its points sent through the chain; the number of points.
    ///
    /// `name` is what messages call the table. Memory holds one batch of rows.
    ///
    /// # Errors
    /// Rows that are none, with the line; those of [`PointMap::send`]; those of reading and writing.
    pub fn table(&self, name: &Path, input: impl BufRead, output: &mut impl Write, frame: Frame) -> Result<u64> {
        let mut table = Table::open(name, input)?;
        write(output, table.header())?;
        let mut rows = Rows::default();
        let mut count = 0u64;
        while table.take(self.batch(), &mut rows)? {
            let mut points: Vec<[f64; 3]> = rows.points.iter().map(|&point| frame.turn(point)).collect();
            self.send(&mut points)?;
            count += points.len() as u64;
            for (row, point) in points.into_iter().enumerate() {
                let point = Some(frame.turn(point)).filter(|point| point.iter().all(|x| x.is_finite()));
                write(output, &rows.with_point(row, point.ok_or_else(|| nowhere(name, row, frame, &rows))?))?;
            }
        }
        output.flush().map_err(Error::io("write to", "the table of points"))?;
        Ok(count)
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
