//! Numbers that stand for samples where these are only compared.

/// What stands for samples in loops that only compare them.
pub trait Key: Copy + Default + PartialOrd + 'static {
    /// No key is lower than the first, and none is higher than the second.
    const ENDS: [Self; 2];
}

impl Key for f64 {
    const ENDS: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];
}

impl Key for i64 {
    const ENDS: [i64; 2] = [i64::MIN, i64::MAX];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voxel::Voxel;

    fn keys_are_exact_and_in_order<T: Voxel>(samples: &[T]) {
        assert!(samples.windows(2).all(|pair| pair[0] < pair[1] && pair[0].to_key() < pair[1].to_key()));
        assert!(samples.iter().all(|&sample| T::of_key(sample.to_key()) == sample));
        assert!(samples.iter().all(|&sample| T::Key::ENDS[0] <= sample.to_key() && sample.to_key() <= T::Key::ENDS[1]));
    }

    #[test]
    fn keys_stand_for_samples() {
        keys_are_exact_and_in_order(&[u8::MIN, 1, u8::MAX]);
        keys_are_exact_and_in_order(&[i8::MIN, -1, 0, i8::MAX]);
        keys_are_exact_and_in_order(&[0u16, 1, u16::MAX]);
        keys_are_exact_and_in_order(&[i16::MIN, -1, 0, i16::MAX]);
        keys_are_exact_and_in_order(&[0u32, 1, (1 << 31) + 1, u32::MAX]);
        keys_are_exact_and_in_order(&[i32::MIN, -1, 0, i32::MAX]);
        keys_are_exact_and_in_order(&[0u64, 1, 1 << 63, u64::MAX - 1, u64::MAX]);
        keys_are_exact_and_in_order(&[i64::MIN, -1, 0, i64::MAX - 1, i64::MAX]);
        keys_are_exact_and_in_order(&[f32::NEG_INFINITY, f32::MIN, -1.5, 0.0, f32::MIN_POSITIVE, f32::INFINITY]);
        keys_are_exact_and_in_order(&[f64::NEG_INFINITY, f64::MIN, -1.5, 0.0, f64::MIN_POSITIVE, f64::INFINITY]);
        assert!(f32::of_key((-0.0f32).to_key()).is_sign_negative());
    }
}
