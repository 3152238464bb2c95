//! The headers of a stream: of all of it, and of its tile-parts.

use super::room::{Coding, Tiles};

const SOC: u16 = 0xFF4F;
const SIZ: u16 = 0xFF51;
const COD: u16 = 0xFF52;
const COC: u16 = 0xFF53;
const QCD: u16 = 0xFF5C;
const QCC: u16 = 0xFF5D;
const SOT: u16 = 0xFF90;
const SOD: u16 = 0xFF93;
const EOC: u16 = 0xFFD9;
/// Segments of the main header, and of that of a tile-part.
const MOST_SEGMENTS: usize = 1 << 10;
/// Decompositions: more than these leave nothing of the largest frame.
const MOST_LEVELS: u8 = 16;
/// Layers that are decoded.
const MOST_LAYERS: u16 = 32;
/// Guard bits and exponents together stay below the bits of a coefficient.
const MOST_BITPLANES: u16 = 31;

/// What a stream says of its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub columns: u32,
    pub rows: u32,
    pub samples: u32,
    pub precision: u32,
    pub signed: bool,
    /// Whether blocks are coded for speed (HTJ2K).
    pub is_fast: bool,
    /// Whether the transform can be undone to the last bit.
    pub is_reversible: bool,
    tiles: Tiles,
    coding: Coding,
}

impl Frame {
    /// Reads the headers of a stream.
    ///
    /// # Errors
    /// What is no stream, is cut off, or has parts that are not read.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Frame, String> {
        let (frame, at) = Frame::before_tiles(bytes)?;
        frame.tile_parts(bytes, at)?;
        Ok(frame)
    }

    /// Reads the header of a stream, of which the beginning is enough, and where its tiles begin.
    ///
    /// # Errors
    /// What is no stream, is cut off, or has parts that are not read.
    pub(crate) fn before_tiles(bytes: &[u8]) -> Result<(Frame, usize), String> {
        if word(bytes, 0) != Some(SOC) {
            return Err("no beginning of a JPEG 2000 stream".into());
        }
        let mut segments = Segments { bytes, at: 2 };
        let (mut frame, mut coding) = (None, None);
        let mut has_steps = false;
        for _ in 0..MOST_SEGMENTS {
            let (marker, body) = segments.next()?;
            match marker {
                SIZ => frame = Some(size(body)?),
                COD => coding = Some(coding_style(body)?),
                QCD => has_steps = quantisation(body)?,
                // Capabilities, lengths of tile-parts, comments.
                0xFF50 | 0xFF55 | 0xFF57 | 0xFF59 | 0xFF64 => {}
                SOT => {
                    let (mut frame, coding) =
                        frame.zip(coding).filter(|_| has_steps).ok_or("headers that are missing")?;
                    (frame.is_fast, frame.is_reversible) = (coding.is_fast, coding.is_reversible);
                    frame.coding = coding;
                    return Ok((frame, segments.at - 4 - body.len()));
                }
                other => return Err(not_read(other)),
            }
        }
        Err("a header without end".into())
    }

    /// Whether the stream is what the data set says of it; `bits` are the least and the most of a sample.
    ///
    /// # Errors
    /// Both, where they differ; parts so small that they take more room than the samples.
    pub(crate) fn check(&self, is_fast: bool, size: [u32; 2], samples: u32, bits: (u32, u32)) -> Result<(), String> {
        let name = |is_fast| if is_fast { "HTJ2K" } else { "JPEG 2000" };
        let (least, most) = (bits.0, bits.1.min(16));
        let [columns, rows] = size;
        let found = ([self.columns, self.rows], self.samples, self.is_fast);
        if found != (size, samples, is_fast) || !(least..=most).contains(&self.precision) {
            return Err(format!(
                "a stream of {}, {}x{} voxels of {} samples of {} bits, where the data set has {}, {columns}x{rows} voxels of {samples} \
                 samples of {least} to {most} bits",
                name(self.is_fast),
                self.columns,
                self.rows,
                self.samples,
                self.precision,
                name(is_fast)
            ));
        }
        self.coding.check(&self.tiles, self.samples)
    }

    /// Walks from tile-part to tile-part, the first one at `at`: each tile is there, within the stream, with no coding of its own.
    fn tile_parts(&self, bytes: &[u8], mut at: usize) -> Result<(), String> {
        let count = self.tiles.count().ok_or("more tiles than are read")?;
        let mut found = vec![false; count];
        // A part of a tile takes a dozen bytes.
        while word(bytes, at) == Some(SOT) {
            let head = bytes.get(at + 4..at + 12).filter(|_| word(bytes, at + 2) == Some(10));
            let Some(&[a, b, c, d, e, f, ..]) = head else { return Err("a header of a tile that is cut off".into()) };
            let len = u32::from_be_bytes([c, d, e, f]) as usize;
            let end = if len == 0 { bytes.len() } else { at.saturating_add(len) };
            let tile = found.get_mut(usize::from(u16::from_be_bytes([a, b]))).ok_or("a tile that there is not")?;
            *tile = true;
            if end > bytes.len() || end < at + 14 {
                return Err(format!("a tile of {len} bytes at byte {at} of {}", bytes.len()));
            }
            let mut segments = Segments { bytes: &bytes[..end], at: at + 12 };
            for n in 0.. {
                if word(segments.bytes, segments.at) == Some(SOD) {
                    break;
                }
                match segments.next()?.0 {
                    // Lengths of packets, comments.
                    0xFF58 | 0xFF64 if n < MOST_SEGMENTS => {}
                    other => return Err(not_read(other)),
                }
            }
            at = end;
        }
        match found.iter().position(|&found| !found) {
            None => Ok(()),
            Some(n) => Err(format!("tile {n} of {count} is missing")),
        }
    }
}

/// Marker segments of a header.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    fn next(&mut self) -> Result<(u16, &'a [u8]), String> {
        let cut = || format!("a header of JPEG 2000 that is cut off at byte {}", self.at);
        let (marker, len) = word(self.bytes, self.at).zip(word(self.bytes, self.at + 2)).ok_or_else(cut)?;
        let body = self.bytes.get(self.at + 4..self.at + 2 + usize::from(len.max(2))).ok_or_else(cut)?;
        if marker == EOC || marker < 0xFF00 || len < 2 {
            return Err(format!("no segment of JPEG 2000 at byte {}", self.at));
        }
        self.at += 4 + body.len();
        Ok((marker, body))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

fn not_read(marker: u16) -> String {
    let what = match marker {
        COC | QCC => "components that are coded in ways of their own",
        COD | QCD => "tiles that are coded in ways of their own",
        0xFF5E => "a region of interest",
        0xFF5F => "a change of the order of packets",
        0xFF60 | 0xFF61 => "headers of packets apart from them",
        _ => "a part",
    };
    format!("{what} (marker {marker:#06x}), which is not read")
}

fn size(body: &[u8]) -> Result<Frame, String> {
    let long = |n: usize| {
        let bytes = body.get(2 + 4 * n..6 + 4 * n)?;
        Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let cut = || "a header of the size that is cut off".to_string();
    let numbers: Vec<u32> = (0..8).map_while(long).collect();
    let Ok([right, bottom, left, top, width, height, first_x, first_y]) = <[u32; 8]>::try_from(numbers) else {
        return Err(cut());
    };
    let samples = word(body, 34).ok_or_else(cut)?;
    let components = body.get(36..36 + 3 * usize::from(samples)).filter(|rest| !rest.is_empty()).ok_or_else(cut)?;
    let depth = components[0];
    if components.chunks_exact(3).any(|component| component != [depth, 1, 1]) {
        return Err("samples of a voxel that differ in size or bits".into());
    }
    let tiles = Tiles { area: [left, top, right, bottom], first: [first_x, first_y], size: [width, height] };
    tiles.check()?;
    Ok(Frame {
        columns: right - left,
        rows: bottom - top,
        samples: samples.into(),
        precision: u32::from(depth & 0x7f) + 1,
        signed: depth & 0x80 != 0,
        is_fast: false,
        is_reversible: false,
        tiles,
        coding: Coding::default(),
    })
}

fn coding_style(body: &[u8]) -> Result<Coding, String> {
    let &[style, order, a, b, _colours, levels, width, height, blocks, transform, ref precincts @ ..] = body else {
        return Err("a coding style that is cut off".into());
    };
    let layers = u16::from_be_bytes([a, b]);
    let precincts = if style & 1 == 0 { &[][..] } else { precincts.get(..=usize::from(levels)).unwrap_or_default() };
    let is_sound = levels <= MOST_LEVELS
        && (1..=MOST_LAYERS).contains(&layers)
        && order <= 4
        && width <= 8
        && height <= 8
        && width + height <= 8
        && transform <= 1
        // Blocks in both ways side by side.
        && blocks & 0x80 == 0
        && (style & 1 == 0 || precincts.len() == usize::from(levels) + 1);
    if !is_sound {
        return Err(format!(
            "{levels} decompositions (of {MOST_LEVELS}), {layers} layers (of {MOST_LAYERS}), blocks of 2^{} x 2^{}, way {blocks:#04x}",
            width.saturating_add(2),
            height.saturating_add(2)
        ));
    }
    Ok(Coding {
        levels,
        layers,
        block: [width + 2, height + 2],
        precincts: precincts.iter().map(|both| [both & 15, both >> 4]).collect(),
        // Passes that end by themselves, or some of them that bypass the coder.
        ends_passes: blocks & 5 != 0,
        is_fast: blocks & 0x40 != 0,
        is_reversible: transform == 1,
    })
}

/// Whether the steps are there; a coefficient of more bits than there are is none.
fn quantisation(body: &[u8]) -> Result<bool, String> {
    let (&style, steps) = body.split_first().ok_or("steps that are cut off")?;
    let guard = u16::from(style >> 5);
    let exponents: Vec<u16> = match style & 31 {
        0 => steps.iter().map(|&step| u16::from(step >> 3)).collect(),
        _ => steps.chunks_exact(2).map(|step| u16::from(step[0] >> 3)).collect(),
    };
    match exponents.iter().find(|&&exponent| guard + exponent > MOST_BITPLANES + 1) {
        Some(exponent) => Err(format!("coefficients of {} bits", guard + exponent)),
        None => Ok(!exponents.is_empty()),
    }
}
