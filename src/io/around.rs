//! What stands around the voxels of a target file: its header, whatever the format.
//!
//! A file is `head`, `lead`, voxels, `tail`. Of compressed files the stream begins behind `head`: a NIfTI header is a part of the stream, the
//! text of NRRD and MetaImage is not.

use std::ops::Range;

/// The bytes of a target file that are not voxels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Around {
    /// A header in a file of its own.
    pub beside: Option<Vec<u8>>,
    /// At the start of the file, never compressed.
    pub head: Vec<u8>,
    /// The bytes of `head` that become the length of the stream in digits, once it is known.
    pub length_at: Option<Range<usize>>,
    /// Before the voxels.
    pub lead: Vec<u8>,
    /// Behind the voxels.
    pub tail: Vec<u8>,
}

impl Around {
    /// Only bytes before the voxels.
    pub fn leading(lead: Vec<u8>) -> Around {
        Around { lead, ..Around::default() }
    }

    /// Bytes before the first voxel of an uncompressed file.
    pub fn offset(&self) -> u64 {
        (self.head.len() + self.lead.len()) as u64
    }

    /// All bytes, before compression.
    pub fn bytes(&self) -> u64 {
        self.beside.as_ref().map_or(0, |header| header.len() as u64) + self.offset() + self.tail.len() as u64
    }

    /// Of all bytes, to tell one header from another.
    pub fn crc32(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        let beside = self.beside.as_deref().unwrap_or_default();
        [beside, &self.head, &self.lead, &self.tail].into_iter().for_each(|part| crc.update(part));
        crc.finalize()
    }

    /// What stands before the stream of so many bytes.
    pub fn head_of_stream(&self, stream_bytes: u64) -> Vec<u8> {
        let mut head = self.head.clone();
        if let Some(place) = self.length_at.clone().filter(|place| place.end <= head.len()) {
            let digits = format!("{stream_bytes:0width$}", width = place.len());
            // Room is left for any u64.
            head[place.clone()].copy_from_slice(&digits.as_bytes()[digits.len() - place.len()..]);
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_stream_is_put_in_its_place() {
        let around = Around { head: b"Size = 00000\n".to_vec(), length_at: Some(7..12), ..Around::default() };
        assert_eq!(around.head_of_stream(123), b"Size = 00123\n");
        assert_eq!(Around { length_at: None, ..around }.head_of_stream(123), b"Size = 00000\n");
    }
}
