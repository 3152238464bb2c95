//! JPEG 2000 and HTJ2K streams: what stands before the samples of a frame, held against the data set and against bounds before they are decoded.
//!
//! Source: ISO/IEC 15444-1, annexes A and B; ISO/IEC 15444-15.

mod header;
mod room;

pub(super) use header::Frame;

/// Bytes that decoding takes for a sample: coefficients, waves, samples and what is handed on, and [`room::STRUCTURE_BYTES`].
pub(super) const BYTES_A_SAMPLE: u64 = 32 + room::STRUCTURE_BYTES;

/// The samples of a frame, those of a voxel side by side, as so many bits as the stream has, with the sign carried on where there is one.
/// The frame was held against what is expected ([`Frame::check`]).
///
/// # Errors
/// Streams that are cut off, or cannot be.
pub(super) fn decode(bytes: &[u8], frame: &Frame) -> Result<Vec<u16>, String> {
    let mut samples = if frame.is_fast { decode_fast(bytes, frame)? } else { decode_whole(bytes, frame)? };
    if samples.len() as u64 != u64::from(frame.columns) * u64::from(frame.rows) * u64::from(frame.samples) {
        return Err(format!("{} samples where the header has {}x{}", samples.len(), frame.columns, frame.rows));
    }
    if frame.signed {
        // Both decoders shift all samples to positive ones, those with a sign too.
        let (top, unused) = (1u16 << (frame.precision - 1), 16 - frame.precision);
        samples.iter_mut().for_each(|sample| *sample = ((((*sample ^ top) << unused) as i16) >> unused) as u16);
    }
    Ok(samples)
}

/// JPEG 2000.
fn decode_whole(bytes: &[u8], frame: &Frame) -> Result<Vec<u16>, String> {
    use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(bytes, &settings).map_err(|error| error.to_string())?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| error.to_string())?;
    let components = decoded.components();
    let count = components.len();
    let most = ((1u32 << frame.precision) - 1) as f32;
    let mut samples = vec![0; components.iter().map(|component| component.samples().len()).sum()];
    for (first, component) in components.iter().enumerate() {
        for (stored, sample) in samples.iter_mut().skip(first).step_by(count).zip(component.samples()) {
            *stored = sample.round().clamp(0.0, most) as u16;
        }
    }
    Ok(samples)
}

/// HTJ2K.
fn decode_fast(bytes: &[u8], frame: &Frame) -> Result<Vec<u16>, String> {
    use dicom_toolkit_jpeg2000::{DecodeSettings, Image};
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(bytes, &settings).map_err(|error| error.to_string())?;
    let decoded = image.decode_native().map_err(|error| error.to_string())?;
    Ok(match frame.precision {
        ..=8 => decoded.data.into_iter().map(u16::from).collect(),
        _ => decoded.data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect(),
    })
}
