//! Slices, each read from its file when it is asked for.

use std::{
    io::{self, Cursor, Read},
    path::Path,
    sync::Arc,
};

use super::{
    DicomSeries, Stored, Table,
    coded::{Codec, Expected, HEADER_BYTES},
    format::Format,
    header,
    syntax::Syntax,
    walk::Fault,
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{Source, convert::Conversion, packed::Packed},
    layout::Layout,
    storage::nfs::SteadyFile,
    voxel::Voxel,
};

/// Samples that are decoded at a time, at most.
const PIECE_SAMPLES: usize = 32 << 10;

/// What one read needs beyond the voxels that it hands over.
pub(super) fn transfer_bytes(format: &Format, syntax: Syntax, largest: u64, frame_bytes: u64) -> u64 {
    // Stored samples, the same as real values, and as voxels of eight bytes before components are taken apart.
    let pieces = (PIECE_SAMPLES * (format.sample_bytes() + 4 + 8)) as u64;
    pieces
        + match syntax {
            Syntax::Coded(codec, _) => codec.memory_bytes(format, largest, frame_bytes),
            Syntax::Deflated => 128 << 10,
            _ => 0,
        }
}

/// A series as a source of voxels.
pub struct DicomSource {
    table: Arc<Table>,
    layout: Layout,
    conversion: Conversion,
}

impl DicomSource {
    /// `layout` is that of all volumes.
    pub fn new(series: &DicomSeries, layout: Layout, conversion: Conversion) -> DicomSource {
        DicomSource { table: series.table.clone(), layout, conversion }
    }

    fn fill<T: Voxel>(&self, slice: &Stored, into: &mut BlockMut<'_, T>) -> Result<(), Fault> {
        let table = &*self.table;
        let mut stream = table.stream(slice)?;
        let mut format = table.format;
        if let Some(codec) = table.syntax.codec() {
            (format.planes, format.big_endian) = (codec.has_planes(), false);
        }
        let voxels = into.voxels.len() / into.volumes;
        let parallel = if format.planes { 1 } else { into.volumes };
        let packed = Packed::new(&Layout { components: parallel, ..self.layout.clone() }, 0, self.conversion);
        let step = PIECE_SAMPLES / parallel;
        let mut bytes = vec![0; step.min(voxels) * parallel * format.sample_bytes()];
        for plane in 0..into.volumes / parallel {
            let mut first = 0;
            while first < voxels {
                let count = step.min(voxels - first);
                let piece = &mut bytes[..count * parallel * format.sample_bytes()];
                stream.read_exact(piece)?;
                format.whole(piece);
                let at = plane * voxels + first;
                match table.own_slopes {
                    true => packed.unpack(&real(piece, &format, slice), into, at),
                    false => packed.unpack(piece, into, at),
                }
                first += count;
            }
        }
        Ok(())
    }
}

/// Whole samples as real values of 32 bits.
fn real(bytes: &[u8], format: &Format, slice: &Stored) -> Vec<u8> {
    let conversion = Conversion { slope: Some((slice.slope, slice.intercept)), ..Conversion::plain(format.dtype()) };
    let mut values = vec![0f32; bytes.len() / format.sample_bytes()];
    conversion.decode(bytes, &mut values);
    bytemuck::cast_slice(&values).to_vec()
}

impl Table {
    /// The samples of a slice from its first byte on.
    fn stream(&self, slice: &Stored) -> Result<Box<dyn Read>, Fault> {
        let path = self.path(slice.file);
        match self.syntax {
            Syntax::Deflated => {
                let mut stream = header::inflated(&path)?;
                let skipped = io::copy(&mut (&mut stream).take(slice.offset), &mut io::sink())?;
                if skipped < slice.offset {
                    return Err(Fault::Io(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(Box::new(stream))
            }
            Syntax::Coded(codec, _) => {
                let mut stored = vec![0; slice.len as usize];
                open(&path)?.read_exact_at(&mut stored, slice.offset)?;
                let Table { format, rows, columns, frame_bytes, .. } = self;
                let expected = Expected { format, rows: *rows, columns: *columns, frame_bytes: *frame_bytes };
                Ok(Box::new(Cursor::new(codec.decode(&stored, &expected)?)))
            }
            _ => Ok(Box::new(At { file: open(&path)?, at: slice.offset, swaps: self.format.bytes_in_words })),
        }
    }

    /// Whether voxels are only near those that were coded, by the transfer syntax or the stream of the first slice.
    pub(super) fn is_lossy(&self) -> Result<bool> {
        let (Some(codec), Some(slice)) = (self.syntax.codec(), self.slices.first()) else { return Ok(false) };
        let path = self.path(slice.file);
        let mut stored = vec![0; slice.len.min(HEADER_BYTES) as usize];
        let read = open(&path).and_then(|file| Ok(file.read_exact_at(&mut stored, slice.offset)?));
        read.map_err(|fault| fault.of(&path))?;
        Ok(self.syntax.is_lossy() || codec.is_lossy(&stored))
    }

    /// Whether two slices have the same bytes and the same meaning of them.
    pub(super) fn are_same(&self, a: &Stored, b: &Stored) -> Result<bool> {
        if (a.len, a.slope, a.intercept) != (b.len, b.slope, b.intercept) {
            return Ok(false);
        }
        // A short stream of JPEG 2000 may stand for a frame of any size, which no plan has counted yet: its own bytes are compared.
        let is_unbounded = matches!(self.syntax.codec(), Some(Codec::Jpeg2000 | Codec::Htj2k));
        let stream = |slice: &Stored| -> Result<Box<dyn Read>, Fault> {
            if is_unbounded {
                return Ok(Box::new(At { file: open(&self.path(slice.file))?, at: slice.offset, swaps: false }));
            }
            self.stream(slice)
        };
        let of = |slice: &Stored| stream(slice).map_err(|fault| fault.of(&self.path(slice.file)));
        let (mut one, mut other) = (of(a)?, of(b)?);
        let mut pieces = [[0; 16 << 10]; 2];
        let mut left = if is_unbounded { a.len } else { self.frame_bytes };
        while left > 0 {
            let count = left.min(16 << 10) as usize;
            let [x, y] = &mut pieces;
            for (stream, piece, slice) in [(&mut one, &mut x[..count], a), (&mut other, &mut y[..count], b)] {
                stream.read_exact(piece).map_err(|error| Fault::Io(error).of(&self.path(slice.file)))?;
            }
            if x[..count] != y[..count] {
                return Ok(false);
            }
            left -= count as u64;
        }
        Ok(true)
    }
}

fn open(path: &Path) -> Result<SteadyFile, Fault> {
    Ok(SteadyFile::open(path)?)
}

/// A file from some place on.
struct At {
    file: SteadyFile,
    at: u64,
    /// Whether bytes stand in words, which begin at even places, with the first one behind the second.
    swaps: bool,
}

impl Read for At {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.swaps {
            let first = (self.at % 2) as usize;
            let mut words = vec![0; (first + bytes.len()).next_multiple_of(2)];
            self.file.read_exact_at(&mut words, self.at - first as u64)?;
            words.chunks_exact_mut(2).for_each(|word| word.swap(0, 1));
            bytes.copy_from_slice(&words[first..first + bytes.len()]);
        } else {
            self.file.read_exact_at(bytes, self.at)?;
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl<T: Voxel> Source<T> for DicomSource {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let [slices, rows, columns] = self.layout.grid.shape;
        let region = into.region;
        let at = region.lo[0] as u64;
        let is_slice = region.lo[1..] == [0, 0] && region.shape() == [1, rows as usize, columns as usize];
        let slice = group.checked_mul(slices).and_then(|n| self.table.slices.get((n + at) as usize));
        let (true, true, Some(slice)) = (is_slice, into.volumes == self.layout.components, slice) else {
            return Err(Error::usage(format!("region {region} x {} is not one slice of the series", into.volumes)));
        };
        self.fill(slice, &mut into).map_err(|fault| fault.of(&self.table.path(slice.file)))
    }
}
