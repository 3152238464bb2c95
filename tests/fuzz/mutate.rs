//! Changes to valid cases: what is nearly right gets farther than what is random.

use crate::bodies::kit::rng::Rng;

/// Numbers that break sums and sizes, as text.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "65536",
    "2147483647",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "-1e-308",
    "nan",
    "0.1",
];
/// The same as bytes, little endian.
const WORDS: [u64; 10] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x7fff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff];
const MOST_BYTES: usize = 1 << 16;

/// One of `seeds` with some changes, or as it is.
pub(crate) fn mutated(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = rng.one_of(seeds).clone();
    for _ in 0..*rng.one_of(&[0, 1, 1, 1, 2, 2, 3, 5, 9]) {
        change(&mut bytes, seeds, rng);
        bytes.truncate(MOST_BYTES);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    let len = bytes.len() as u64;
    let at = rng.below(len.max(1)) as usize;
    let run = |rng: &mut Rng, from: usize, len: usize| {
        let most = 1 << rng.below(8);
        from..(from + 1 + rng.below(most) as usize).min(len)
    };
    match rng.below(9) {
        _ if bytes.is_empty() => bytes.push(rng.bits() as u8),
        0 | 1 => bytes[at] ^= 1 << rng.below(8),
        2 => bytes[at] = *rng.one_of(&[0, 1, 0x7f, 0x80, 0xff, b'\n', b' ', b'0', b'9', b'-', b'"', b'[', b'{', b'/']),
        3 => drop(bytes.drain(run(rng, at, bytes.len()))),
        4 => {
            let copied = bytes[run(rng, at, bytes.len())].to_vec();
            let to = rng.below(len) as usize;
            bytes.splice(to..to, copied);
        }
        5 => {
            let width = *rng.one_of(&[1, 2, 4, 8]);
            let mut word = rng.one_of(&WORDS).to_le_bytes();
            if rng.below(4) == 0 {
                word[..width].reverse();
            }
            bytes.iter_mut().skip(at).zip(&word[..width]).for_each(|(byte, new)| *byte = *new);
        }
        6 => number(bytes, rng),
        7 => {
            let other = rng.one_of(seeds);
            let from = rng.below(other.len().max(1) as u64) as usize;
            let part = other[from..].iter().take(rng.within(1, 64) as usize).copied();
            let to = (at + rng.below(64) as usize).min(bytes.len());
            bytes.splice(at..to, part.collect::<Vec<_>>());
        }
        _ => bytes.truncate(at),
    }
}

/// Another number in place of one that stands there as text.
fn number(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let is_digit = |at: usize| bytes[at].is_ascii_digit();
    let starts: Vec<usize> = (0..bytes.len()).filter(|&at| is_digit(at) && (at == 0 || !is_digit(at - 1))).collect();
    if starts.is_empty() {
        return;
    }
    let start = *rng.one_of(&starts);
    let end = (start..bytes.len()).find(|&at| !is_digit(at)).unwrap_or(bytes.len());
    let new = if rng.below(3) == 0 { rng.below(40).to_string() } else { (*rng.one_of(&NUMBERS)).to_string() };
    bytes.splice(start..end, new.into_bytes());
}
