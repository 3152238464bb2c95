//! Voxels of pages: strips and tiles that are decoded, or bytes as they stand.

use std::sync::Arc;

use super::{
    TiffFile,
    codec::Compression,
    fault::Fault,
    format::Format,
    pages::{Page, unstated_len},
    predictor,
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{Source, convert::Conversion},
    layout::Layout,
    region::Region,
    voxel::Voxel,
};

/// Bytes that are read as one where pages stand in one piece, and decoded as one where strips are short.
const CHUNK_BYTES: u64 = 256 << 10;

/// Where pages stand, in the order of volumes.
#[derive(Debug)]
pub(super) struct Table {
    pub bytes: super::bytes::Bytes,
    pub format: Format,
    pub pages: Vec<Page>,
    /// Whether all pages stand in one piece.
    pub is_raw: bool,
    /// Stored bytes of the largest strip or tile.
    pub largest: u64,
}

impl Table {
    /// Rows and columns that are read as one: whole strips, so many that they are worth a call; a tile; or a part of a page that is as long.
    pub(super) fn chunk(&self) -> [u64; 2] {
        let format = &self.format;
        let [rows, columns] = if self.is_raw { [1, format.columns] } else { format.chunk };
        let row_bytes = format.row_bytes(columns).max(1);
        match (self.is_raw, format.tiled) {
            (false, true) => [rows, columns],
            (true, _) if row_bytes > CHUNK_BYTES => [1, (CHUNK_BYTES / format.row_bytes(1).max(1)).max(1)],
            _ => {
                let times = (CHUNK_BYTES / row_bytes.saturating_mul(rows).max(1)).max(1);
                [rows.saturating_mul(times).min(format.rows), columns]
            }
        }
    }

    /// What one read needs beyond the voxels that it hands over.
    pub(super) fn transfer_bytes(&self) -> u64 {
        let [rows, columns] = self.chunk();
        let format = &self.format;
        let row = columns.saturating_mul(format.together()).saturating_mul(8 + format.dtype.bytes() as u64);
        let pieces = if self.is_raw {
            format.row_bytes(columns).saturating_mul(rows)
        } else {
            self.largest.saturating_add(format.bytes_of(0)).saturating_add(format.compression.scratch_bytes())
        };
        pieces.saturating_add(row)
    }

    /// Memory of the table.
    pub(super) fn resident_bytes(&self) -> u64 {
        (self.pages.capacity() * size_of::<Page>()) as u64
    }
}

/// A file as a source of voxels.
pub struct TiffSource {
    table: Arc<Table>,
    path: std::path::PathBuf,
    layout: Layout,
    conversion: Conversion,
}

impl TiffSource {
    /// `layout` is that of all volumes.
    pub fn new(file: &TiffFile, layout: Layout, conversion: Conversion) -> TiffSource {
        TiffSource { table: file.table.clone(), path: file.path.clone(), layout, conversion }
    }

    fn fill<T: Voxel>(&self, group: u64, into: &mut BlockMut<'_, T>) -> Result<(), Fault> {
        let format = &self.table.format;
        // Planes of samples are volumes of their own, or components of one.
        let apart = format.apart();
        let components = self.layout.components as u64;
        let (volume, first) = if apart > components { (group / apart, group % apart) } else { (group, 0) };
        let depth = self.layout.grid.shape[0];
        let page =
            volume.checked_mul(depth).and_then(|n| self.table.pages.get((n + into.region.lo[0] as u64) as usize));
        let page = page.ok_or_else(|| Fault::wrong("a page", volume, "one that there is"))?;
        if !format.planes {
            return self.plane(page, 0, 0, into);
        }
        (0..into.volumes as u64).try_for_each(|n| self.plane(page, first + n, n as usize, into))
    }

    /// Fills volumes from `volume` on with what stands together in plane `plane` of samples.
    fn plane<T: Voxel>(&self, page: &Page, plane: u64, volume: usize, into: &mut BlockMut<'_, T>) -> Result<(), Fault> {
        let (table, format) = (&*self.table, &self.table.format);
        let region = into.region;
        if *page == Page::ABSENT {
            let len = into.voxels.len() / into.volumes;
            into.voxels[volume * len..(volume + format.together() as usize) * len].fill(T::default());
            return Ok(());
        }
        let mut rows =
            Rows { together: format.together() as usize, volume, conversion: self.conversion, samples: Vec::new() };
        if table.is_raw {
            let [_, high, wide] = region.shape().map(|extent| extent as u64);
            let line = format.row_bytes(format.columns);
            let at = |y: u64| page.raw + (plane * format.rows + y) * line + format.row_bytes(region.lo[2] as u64);
            // Whole rows at once.
            let step = if wide == format.columns { high } else { 1 };
            let mut bytes = vec![0; (format.row_bytes(wide) * step) as usize];
            for y in (0..high).step_by(step as usize) {
                table.bytes.fill(&mut bytes, at(region.lo[1] as u64 + y))?;
                let part = part(region, [y, step], [0, wide]);
                rows.put(&bytes, part, part, into);
            }
            return Ok(());
        }
        let [down, along] = format.counts();
        let [high, wide] = format.chunk;
        let (lo, hi) = ([1, 2].map(|a| region.lo[a] as u64), [1, 2].map(|a| region.hi[a] as u64));
        let (mut stored, mut decoded) = (Vec::new(), Vec::new());
        for at_y in lo[0] / high..hi[0].div_ceil(high) {
            for at_x in lo[1] / wide..hi[1].div_ceil(wide) {
                let n = plane * down * along + at_y * along + at_x;
                self.decode(page, n, at_y * along + at_x, (&mut stored, &mut decoded))?;
                let (z, y, x) = (region.lo[0], (at_y * high) as i64, (at_x * wide) as i64);
                let held = Region::new([z, y, x], [z + 1, y + format.rows_of(at_y) as i64, x + wide as i64]);
                rows.put(&decoded, held, held.intersect(&region), into);
            }
        }
        Ok(())
    }

    /// Decodes strip or tile `n` of a page, which is number `within` of its plane.
    fn decode(
        &self,
        page: &Page,
        n: u64,
        within: u64,
        (stored, decoded): (&mut Vec<u8>, &mut Vec<u8>),
    ) -> Result<(), Fault> {
        let (table, format) = (&*self.table, &self.table.format);
        let needed = format.bytes_of(within / format.counts()[1]);
        reserve(decoded, needed)?;
        let (at, len) = page.span(&table.bytes, n, format.count())?;
        let len = match len {
            // Left out: nothing was written there.
            Some(0) => {
                decoded.fill(0);
                return Ok(());
            }
            Some(len) if format.compression != Compression::None => len,
            None if format.compression != Compression::None => unstated_len(at, table.bytes.len(), needed),
            _ => {
                table.bytes.fill(decoded, at)?;
                return Ok(());
            }
        };
        let what = if format.tiled { "tile" } else { "strip" };
        if len > table.largest {
            return Err(Fault::wrong(
                format!("the length of a {what}"),
                len,
                format!("at most {}, as before", table.largest),
            ));
        }
        reserve(stored, len)?;
        table.bytes.fill(stored, at)?;
        format.compression.decode(stored, decoded).map_err(|found| {
            Fault::wrong(
                format!("{what} {n} of a page, {len} bytes at {at}"),
                found,
                format!("{} that makes {needed} bytes", format.compression.name()),
            )
        })?;
        let row = predictor::Row {
            dtype: format.dtype,
            big_endian: table.bytes.big_endian,
            together: format.together() as usize,
        };
        row.undo(format.predictor, decoded, format.row_bytes(format.chunk[1]) as usize);
        Ok(())
    }
}

/// Gives a buffer this length.
fn reserve(buffer: &mut Vec<u8>, bytes: u64) -> Result<(), Fault> {
    if buffer.capacity() as u64 >= bytes {
        buffer.resize(bytes as usize, 0);
        return Ok(());
    }
    *buffer = crate::sys::reserve(bytes).map_err(|found| Fault::wrong("a strip or tile", found, "less"))?;
    buffer.resize(bytes as usize, 0);
    Ok(())
}

/// So many rows and columns of a region of one plane.
fn part(region: Region, [y, high]: [u64; 2], [x, wide]: [u64; 2]) -> Region {
    let lo = [region.lo[0], region.lo[1] + y as i64, region.lo[2] + x as i64];
    Region::new(lo, [lo[0] + 1, lo[1] + high as i64, lo[2] + wide as i64])
}

/// Takes rows of bytes apart into voxels.
struct Rows<T> {
    together: usize,
    volume: usize,
    conversion: Conversion,
    samples: Vec<T>,
}

impl<T: Voxel> Rows<T> {
    /// `bytes` hold the voxels of `held`, of which those of `region` go into `into`.
    fn put(&mut self, bytes: &[u8], held: Region, region: Region, into: &mut BlockMut<'_, T>) {
        if region.is_empty() {
            return;
        }
        let voxel = self.together * self.conversion.stored.bytes();
        let line = held.shape()[2] * voxel;
        let wide = region.shape()[2];
        let z = region.lo[0];
        for y in region.lo[1]..region.hi[1] {
            let start = (y - held.lo[1]) as usize * line + (region.lo[2] - held.lo[2]) as usize * voxel;
            let bytes = &bytes[start..start + wide * voxel];
            if self.together == 1 {
                self.conversion.decode(bytes, into.row(self.volume, z, y, region.lo[2]..region.hi[2]));
                continue;
            }
            self.samples.resize(wide * self.together, T::default());
            self.conversion.decode(bytes, &mut self.samples);
            for n in 0..self.together {
                let row = into.row(self.volume + n, z, y, region.lo[2]..region.hi[2]);
                let samples = self.samples[n..].iter().step_by(self.together);
                row.iter_mut().zip(samples).for_each(|(voxel, sample)| *voxel = *sample);
            }
        }
    }
}

impl<T: Voxel> Source<T> for TiffSource {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let chunk = self.layout.chunk.map(|extent| extent as i64);
        let shape = Region::of_shape(self.layout.grid.shape);
        let region = into.region;
        let is_chunk = shape.contains(&region)
            && (0..3)
                .all(|a| region.lo[a] % chunk[a] == 0 && region.hi[a] == (region.lo[a] + chunk[a]).min(shape.hi[a]));
        let volumes = self.layout.outer.members_of(group) as usize * self.layout.components;
        if !is_chunk || into.volumes != volumes {
            return Err(Error::usage(format!(
                "region {region} x {} is not one chunk of {}",
                into.volumes,
                self.path.display()
            )));
        }
        self.fill(group, &mut into).map_err(|fault| fault.of(&self.path))
    }
}
