//! Samples out of differences, in place, row by row.

use super::format::Predictor;
use crate::voxel::Dtype;

/// How the samples of a row stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub dtype: Dtype,
    pub big_endian: bool,
    /// Samples of a voxel that stand together.
    pub together: usize,
}

impl Row {
    /// Undoes `predictor` in whole rows of `row_bytes`; samples keep the byte order of the file.
    pub(super) fn undo(&self, predictor: Predictor, rows: &mut [u8], row_bytes: usize) {
        let each = rows.chunks_exact_mut(row_bytes.max(1));
        match predictor {
            Predictor::None => {}
            Predictor::Horizontal => each.for_each(|row| self.summed(row)),
            Predictor::Float => {
                let mut apart = vec![0; row_bytes];
                each.for_each(|row| self.joined(row, &mut apart));
            }
        }
    }

    fn summed(&self, row: &mut [u8]) {
        macro_rules! summed {
            ($number:ty) => {{
                const BYTES: usize = size_of::<$number>();
                let (of, to): (fn([u8; BYTES]) -> $number, fn($number) -> [u8; BYTES]) = match self.big_endian {
                    true => (<$number>::from_be_bytes, <$number>::to_be_bytes),
                    false => (<$number>::from_le_bytes, <$number>::to_le_bytes),
                };
                let step = self.together * BYTES;
                for at in (step..(row.len() / BYTES) * BYTES).step_by(BYTES) {
                    let number = |at: usize| of(std::array::from_fn(|n| row[at + n]));
                    let sum = number(at).wrapping_add(number(at - step));
                    row[at..at + BYTES].copy_from_slice(&to(sum));
                }
            }};
        }
        match self.dtype.bytes() {
            1 => summed!(u8),
            2 => summed!(u16),
            4 => summed!(u32),
            _ => summed!(u64),
        }
    }

    /// The highest bytes of all samples come first, then the next ones; of all of them differences were taken.
    fn joined(&self, row: &mut [u8], apart: &mut [u8]) {
        apart.copy_from_slice(row);
        for at in self.together..apart.len() {
            apart[at] = apart[at].wrapping_add(apart[at - self.together]);
        }
        let size = self.dtype.bytes();
        let samples = row.len() / size;
        for (n, sample) in row.chunks_exact_mut(size).enumerate() {
            for (place, byte) in sample.iter_mut().enumerate() {
                let rank = if self.big_endian { place } else { size - 1 - place };
                *byte = apart[rank * samples + n];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_summed_sample_by_sample() {
        let row = |dtype, big_endian, together| Row { dtype, big_endian, together };
        let mut bytes = [1, 10, 1, 1, 255, 246];
        row(Dtype::U8, false, 2).undo(Predictor::Horizontal, &mut bytes, 6);
        assert_eq!(bytes, [1, 10, 2, 11, 1, 1]);
        let mut words: Vec<u8> = [300u16, 1, 65535, 5, 1, 1].iter().flat_map(|n| n.to_be_bytes()).collect();
        row(Dtype::I16, true, 1).undo(Predictor::Horizontal, &mut words, 6);
        let expected: Vec<u8> = [300u16, 301, 300, 5, 6, 7].iter().flat_map(|n| n.to_be_bytes()).collect();
        assert_eq!(words, expected);
    }

    #[test]
    fn floats_are_put_together() {
        let values = [1.5f32, -2.25, 1e-30, 7e10];
        for big_endian in [false, true] {
            let mut apart: Vec<u8> = (0..4).flat_map(|rank| values.map(|value| value.to_be_bytes()[rank])).collect();
            for at in (1..16).rev() {
                apart[at] = apart[at].wrapping_sub(apart[at - 1]);
            }
            Row { dtype: Dtype::F32, big_endian, together: 1 }.undo(Predictor::Float, &mut apart, 16);
            let expected: Vec<u8> = values
                .iter()
                .flat_map(|value| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() })
                .collect();
            assert_eq!(apart, expected);
        }
    }
}
