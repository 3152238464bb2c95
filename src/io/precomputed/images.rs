//! Chunks that are images. The rows of an image, one behind the other, are the voxels of a chunk, x fastest, however wide it is.
//!
//! Source: Neuroglancer, `src/datasource/precomputed/volume.md`, "jpeg Chunk Encoding" and "png Chunk Encoding".

use std::io::Cursor;

use crate::{
    io::jpeg::{self, dct},
    sys,
};

/// Memory beside a chunk's samples that decoding takes, in samples of it: planes of 16 bits, or rows of an image and the image.
pub(super) const TIMES: u64 = 4;

/// A chunk: its voxels, and what each has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub voxels: u64,
    pub channels: u64,
    pub sample_bytes: usize,
}

impl Chunk {
    /// An error where an image has other pixels than the chunk has voxels.
    fn check(&self, [columns, rows]: [u32; 2], channels: u64, bits: u32) -> Result<(), String> {
        let pixels = u64::from(columns) * u64::from(rows);
        let expected = self.sample_bytes as u32 * 8;
        if (pixels, channels, bits) == (self.voxels, self.channels, expected) {
            return Ok(());
        }
        let Chunk { voxels, channels: own, .. } = self;
        Err(format!(
            "an image of {columns}x{rows} pixels of {channels} samples of {bits} bits, expected {voxels} pixels of {own} samples of {expected} bits"
        ))
    }

    /// Puts sample `c` of voxel `n` into its place: channels are slowest.
    fn place(&self, n: usize, c: usize) -> std::ops::Range<usize> {
        let at = (c * self.voxels as usize + n) * self.sample_bytes;
        at..at + self.sample_bytes
    }
}

/// The samples of a chunk from a lossy JPEG, into `room`, which has room for just these.
///
/// # Errors
/// Streams that are damaged, progressive, or of another size.
pub(super) fn from_jpeg(stored: &[u8], chunk: Chunk, room: &mut [u8]) -> Result<(), String> {
    let frame = jpeg::frame_of(stored)?;
    if frame.process == jpeg::SOF_PROGRESSIVE {
        return Err("a progressive JPEG, which is not read".into());
    }
    if !jpeg::SOF_DCT.contains(&frame.process) {
        return Err(format!("a JPEG of process {:#04x}, expected the baseline process", frame.process));
    }
    chunk.check([frame.columns, frame.rows], frame.components.len() as u64, frame.precision)?;
    let planes = dct::decode(stored, &frame)?;
    let is_ybr = planes.len() == 3 && !jpeg::is_rgb(stored, &frame)?;
    let columns = frame.columns as usize;
    for n in 0..chunk.voxels as usize {
        let (row, column) = (n / columns, n % columns);
        let mut put = |c: usize, sample: u16| room[chunk.place(n, c)].copy_from_slice(&[sample as u8]);
        match planes.as_slice() {
            [y, b, r] if is_ybr => {
                let colours = jpeg::rgb([y, b, r].map(|plane| plane.at(row, column)), 128.0);
                colours.into_iter().enumerate().for_each(|(c, sample)| put(c, sample));
            }
            planes => planes.iter().enumerate().for_each(|(c, plane)| put(c, plane.at(row, column))),
        }
    }
    Ok(())
}

/// The same from a PNG.
///
/// # Errors
/// Images that are damaged, or of another size or kind.
pub(super) fn from_png(stored: &[u8], chunk: Chunk, room: &mut [u8]) -> Result<(), String> {
    let wrong = |error: png::DecodingError| format!("a PNG that is damaged: {error}");
    let bytes = TIMES.saturating_mul(room.len() as u64).saturating_add(64 << 10);
    let limits = png::Limits { bytes: usize::try_from(bytes).unwrap_or(usize::MAX) };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(stored), limits);
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(wrong)?;
    let info = reader.info();
    let (size, bits) = ([info.width, info.height], info.bit_depth as u32);
    if info.color_type == png::ColorType::Indexed {
        return Err("a PNG with a palette, which is not read".into());
    }
    let channels = info.color_type.samples();
    chunk.check(size, channels as u64, bits)?;
    let mut image = sys::reserve(room.len() as u64)?;
    image.resize(room.len(), 0);
    reader.next_frame(&mut image).map_err(wrong)?;
    for (n, pixel) in image.chunks_exact(channels * chunk.sample_bytes).enumerate() {
        for (c, sample) in pixel.chunks_exact(chunk.sample_bytes).enumerate() {
            let place = &mut room[chunk.place(n, c)];
            place.copy_from_slice(sample);
            // In images the high byte comes first.
            place.reverse();
        }
    }
    Ok(())
}
