//! The checksum with which a compressed stream ends, put together from those of its parts.

/// The largest prime below 2^16 (RFC 1950, section 8.2).
const ADLER_BASE: u64 = 65_521;

/// A checksum of raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Of gzip (RFC 1952).
    Crc32(u32),
    /// Of zlib (RFC 1950).
    Adler32(u32),
}

impl Default for Check {
    /// Of no bytes of gzip.
    fn default() -> Check {
        Check::Crc32(0)
    }
}

impl Check {
    /// The number that is stored.
    pub fn number(self) -> u32 {
        let (Check::Crc32(number) | Check::Adler32(number)) = self;
        number
    }

    /// Of `bytes` bytes with this checksum and those behind them; `None` of two kinds, or of more than 2^64 bytes, which no stream has.
    pub fn then(self, bytes: u64, (behind, behind_bytes): (Check, u64)) -> Option<Check> {
        bytes.checked_add(behind_bytes)?;
        match (self, behind) {
            (Check::Crc32(first), Check::Crc32(second)) => {
                let mut crc = crc32fast::Hasher::new_with_initial_len(first, bytes);
                crc.combine(&crc32fast::Hasher::new_with_initial_len(second, behind_bytes));
                Some(Check::Crc32(crc.finalize()))
            }
            (Check::Adler32(first), Check::Adler32(second)) => {
                Some(Check::Adler32(adler_then(first, second, behind_bytes)))
            }
            _ => None,
        }
    }
}

/// The low half is 1 and the sum of all bytes, the high half the sum of all low halves.
fn adler_then(first: u32, second: u32, second_bytes: u64) -> u32 {
    let halves = |adler: u32| (u64::from(adler & 0xffff), u64::from(adler >> 16));
    let ((a, sums), (b, more)) = (halves(first), halves(second));
    let before = (a + ADLER_BASE - 1) % ADLER_BASE;
    let low = (before + b) % ADLER_BASE;
    let high = (sums + more + second_bytes % ADLER_BASE * before) % ADLER_BASE;
    (high << 16 | low) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_of_parts_are_the_check_of_all() {
        let raw: Vec<u8> = (0..200_000u64).map(|n| ((n * n) >> 7) as u8).chain([255; 70_000]).collect();
        let checks: [fn(&[u8]) -> Check; 2] =
            [|raw| Check::Crc32(crc32fast::hash(raw)), |raw| Check::Adler32(libdeflater::adler32(raw))];
        for check in checks {
            for cut in [0, 1, 65_520, 65_521, 131_042, 200_000, raw.len()] {
                let (first, second) = raw.split_at(cut);
                let joined = check(first).then(cut as u64, (check(second), second.len() as u64));
                assert_eq!(joined, Some(check(&raw)), "cut at {cut}");
            }
        }
        assert_eq!(Check::Crc32(0).then(0, (Check::Adler32(1), 0)), None);
        assert_eq!(Check::Crc32(0).then(u64::MAX, (Check::Crc32(0), 1)), None);
    }
}
