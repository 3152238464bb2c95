//! Bits of a scan, and the codes that they are in: ITU-T T.81, annexes C and F.

/// Bits that are looked up at once.
const LOOKED_UP: u32 = 9;

/// Codes of numbers of one byte.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// By the next bits: length and number, where a code is no longer than that; length 0 where it is.
    short: Vec<(u8, u8)>,
    /// Of each length from 1 on: codes from this one on, how many, and where their numbers begin.
    lengths: [(u32, u32, u32); 16],
    numbers: Vec<u8>,
}

impl Table {
    /// Of the counts of codes of each length, and their numbers in order, none above `most`.
    ///
    /// # Errors
    /// More codes than there can be, or a number that there is not.
    pub(crate) fn new(counts: &[u8; 16], numbers: &[u8], most: u8) -> Result<Table, String> {
        let mut lengths = [(0, 0, 0); 16];
        let mut short = vec![(0, 0); 1 << LOOKED_UP];
        let (mut code, mut first) = (0u32, 0u32);
        for (n, &count) in counts.iter().enumerate() {
            let (len, count) = (n as u32 + 1, u32::from(count));
            lengths[n] = (code, count, first);
            if code + count > 1 << len || (first + count) as usize > numbers.len() {
                return Err("codes of samples that cannot be".into());
            }
            for k in 0..count.min(if len <= LOOKED_UP { count } else { 0 }) {
                let place = ((code + k) << (LOOKED_UP - len)) as usize;
                let number = numbers[(first + k) as usize];
                short[place..place + (1 << (LOOKED_UP - len))].fill((len as u8, number));
            }
            (code, first) = ((code + count) << 1, first + count);
        }
        let numbers = numbers[..first as usize].to_vec();
        if let Some(number) = numbers.iter().find(|&&number| number > most) {
            return Err(format!("a code of {number}, where {most} is the highest"));
        }
        Ok(Table { short, lengths, numbers })
    }
}

/// The bits of a scan.
#[derive(Debug)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, the first one highest.
    next: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// From byte `at` on.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Bits<'a> {
        Bits { bytes, at, next: 0, count: 0 }
    }

    /// Takes bytes in until a marker; a byte behind 0xFF that is 0 stands for nothing.
    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            let step = match (byte, self.bytes.get(self.at + 1)) {
                (0xFF, Some(0)) => 2,
                (0xFF, _) => return,
                _ => 1,
            };
            self.next |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            self.at += step;
        }
    }

    fn take(&mut self, count: u32) -> u32 {
        let bits = if count == 0 { 0 } else { (self.next >> (64 - count)) as u32 };
        self.next <<= count;
        self.count -= count;
        bits
    }

    /// The next difference; `None` where bits are missing, or no code.
    pub(crate) fn difference(&mut self, table: &Table) -> Option<i32> {
        match self.code(table)? {
            16 => Some(32768),
            bits => self.signed(bits),
        }
    }

    /// The number of the next code; `None` where bits are missing, or no code.
    pub(crate) fn code(&mut self, table: &Table) -> Option<u8> {
        if self.count < 32 {
            self.fill();
        }
        self.number(table)
    }

    /// The number that so many bits (15 at most) behind a code stand for; `None` where they are missing.
    pub(crate) fn signed(&mut self, bits: u8) -> Option<i32> {
        let bits = u32::from(bits);
        if bits == 0 || bits > self.count {
            return (bits == 0).then_some(0);
        }
        let found = self.take(bits) as i32;
        // The lower half stands for negative differences.
        Some(if found < 1 << (bits - 1) { found - (1 << bits) + 1 } else { found })
    }

    fn number(&mut self, table: &Table) -> Option<u8> {
        let (len, number) = table.short[(self.next >> (64 - LOOKED_UP)) as usize];
        if len > 0 {
            return (u32::from(len) <= self.count).then(|| {
                self.take(u32::from(len));
                number
            });
        }
        for len in LOOKED_UP + 1..=16.min(self.count) {
            let (code, count, first) = table.lengths[len as usize - 1];
            let found = (self.next >> (64 - len)) as u32;
            if found >= code && found - code < count {
                self.take(len);
                return table.numbers.get((first + found - code) as usize).copied();
            }
        }
        None
    }

    /// Passes over marker `n` of those from which codes begin anew; whether it stands here.
    pub(crate) fn restart(&mut self, n: u32) -> bool {
        // What is left are bits of a byte that was begun.
        let is_here = self.count < 8 && self.bytes.get(self.at..self.at + 2) == Some(&[0xFF, 0xD0 | (n % 8) as u8]);
        (self.next, self.count) = (0, 0);
        self.at += 2;
        is_here
    }

    /// Where the bytes behind the scan begin.
    pub(crate) fn end(&self) -> usize {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_differences() {
        // 0: 00, 1: 01, 2: 10, 3: 110, and 16 by a code of twelve bits.
        let mut counts = [0; 16];
        (counts[1], counts[2], counts[11]) = (3, 1, 1);
        let table = Table::new(&counts, &[0, 1, 2, 3, 16], 16).unwrap();
        // 00 | 01 1 | 01 0 | 110 011 | 10 11 | 111000000000 and ones up to the next byte.
        let bits = "00011010110011101111100000000011";
        let bytes: Vec<u8> =
            (0..bits.len()).step_by(8).map(|n| u8::from_str_radix(&bits[n..n + 8], 2).unwrap()).collect();
        let mut bits = Bits::new(&bytes, 0);
        let found: Vec<Option<i32>> = (0..6).map(|_| bits.difference(&table)).collect();
        assert_eq!(found, [0, 1, -1, -4, 3, 32768].map(Some));
        assert_eq!(bits.difference(&table), None);
    }

    #[test]
    fn codes_that_cannot_be() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[0, 1, 2], 16).is_err());
        counts[0] = 2;
        assert!(Table::new(&counts, &[0], 16).is_err() && Table::new(&counts, &[0, 17], 16).is_err());
    }
}
