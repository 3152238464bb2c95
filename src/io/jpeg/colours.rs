//! Luminance and differences of colours as red, green and blue.
//!
//! Source: ITU-T T.871 (JFIF), clause 7; DICOM PS3.3, C.7.6.3.1.2 (YBR_FULL); ITU-R BT.601.

/// Red, green and blue of luminance and its differences to blue and red, which are `middle` where there is no colour.
pub(crate) fn rgb([y, b, r]: [u16; 3], middle: f32) -> [u16; 3] {
    let [y, b, r] = [f32::from(y), f32::from(b) - middle, f32::from(r) - middle];
    let most = 2.0 * middle - 1.0;
    [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b].map(|x| x.round().clamp(0.0, most) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_stays_and_colours_are_those_of_the_standard() {
        assert_eq!(rgb([77, 128, 128], 128.0), [77; 3]);
        // Pure red, green and blue of JFIF.
        assert_eq!(rgb([76, 85, 255], 128.0), [254, 0, 0]);
        assert_eq!(rgb([150, 44, 21], 128.0), [0, 255, 1]);
        assert_eq!(rgb([29, 255, 107], 128.0), [0, 0, 254]);
    }
}
