//! Values as typed: triples, sizes, kernels, codecs.

use std::str::FromStr;

use bytesize::ByteSize;

use super::habits;
use reslice::{
    io::{
        gzip::{DEFAULT_BGZF_LEVEL, DEFAULT_LEVEL, Framing},
        view::Pick,
        zarr::{Codec, DEFAULT_ZSTD_LEVEL},
    },
    job::OutsideRequest,
    region::Region,
    resample::Method,
};

/// Three numbers in file order (x, y, z), or one for all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Triple(pub [f64; 3]);

/// Three counts in file order (x, y, z), or one for all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extents(pub [u64; 3]);

fn three<N: Copy + FromStr>(text: &str, what: &str) -> Result<[N; 3], String> {
    let mark = if text.contains(',') { ',' } else { 'x' };
    let numbers: Result<Vec<N>, _> = text.split(mark).map(|part| part.trim().parse::<N>()).collect();
    match numbers.as_deref() {
        Ok([all]) => Ok([*all; 3]),
        Ok([x, y, z]) => Ok([*x, *y, *z]),
        _ if text.trim_end_matches(char::is_alphabetic).len() < text.len() => {
            Err(format!("expected one {what}, or three with commas between them, without a unit: it is the file's own"))
        }
        _ => Err(format!("expected one {what}, or three with commas between them")),
    }
}

impl FromStr for Triple {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        three(text, "number").map(Triple)
    }
}

/// Factors, as numbers or in percent.
pub(super) fn scale(text: &str) -> Result<Triple, String> {
    let factor = |part: &str| match part.trim().strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map(|percent| (percent / 100.0).to_string()),
        None => Ok(part.to_string()),
    };
    let parts: Result<Vec<String>, _> = text.split(',').map(factor).collect();
    parts.map_or_else(|_| text.to_string(), |parts| parts.join(",")).parse()
}

impl FromStr for Extents {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        three(text, "whole number").map(Extents)
    }
}

impl Triple {
    /// Slowest axis first.
    pub(crate) fn storage(self) -> [f64; 3] {
        let [x, y, z] = self.0;
        [z, y, x]
    }
}

impl Extents {
    /// Slowest axis first.
    pub(crate) fn storage(self) -> [u64; 3] {
        let [x, y, z] = self.0;
        [z, y, x]
    }
}

/// A number of levels, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LevelsArg(pub Option<usize>);

impl FromStr for LevelsArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "auto" => Ok(LevelsArg(None)),
            Ok(0) | Err(_) => Err("expected a number of levels, 1 or more".into()),
            Ok(count) => Ok(LevelsArg(Some(count))),
        }
    }
}

/// `x0:x1,y0:y1,z0:z1`, half-open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RegionArg(pub Region);

impl FromStr for RegionArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected x0:x1,y0:y1,z0:z1, half-open".to_string();
        let range = |part: &str| -> Result<(i64, i64), String> {
            let (lo, hi) = part.split_once(':').ok_or_else(expected)?;
            Ok((lo.trim().parse().map_err(|_| expected())?, hi.trim().parse().map_err(|_| expected())?))
        };
        let ranges: Vec<(i64, i64)> = text.split(',').map(range).collect::<Result<_, _>>()?;
        let [x, y, z] = ranges[..] else { return Err(expected()) };
        Ok(RegionArg(Region::new([z.0, y.0, x.0], [z.1, y.1, x.1])))
    }
}

/// One index of an axis, or a half-open range of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PickArg(pub Pick);

impl FromStr for PickArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected an index, counted from 0, or a range A:B with A below B".to_string();
        let index = |part: &str| part.trim().parse::<u64>().map_err(|_| expected());
        let pick = match text.split_once(':') {
            None => Pick::Index(index(text)?),
            Some((first, end)) => Pick::Range(index(first)?, index(end)?),
        };
        if let Pick::Range(first, end) = pick
            && first >= end
        {
            return Err(expected());
        }
        Ok(PickArg(pick))
    }
}

/// Fewer bytes without a unit are a slip.
const LEAST_SIZE: u64 = 64 << 10;

/// A number of bytes: `512MiB`, `2G`, `1000000`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size(pub u64);

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match (text.parse::<ByteSize>(), text.parse::<u64>()) {
            (_, Ok(bytes)) if bytes < LEAST_SIZE => {
                let unit = if bytes < 128 { "GiB" } else { "MiB" };
                Err(format!("{bytes} bytes are too few for anything: did you mean {bytes}{unit}?"))
            }
            (Ok(size), _) => Ok(Size(size.as_u64())),
            (Err(_), _) => Err("expected a size such as 512MiB or 2G".into()),
        }
    }
}

/// `None` is "auto".
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InterpArg(pub Option<Method>);

impl FromStr for InterpArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(InterpArg(None));
        }
        let method = habits::interp(text).unwrap_or(text).parse();
        let meant = |list: String| habits::near(text).map_or(list, |near| format!("did you mean {near}?"));
        method.map(|method| InterpArg(Some(method))).map_err(meant)
    }
}

/// The value of `--outside`: a number or `edge`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OutsideArg(pub OutsideRequest);

impl FromStr for OutsideArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(OutsideArg(match text {
            "edge" => OutsideRequest::Edge,
            "nan" => OutsideRequest::Value(f64::NAN),
            number => OutsideRequest::Value(number.parse().map_err(|_| "expected a number, nan or edge".to_string())?),
        }))
    }
}

/// A codec's name and, behind a colon, its level.
fn leveled(text: &str, most: u32) -> Result<(&str, Option<u32>), String> {
    let Some((name, level)) = text.split_once(':') else { return Ok((text, None)) };
    match level.parse::<u32>() {
        Ok(level) if level <= most => Ok((name, Some(level))),
        _ => Err(format!("'{level}' is no level from 0 to {most}")),
    }
}

/// The value of `--gzip`: `single` or `bgzf`, with a level, or `none`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GzipArg(pub Option<Framing>);

impl FromStr for GzipArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match leveled(text, if text.starts_with("bgzf") { 12 } else { 9 })? {
            ("single", level) => Ok(GzipArg(Some(Framing::Single { level: level.unwrap_or(DEFAULT_LEVEL) }))),
            ("bgzf", level) => Ok(GzipArg(Some(Framing::Bgzf { level: level.unwrap_or(DEFAULT_BGZF_LEVEL) }))),
            ("none", None) => Ok(GzipArg(None)),
            _ => Err("expected single or bgzf, with :LEVEL if wanted, or none".into()),
        }
    }
}

/// The value of `--codec`: a compressor, with a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CodecArg(pub Codec);

impl FromStr for CodecArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, level) = text.split_once(':').map_or((text, None), |(name, level)| (name, Some(level)));
        let default = match name {
            "zstd" => Codec::Zstd(DEFAULT_ZSTD_LEVEL),
            "blosc-zstd" => Codec::BloscZstd(3),
            "blosc-lz4" => Codec::BloscLz4(5),
            "gzip" => Codec::Gzip(3),
            "none" => Codec::None,
            _ => return Err("expected zstd, blosc-zstd, blosc-lz4, gzip or none".into()),
        };
        let Some(level) = level else { return Ok(CodecArg(default)) };
        let known = default.levels().ok_or("'none' has no levels")?;
        let number: i32 = level.parse().ok().filter(|number| known.contains(number)).ok_or_else(|| {
            format!("'{level}' is no level of {name}, which has {} to {}", known.start(), known.end())
        })?;
        Ok(CodecArg(match default {
            Codec::Zstd(_) => Codec::Zstd(number),
            Codec::BloscZstd(_) => Codec::BloscZstd(number as u8),
            Codec::BloscLz4(_) => Codec::BloscLz4(number as u8),
            Codec::Gzip(_) => Codec::Gzip(number as u8),
            Codec::None => Codec::None,
        }))
    }
}

/// `None` writes a file per chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ShardArg(pub Option<Extents>);

impl FromStr for ShardArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(ShardArg(None)) } else { text.parse().map(|extents| ShardArg(Some(extents))) }
    }
}

/// How a dry run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    Text,
    Json,
}

impl FromStr for DryRun {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(DryRun::Text),
            "json" => Ok(DryRun::Json),
            _ => Err("expected nothing or json".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triples_are_one_number_or_three() {
        assert_eq!("0.4".parse(), Ok(Triple([0.4; 3])));
        assert_eq!("1, 2,3".parse::<Triple>().unwrap().storage(), [3.0, 2.0, 1.0]);
        assert!(
            "1,2".parse::<Triple>().is_err() && "".parse::<Extents>().is_err() && "1.5".parse::<Extents>().is_err()
        );
    }

    #[test]
    fn other_spellings_are_read_or_answered() {
        assert_eq!("1x2x3".parse(), Ok(Triple([1.0, 2.0, 3.0])));
        assert_eq!(scale("50%"), Ok(Triple([0.5; 3])));
        assert_eq!(scale("50%,25%,1"), Ok(Triple([0.5, 0.25, 1.0])));
        assert!("1mm".parse::<Triple>().unwrap_err().ends_with("without a unit: it is the file's own"));
        assert!("2".parse::<Size>().unwrap_err().ends_with("did you mean 2GiB?"));
        assert!("512".parse::<Size>().unwrap_err().ends_with("did you mean 512MiB?"));
        assert_eq!("linaer".parse::<InterpArg>().unwrap_err(), "did you mean linear?");
        assert!("nonsense".parse::<InterpArg>().unwrap_err().starts_with("expected nearest"));
        assert_eq!("trilinear".parse::<InterpArg>(), "linear".parse());
    }

    #[test]
    fn regions_are_in_file_order() {
        let region = "1:2,3:4,5:6".parse::<RegionArg>().unwrap().0;
        assert_eq!((region.lo, region.hi), ([5, 3, 1], [6, 4, 2]));
        assert!("1:2,3:4".parse::<RegionArg>().is_err());
    }

    #[test]
    fn picks_are_an_index_or_a_range() {
        assert_eq!("3".parse(), Ok(PickArg(Pick::Index(3))));
        assert_eq!("1:4".parse(), Ok(PickArg(Pick::Range(1, 4))));
        for wrong in ["", "-1", "2:2", "3:1", ":", "1:", "a"] {
            assert!(wrong.parse::<PickArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_binary_or_decimal() {
        assert_eq!("96MiB".parse(), Ok(Size(96 << 20)));
        assert_eq!("2G".parse(), Ok(Size(2_000_000_000)));
        assert!("much".parse::<Size>().is_err());
    }

    #[test]
    fn levels_stay_in_their_codec() {
        assert_eq!("single:6".parse(), Ok(GzipArg(Some(Framing::Single { level: 6 }))));
        assert!("single:12".parse::<GzipArg>().is_err());
        assert_eq!("zstd:19".parse(), Ok(CodecArg(Codec::Zstd(19))));
        for wrong in ["blosc-lz4:12", "zstd:0", "zstd:23", "gzip:10", "none:1", "gzip:", "zstd:x", "lzma"] {
            assert!(wrong.parse::<CodecArg>().is_err(), "{wrong}");
        }
        assert_eq!("zstd:0".parse::<CodecArg>().unwrap_err(), "'0' is no level of zstd, which has 1 to 22");
    }
}
