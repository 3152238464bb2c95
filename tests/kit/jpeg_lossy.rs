//! An encoder of lossy JPEG, in a few lines: T.81, annexes A and F. Codes are eight bits long for each number that there is.

use std::f64::consts::PI;

/// How a frame is coded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coding {
    pub precision: u32,
    /// Steps of all coefficients.
    pub step: u8,
    /// Units after which codes begin anew; 0: never.
    pub restart: u16,
    /// Voxels along a row and a column that share a sample of the second and third component.
    pub shared: [usize; 2],
    /// Whether all components are in one scan.
    pub is_interleaved: bool,
}

impl Default for Coding {
    fn default() -> Coding {
        Coding { precision: 8, step: 1, restart: 0, shared: [1, 1], is_interleaved: true }
    }
}

#[derive(Default)]
struct Bits(Vec<u8>, u32, u32);

impl Bits {
    fn put(&mut self, bits: u32, count: u32) {
        for n in (0..count).rev() {
            (self.1, self.2) = (self.1 << 1 | (bits >> n & 1), self.2 + 1);
            if self.2 == 8 {
                self.0.push(self.1 as u8);
                self.0.extend((self.1 == 0xff).then_some(0));
                (self.1, self.2) = (0, 0);
            }
        }
    }

    fn end_byte(&mut self) {
        while self.2 > 0 {
            self.put(1, 1);
        }
    }

    /// A code of four zeros or bits each, and the bits behind it.
    fn number(&mut self, zeros: u32, value: i32) {
        let len = 32 - value.unsigned_abs().leading_zeros();
        self.put(zeros << 4 | len, 8);
        let low = if value < 0 { value - 1 } else { value };
        self.put(low as u32 & ((1 << len) - 1), len);
    }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
}

/// Components of a frame: their voxels by row, and how many of them share a sample.
type Component<'a> = (&'a [u16], [usize; 2]);

/// A frame of `[columns, rows]` voxels, with the voxels of each component by themselves.
pub(crate) fn encode(components: &[Vec<u16>], [columns, rows]: [u16; 2], coding: Coding) -> Vec<u8> {
    let count = components.len();
    let [wide, high] = if count > 1 { coding.shared } else { [1, 1] };
    let of = |n: usize| -> Component<'_> { (&components[n], if n == 0 { [1, 1] } else { [wide, high] }) };
    let mut codes = vec![0u8; 16];
    codes[7] = 255;
    codes.extend(0..255);
    let differences = [&[0u8; 5][..], &[16], &[0; 10], &(0..16).collect::<Vec<u8>>()].concat();
    let mut frame =
        [&[coding.precision as u8][..], &rows.to_be_bytes(), &columns.to_be_bytes(), &[count as u8]].concat();
    for n in 0..count {
        let sampling = if n == 0 { (wide << 4 | high) as u8 } else { 0x11 };
        frame.extend([n as u8 + 1, sampling, 0]);
    }
    let process = if coding.precision == 8 { 0xc0 } else { 0xc1 };
    let mut stream = vec![0xff, 0xd8];
    stream.extend(segment(0xdb, &[&[0], &[coding.step; 64][..]].concat()));
    stream.extend(segment(process, &frame));
    stream.extend(segment(0xc4, &[&[0x00], &differences[..], &[0x10], &codes].concat()));
    if coding.restart > 0 {
        stream.extend(segment(0xdd, &coding.restart.to_be_bytes()));
    }
    let scans: Vec<Vec<usize>> =
        if coding.is_interleaved { vec![(0..count).collect()] } else { (0..count).map(|n| vec![n]).collect() };
    let size = [usize::from(columns), usize::from(rows)];
    for scan in scans {
        let specs = scan.iter().flat_map(|&n| [n as u8 + 1, 0]);
        stream
            .extend(segment(0xda, &[scan.len() as u8].into_iter().chain(specs).chain([0, 63, 0]).collect::<Vec<u8>>()));
        stream.extend(scan_of(&scan.iter().map(|&n| of(n)).collect::<Vec<_>>(), size, [wide, high], coding));
    }
    stream.extend([0xff, 0xd9]);
    stream
}

fn scan_of(parts: &[Component<'_>], size: [usize; 2], shared: [usize; 2], coding: Coding) -> Vec<u8> {
    let mut bits = Bits::default();
    let mut before = vec![0; parts.len()];
    let alone = parts.len() == 1;
    let unit: [usize; 2] = std::array::from_fn(|a| 8 * if alone { parts[0].1[a] } else { shared[a] });
    let [across, down]: [usize; 2] = std::array::from_fn(|a| size[a].div_ceil(unit[a]));
    for n in 0..across * down {
        if coding.restart > 0 && n > 0 && n % usize::from(coding.restart) == 0 {
            bits.end_byte();
            bits.0.extend([0xff, 0xd0 + ((n / usize::from(coding.restart) - 1) % 8) as u8]);
            before.fill(0);
        }
        for (&(voxels, own), before) in parts.iter().zip(&mut before) {
            let blocks: [usize; 2] = std::array::from_fn(|a| unit[a] / 8 / own[a]);
            for block in 0..blocks[0] * blocks[1] {
                let left = (n % across * blocks[0] + block % blocks[0]) * 8;
                let top = (n / across * blocks[1] + block / blocks[0]) * 8;
                let at = |x: usize, y: usize| {
                    let (x, y) = (((left + x) * own[0]).min(size[0] - 1), ((top + y) * own[1]).min(size[1] - 1));
                    f64::from(voxels[y * size[0] + x]) - f64::from(1u32 << (coding.precision - 1))
                };
                block_of(&mut bits, &forward(at, coding.step), before);
            }
        }
    }
    bits.end_byte();
    bits.0
}

/// Coefficients in the order of the stream, in steps.
fn forward(at: impl Fn(usize, usize) -> f64, step: u8) -> Vec<i32> {
    let mut places: Vec<(usize, usize)> = (0..64).map(|n| (n % 8, n / 8)).collect();
    places.sort_by_key(|&(u, v)| (u + v, if (u + v) % 2 == 0 { u } else { v }));
    let scale = |n: usize| if n == 0 { 0.5f64.sqrt() } else { 1.0 };
    let wave = |x: usize, u: usize| ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos();
    places
        .into_iter()
        .map(|(u, v)| {
            let sum: f64 = (0..64).map(|n| at(n % 8, n / 8) * wave(n % 8, u) * wave(n / 8, v)).sum();
            (sum * scale(u) * scale(v) / 4.0 / f64::from(step)).round() as i32
        })
        .collect()
}

fn block_of(bits: &mut Bits, coefficients: &[i32], before: &mut i32) {
    let difference = coefficients[0] - *before;
    *before = coefficients[0];
    let len = 32 - difference.unsigned_abs().leading_zeros();
    // Codes of six bits for each length of a difference.
    bits.put(len, 6);
    let low = if difference < 0 { difference - 1 } else { difference };
    bits.put(low as u32 & ((1 << len) - 1), len);
    let mut zeros = 0;
    for &coefficient in &coefficients[1..] {
        match coefficient {
            0 => zeros += 1,
            _ => {
                (0..zeros / 16).for_each(|_| bits.put(0xf0, 8));
                bits.number(zeros % 16, coefficient);
                zeros = 0;
            }
        }
    }
    if zeros > 0 {
        bits.put(0, 8);
    }
}
