//! Shards: which file a chunk is in, and where.
//!
//! Source: Neuroglancer, "Sharded format", `src/datasource/precomputed/sharded.md`; MurmurHash3 (A. Appleby), `x86_128`.

use serde_json::Value;

use crate::io::tiff::fault::Fault;

/// How keys become numbers of shards and minishards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Identity,
    Murmur,
}

/// How the chunks of a scale are gathered in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sharding {
    pub preshift_bits: u32,
    pub hash: Hash,
    pub minishard_bits: u32,
    pub shard_bits: u32,
    pub is_index_packed: bool,
    pub is_data_packed: bool,
}

impl Sharding {
    /// The member `sharding` of a scale.
    ///
    /// # Errors
    /// One that is not read.
    pub(super) fn read(sharding: &Value) -> Result<Sharding, Fault> {
        let text = |name: &str| sharding.get(name).and_then(Value::as_str);
        let wrong = |name: &str, expected: &str| {
            let found: String = sharding.get(name).unwrap_or(&Value::Null).to_string().chars().take(80).collect();
            Fault::wrong(format!("{name} of sharding"), found, expected)
        };
        if text("@type") != Some("neuroglancer_uint64_sharded_v1") {
            return Err(wrong("@type", "neuroglancer_uint64_sharded_v1"));
        }
        let bits = |name: &str| {
            let found = sharding.get(name).and_then(Value::as_u64).filter(|&bits| bits <= 64);
            found.map(|bits| bits as u32).ok_or_else(|| wrong(name, "0 to 64"))
        };
        let is_packed = |name: &str| match text(name) {
            None | Some("raw") => Ok(false),
            Some("gzip") => Ok(true),
            Some(_) => Err(wrong(name, "raw or gzip")),
        };
        let hash = match text("hash") {
            Some("identity") => Hash::Identity,
            Some("murmurhash3_x86_128") => Hash::Murmur,
            _ => return Err(wrong("hash", "identity or murmurhash3_x86_128")),
        };
        let (minishard_bits, shard_bits) = (bits("minishard_bits")?, bits("shard_bits")?);
        if minishard_bits > 32 || minishard_bits + shard_bits > 64 {
            return Err(wrong("minishard_bits", "up to 32, and up to 64 with shard_bits"));
        }
        Ok(Sharding {
            preshift_bits: bits("preshift_bits")?,
            hash,
            minishard_bits,
            shard_bits,
            is_index_packed: is_packed("minishard_index_encoding")?,
            is_data_packed: is_packed("data_encoding")?,
        })
    }

    /// The shard and the minishard of a chunk.
    pub(super) fn place(&self, chunk: u64) -> (u64, u64) {
        let shifted = chunk.checked_shr(self.preshift_bits).unwrap_or(0);
        let hashed = match self.hash {
            Hash::Identity => shifted,
            Hash::Murmur => murmur(shifted),
        };
        let low = |number: u64, bits: u32| if bits >= 64 { number } else { number & ((1 << bits) - 1) };
        let shard = hashed.checked_shr(self.minishard_bits).unwrap_or(0);
        (low(shard, self.shard_bits), low(hashed, self.minishard_bits))
    }

    /// The name of a shard's file.
    pub(super) fn name(&self, shard: u64) -> String {
        let digits = self.shard_bits.div_ceil(4) as usize;
        if digits == 0 { "0.shard".into() } else { format!("{shard:0digits$x}.shard") }
    }

    /// Bytes of the index of minishards, with which a shard begins.
    pub(super) fn index_bytes(&self) -> u64 {
        16 << self.minishard_bits
    }
}

/// The number of a chunk: the bits of its place, taken by turns from x, y and z as long as an axis has some (compressed Morton code).
pub(super) fn number(at: [u64; 3], counts: [u64; 3]) -> u64 {
    let (mut number, mut bit) = (0, 0);
    for level in 0..32 {
        for a in 0..3 {
            if 1u64 << level < counts[a] {
                if bit < 64 {
                    number |= (at[a] >> level & 1) << bit;
                }
                bit += 1;
            }
        }
    }
    number
}

/// The low half of the hash of eight bytes, seed 0.
fn murmur(key: u64) -> u64 {
    const C: [u32; 4] = [0x239b_961b, 0xab0e_9789, 0x38b3_4ae5, 0xa1e3_8b93];
    let (low, high) = (key as u32, (key >> 32) as u32);
    // Eight bytes are less than a block of sixteen: both words are a tail.
    let mut h = [0u32; 4];
    h[1] ^= high.wrapping_mul(C[1]).rotate_left(16).wrapping_mul(C[2]);
    h[0] ^= low.wrapping_mul(C[0]).rotate_left(15).wrapping_mul(C[1]);
    h.iter_mut().for_each(|h| *h ^= 8);
    mix(&mut h);
    let finish = |h: &mut u32| {
        *h = (*h ^ *h >> 16).wrapping_mul(0x85eb_ca6b);
        *h = (*h ^ *h >> 13).wrapping_mul(0xc2b2_ae35);
        *h ^= *h >> 16;
    };
    h.iter_mut().for_each(finish);
    mix(&mut h);
    u64::from(h[1]) << 32 | u64::from(h[0])
}

fn mix(h: &mut [u32; 4]) {
    h[0] = h[0].wrapping_add(h[1]).wrapping_add(h[2]).wrapping_add(h[3]);
    for n in 1..4 {
        h[n] = h[n].wrapping_add(h[0]);
    }
}

/// Where the chunks of a minishard stand: number, first byte behind the index of the shard, and bytes; by their numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Minishard {
    chunks: Vec<(u64, u64, u64)>,
}

impl Minishard {
    /// Bytes of a chunk's entry, as stored and as held.
    pub(super) const ENTRY_BYTES: u64 = 24;

    /// Reads an index: differences of numbers, gaps before chunks, and lengths, each for all chunks.
    ///
    /// # Errors
    /// A length that is no multiple of 24; numbers beyond 64 bits.
    pub(super) fn parse(bytes: &[u8]) -> Result<Minishard, String> {
        if !bytes.len().is_multiple_of(24) {
            return Err(format!("the index of a minishard has {} bytes, which are no multiple of 24", bytes.len()));
        }
        let count = bytes.len() / 24;
        let word = |n: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[8 * n..8 * n + 8]);
            u64::from_le_bytes(eight)
        };
        let (mut chunks, mut number, mut at) = (Vec::with_capacity(count), 0u64, 0u64);
        for n in 0..count {
            let beyond = || format!("entry {n} of the index of a minishard is beyond 64 bits");
            number = number.wrapping_add(word(n));
            at = at.checked_add(word(count + n)).ok_or_else(beyond)?;
            let len = word(2 * count + n);
            chunks.push((number, at, len));
            at = at.checked_add(len).ok_or_else(beyond)?;
        }
        chunks.sort_unstable();
        Ok(Minishard { chunks })
    }

    /// First byte behind the index of the shard, and length of a chunk.
    pub(super) fn find(&self, number: u64) -> Option<(u64, u64)> {
        let n = self.chunks.binary_search_by_key(&number, |chunk| chunk.0).ok()?;
        Some((self.chunks[n].1, self.chunks[n].2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_bits_by_turns() {
        // x has 3 bits, y one, z two.
        let counts = [5, 2, 3];
        assert_eq!(number([1, 0, 0], counts), 1);
        assert_eq!(number([0, 1, 0], counts), 2);
        assert_eq!(number([0, 0, 1], counts), 4);
        assert_eq!(number([2, 0, 0], counts), 8);
        assert_eq!(number([0, 0, 2], counts), 16);
        assert_eq!(number([4, 1, 2], counts), 32 + 2 + 16);
        assert_eq!(number([0, 0, 0], [1, 1, 1]), 0);
        let mut all: Vec<u64> = (0..30).map(|n| number([n % 5, n / 5 % 2, n / 10], counts)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 30);
    }

    #[test]
    fn minishards_are_lists_of_differences() {
        let words = [3u64, 4, 100, 10, 0, 5, 7, 8, 9];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let index = Minishard::parse(&bytes).unwrap();
        assert_eq!([3, 7, 107, 4].map(|n| index.find(n)), [Some((10, 7)), Some((17, 8)), Some((30, 9)), None]);
        assert!(Minishard::parse(&bytes[1..]).is_err());
        assert!(Minishard::parse(&[0xff; 48]).is_err());
    }

    #[test]
    fn shards_have_names_of_whole_digits() {
        let sharding = serde_json::json!({"@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 1, "hash": "identity",
            "minishard_bits": 2, "shard_bits": 5, "minishard_index_encoding": "gzip", "data_encoding": "raw"});
        let sharding = Sharding::read(&sharding).unwrap();
        assert_eq!(sharding.place(0b1_0110_1101), (0b01101, 0b10));
        assert_eq!((sharding.name(13), sharding.index_bytes()), ("0d.shard".to_string(), 64));
    }
}
