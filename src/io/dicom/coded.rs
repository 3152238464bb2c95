//! Frames that are coded each by itself: which codings are read, and what they take.

use super::{
    colours,
    format::Format,
    jpeg2000, rle,
    walk::{Fault, Span},
};
use crate::io::jpeg::{self, dct, lossless};

/// The mark of an item, and its length.
const ITEM_BYTES: u64 = 8;
/// Headers of JPEG 2000, of the shortest stream.
const LEAST_JPEG_2000: u64 = 64;

/// Bytes of a frame in which its header ends, unless somebody wrote a book into it.
pub(super) const HEADER_BYTES: u64 = 64 << 10;

/// A coding of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// Runs of bytes.
    Rle,
    /// JPEG lossless by Huffman codes, of any predictor.
    JpegLossless,
    /// JPEG-LS, lossless or not.
    JpegLs,
    /// Lossy JPEG, sequential: baseline and extended.
    JpegDct,
    /// JPEG 2000, lossless or not.
    Jpeg2000,
    /// JPEG 2000 with blocks that are coded for speed, lossless or not.
    Htj2k,
}

/// What a frame is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub format: &'a Format,
    pub rows: u32,
    pub columns: u32,
    pub frame_bytes: u64,
}

impl Codec {
    /// What of a format it does not have; `None` where it has all.
    pub(super) fn lacks(self, format: &Format) -> Option<String> {
        match self {
            Codec::JpegLs if format.samples > 1 => {
                Some(format!("{} samples of a voxel in JPEG-LS, of which one is read", format.samples))
            }
            Codec::Rle => None,
            _ if format.float => Some("floats in JPEG".into()),
            // DICOM PS3.5, table 8.2.1-1: rounding would turn the largest values into the smallest ones.
            Codec::JpegDct if format.signed => Some("samples with a sign in lossy JPEG, which has none".into()),
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
            // Two bits for a block of 64 samples, of which those of colours may be shared by sixteen voxels.
            Codec::JpegDct => frame_bytes / format.sample_bytes() as u64 / 1024,
            // Nothing is said of blocks without samples: a bit for a tile.
            Codec::Jpeg2000 | Codec::Htj2k => LEAST_JPEG_2000,
        }
    }

    /// The bytes of each frame, with the marks of its fragments.
    ///
    /// # Errors
    /// Fragments that are not one for each frame where there are several, or that are too short for what they are to hold.
    pub(super) fn spans(self, fragments: &[Span], frames: u64, expected: &Expected<'_>) -> Result<Vec<Span>, Fault> {
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
    pub(super) fn memory_bytes(self, format: &Format, largest: u64, frame_bytes: u64) -> u64 {
        let samples = frame_bytes / format.sample_bytes() as u64;
        let decoded = match self {
            Codec::Rle => frame_bytes,
            // Two rows of four bytes a sample.
            Codec::JpegLossless => frame_bytes.saturating_add(2 << 20),
            // Samples of two bytes, where the frame may have one, and rows.
            Codec::JpegLs => frame_bytes.saturating_mul(3).saturating_add(2 << 20),
            // Planes of two bytes a sample.
            Codec::JpegDct => samples.saturating_mul(2).saturating_add(frame_bytes).saturating_add(2 << 20),
            Codec::Jpeg2000 | Codec::Htj2k => {
                samples.saturating_mul(jpeg2000::BYTES_A_SAMPLE).saturating_add(frame_bytes).saturating_add(4 << 20)
            }
        };
        // As they stand in the file, and put together.
        largest.saturating_mul(2).saturating_add(decoded)
    }

    /// The samples of a frame as the format has them, but for planes ([`Codec::has_planes`]), from its bytes with the marks of fragments.
    ///
    /// # Errors
    /// What is wrong with the stream, or is not as the data set says.
    pub(super) fn decode(self, stored: &[u8], expected: &Expected<'_>) -> Result<Vec<u8>, Fault> {
        let bytes = joined(stored);
        let Expected { format, rows, columns, frame_bytes } = *expected;
        let decoded = match self {
            Codec::Rle => rle::decode(&bytes, format.samples as usize, format.sample_bytes(), frame_bytes as usize),
            Codec::JpegLossless => checked(&bytes, &[jpeg::SOF_LOSSLESS], expected)
                .and_then(|frame| lossless::decode(&bytes, &frame, format.sample_bytes())),
            Codec::JpegLs => checked(&bytes, &[jpeg::SOF_LS], expected).and_then(|frame| {
                let (samples, ..) = jpegls::decode(&bytes, columns, rows).map_err(|error| error.to_string())?;
                Ok(packed(&samples, frame.precision, format))
            }),
            Codec::JpegDct => checked(&bytes, &jpeg::SOF_DCT, expected).and_then(|frame| {
                let planes = dct::decode(&bytes, &frame)?;
                Ok(colours::interleaved(&planes, [columns, rows], frame.precision, format))
            }),
            Codec::Jpeg2000 | Codec::Htj2k => jpeg2000::Frame::parse(&bytes).and_then(|frame| {
                frame.check(self == Codec::Htj2k, [columns, rows], format.samples, bits(format))?;
                Ok(packed(&jpeg2000::decode(&bytes, &frame)?, frame.precision, format))
            }),
        };
        let decoded = decoded.map_err(|found| Fault::wrong("a frame", found, "one that is whole"))?;
        if decoded.len() as u64 != frame_bytes {
            return Err(Fault::wrong("a frame", format!("{} bytes", decoded.len()), format!("{frame_bytes}")));
        }
        Ok(decoded)
    }

    /// Whether samples are only near those that were coded, from the beginning of a frame ([`HEADER_BYTES`]) with the marks of its fragments.
    pub(super) fn is_lossy(self, stored: &[u8]) -> bool {
        match self {
            Codec::JpegDct => true,
            Codec::Jpeg2000 | Codec::Htj2k => {
                jpeg2000::Frame::before_tiles(&joined(stored)).is_ok_and(|(frame, _)| !frame.is_reversible)
            }
            Codec::Rle | Codec::JpegLossless | Codec::JpegLs => false,
        }
    }

    /// Whether samples of a voxel come in planes of their own.
    pub(super) fn has_planes(self) -> bool {
        self == Codec::Rle
    }
}

/// The header of a frame, held against the data set.
fn checked(bytes: &[u8], processes: &[u8], expected: &Expected<'_>) -> Result<jpeg::Frame, String> {
    let Expected { format, rows, columns, .. } = *expected;
    let frame = jpeg::frame_of(bytes)?;
    frame.check(processes, rows, columns, format.samples, bits(format))?;
    Ok(frame)
}

/// Bits of a sample, at least and at most: of those with a sign the highest that is stored is the sign.
fn bits(format: &Format) -> (u32, u32) {
    (if format.signed { format.stored } else { 2 }, format.allocated)
}

/// Samples of a stream as bytes of the format.
fn packed(samples: &[u16], precision: u32, format: &Format) -> Vec<u8> {
    let size = format.sample_bytes();
    let stored = samples.iter().map(|&sample| format.within(sample, precision));
    let mut bytes = Vec::with_capacity(samples.len() * size);
    stored.for_each(|sample| bytes.extend_from_slice(&sample.to_le_bytes()[..size]));
    bytes
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
    fn marks_of_fragments_are_left_out() {
        let item = |body: &[u8]| [&[0xfe, 0xff, 0, 0xe0][..], &(body.len() as u32).to_le_bytes(), body].concat();
        let all = [item(b"abcd"), item(b""), item(b"ef")].concat();
        assert_eq!(joined(&all), b"abcdef");
        assert_eq!(joined(&all[..all.len() - 1]), b"abcde");
    }
}
