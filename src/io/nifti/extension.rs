//! The extensions between header and voxels (`nifti1.h`, "NIFTI-1 EXTENSION").
//!
//! Four bytes say by the first of them whether extensions follow; each is esize, ecode (i32 in the header's byte order)
//! and esize - 8 bytes that are nobody's business here.

use crate::sys;

/// The most that is read between header and voxels.
pub const MAX_EXTENSION_BYTES: u64 = 64 << 20;
/// The part of a budget that it may be: a copy for the target is made of it, and a list of what it holds.
const SHARE: u64 = 16;
/// So much is always read.
const LEAST_BYTES: u64 = 1 << 20;

/// The most that is read between header and voxels within the budget of this process.
pub(super) fn most_bytes() -> u64 {
    sys::budget().map_or(MAX_EXTENSION_BYTES, |budget| (budget / SHARE).clamp(LEAST_BYTES, MAX_EXTENSION_BYTES))
}

/// One extension: its code and its content.
pub(super) type Extension<'a> = (i32, &'a [u8]);

/// What the bytes between header and voxels hold.
#[derive(Debug, PartialEq)]
pub(super) struct Chain<'a> {
    pub extensions: Vec<Extension<'a>>,
    /// What is wrong behind the last of them, where the chain cannot be followed to its end.
    pub broken: Option<String>,
}

/// The extensions in `bytes`, which start with the four-byte flag; what follows the last one is padding.
///
/// An `esize` that is not a multiple of 16 is taken at its word, as other readers do. Where a chain breaks, what is behind is no
/// extension: `vox_offset` says where the voxels are, whatever stands before them.
pub(super) fn chain(bytes: &[u8], big_endian: bool) -> Chain<'_> {
    let mut found = Chain { extensions: Vec::new(), broken: None };
    let Some((flag, mut rest)) = bytes.split_at_checked(4) else { return found };
    if flag[0] == 0 {
        return found;
    }
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        if rest.iter().take(16).all(|&byte| byte == 0) {
            break;
        }
        let (size, code) = head.split_at(4);
        let (size, code) = (int(size, big_endian), int(code, big_endian));
        let content = usize::try_from(size).ok().and_then(|size| tail.split_at_checked(size.checked_sub(8)?));
        let Some((content, after)) = content else {
            let (n, most) = (found.extensions.len() + 1, rest.len());
            found.broken =
                Some(format!("esize of extension {n} is {size}, expected 8 to {most}: {most} bytes are left out"));
            break;
        };
        found.extensions.push((code, content));
        rest = after;
    }
    found
}

fn int(bytes: &[u8], big_endian: bool) -> i32 {
    let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
    if big_endian { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) }
}

/// The flag and the extensions in little-endian order, each padded to a multiple of 16 bytes.
pub(super) fn encode(extensions: &[Extension<'_>]) -> Vec<u8> {
    let mut bytes = vec![u8::from(!extensions.is_empty()), 0, 0, 0];
    for (code, content) in extensions {
        // Bounded by what was read: far below 2^31.
        let size = (content.len() + 8).next_multiple_of(16);
        bytes.extend_from_slice(&(size as i32).to_le_bytes());
        bytes.extend_from_slice(&code.to_le_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + size - 8 - content.len(), 0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(bytes: &[u8]) -> Vec<u8> {
        let mut swapped = bytes.to_vec();
        let mut at = 4;
        while at < swapped.len() {
            let size = int(&swapped[at..at + 4], false) as usize;
            swapped[at..at + 4].reverse();
            swapped[at + 4..at + 8].reverse();
            at += size;
        }
        swapped
    }

    #[test]
    fn chains_come_back_from_both_byte_orders() {
        let contents: [(i32, &[u8]); 3] = [(4, b"<AFNI_attributes/>"), (6, b"12345678"), (44, b"")];
        let bytes = encode(&contents);
        assert_eq!(bytes.len(), 4 + 32 + 16 + 16);
        for (bytes, big_endian) in [(bytes.clone(), false), (swap(&bytes), true)] {
            let chain = chain(&bytes, big_endian).extensions;
            assert_eq!(encode(&chain), encode(&contents));
            assert_eq!((chain[0].0, &chain[0].1[..18]), (4, &b"<AFNI_attributes/>"[..]));
        }
    }

    #[test]
    fn nothing_and_padding_are_no_extensions() {
        for bytes in [&[][..], &[1, 0], &[0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9], &[1, 0, 0, 0], &[1; 11]] {
            assert_eq!(chain(bytes, false), Chain { extensions: Vec::new(), broken: None });
        }
        let mut padded = encode(&[(6, b"12345678")]);
        padded.extend([0; 40]);
        assert_eq!(chain(&padded, false).extensions.len(), 1);
    }

    #[test]
    fn broken_chains_are_named_and_followed_as_far_as_they_go() {
        let mut bytes = encode(&[(6, b"12345678"), (6, b"12345678")]);
        for size in [-1, 0, 7, 17, i32::MAX] {
            bytes[20..24].copy_from_slice(&i32::to_le_bytes(size));
            let chain = chain(&bytes, false);
            assert_eq!(chain.extensions, [(6, &b"12345678"[..])]);
            let expected = format!("esize of extension 2 is {size}, expected 8 to 16: 16 bytes are left out");
            assert_eq!(chain.broken, Some(expected));
        }
    }
}
