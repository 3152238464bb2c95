//! Pictures as PNG, whose pixels hold whole samples: their upper byte as red, their lower one as green, flags as blue.

use std::collections::HashSet;

use serde::Serialize;

use super::seen::{Content, Seen};
use crate::{
    error::{Error, Result},
    pictures::{Pictures, Raster},
};

/// Bytes of all pictures together; a third more as text in the page, which is to stay below 3 MB.
const MOST_BYTES: usize = 2_050_000;
/// Levels of Deflate: the first takes a fraction of the time of the other, and some more bytes.
pub(super) const QUICK: u8 = 2;
const SMALL: u8 = 6;
/// Steps between the lowest and the highest value, part of the pixels along a side, and level: what is tried until it is small enough.
const TRIES: [(u16, f64, u8); 8] = [
    (u16::MAX, 1.0, QUICK),
    (u16::MAX, 1.0, SMALL),
    (4095, 1.0, SMALL),
    (1023, 1.0, SMALL),
    (1023, 0.67, SMALL),
    (1023, 0.5, SMALL),
    (255, 0.5, SMALL),
    (255, 0.3, SMALL),
];

const OUTSIDE: u8 = 1;
const UNSET: u8 = 2;
const NAN: u8 = 4;

/// Which value a code stands for: `offset + code * step`, up to `top`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Code {
    pub offset: f64,
    pub step: f64,
    pub top: u16,
}

/// All pictures, ready for a page.
#[derive(Debug)]
pub(super) struct Sprites {
    pub code: Code,
    /// Where voxels are labels, codes are places in this list of all that are seen.
    pub labels: Option<Vec<f64>>,
    /// Columns and rows.
    pub sizes: Vec<[usize; 2]>,
    /// PNG of before and after.
    pub images: Vec<[Option<Vec<u8>>; 2]>,
    /// Pixels over those that were sampled, along a side.
    shrink: f64,
    is_exact: bool,
}

impl Sprites {
    /// What a reader is to know of the pictures.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.shrink < 1.0 {
            notes.push(format!(
                "Pictures are shown at {:.0} % of the pixels that were sampled, so that the page stays small.",
                100.0 * self.shrink
            ));
        }
        if !self.is_exact {
            notes.push(format!(
                "Values are shown in steps of {}, so that the page stays small.",
                super::words::short(self.code.step)
            ));
        }
        notes
    }
}

/// Pictures that are together small enough for a page.
///
/// # Errors
/// A picture that cannot be made.
pub(super) fn sprites(pictures: &Pictures, seen: &Seen, content: Content) -> Result<Sprites> {
    let labels = if content == Content::Labels { label_values(pictures) } else { None };
    let mut last = None;
    for (steps, shrink, level) in TRIES {
        // Labels are exact whatever the steps.
        if labels.is_some() && steps != TRIES[0].0 && shrink == 1.0 {
            continue;
        }
        let (code, is_exact) = match &labels {
            Some(labels) => (Code { offset: 0.0, step: 1.0, top: (labels.len() - 1) as u16 }, true),
            None => code(seen, steps),
        };
        let tried = tried(pictures, code, labels.as_deref(), shrink, level)?;
        let bytes: usize = tried.iter().flat_map(|(_, pair)| pair.iter().flatten().map(Vec::len)).sum();
        let (sizes, images) = tried.into_iter().unzip();
        last = Some(Sprites { code, labels: labels.clone(), sizes, images, shrink, is_exact });
        if bytes <= MOST_BYTES {
            break;
        }
    }
    last.ok_or_else(|| Error::usage("no pictures were made"))
}

/// Codes with at most so many steps between the values seen; exact where these are whole numbers and few.
fn code(seen: &Seen, steps: u16) -> (Code, bool) {
    let range = seen.high - seen.low;
    if seen.is_whole && range <= f64::from(steps) {
        return (Code { offset: seen.low, step: 1.0, top: range as u16 }, true);
    }
    let step = if range > 0.0 { range / f64::from(steps) } else { 1.0 };
    (Code { offset: seen.low, step, top: steps }, steps == u16::MAX)
}

/// All labels that are seen, ascending; nothing where there are too many for codes.
fn label_values(pictures: &Pictures) -> Option<Vec<f64>> {
    let mut seen = HashSet::from([0.0f32.to_bits()]);
    let rasters = pictures.pairs.iter().flat_map(|pair| pair.before.iter().chain([&pair.after]));
    for raster in rasters {
        seen.extend(
            (0..raster.pixels()).filter_map(|n| raster.get(n)).filter(|v| v.is_finite()).map(|v| (v + 0.0).to_bits()),
        );
        if seen.len() > usize::from(u16::MAX) {
            return None;
        }
    }
    let mut labels: Vec<f64> = seen.into_iter().map(|bits| f64::from(f32::from_bits(bits))).collect();
    labels.sort_unstable_by(f64::total_cmp);
    Some(labels)
}

type Sized = ([usize; 2], [Option<Vec<u8>>; 2]);

fn tried(pictures: &Pictures, code: Code, labels: Option<&[f64]>, shrink: f64, level: u8) -> Result<Vec<Sized>> {
    let encode = |value: f64| match labels {
        Some(labels) => labels.binary_search_by(|label| label.total_cmp(&(value + 0.0))).unwrap_or(0) as u16,
        None => ((value - code.offset) / code.step).round().clamp(0.0, f64::from(code.top)) as u16,
    };
    let pairs = pictures.pairs.iter().map(|pair| {
        let size = pair.plane.size.map(|n| ((n as f64 * shrink).round() as usize).max(1));
        let before = pair.before.as_ref().map(|before| sprite(before, &[], size, &encode, level)).transpose()?;
        Ok((size, [before, Some(sprite(&pair.after, &pair.outside, size, &encode, level)?)]))
    });
    pairs.collect()
}

/// One picture of this size.
fn sprite(
    raster: &Raster,
    outside: &[bool],
    [columns, rows]: [usize; 2],
    encode: &dyn Fn(f64) -> u16,
    level: u8,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(3 * columns * rows);
    let along = |n: usize, of: usize, all: usize| (2 * n + 1) * all / (2 * of);
    for row in 0..rows {
        let first = along(row, rows, raster.size[1]) * raster.size[0];
        for column in 0..columns {
            let n = first + along(column, columns, raster.size[0]);
            let mut flags = if outside.get(n).copied().unwrap_or(false) { OUTSIDE } else { 0 };
            let code = match raster.get(n) {
                None => {
                    flags |= UNSET;
                    0
                }
                Some(value) if value.is_nan() => {
                    flags |= NAN;
                    0
                }
                Some(value) => encode(f64::from(value)),
            };
            let [high, low] = code.to_be_bytes();
            bytes.extend_from_slice(&[high, low, flags]);
        }
    }
    png([columns, rows], png::ColorType::Rgb, &bytes, level)
}

/// Bytes as a PNG file of 8 bits a part, by this level of Deflate.
pub(super) fn png([columns, rows]: [usize; 2], colour: png::ColorType, bytes: &[u8], level: u8) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let wrong = |error: png::EncodingError| Error::usage(format!("no PNG of {columns}x{rows} pixels: {error}"));
    let mut encoder = png::Encoder::new(&mut file, columns as u32, rows as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_deflate_compression(png::DeflateCompression::Level(level));
    encoder.set_filter(png::Filter::Paeth);
    let mut writer = encoder.write_header().map_err(wrong)?;
    writer.write_image_data(bytes).map_err(wrong)?;
    writer.finish().map_err(wrong)?;
    Ok(file)
}
