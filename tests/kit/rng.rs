//! Random numbers from a seed that is printed and can be set.

use std::collections::VecDeque;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: u64,
    /// What decides before the state does, two bytes a number.
    bytes: VecDeque<u8>,
}

impl Rng {
    /// Seeded by `RESLICE_SEED`, or by a fixed number; the seed is shown when the test fails.
    pub(crate) fn new(test: &str) -> Rng {
        let seed = seed();
        eprintln!("{test}: RESLICE_SEED={seed}");
        Rng::of(test.bytes().fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
    }

    pub(crate) fn of(seed: u64) -> Rng {
        Rng { state: seed, bytes: VecDeque::new() }
    }

    /// Numbers that `bytes` decide, each by two of them: a changed byte changes one number.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Rng {
        Rng { state: 0, bytes: bytes.iter().copied().collect() }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        if let Some(low) = self.bytes.pop_front() {
            let high = self.bytes.pop_front().unwrap_or(0);
            // Spread, for those who take the upper bits.
            return u64::from(u16::from_le_bytes([low, high])).wrapping_mul(0x0001_0001_0001_0001);
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.bits() % n.max(1)
    }

    /// Uniform in `lo..=hi`.
    pub(crate) fn within(&mut self, lo: u64, hi: u64) -> u64 {
        lo + self.below(hi - lo + 1)
    }

    /// Uniform in `0..1`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, lo: f64, hi: f64) -> f64 {
        lo + self.unit() * (hi - lo)
    }

    pub(crate) fn one_of<'a, V>(&mut self, values: &'a [V]) -> &'a V {
        &values[self.below(values.len() as u64) as usize]
    }

    pub(crate) fn permutation(&mut self) -> [usize; 3] {
        *self.one_of(&[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    }
}

/// `RESLICE_SEED`, or a fixed number.
pub(crate) fn seed() -> u64 {
    std::env::var("RESLICE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_190_523)
}
