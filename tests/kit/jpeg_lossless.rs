//! An encoder of JPEG lossless, in a few lines: T.81, annex H.

/// How a frame is coded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coding {
    pub precision: u32,
    pub predictor: u8,
    /// Low bits that are left out.
    pub shift: u32,
    /// Rows after which codes begin anew; 0: never.
    pub restart_rows: usize,
    /// Whether samples of a voxel are in one scan.
    pub is_interleaved: bool,
}

impl Default for Coding {
    fn default() -> Coding {
        Coding { precision: 16, predictor: 1, shift: 0, restart_rows: 0, is_interleaved: true }
    }
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    next: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, bits: u32, count: u32) {
        for n in (0..count).rev() {
            self.next = self.next << 1 | (bits >> n & 1);
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.next as u8);
                if self.next == 0xff {
                    self.bytes.push(0);
                }
                (self.next, self.count) = (0, 0);
            }
        }
    }

    fn end_byte(&mut self) {
        while self.count > 0 {
            self.put(1, 1);
        }
    }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
}

/// A frame of `[columns, rows]` voxels, `samples` of each side by side.
pub(crate) fn encode(voxels: &[u16], [columns, rows]: [u16; 2], samples: usize, coding: Coding) -> Vec<u8> {
    // Codes of five bits for each of the seventeen lengths of a difference.
    let mut table = vec![0u8; 17];
    table[5] = 17;
    table.extend(0..17);
    let size = [rows.to_be_bytes(), columns.to_be_bytes()].concat();
    let components = (0..samples as u8).flat_map(|n| [n + 1, 0x11, 0]);
    let frame: Vec<u8> =
        [coding.precision as u8].into_iter().chain(size).chain([samples as u8]).chain(components).collect();
    let mut stream =
        [vec![0xff, 0xd8], segment(0xe0, b"JFIF\0"), segment(0xc3, &frame), segment(0xc4, &table)].concat();
    if coding.restart_rows > 0 {
        stream.extend(segment(0xdd, &(coding.restart_rows as u16 * columns).to_be_bytes()));
    }
    let parts: Vec<Vec<usize>> =
        if coding.is_interleaved { vec![(0..samples).collect()] } else { (0..samples).map(|n| vec![n]).collect() };
    for part in parts {
        let specs = part.iter().flat_map(|&n| [n as u8 + 1, 0]);
        let scan: Vec<u8> =
            [part.len() as u8].into_iter().chain(specs).chain([coding.predictor, 0, coding.shift as u8]).collect();
        stream.extend(segment(0xda, &scan));
        stream.extend(scan_of(voxels, columns.into(), samples, &part, coding));
    }
    stream.extend([0xff, 0xd9]);
    stream
}

fn scan_of(voxels: &[u16], columns: usize, samples: usize, part: &[usize], coding: Coding) -> Vec<u8> {
    let mut bits = Bits::default();
    for (n, _) in voxels.iter().enumerate().step_by(samples) {
        let (x, y) = (n / samples % columns, n / samples / columns);
        let is_new = coding.restart_rows > 0 && y > 0 && y.is_multiple_of(coding.restart_rows);
        if is_new && x == 0 {
            bits.end_byte();
            bits.bytes.extend([0xff, 0xd0 + ((y / coding.restart_rows - 1) % 8) as u8]);
        }
        for &component in part {
            let at = |x: usize, y: usize| i32::from(voxels[(y * columns + x) * samples + component] >> coding.shift);
            let predicted = match (x, y == 0 || is_new) {
                (0, true) => 1 << (coding.precision - coding.shift - 1),
                (0, false) => at(0, y - 1),
                (_, true) => at(x - 1, y),
                _ => {
                    let (a, b, c) = (at(x - 1, y), at(x, y - 1), at(x - 1, y - 1));
                    [a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1]
                        [usize::from(coding.predictor) - 1]
                }
            };
            let difference = i32::from((at(x, y) - predicted) as i16);
            let len = 32 - difference.unsigned_abs().leading_zeros();
            bits.put(len, 5);
            // -32768 is the one of sixteen bits, and has none of its own.
            if len < 16 {
                let low = if difference < 0 { difference - 1 } else { difference };
                bits.put(low as u32 & ((1 << len) - 1), len);
            }
        }
    }
    bits.end_byte();
    bits.bytes
}
