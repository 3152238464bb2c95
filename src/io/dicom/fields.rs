//! The values that are looked for, as numbers and text.

use super::walk::{Tag, Value};

/// What may stand in a file once, for all its frames or for each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fields {
    /// Of the first voxel, in LPS.
    pub position: Option<[f64; 3]>,
    /// Along a row, then along a column.
    pub orientation: Option<[f64; 6]>,
    /// Between rows, then between columns.
    pub spacing: Option<[f64; 2]>,
    pub thickness: Option<f64>,
    pub between: Option<f64>,
    pub slope: Option<f64>,
    pub intercept: Option<f64>,
    pub keys: Keys,
    /// Days of the times in `keys` that have a date of their own, from some day on.
    pub days: Days,
}

/// Of the acquisition and of the content.
pub(super) type Days = [Option<f64>; 2];

/// What tells volumes of the same places apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Keys(pub [f64; KEYS]);

/// Of [`Keys`].
pub(super) const KEYS: usize = 7;
/// What they are, in the order in which they are tried.
pub(super) const KEY_NAMES: [&str; KEYS] = [
    "temporal position",
    "echo time",
    "b-value",
    "trigger time",
    "acquisition number",
    "acquisition time",
    "content time",
];
/// Those that are times, in the order in which they are tried after the others; each place has its own.
///
/// Acquisition times come first: of a run that is gated, trigger times may only jitter from one volume to the next.
pub(super) const TIMES: [usize; 3] = [ACQUISITION_TIME, TRIGGER_TIME, CONTENT_TIME];
/// Those that are times of a day, whose dates are [`Days`].
pub(super) const OF_A_DAY: [usize; 2] = [ACQUISITION_TIME, CONTENT_TIME];
const TRIGGER_TIME: usize = 3;
const ACQUISITION_TIME: usize = 5;
const CONTENT_TIME: usize = 6;

/// What a value of one of [`TIMES`] counts, in seconds.
pub(super) fn time_unit(key: usize) -> Option<f64> {
    TIMES.contains(&key).then_some(if key == TRIGGER_TIME { 1e-3 } else { 1.0 })
}

impl Default for Keys {
    fn default() -> Keys {
        Keys([f64::NAN; KEYS])
    }
}

impl Fields {
    /// Takes a value of one of its tags.
    pub(super) fn take(&mut self, tag: Tag, value: Value<'_>) {
        let one = || number(value);
        match tag {
            0x0020_0032 => self.position = numbers(value),
            0x0020_0037 => self.orientation = numbers(value),
            0x0028_0030 => self.spacing = numbers(value),
            0x0018_0050 => self.thickness = one(),
            0x0018_0088 => self.between = one(),
            0x0028_1053 => self.slope = one(),
            0x0028_1052 => self.intercept = one(),
            0x0008_0022 => self.days[0] = days(&text(value)),
            0x0008_0023 => self.days[1] = days(&text(value)),
            _ if is_time(tag) => self.take_time(tag, value),
            _ => {
                if let (Some(key), Some(found)) = (key_of(tag), one()) {
                    self.keys.0[key] = found;
                }
            }
        }
    }

    /// A time of a day, with its date where it has one.
    fn take_time(&mut self, tag: Tag, value: Value<'_>) {
        let (Some(key), Some((day, seconds))) = (key_of(tag), moment(value)) else { return };
        self.keys.0[key] = seconds;
        if let Some(n) = OF_A_DAY.iter().position(|&time| time == key) {
            self.days[n] = day.or(self.days[n]);
        }
    }

    /// These, and what `other` has of what they lack.
    pub(super) fn or(self, other: &Fields) -> Fields {
        let keys = std::array::from_fn(|n| if self.keys.0[n].is_nan() { other.keys.0[n] } else { self.keys.0[n] });
        Fields {
            position: self.position.or(other.position),
            orientation: self.orientation.or(other.orientation),
            spacing: self.spacing.or(other.spacing),
            thickness: self.thickness.or(other.thickness),
            between: self.between.or(other.between),
            slope: self.slope.or(other.slope),
            intercept: self.intercept.or(other.intercept),
            keys: Keys(keys),
            days: std::array::from_fn(|n| self.days[n].or(other.days[n])),
        }
    }
}

/// Whether [`Fields`] look for this tag.
pub(super) fn is_field(tag: Tag) -> bool {
    let plain = [0x0020_0032, 0x0020_0037, 0x0028_0030, 0x0018_0050, 0x0018_0088, 0x0028_1053, 0x0028_1052];
    let dates = [0x0008_0022, 0x0008_0023];
    plain.contains(&tag) || dates.contains(&tag) || key_of(tag).is_some()
}

fn key_of(tag: Tag) -> Option<usize> {
    Some(match tag {
        0x0020_0100 | 0x0020_9128 => 0,
        0x0018_0081 | 0x0018_9082 => 1,
        0x0018_9087 => 2,
        0x0018_1060 => 3,
        0x0020_0012 => 4,
        0x0008_0032 | 0x0018_9074 => 5,
        0x0008_0033 => 6,
        _ => return None,
    })
}

fn is_time(tag: Tag) -> bool {
    matches!(tag, 0x0008_0032 | 0x0018_9074 | 0x0008_0033)
}

/// Text without the blanks and zeros around it.
pub(super) fn text(value: Value<'_>) -> String {
    let text = String::from_utf8_lossy(value.bytes);
    let kept: String = text.trim_matches(['\0', ' ']).chars().filter(|c| !c.is_control()).take(256).collect();
    kept
}

/// A whole number of 16 or 32 bits.
pub(super) fn whole(value: Value<'_>) -> Option<u32> {
    match (value.vr, value.bytes) {
        (Some([b'U', b'L']), &[a, b, c, d, ..]) => Some(value.coding.u32([a, b, c, d])),
        (_, &[a, b, ..]) => Some(u32::from(value.coding.u16([a, b]))),
        _ => None,
    }
}

/// The first number, in text or binary.
pub(super) fn number(value: Value<'_>) -> Option<f64> {
    let binary = match value.vr {
        Some(vr) => [*b"FD", *b"FL", *b"UL", *b"US", *b"SL", *b"SS"].contains(&vr),
        // Without types: what is no text here is a double or a 32-bit number.
        None => value
            .bytes
            .iter()
            .any(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E' | b' ' | b'\\' | 0)),
    };
    let found = match (binary, value.vr, value.bytes) {
        (true, Some([b'U' | b'S', b'S']), &[a, b, ..]) => f64::from(value.coding.u16([a, b])),
        (true, Some([b'F', b'L']), &[a, b, c, d, ..]) => f64::from(f32::from_bits(value.coding.u32([a, b, c, d]))),
        (true, _, &[a, b, c, d, e, f, g, h, ..]) => value.coding.f64([a, b, c, d, e, f, g, h]),
        (true, _, &[a, b, c, d]) => f64::from(value.coding.u32([a, b, c, d])),
        (true, ..) => return None,
        (false, ..) => text(value).split('\\').next()?.trim().parse().ok()?,
    };
    found.is_finite().then_some(found)
}

/// So many numbers of text.
fn numbers<const N: usize>(value: Value<'_>) -> Option<[f64; N]> {
    let text = text(value);
    let mut found = [0.0f64; N];
    let mut words = text.split('\\');
    for number in &mut found {
        *number = words.next()?.trim().parse().ok().filter(|x: &f64| x.is_finite())?;
    }
    Some(found)
}

/// `HHMMSS.FFFFFF`, alone or behind `YYYYMMDD`: the day, where it is stated, and the seconds of it.
fn moment(value: Value<'_>) -> Option<(Option<f64>, f64)> {
    let text = text(value);
    let text = text.split(['+', '-', '\\']).next()?.trim();
    let whole = text.split('.').next()?;
    let (date, time) = if whole.len() > 8 { text.split_at_checked(8)? } else { ("", text) };
    let part = |from: usize, to: usize| time.get(from..to).and_then(|digits| digits.parse::<f64>().ok());
    let rest = time.get(4..).filter(|rest| !rest.is_empty()).map_or(Some(0.0), |rest| rest.parse().ok())?;
    let day = if date.is_empty() { None } else { Some(days(date)?) };
    Some((day, part(0, 2)? * 3600.0 + part(2, 4).unwrap_or(0.0) * 60.0 + rest))
}

/// Days from some day on, of `YYYYMMDD`, or `YYYY.MM.DD` as it once was.
fn days(date: &str) -> Option<f64> {
    let date = date.replace('.', "");
    let part = |from: usize, to: usize| date.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    // Years begin in March, so that a day is added at their end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some((365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::dicom::syntax::EXPLICIT;

    fn value<'a>(vr: &[u8; 2], bytes: &'a [u8]) -> Value<'a> {
        Value { vr: Some(*vr), coding: EXPLICIT, bytes }
    }

    #[test]
    fn text_is_numbers() {
        assert_eq!(numbers(value(b"DS", b"-1.5\\ 2e1\\3 ")), Some([-1.5, 20.0, 3.0]));
        assert_eq!(numbers::<3>(value(b"DS", b"1\\2")), None);
        assert_eq!(numbers::<1>(value(b"DS", b"nan ")), None);
        assert_eq!(number(value(b"IS", b" 12\0")), Some(12.0));
        assert_eq!(number(value(b"FD", &1000f64.to_le_bytes())), Some(1000.0));
        assert_eq!(number(Value { vr: None, ..value(b"FD", &1000f64.to_le_bytes()) }), Some(1000.0));
        assert_eq!(whole(value(b"US", &[1, 2])), Some(513));
        assert_eq!(whole(value(b"US", &[1])), None);
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(moment(value(b"TM", b"010203.5")), Some((None, 3723.5)));
        assert_eq!(moment(value(b"TM", b"0102")), Some((None, 3720.0)));
        let of = |text: &str| moment(value(b"DT", text.as_bytes())).unwrap();
        let (march, february) = (of("20240301000000"), of("20240228235959.5+0100"));
        assert_eq!(march.0.unwrap() - february.0.unwrap(), 2.0);
        assert_eq!((march.1, february.1), (0.0, 86399.5));
        assert_eq!(moment(value(b"TM", "é1".as_bytes())), None);
    }

    #[test]
    fn times_have_dates_of_their_own_or_beside_them() {
        let mut fields = Fields::default();
        fields.take(0x0008_0022, value(b"DA", b"2024.01.01"));
        fields.take(0x0008_0032, value(b"TM", b"000001"));
        let [acquired, content] = fields.days;
        assert_eq!((fields.keys.0[ACQUISITION_TIME], acquired, content), (1.0, days("20240101"), None));
        fields.take(0x0018_9074, value(b"DT", b"20240102000002"));
        assert_eq!((fields.keys.0[ACQUISITION_TIME], fields.days[0]), (2.0, days("20240102")));
    }
}
