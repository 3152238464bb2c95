//! Lossy JPEG by the cosine transform and Huffman codes, one scan for each sample: ITU-T T.81, annexes A, B and F; DICOM's processes 1, 2 and 4.

use super::{
    Component, DHT, DQT, DRI, Frame, Segments,
    huffman::{Bits, Table},
    inverse_dct::{BLOCK, InverseDct, SIDE},
    tables::{Tables, restart_interval},
};

/// Where the n-th coefficient of a stream stands, by row (figure A.6).
const ZIGZAG: [u8; BLOCK] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];
/// Steps that may be sixteen of zero, then fifteen bits.
const MOST_COEFFICIENT: u8 = 255;
const MOST_DIFFERENCE: u8 = 15;

/// Steps between the values of coefficients, in the order of the stream.
type Quantisers = [u16; BLOCK];

/// The samples of one component, at its own size.
#[derive(Debug)]
pub(crate) struct Plane {
    pub columns: usize,
    pub rows: usize,
    pub samples: Vec<u16>,
    /// Samples along a row and a column beside the most of any component.
    sampling: [usize; 2],
    most: [usize; 2],
}

impl Plane {
    fn new(frame: &Frame, component: &Component, most: [u8; 2]) -> Plane {
        let [across, down] = component.sampling.map(usize::from);
        let most = most.map(usize::from);
        let columns = (frame.columns as usize * across).div_ceil(most[0]);
        let rows = (frame.rows as usize * down).div_ceil(most[1]);
        Plane { columns, rows, samples: vec![0; columns * rows], sampling: [across, down], most }
    }

    /// The sample of a voxel; that of its neighbours where they share one.
    pub(crate) fn at(&self, row: usize, column: usize) -> u16 {
        let (x, y) = (column * self.sampling[0] / self.most[0], row * self.sampling[1] / self.most[1]);
        self.samples.get(y * self.columns + x).copied().unwrap_or(0)
    }

    fn put(&mut self, block: [usize; 2], samples: &[f32; BLOCK], precision: u32) {
        let (shift, most) = ((1u32 << (precision - 1)) as f32, ((1u32 << precision) - 1) as f32);
        let [left, top] = block.map(|n| n * SIDE);
        if left >= self.columns {
            return;
        }
        for (y, row) in samples.chunks_exact(SIDE).enumerate().take(self.rows.saturating_sub(top)) {
            let begin = (top + y) * self.columns + left;
            let count = (self.columns - left).min(SIDE);
            for (stored, &sample) in self.samples[begin..begin + count].iter_mut().zip(row) {
                *stored = (sample + shift).round().clamp(0.0, most) as u16;
            }
        }
    }
}

/// A component in a scan.
struct Part<'a> {
    place: usize,
    differences: &'a Table,
    coefficients: &'a Table,
    quantisers: Quantisers,
}

/// The samples of a frame, a plane for each component. The frame was held against what is expected ([`Frame::check`]).
///
/// # Errors
/// Streams that are cut off, codes that there are none of, components or tables that are missing.
pub(crate) fn decode(bytes: &[u8], frame: &Frame) -> Result<Vec<Plane>, String> {
    let most: [u8; 2] = std::array::from_fn(|a| frame.components.iter().map(|c| c.sampling[a]).max().unwrap_or(1));
    if frame.components.iter().any(|c| c.sampling.iter().any(|n| !(1..=4).contains(n))) {
        return Err("samples that are shared by more than four voxels, or none".into());
    }
    let mut planes: Vec<Plane> = frame.components.iter().map(|c| Plane::new(frame, c, most)).collect();
    let (mut tables, mut quantisers) = (Tables::default(), [None; 4]);
    let (mut restart, mut found) = (0, vec![false; planes.len()]);
    let mut segments = Segments::of(bytes)?;
    while let Some(segment) = segments.next()? {
        match segment.marker {
            DHT => tables.define(segment.body, |of| if of { MOST_COEFFICIENT } else { MOST_DIFFERENCE })?,
            DQT => define_quantisers(segment.body, &mut quantisers)?,
            DRI => restart = restart_interval(segment.body)?,
            _ if segment.is_scan() => {
                let parts = parts(segment.body, frame, &tables, &quantisers)?;
                if parts.iter().any(|part| std::mem::replace(&mut found[part.place], true)) {
                    return Err("a component in two scans".into());
                }
                let mut bits = Bits::new(bytes, segment.end);
                Scan { parts, restart, precision: frame.precision }.decode(&mut bits, frame, most, &mut planes)?;
                segments.at = bits.end();
                if found.iter().all(|&found| found) {
                    return Ok(planes);
                }
            }
            _ => {}
        }
    }
    Err("samples that are missing".into())
}

fn define_quantisers(mut body: &[u8], quantisers: &mut [Option<Quantisers>; 4]) -> Result<(), String> {
    while let Some((&place, rest)) = body.split_first() {
        let bytes = 1 + usize::from(place >> 4);
        let table = rest.get(..BLOCK * bytes).filter(|_| bytes <= 2).ok_or("a table of quantisers that is cut off")?;
        let slot = quantisers.get_mut(usize::from(place & 15)).ok_or("a fifth table of quantisers")?;
        let number = |n: usize| match bytes {
            1 => u16::from(table[n]),
            _ => u16::from_be_bytes([table[2 * n], table[2 * n + 1]]),
        };
        *slot = Some(std::array::from_fn(number));
        body = &rest[BLOCK * bytes..];
    }
    Ok(())
}

fn parts<'a>(
    body: &[u8],
    frame: &Frame,
    tables: &'a Tables,
    quantisers: &[Option<Quantisers>; 4],
) -> Result<Vec<Part<'a>>, String> {
    let count = body.first().map_or(0, |&count| usize::from(count));
    let (Some(specs), Some(&[first, last, approximation])) =
        (body.get(1..1 + 2 * count), body.get(1 + 2 * count..).and_then(|rest| rest.first_chunk::<3>()))
    else {
        return Err("a header of a scan that is cut off".into());
    };
    // All coefficients at once, whole: some writers of sequential streams leave the last one at 0.
    if !(1..=4).contains(&count) || first != 0 || ![0, 63].contains(&last) || approximation != 0 {
        return Err(format!("a scan of {count} components, of coefficients {first} to {last}: no sequential one"));
    }
    let part = |spec: &[u8]| {
        let place = frame.components.iter().position(|component| component.id == spec[0]);
        let place = place.ok_or("a scan of a component that the frame does not have")?;
        let quantisers = quantisers.get(usize::from(frame.components[place].quantisers)).copied().flatten();
        Ok(Part {
            place,
            differences: tables.of(false, spec[1] >> 4).ok_or("a scan without its table of codes")?,
            coefficients: tables.of(true, spec[1] & 15).ok_or("a scan without its table of codes")?,
            quantisers: quantisers.ok_or("a component without its table of quantisers")?,
        })
    };
    specs.chunks_exact(2).map(part).collect()
}

struct Scan<'a> {
    parts: Vec<Part<'a>>,
    /// Units after which codes begin anew; 0: never.
    restart: usize,
    precision: u32,
}

impl Scan<'_> {
    /// Fills the planes of its components: blocks row by row of a single one, else those of each unit of all.
    fn decode(&self, bits: &mut Bits<'_>, frame: &Frame, most: [u8; 2], planes: &mut [Plane]) -> Result<(), String> {
        let [across, down] = match &self.parts[..] {
            [part] => [planes[part.place].columns.div_ceil(SIDE), planes[part.place].rows.div_ceil(SIDE)],
            _ => [
                (frame.columns as usize).div_ceil(SIDE * usize::from(most[0])),
                (frame.rows as usize).div_ceil(SIDE * usize::from(most[1])),
            ],
        };
        let transform = InverseDct::new();
        let mut before = vec![0i32; self.parts.len()];
        for unit in 0..across * down {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart) {
                if !bits.restart((unit / self.restart - 1) as u32) {
                    return Err(format!("no marker to begin anew before unit {unit}"));
                }
                before.fill(0);
            }
            let (x, y) = (unit % across, unit / across);
            for (part, before) in self.parts.iter().zip(&mut before) {
                let plane = &mut planes[part.place];
                let [wide, high] = if self.parts.len() == 1 { [1, 1] } else { plane.sampling };
                for block in 0..wide * high {
                    let place = [x * wide + block % wide, y * high + block / wide];
                    let coefficients = part.block(bits, before);
                    let coefficients = coefficients.ok_or_else(|| {
                        format!("bits that are missing or no code in unit {unit} of {}", across * down)
                    })?;
                    plane.put(place, &transform.apply(&coefficients), self.precision);
                }
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    /// The coefficients of a block, by row; `before` is the first one of the block before it. `None` where bits are missing, or no code.
    fn block(&self, bits: &mut Bits<'_>, before: &mut i32) -> Option<[f32; BLOCK]> {
        let mut coefficients = [0.0; BLOCK];
        *before = before.wrapping_add(bits.difference(self.differences)?);
        coefficients[0] = *before as f32 * f32::from(self.quantisers[0]);
        let mut at = 1;
        while at < BLOCK {
            let code = bits.code(self.coefficients)?;
            let (zeros, size) = (usize::from(code >> 4), code & 15);
            match (zeros, size) {
                (15, 0) => at += 16,
                (_, 0) => break,
                _ => {
                    at += zeros;
                    let place = *ZIGZAG.get(at)?;
                    coefficients[usize::from(place)] = bits.signed(size)? as f32 * f32::from(self.quantisers[at]);
                    at += 1;
                }
            }
        }
        Some(coefficients)
    }
}
