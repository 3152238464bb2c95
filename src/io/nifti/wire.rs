//! A cursor over the bytes of a header.

/// A cursor over header bytes that either fills values from the bytes or bytes from the values.
pub(super) struct Wire {
    pub bytes: Vec<u8>,
    pub at: usize,
    big_endian: bool,
    writes: bool,
}

impl Wire {
    /// Fills values from bytes.
    pub(super) fn reading(bytes: Vec<u8>, big_endian: bool) -> Wire {
        Wire { bytes, at: 0, big_endian, writes: false }
    }

    /// Fills `len` bytes from values.
    pub(super) fn writing(len: usize, big_endian: bool) -> Wire {
        Wire { bytes: vec![0; len], at: 0, big_endian, writes: true }
    }

    /// Bytes as they are.
    pub(super) fn raw(&mut self, value: &mut [u8]) {
        let field = &mut self.bytes[self.at..self.at + value.len()];
        self.at += value.len();
        if self.writes {
            field.copy_from_slice(value);
        } else {
            value.copy_from_slice(field);
        }
    }

    /// `value` holds little-endian bytes on either side of the call.
    fn number<const N: usize>(&mut self, mut value: [u8; N]) -> [u8; N] {
        if self.big_endian {
            value.reverse();
        }
        self.raw(&mut value);
        if self.big_endian {
            value.reverse();
        }
        value
    }

    /// An integer of `N` bytes, signed unless it is a single byte; written clamped to what `N` bytes hold.
    pub(super) fn int<const N: usize, T: Copy + Into<i64> + TryFrom<i64>>(&mut self, value: &mut T) {
        let (lo, hi) = if N == 1 { (0, 255) } else { (i64::MIN >> (64 - 8 * N), i64::MAX >> (64 - 8 * N)) };
        let clamped = (*value).into().clamp(lo, hi).to_le_bytes();
        let field = self.number::<N>(std::array::from_fn(|n| clamped[n]));
        let sign = if N > 1 && field[N - 1] >= 0x80 { 0xff } else { 0 };
        let wide = std::array::from_fn(|n| if n < N { field[n] } else { sign });
        *value = T::try_from(i64::from_le_bytes(wide)).unwrap_or(*value);
    }

    /// A number of 32 bits.
    pub(super) fn f32(&mut self, value: &mut f64) {
        *value = f64::from(f32::from_le_bytes(self.number((*value as f32).to_le_bytes())));
    }

    /// A number of 64 bits.
    pub(super) fn f64(&mut self, value: &mut f64) {
        *value = f64::from_le_bytes(self.number(value.to_le_bytes()));
    }

    /// An integer that NIfTI-1 keeps as a float.
    pub(super) fn int_in_f32(&mut self, value: &mut i64) {
        let mut float = *value as f64;
        self.f32(&mut float);
        *value = float as i64;
    }
}
