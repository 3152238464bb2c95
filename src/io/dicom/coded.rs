//! Frames that are coded each by itself: which codings are read, and what they take.

use super::{
    format::Format,
    jpeg::{self, lossless},
    rle,
    walk::{Fault, Span},
};

/// The mark of an item, and its length.
const ITEM_BYTES: u64 = 8;

/// A coding of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Runs of bytes.
    Rle,
    /// JPEG lossless by Huffman codes, of any predictor.
    JpegLossless,
    /// JPEG-LS, lossless or not.
    JpegLs,
}

/// What a frame is to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub format: &'a Format,
    pub rows: u32,
    pub columns: u32,
    pub frame_bytes: u64,
}

impl Codec {
    /// What of a format it does not have; `None` where it has all.
    pub fn lacks(self, format: &Format) -> Option<String> {
        match self {
            Codec::JpegLs if format.samples > 1 => {
                Some(format!("{} samples of a voxel in JPEG-LS, of which one is read", format.samples))
            }
            Codec::JpegLs | Codec::JpegLossless if format.float => Some("floats in JPEG".into()),
            _ => None,
        }
    }

    /// Whether a frame may lie in several fragments.
    fn joins(self) -> bool {
        self != Codec::Rle
    }

    /// Bytes that a frame takes at least.
    fn least_bytes(self, expected: &Expected<'_>) -> u64 {
        let Expected { format, rows, frame_bytes, .. } = *expected;
        match self {
            Codec::Rle => frame_bytes / rle::MOST_RATIO,
            // A bit for each sample.
            Codec::JpegLossless => frame_bytes / format.sample_bytes() as u64 / 8,
            // A bit for a row of one value.
            Codec::JpegLs => u64::from(rows) / 8,
        }
    }

    /// The bytes of each frame, with the marks of its fragments.
    ///
    /// # Errors
    /// Fragments that are not one for each frame where there are several, or that are too short for what they are to hold.
    pub fn spans(self, fragments: &[Span], frames: u64, expected: &Expected<'_>) -> Result<Vec<Span>, Fault> {
        let (least, frame_bytes) = (self.least_bytes(expected), expected.frame_bytes);
        let is_joined = self.joins() && frames == 1 && !fragments.is_empty();
        if !is_joined && fragments.len() as u64 != frames {
            let expected = format!("{frames}, one for each frame");
            return Err(Fault::wrong("the number of fragments", fragments.len(), expected));
        }
        let parts: Vec<&[Span]> = if is_joined { vec![fragments] } else { fragments.chunks(1).collect() };
        let most = frame_bytes.saturating_mul(8).saturating_add(1 << 20);
        let mut spans = Vec::with_capacity(parts.len());
        for part in parts {
            let bytes = part.iter().fold(0u64, |bytes, span| bytes.saturating_add(span.len));
            if bytes < least {
                let expected = format!("what makes {frame_bytes} bytes");
                return Err(Fault::wrong("a fragment of the voxels", format!("{bytes} bytes"), expected));
            }
            let (first, last) = (part[0], part[part.len() - 1]);
            let offset = first.offset.saturating_sub(ITEM_BYTES);
            // What is longer than the worst of streams is read no further.
            spans.push(Span { offset, len: (last.offset + last.len - offset).min(most) });
        }
        Ok(spans)
    }

    /// What decoding takes beyond what is handed over: stored bytes, and samples in the form of the decoder.
    pub fn memory_bytes(self, largest: u64, frame_bytes: u64) -> u64 {
        let decoded = match self {
            Codec::Rle => frame_bytes,
            // Two rows of four bytes a sample.
            Codec::JpegLossless => frame_bytes.saturating_add(2 << 20),
            // Samples of two bytes, where the frame may have one, and rows.
            Codec::JpegLs => frame_bytes.saturating_mul(3).saturating_add(2 << 20),
        };
        // As they stand in the file, and put together.
        largest.saturating_mul(2).saturating_add(decoded)
    }

    /// The samples of a frame as the format has them, but for planes ([`Codec::has_planes`]), from its bytes with the marks of fragments.
    ///
    /// # Errors
    /// What is wrong with the stream, or is not as the data set says.
    pub fn decode(self, stored: &[u8], expected: &Expected<'_>) -> Result<Vec<u8>, Fault> {
        let bytes = joined(stored);
        let Expected { format, rows, columns, frame_bytes } = *expected;
        let decoded = match self {
            Codec::Rle => rle::decode(&bytes, format.samples as usize, format.sample_bytes(), frame_bytes as usize),
            Codec::JpegLossless => checked(&bytes, jpeg::SOF_LOSSLESS, expected)
                .and_then(|frame| lossless::decode(&bytes, &frame, format.sample_bytes())),
            Codec::JpegLs => checked(&bytes, jpeg::SOF_LS, expected).and_then(|frame| {
                let (samples, ..) = jpegls::decode(&bytes, columns, rows).map_err(|error| error.to_string())?;
                let size = format.sample_bytes();
                let stored = samples.iter().map(|&sample| within(sample, frame.precision, format));
                Ok(stored.flat_map(|sample| sample.to_le_bytes().into_iter().take(size)).collect())
            }),
        };
        let decoded = decoded.map_err(|found| Fault::wrong("a frame", found, "one that is whole"))?;
        if decoded.len() as u64 != frame_bytes {
            return Err(Fault::wrong("a frame", format!("{} bytes", decoded.len()), format!("{frame_bytes}")));
        }
        Ok(decoded)
    }

    /// Whether samples of a voxel come in planes of their own.
    pub fn has_planes(self) -> bool {
        self == Codec::Rle
    }
}

/// A sample of a stream of so many bits, brought to the bits that are stored: near-lossless streams come out a little beyond them, and the bits
/// above would be cut off.
fn within(sample: u16, precision: u32, format: &Format) -> u32 {
    let Format { stored, high, signed, .. } = *format;
    let is_plain = stored < precision && high + 1 == stored;
    match (is_plain, signed) {
        (false, _) => u32::from(sample),
        (true, false) => u32::from(sample).min((1 << stored) - 1),
        (true, true) => {
            let (unused, half) = (32 - precision, 1 << (stored - 1));
            let whole = (i32::from(sample) << unused) >> unused;
            whole.clamp(-half, half - 1) as u32
        }
    }
}

/// The header of a frame, held against the data set.
fn checked(bytes: &[u8], process: u8, expected: &Expected<'_>) -> Result<jpeg::Frame, String> {
    let Expected { format, rows, columns, .. } = *expected;
    let frame = jpeg::frame_of(bytes)?;
    // Of signed samples the highest bit that is stored is the sign.
    let least = if format.signed { format.stored } else { 2 };
    frame.check(process, rows, columns, format.samples, (least, format.allocated))?;
    Ok(frame)
}

/// Fragments without their marks; as far as they go, where the last one is cut.
fn joined(stored: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(stored.len()), stored);
    while let Some((head, body)) = rest.split_first_chunk::<{ ITEM_BYTES as usize }>() {
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (part, behind) = body.split_at(len.min(body.len()));
        bytes.extend_from_slice(part);
        rest = behind;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_beyond_the_stored_bits_become_the_nearest() {
        let format = |signed| Format { samples: 1, allocated: 16, stored: 12, high: 11, signed, ..Format::default() };
        let of = |sample, signed| within(sample, 16, &format(signed)) as i32;
        assert_eq!([4094, 4095, 4096, 4100].map(|n| of(n, false)), [4094, 4095, 4095, 4095]);
        assert_eq!(
            [2047, 2048, 2050, 0xffff, 0xf800, 0xf7fe].map(|n| of(n, true)),
            [2047, 2047, 2047, -1, -2048, -2048]
        );
        assert_eq!(within(0xf800, 12, &format(true)), 0xf800);
    }

    #[test]
    fn marks_of_fragments_are_left_out() {
        let item = |body: &[u8]| [&[0xfe, 0xff, 0, 0xe0][..], &(body.len() as u32).to_le_bytes(), body].concat();
        let all = [item(b"abcd"), item(b""), item(b"ef")].concat();
        assert_eq!(joined(&all), b"abcdef");
        assert_eq!(joined(&all[..all.len() - 1]), b"abcde");
    }
}
