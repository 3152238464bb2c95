//! Frames as runs: DICOM PS3.5, annex G.
//!
//! Sixteen numbers of 32 bits, little endian: how many segments, and where each begins. A segment has one byte of each sample, the highest first, as PackBits.

/// Most segments of a frame.
const MOST_SEGMENTS: usize = 15;
/// Bytes before the segments.
const HEADER_BYTES: usize = 64;
/// What one byte can at most stand for.
pub(super) const MOST_RATIO: u64 = 64;

/// The samples of one frame: planes one after the other, each sample little endian.
///
/// `frame_bytes` were held against the bytes that there are ([`MOST_RATIO`]).
///
/// # Errors
/// Segments that are not there, or too short.
pub(super) fn decode(
    stored: &[u8],
    samples: usize,
    sample_bytes: usize,
    frame_bytes: usize,
) -> Result<Vec<u8>, String> {
    let segments = samples * sample_bytes;
    let number = |n: usize| {
        let bytes = stored.get(4 * n..4 * n + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    if stored.len() < HEADER_BYTES || segments > MOST_SEGMENTS || number(0) != Some(segments) {
        let found = number(0).map_or("no header".into(), |count| format!("{count} segments"));
        return Err(format!("{found} of runs where {segments} are expected"));
    }
    let voxels = frame_bytes / segments.max(1);
    let mut planes = vec![0; frame_bytes];
    for segment in 0..segments {
        let start = number(1 + segment).unwrap_or(0);
        let end = if segment + 1 < segments { number(2 + segment).unwrap_or(0) } else { stored.len() };
        let runs = stored.get(start..end).filter(|_| start >= HEADER_BYTES);
        let runs = runs.ok_or_else(|| format!("segment {segment} of runs lies outside of its frame"))?;
        let (sample, byte) = (segment / sample_bytes, sample_bytes - 1 - segment % sample_bytes);
        let plane = &mut planes[sample * voxels * sample_bytes..][..voxels * sample_bytes];
        let filled = unpack(runs, plane.iter_mut().skip(byte).step_by(sample_bytes));
        if filled < voxels {
            return Err(format!("segment {segment} of runs is cut off: {filled} bytes of {voxels}"));
        }
    }
    Ok(planes)
}

/// How many places were filled.
fn unpack<'a>(runs: &[u8], mut places: impl Iterator<Item = &'a mut u8>) -> usize {
    let (mut at, mut filled) = (0, 0);
    while let Some(&control) = runs.get(at) {
        at += 1;
        let (count, step) = match control {
            0..=127 => (usize::from(control) + 1, 1),
            128 => continue,
            _ => (257 - usize::from(control), 0),
        };
        for n in 0..count {
            let Some(&byte) = runs.get(at + n * step) else { return filled };
            let Some(place) = places.next() else { return filled };
            *place = byte;
            filled += 1;
        }
        at += if step == 1 { count } else { 1 };
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(segments: &[&[u8]]) -> Vec<u8> {
        let mut header = vec![segments.len() as u32];
        let mut at = 64;
        for segment in segments {
            header.push(at);
            at += segment.len() as u32;
        }
        header.resize(16, 0);
        let mut bytes: Vec<u8> = header.iter().flat_map(|n| n.to_le_bytes()).collect();
        segments.iter().for_each(|segment| bytes.extend(*segment));
        bytes
    }

    #[test]
    fn runs_are_unpacked() {
        let bytes = frame(&[&[253, 1, 128], &[1, 7, 8, 255, 9]]);
        assert_eq!(decode(&bytes, 1, 2, 8).unwrap(), [7, 1, 8, 1, 9, 1, 9, 1]);
    }

    #[test]
    fn damaged_runs_are_errors() {
        let bytes = frame(&[&[253, 1, 128], &[1, 7, 8, 255, 9]]);
        assert!(decode(&bytes, 1, 1, 4).unwrap_err().contains("2 segments of runs where 1"));
        assert!(decode(&bytes, 1, 2, 10).unwrap_err().contains("cut off"));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], 1, 2, 8).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _ = decode(&damaged, 1, 2, 8);
            }
        }
    }
}
