//! Makes a complete deflate stream of one block continue (RFC 1951).
//!
//! libdeflate makes complete streams only: a bit at the start of the last block says that it is the last. If the stream
//! has one block, clearing that bit allows more blocks. They need a byte border, so an empty stored block follows where
//! the block ends. The end is found without decoding: the last bits of a block are its end-of-block code, which the code
//! lengths in its header give.

/// Bits that say an empty stored block follows: not the last one, of type 0.
const STORED_BITS: usize = 3;
/// An empty stored block: its bits, padded, then its length and the complement of that.
const NO_BYTES: [u8; 5] = [0, 0, 0, 0xff, 0xff];
/// Bits, length and complement of a stored block that begins on a byte border.
const STORED_HEADER_BYTES: usize = 5;
/// Types of blocks (section 3.2.3).
const STORED: u32 = 0;
const DYNAMIC: u32 = 2;
/// The symbol that ends a block.
const END_OF_BLOCK: usize = 256;
/// Longest codes of symbols, and of the lengths of codes.
const SYMBOL_BITS: usize = 15;
const LENGTH_BITS: usize = 7;
/// The order in which the lengths of codes for lengths stand (section 3.2.7).
const LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Makes `stream`, a whole deflate stream of `raw_bytes`, go on: its block is no longer the last. The result has to stand behind it;
/// then another block may follow.
///
/// `None`, with the stream unchanged, where the end of its block is not known: there are several, or it is of fixed codes, or the
/// stream is not as libdeflate writes it.
pub(super) fn reopen(stream: &mut [u8], raw_bytes: usize) -> Option<&'static [u8]> {
    let mut bits = Bits { bytes: stream, at: 0 };
    let is_last = bits.take(1)? == 1;
    let behind = match (is_last, bits.take(2)?) {
        (true, STORED) => is_one_stored_block(stream, raw_bytes).then_some(&[][..])?,
        (true, DYNAMIC) => {
            // Behind the end of a block are zeros, which the bits of an empty block are too.
            let fits = end_of_block(bits)? + STORED_BITS <= stream.len() * 8;
            if fits { &NO_BYTES[1..] } else { &NO_BYTES[..] }
        }
        _ => return None,
    };
    stream[0] &= !1;
    Some(behind)
}

/// Whether the stream is a stored block of `raw_bytes` and nothing else.
fn is_one_stored_block(stream: &[u8], raw_bytes: usize) -> bool {
    let [low, high] = (raw_bytes as u16).to_le_bytes();
    raw_bytes <= usize::from(u16::MAX)
        && stream.len() == STORED_HEADER_BYTES + raw_bytes
        && stream[1..STORED_HEADER_BYTES] == [low, high, !low, !high]
}

/// The bit behind the only block of a stream, of which `bits` is behind the type.
fn end_of_block(mut bits: Bits<'_>) -> Option<usize> {
    let lengths = symbol_lengths(&mut bits)?;
    let code = codes(&lengths, SYMBOL_BITS)?[END_OF_BLOCK];
    // Of a code of zeros alone the last bit cannot be told from what is behind it.
    let zeros = (lengths[END_OF_BLOCK] > 0 && code > 0).then(|| code.trailing_zeros() as usize)?;
    let last = bits.bytes.iter().rposition(|&byte| byte != 0)?;
    let end = last * 8 + (8 - bits.bytes[last].leading_zeros() as usize) + zeros;
    (end > bits.at && end.div_ceil(8) == bits.bytes.len()).then_some(end)
}

/// The lengths of the codes of all literals and lengths of matches, from a block's header (section 3.2.7).
fn symbol_lengths(bits: &mut Bits<'_>) -> Option<Vec<u8>> {
    let symbols = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let given = bits.take(4)? as usize + 4;
    let mut length_lengths = [0; 19];
    for &place in &LENGTH_ORDER[..given] {
        length_lengths[place] = bits.take(3)? as u8;
    }
    let length_codes = codes(&length_lengths, LENGTH_BITS)?;
    let all = symbols + distances;
    let mut lengths: Vec<u8> = Vec::with_capacity(all);
    while lengths.len() < all {
        let (length, times) = match bits.symbol(&length_lengths, &length_codes)? {
            16 => (*lengths.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length as u8, 1),
        };
        lengths.extend((0..times).map(|_| length));
    }
    let fits = lengths.len() == all;
    lengths.truncate(symbols);
    fits.then_some(lengths)
}

/// The code of each symbol (section 3.2.2); `None` where the lengths are not those of a complete code.
fn codes(lengths: &[u8], longest: usize) -> Option<Vec<u32>> {
    let mut counts = vec![0; longest + 1];
    for &length in lengths {
        *counts.get_mut(usize::from(length))? += 1;
    }
    counts[0] = 0;
    let mut next = vec![0u32; longest + 1];
    for length in 1..=longest {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    }
    if next[longest] + counts[longest] != 1 << longest {
        return None;
    }
    let code = |&length: &u8| {
        let place = &mut next[usize::from(length)];
        *place += 1;
        if length == 0 { 0 } else { *place - 1 }
    };
    Some(lengths.iter().map(code).collect())
}

/// A stream read bit by bit, the lowest of each byte first.
#[derive(Clone, Copy)]
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next bits as a number, the lowest first; `None` where the stream ends.
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut number = 0;
        for n in 0..count {
            number |= self.bit()? << n;
        }
        Some(number)
    }

    fn bit(&mut self) -> Option<u32> {
        let bit = self.bytes.get(self.at / 8)? >> (self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    /// The next symbol of a code, which stands with its highest bit first.
    fn symbol(&mut self, lengths: &[u8; 19], codes: &[u32]) -> Option<usize> {
        let mut code = 0;
        for length in 1..=LENGTH_BITS {
            code = code << 1 | self.bit()?;
            let is_it = |&n: &usize| usize::from(lengths[n]) == length && codes[n] == code;
            if let Some(symbol) = (0..lengths.len()).find(is_it) {
                return Some(symbol);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Decompress, FlushDecompress, Status, read::DeflateEncoder};
    use libdeflater::{CompressionLvl, Compressor, Decompressor};
    use proptest::prelude::*;
    use std::io::Read;

    /// Data of one kind, which decides the kinds of blocks: 0 noise, 1 zeros, 2 a ramp of u16, 3 text, 4 a noisy ramp, 5 few values,
    /// 6 zeros and noise by turns.
    fn data(kind: u8, len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let mut noise = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        let mut byte = |n: usize| match kind {
            0 => noise(),
            1 => 0,
            2 => (n / 2).to_le_bytes()[n % 2],
            3 => b"the quick brown fox jumps over the lazy dog "[(n + usize::from(noise() / 200)) % 44],
            4 if n.is_multiple_of(2) => (n / 64) as u8 ^ (noise() >> 5),
            4 => 1,
            5 => noise() % 3,
            _ if (n / 1000).is_multiple_of(2) => 0,
            _ => noise(),
        };
        (0..len).map(&mut byte).collect()
    }

    fn whole_stream(raw: &[u8], level: i32) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap());
        let mut stream = vec![0; compressor.deflate_compress_bound(raw.len())];
        let n = compressor.deflate_compress(raw, &mut stream).unwrap();
        stream.truncate(n);
        stream
    }

    /// What flate2 and libdeflate inflate a stream to, which must end where its bytes do.
    fn inflated(stream: &[u8], room: usize) -> Option<Vec<u8>> {
        let mut by_flate2 = Vec::with_capacity(room + 1);
        let mut decoder = Decompress::new(false);
        let status = decoder.decompress_vec(stream, &mut by_flate2, FlushDecompress::Finish);
        let ends = matches!(status, Ok(Status::StreamEnd)) && decoder.total_in() == stream.len() as u64;
        let mut other = vec![0; room + 1];
        let n = Decompressor::new().deflate_decompress(stream, &mut other).ok();
        if ends {
            assert_eq!(n.map(|n| &other[..n]), Some(&by_flate2[..]));
        }
        ends.then_some(by_flate2)
    }

    /// Two copies of a stream, the first one reopened, are the data twice; `false` where it was not reopened.
    fn goes_on(stream: &[u8], raw: &[u8]) -> bool {
        let mut first = stream.to_vec();
        let Some(behind) = reopen(&mut first, raw.len()) else {
            assert_eq!(first, stream);
            return false;
        };
        let twice = [&first, behind, stream].concat();
        assert!(inflated(&twice, 2 * raw.len()) == Some([raw, raw].concat()), "{} bytes", raw.len());
        true
    }

    #[test]
    fn streams_of_any_kind_and_length_go_on() {
        let mut reopened = [0; 7];
        for kind in 0..7 {
            for (n, len) in (0..40).chain((41..40_000).step_by(1913)).chain([32 << 10, 40_000]).enumerate() {
                let raw = data(kind, len, n as u64 * 7919 + 1);
                for level in 0..=12 {
                    reopened[usize::from(kind)] += usize::from(goes_on(&whole_stream(&raw, level), &raw));
                }
            }
        }
        assert!(reopened.iter().all(|&n| n > 100), "{reopened:?}");
    }

    /// Otherwise speed is lost, which no other test would tell.
    #[test]
    fn parts_of_the_default_level_are_one_block() {
        for kind in 0..7 {
            for seed in 0..8 {
                let raw = data(kind, 32 << 10, seed * 31 + 1);
                assert!(goes_on(&whole_stream(&raw, 1), &raw), "kind {kind}");
            }
        }
    }

    #[test]
    fn streams_of_several_blocks_stay() {
        let raw = [data(4, 40_000, 3), data(3, 40_000, 5), data(0, 40_000, 7)].concat();
        assert!(!goes_on(&whole_stream(&raw, 6), &raw));
        let raw = data(0, 70_000, 9);
        assert!(!goes_on(&whole_stream(&raw, 1), &raw));
    }

    proptest! {
        #[test]
        fn streams_of_another_library_go_on_or_stay(kind in 0..7u8, len in 0..40_000usize, seed: u64, level in 0..10u32) {
            let raw = data(kind, len, seed);
            let mut stream = Vec::new();
            DeflateEncoder::new(&raw[..], flate2::Compression::new(level)).read_to_end(&mut stream).unwrap();
            goes_on(&stream, &raw);
        }

        /// A damaged stream stays, or is one that inflates and inflates the same when reopened.
        #[test]
        fn damaged_streams_never_become_other_data(
            kind in 0..7u8,
            len in 1..3000usize,
            seed: u64,
            flips in prop::collection::vec((0..4000usize, 1..=255u8), 1..4),
            cut in 0..40usize,
        ) {
            let raw = data(kind, len, seed);
            let mut stream = whole_stream(&raw, 1);
            for (at, mask) in flips {
                // Half of them in the header.
                let at = if at % 2 == 0 { at % 80 } else { at } % stream.len();
                stream[at] ^= mask;
            }
            stream.truncate(stream.len().saturating_sub(cut));
            if let Some(now) = inflated(&stream, 1 << 20) {
                goes_on(&stream, &now);
            } else {
                reopen(&mut stream, raw.len());
            }
        }

        #[test]
        fn noise_is_no_stream_that_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), dynamic: bool) {
            if let (Some(first), true) = (bytes.first_mut(), dynamic) {
                *first = *first & !7 | 5;
            }
            reopen(&mut bytes, 100);
        }
    }
}
