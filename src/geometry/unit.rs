//! Units of length and time, and the many ways in which files write them.

use serde::{Serialize, Serializer};

/// The unit of world coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Not said by the file. NIfTI readers take millimetre instead of this.
    Unknown,
    Metre,
    Millimetre,
    Micrometre,
    Nanometre,
    Angstrom,
    /// Any other length of the OME-Zarr vocabulary by its name there, or a word that is no length, as the file has it.
    Other(String),
}

/// Lengths: the name in the OME-Zarr vocabulary, metres, and other ways to write it. Symbols are told apart by case where
/// prefixes differ by it alone (mm and Mm).
const LENGTHS: [(&str, f64, &[&str]); 27] = [
    ("meter", 1.0, &["m", "metre"]),
    ("millimeter", 1e-3, &["mm", "millimetre"]),
    ("micrometer", 1e-6, &["um", "mu", "micron", "micrometre"]),
    ("nanometer", 1e-9, &["nm", "nanometre"]),
    ("angstrom", 1e-10, &["a", "å", "ang", "ångström", "ångstrom", "angström"]),
    ("centimeter", 1e-2, &["cm", "centimetre"]),
    ("decimeter", 1e-1, &["dm", "decimetre"]),
    ("hectometer", 1e2, &["hm", "hectometre"]),
    ("kilometer", 1e3, &["km", "kilometre"]),
    ("picometer", 1e-12, &["pm", "picometre"]),
    ("femtometer", 1e-15, &["fm", "femtometre"]),
    ("attometer", 1e-18, &["am", "attometre"]),
    ("zeptometer", 1e-21, &["zm", "zeptometre"]),
    ("yoctometer", 1e-24, &["ym", "yoctometre"]),
    ("megameter", 1e6, &["Mm", "megametre"]),
    ("gigameter", 1e9, &["Gm", "gigametre"]),
    ("terameter", 1e12, &["Tm", "terametre"]),
    ("petameter", 1e15, &["Pm", "petametre"]),
    ("exameter", 1e18, &["Em", "exametre"]),
    ("zettameter", 1e21, &["Zm", "zettametre"]),
    ("yottameter", 1e24, &["Ym", "yottametre"]),
    ("inch", 0.0254, &["in", "inches"]),
    ("foot", 0.3048, &["ft", "feet"]),
    ("yard", 0.9144, &["yd"]),
    ("mile", 1609.344, &["mi"]),
    ("parsec", 3.085_677_581_491_367e16, &["pc"]),
    ("thou", 25.4e-6, &["mil"]),
];

/// Times: the name in the OME-Zarr vocabulary, and other ways to write it.
const TIMES: [(&str, &[&str]); 9] = [
    ("second", &["s", "sec"]),
    ("millisecond", &["ms", "msec", "millisec"]),
    ("microsecond", &["us", "usec", "microsec"]),
    ("nanosecond", &["ns", "nsec"]),
    ("picosecond", &["ps", "psec"]),
    ("minute", &["min"]),
    ("hour", &["h", "hr"]),
    ("day", &["d"]),
    ("hertz", &["hz"]),
];

/// The row of `name`: as it stands, then in lower case, with `u` for the Greek letter, then without a plural's `s`.
fn place<'a>(name: &str, rows: impl Iterator<Item = (&'a str, &'a [&'a str])> + Clone) -> Option<usize> {
    let name = name.trim().replace(['µ', 'μ'], "u");
    let lower = name.to_lowercase();
    let singular = lower.strip_suffix('s').filter(|stem| stem.chars().count() > 2).unwrap_or(&lower);
    let find = |word: &str| rows.clone().position(|(own, others)| own == word || others.contains(&word));
    find(&name).or_else(|| find(&lower)).or_else(|| find(singular))
}

/// The name of a unit of time in the OME-Zarr vocabulary; `None` where it is none.
pub fn time_name(name: &str) -> Option<&'static str> {
    place(name, TIMES.iter().map(|(own, others)| (*own, *others))).map(|n| TIMES[n].0)
}

impl Unit {
    /// Length of one unit in metres, where it is known.
    pub fn metres(&self) -> Option<f64> {
        let name = self.ome_name()?;
        LENGTHS.iter().find(|(own, ..)| *own == name).map(|(_, metres, _)| *metres)
    }

    /// Factor from lengths in `self` to lengths in `other`; `None` where one of them is not known.
    ///
    /// Whole numbers and their reciprocals are exact.
    pub fn factor_to(&self, other: &Unit) -> Option<f64> {
        if self == other {
            return Some(1.0);
        }
        let (factor, inverse) = (self.metres()? / other.metres()?, other.metres()? / self.metres()?);
        let is_whole = |x: f64| (x - x.round()).abs() <= 1e-12 * x;
        Some(match (is_whole(factor), is_whole(inverse)) {
            (true, _) => factor.round(),
            (_, true) => 1.0 / inverse.round(),
            _ => factor,
        })
    }

    /// The name in the OME-Zarr vocabulary (UDUNITS-2 long names).
    pub fn ome_name(&self) -> Option<&str> {
        Some(match self {
            Unit::Unknown => return None,
            Unit::Metre => "meter",
            Unit::Millimetre => "millimeter",
            Unit::Micrometre => "micrometer",
            Unit::Nanometre => "nanometer",
            Unit::Angstrom => "angstrom",
            Unit::Other(name) => name,
        })
    }

    /// The unit that people mean by `name`: the OME-Zarr vocabulary, symbols, other spellings, plurals, in any case.
    ///
    /// A blank is [`Unit::Unknown`]; a word that is no length is kept as it stands.
    pub fn from_name(name: &str) -> Unit {
        let found = place(name, LENGTHS.iter().map(|(own, _, others)| (*own, *others)));
        match found.map(|n| LENGTHS[n].0) {
            Some("meter") => Unit::Metre,
            Some("millimeter") => Unit::Millimetre,
            Some("micrometer") => Unit::Micrometre,
            Some("nanometer") => Unit::Nanometre,
            Some("angstrom") => Unit::Angstrom,
            Some(length) => Unit::Other(length.to_string()),
            None if name.trim().is_empty() => Unit::Unknown,
            None => Unit::Other(name.trim().to_string()),
        }
    }

    /// The abbreviation that people read.
    pub fn symbol(&self) -> &str {
        match self {
            Unit::Unknown => "units",
            Unit::Metre => "m",
            Unit::Millimetre => "mm",
            Unit::Micrometre => "um",
            Unit::Nanometre => "nm",
            Unit::Angstrom => "angstrom",
            Unit::Other(name) => name,
        }
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.ome_name().unwrap_or("unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_exact_where_they_are_whole() {
        for (from, to, factor) in [
            (Unit::Millimetre, Unit::Micrometre, 1000.0),
            (Unit::Micrometre, Unit::Nanometre, 1000.0),
            (Unit::Angstrom, Unit::Nanometre, 0.1),
            (Unit::Nanometre, Unit::Metre, 1e-9),
            (Unit::Other("parsec".into()), Unit::Other("parsec".into()), 1.0),
            (Unit::Other("pixel".into()), Unit::Other("pixel".into()), 1.0),
        ] {
            assert_eq!(from.factor_to(&to), Some(factor));
        }
        assert_eq!(Unit::Unknown.factor_to(&Unit::Metre), None);
        assert_eq!(Unit::Other("pixel".into()).factor_to(&Unit::Metre), None);
        let inch = Unit::Other("inch".into()).factor_to(&Unit::Millimetre).unwrap();
        assert!((inch - 25.4).abs() < 1e-12);
    }

    #[test]
    fn one_length_has_many_spellings() {
        for (unit, names) in [
            (Unit::Micrometre, &["micrometer", "um", "µm", "μm", "micron", "Microns", "MICROMETRES", " um "][..]),
            (Unit::Millimetre, &["mm", "Millimeter", "millimetres", "MM"]),
            (Unit::Nanometre, &["nm", "nanometers"]),
            (Unit::Angstrom, &["A", "Å", "\u{212b}", "angstroms", "Ångström"]),
            (Unit::Metre, &["m", "meters", "metre"]),
            (Unit::Other("centimeter".into()), &["cm", "centimeters"]),
            (Unit::Other("megameter".into()), &["Mm"]),
            (Unit::Other("inch".into()), &["inches", "in", "inch"]),
            (Unit::Unknown, &["", " "]),
            (Unit::Other("pixel".into()), &["pixel", " pixel"]),
        ] {
            for name in names {
                assert_eq!(Unit::from_name(name), unit, "{name:?}");
            }
        }
        assert!(Unit::from_name("picometer").metres().is_some() && Unit::from_name("unit").metres().is_none());
    }

    #[test]
    fn times_too() {
        for (name, expected) in [("s", "second"), ("Seconds", "second"), ("ms", "millisecond"), ("µs", "microsecond")]
        {
            assert_eq!(time_name(name), Some(expected));
        }
        assert_eq!((time_name("frame"), time_name(""), time_name("mins")), (None, None, Some("minute")));
    }
}
