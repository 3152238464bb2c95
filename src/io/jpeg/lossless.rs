//! JPEG lossless by Huffman codes: ITU-T T.81, annex H; DICOM's processes 14, of any predictor.

use super::{
    DHT, DRI, Frame, Segments,
    huffman::{Bits, Table},
    tables::{Tables, restart_interval},
};

/// Bits of a difference, at most.
const MOST_BITS: u8 = 16;

/// What a scan says of itself.
struct Scan<'a> {
    /// The places of its components among those of the frame.
    components: Vec<usize>,
    tables: Vec<&'a Table>,
    predictor: u8,
    /// Low bits that are left out.
    shift: u32,
    /// Rows after which codes begin anew; 0: never.
    restart_rows: usize,
}

/// The samples of a frame: components of a voxel side by side, little endian, of `sample_bytes` (1 or 2) each. The frame was held against what is
/// expected ([`Frame::check`]).
///
/// # Errors
/// Streams that are cut off, codes that there are none of, components that are missing.
pub(crate) fn decode(bytes: &[u8], frame: &Frame, sample_bytes: usize) -> Result<Vec<u8>, String> {
    if !frame.is_whole {
        return Err("components of other sizes than the frame".into());
    }
    let count = frame.components.len();
    let mut samples = vec![0; frame.rows as usize * frame.columns as usize * count * sample_bytes];
    let mut tables = Tables::default();
    let (mut restart, mut found) = (0, vec![false; count]);
    let mut segments = Segments::of(bytes)?;
    while let Some(segment) = segments.next()? {
        match segment.marker {
            DHT => tables.define(segment.body, |_| MOST_BITS)?,
            DRI => restart = restart_interval(segment.body)?,
            _ if segment.is_scan() => {
                let scan = scan(segment.body, frame, &tables, restart)?;
                let mut bits = Bits::new(bytes, segment.end);
                decode_scan(&mut bits, &scan, frame, sample_bytes, &mut samples)?;
                scan.components.iter().for_each(|&component| found[component] = true);
                segments.at = bits.end();
                if found.iter().all(|&found| found) {
                    return Ok(samples);
                }
            }
            _ => {}
        }
    }
    Err("samples that are missing".into())
}

fn scan<'a>(body: &[u8], frame: &Frame, tables: &'a Tables, restart: usize) -> Result<Scan<'a>, String> {
    let cut = || "a header of a scan that is cut off".to_string();
    let (&count, rest) = body.split_first().ok_or_else(cut)?;
    let count = usize::from(count);
    let (Some(specs), Some(&[predictor, _, approximation])) =
        (rest.get(..2 * count), rest.get(2 * count..).and_then(|rest| rest.first_chunk::<3>()))
    else {
        return Err(cut());
    };
    let mut scan = Scan {
        components: Vec::new(),
        tables: Vec::new(),
        predictor,
        shift: u32::from(approximation & 15),
        restart_rows: restart / frame.columns.max(1) as usize,
    };
    for spec in specs.chunks_exact(2) {
        let component = frame.components.iter().position(|component| component.id == spec[0]);
        let table = tables.of(false, spec[1] >> 4);
        scan.components.push(component.ok_or("a scan of a component that the frame does not have")?);
        scan.tables.push(table.ok_or("a scan without its table of codes")?);
    }
    let is_sound = (1..=4).contains(&count) && (1..=7).contains(&predictor) && scan.shift < frame.precision;
    if !is_sound || !restart.is_multiple_of(frame.columns.max(1) as usize) {
        return Err(format!("a scan of {count} components with predictor {predictor}, intervals of {restart}"));
    }
    Ok(scan)
}

fn decode_scan(
    bits: &mut Bits<'_>,
    scan: &Scan<'_>,
    frame: &Frame,
    sample_bytes: usize,
    samples: &mut [u8],
) -> Result<(), String> {
    let (rows, columns, count) = (frame.rows as usize, frame.columns as usize, frame.components.len());
    let parts = scan.components.len();
    // Of each component the row before and the one at hand, without the bits that are left out.
    let mut above = vec![0i32; columns * parts];
    let mut row = above.clone();
    let begin = 1 << (frame.precision - scan.shift - 1);
    for y in 0..rows {
        let is_new = scan.restart_rows > 0 && y > 0 && y.is_multiple_of(scan.restart_rows);
        if is_new && !bits.restart((y / scan.restart_rows - 1) as u32) {
            return Err(format!("no marker to begin anew before row {y}"));
        }
        let is_first = y == 0 || is_new;
        for x in 0..columns {
            for part in 0..parts {
                let at = x * parts + part;
                let predicted = match (x, is_first) {
                    (0, true) => begin,
                    (0, false) => above[at],
                    (_, true) => row[at - parts],
                    _ => predict(scan.predictor, row[at - parts], above[at], above[at - parts]),
                };
                let difference = bits.difference(scan.tables[part]);
                let difference = difference.ok_or_else(|| format!("bits that are missing or no code in row {y}"))?;
                let value = (predicted + difference) & 0xffff;
                row[at] = value;
                let place = ((y * columns + x) * count + scan.components[part]) * sample_bytes;
                let stored = ((value as u32) << scan.shift).to_le_bytes();
                samples[place..place + sample_bytes].copy_from_slice(&stored[..sample_bytes]);
            }
        }
        std::mem::swap(&mut above, &mut row);
    }
    Ok(())
}

/// Of the samples to the left, above, and to the left of that (table H.1).
fn predict(predictor: u8, a: i32, b: i32, c: i32) -> i32 {
    match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}
