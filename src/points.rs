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
    io::zarr::OpenOptions,
    job::Input,
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
    /// Opens the field, should there be one: its metadata, no voxels.
    ///
    /// # Errors
    /// A field that cannot be opened, or is none.
    pub fn open(chain: &Chain) -> Result<PointMap> {
        let open = |path| Displacement::open(Input::open(path, &OpenOptions::default())?, path);
        let displacement = chain.field.as_deref().map(open).transpose()?;
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
                let place = || Error::malformed(name, "a point", "beyond all numbers", "one that stays finite");
                let point = Some(frame.turn(point)).filter(|point| point.iter().all(|x| x.is_finite()));
                write(output, &rows.with_point(row, point.ok_or_else(place)?))?;
            }
        }
        output.flush().map_err(Error::io("write to", "the table of points"))?;
        Ok(count)
    }
}

fn write(output: &mut impl Write, bytes: &[u8]) -> Result<()> {
    output.write_all(bytes).map_err(Error::io("write to", "the table of points"))
}
