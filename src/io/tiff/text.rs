//! What ImageJ and tifffile write into the description of the first page.

use serde_json::Value;

use super::series::{Described, Lead};
use crate::{
    geometry::{Grid, Unit},
    voxel::Dtype,
};

/// What files of ImageJ are called.
const IMAGEJ: &str = "ImageJ TIFF";

/// Whether the description is one of ImageJ's.
pub(super) fn is_imagej(text: &[u8]) -> bool {
    text.starts_with(b"ImageJ=")
}

/// ImageJ's lines of `name=value`. Planes follow each other with channels fastest, then slices, then frames.
///
/// Source: ImageJ 1.54, `TiffEncoder`, `FileInfo`.
pub(super) fn imagej(text: &[u8]) -> Described {
    let text = words(text);
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value.trim())
    };
    let count = |name: &str| value(name).and_then(|n| n.parse::<u64>().ok()).filter(|&n| n > 0).unwrap_or(1);
    let number = |name: &str| value(name).and_then(|x| x.parse::<f64>().ok()).filter(|x| x.is_finite());
    let real = |name: &str| number(name).filter(|x| *x > 0.0);
    let (images, channels, slices, frames) = (count("images"), count("channels"), count("slices"), count("frames"));
    let mut warnings = Vec::new();
    let product = channels.checked_mul(slices).and_then(|n| n.checked_mul(frames));
    let leads = match product {
        Some(product) if product == images => {
            let interval = real("finterval").or_else(|| real("fps").map(|fps| 1.0 / fps));
            let t = Lead::new("t", frames);
            let t = interval.map_or(t.clone(), |step| Lead { step, unit: Some("second".into()), ..t });
            vec![t, Lead::new("z", slices), Lead::new("c", channels)]
        }
        Some(1) => vec![Lead::new("z", images)],
        _ => {
            warnings.push(format!("ImageJ's {channels} channels, {slices} slices and {frames} frames are not {images} images: planes are taken for slices"));
            vec![Lead::new("z", images)]
        }
    };
    if value("cf") == Some("0") {
        let [c0, c1] = ["c0", "c1"].map(|name| value(name).unwrap_or("?").chars().take(40).collect::<String>());
        warnings.push(format!("ImageJ shows values as {c0} + {c1} x sample: samples are read as they are stored"));
    }
    let named = |name: &str| value(name).filter(|unit| !["", "pixel", "pixels"].contains(unit)).map(Unit::from_name);
    let unit = named("unit").unwrap_or(Unit::Unknown);
    // ImageJ writes a step of slices with a sign that says from where they were taken.
    let z = number("spacing").map(f64::abs).filter(|step| *step > 0.0);
    let mut scales = [1.0; 3];
    for (axis, name) in [(0, "zunit"), (1, "yunit")] {
        let Some(own) = named(name) else { continue };
        match own.factor_to(&unit) {
            Some(factor) => scales[axis] = factor,
            None => warnings.push(format!("ImageJ's {name} is {}, taken as {}", own.symbol(), unit.symbol())),
        }
    }
    Described {
        kind: IMAGEJ,
        leads,
        steps: [z.map(|z| z * scales[0]), None, None],
        scales,
        unit,
        origin: [0.0; 3],
        warnings,
    }
}

/// The text as UTF-8 or Latin-1, with `\u00B5` as the letter that it stands for.
fn words(text: &[u8]) -> String {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.to_string(),
        Err(_) => text.iter().map(|&byte| char::from(byte)).collect(),
    };
    text.replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace("\\u00C5", "Å")
}

/// The shape that tifffile notes, `{"shape": [..], "axes": ".."}`; `None` where it is none, or not one of such pages.
pub(super) fn shaped(text: &[u8], rows: u64, columns: u64, samples: u64) -> Option<Described> {
    let note: Value = serde_json::from_slice(text).ok().filter(|_| text.starts_with(b"{"))?;
    let shape: Vec<u64> = note.get("shape")?.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
    let axes = note.get("axes").and_then(Value::as_str).filter(|axes| axes.chars().count() == shape.len());
    // Behind or before rows and columns, samples of a voxel; lengths of 1 mean nothing.
    let page = [[1, rows, columns, samples], [samples, rows, columns, 1]];
    let plain = |sizes: &[u64]| sizes.iter().copied().filter(|&n| n != 1).collect::<Vec<_>>();
    let lead = (0..shape.len()).rev().find(|&n| page.iter().any(|page| plain(page) == plain(&shape[n..])))?;
    let letters: Vec<char> = axes.map_or_else(Vec::new, |axes| axes.chars().collect());
    let has_z = letters[..lead.min(letters.len())].contains(&'Z');
    let usual = ["t", "c", "z"];
    let name = |n: usize| match letters.get(n) {
        Some('Z') => "z".into(),
        Some('T') => "t".into(),
        Some('C') => "c".into(),
        Some('I' | 'Q' | 'R') if n + 1 == lead && !has_z => "z".into(),
        Some(letter) => letter.to_lowercase().to_string(),
        None if n + 1 == lead => "z".into(),
        None if lead == 3 => usual[n].into(),
        None => format!("dim{n}"),
    };
    let leads: Vec<Lead> = (0..lead).map(|n| Lead::new(&name(n), shape[n])).collect();
    let is_twice = |n: usize| leads[..n].iter().any(|before| before.name == leads[n].name);
    if (0..leads.len()).any(is_twice) {
        return None;
    }
    Some(Described {
        kind: "TIFF",
        leads,
        steps: [None; 3],
        scales: [1.0; 3],
        unit: Unit::Unknown,
        origin: [0.0; 3],
        warnings: Vec::new(),
    })
}

/// Pages without any description: slices.
pub(super) fn plain(pages: u64) -> Described {
    Described {
        kind: "TIFF",
        leads: vec![Lead::new("z", pages)],
        steps: [None; 3],
        scales: [1.0; 3],
        unit: Unit::Unknown,
        origin: [0.0; 3],
        warnings: Vec::new(),
    }
}

/// Steps of rows and columns out of the fields of resolution, in the unit of `described`, or in one of their own.
///
/// `unit` is the field ResolutionUnit: 1 none, 2 inch, 3 centimetre; tifffile writes 4 for millimetre and 5 for micrometre.
pub(super) fn resolution(described: &mut Described, [x, y]: [Option<f64>; 2], unit: Option<u64>) {
    let is_imagej = described.kind == IMAGEJ;
    // What most programs write where nothing is known, and ImageJ takes for nothing.
    let is_screen = unit == Some(2) && [x, y] == [Some(72.0); 2];
    // A length in the unit that it comes with.
    let (length, own) = match (&described.unit, unit) {
        // ImageJ's unit goes before: it writes a unit of resolution only where that is the same.
        (known, _) if *known != Unit::Unknown => (1.0, known.clone()),
        _ if is_imagej && (is_screen || x.is_none() && y.is_none()) => return,
        (_, Some(1) | None) if is_imagej => (1.0, Unit::Unknown),
        (_, None | Some(2)) => (25.4, Unit::Millimetre),
        (_, Some(3)) => (10.0, Unit::Millimetre),
        (_, Some(4)) => (1.0, Unit::Millimetre),
        (_, Some(5)) => (1.0, Unit::Micrometre),
        _ => return,
    };
    let step = |per: Option<f64>| per.map(|per| length / per).filter(|step| step.is_finite() && *step > 0.0);
    let found = [step(y).map(|step| step * described.scales[1]), step(x)];
    if found != [None; 2] && described.unit != own {
        described.unit = own;
        // The step of slices is in the same unit.
        described.steps[0] = described.steps[0].map(|step| step * length);
    }
    described.steps[1..].copy_from_slice(&found);
}

/// Voxels per centimetre along x and y, as quotients; `None` where the unit is no length.
pub(super) fn per_centimetre(grid: &Grid) -> Option<[[u64; 2]; 2]> {
    let factor = grid.unit.factor_to(&Unit::Other("centimeter".into()))?;
    let [_, y, x] = grid.spacing();
    let quotient = |step: f64| {
        let per = 1.0 / (step * factor);
        // As many digits as 32 bits hold.
        let below = [1_000_000, 100_000, 10_000, 1000, 100, 10, 1].into_iter().find(|&n| per * f64::from(n) < 4e9)?;
        let above = (per * f64::from(below)).round() as u64;
        (above > 0).then_some([above, below as u64])
    };
    Some([quotient(x)?, quotient(y)?])
}

/// What is told of samples that mean something else than quantities.
pub(super) fn photometric_note(photometric: u64, dtype: Dtype) -> Option<String> {
    match photometric {
        super::format::MIN_IS_WHITE if !dtype.is_float() => {
            Some("small values are bright in this file (MinIsWhite): values are left as they are".into())
        }
        super::format::PALETTE => Some("voxels are numbers of colours in a palette, which is left out".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(described: &Described) -> Vec<(&str, u64)> {
        described.leads.iter().map(|lead| (lead.name.as_str(), lead.len)).collect()
    }

    #[test]
    fn imagej_lines() {
        let text = "ImageJ=1.54f\nimages=12\nchannels=2\nslices=3\nframes=2\nhyperstack=true\nunit=\\u00B5m\nspacing=1.5\nfinterval=0.5\nloop=false\n";
        let found = imagej(text.as_bytes());
        assert_eq!(leads(&found), [("t", 2), ("z", 3), ("c", 2)]);
        assert_eq!((found.unit, found.steps[0], found.leads[0].step), (Unit::Micrometre, Some(1.5), 0.5));
        assert_eq!(leads(&imagej(b"ImageJ=1.0\nimages=7\n")), [("z", 7)]);
        let odd = imagej(b"ImageJ=1.0\nimages=7\nslices=3\ncf=0\nc0=-32768\nc1=1\nunit=pixel\n");
        assert_eq!((leads(&odd), odd.warnings.len(), odd.unit.clone()), (vec![("z", 7)], 2, Unit::Unknown));
    }

    #[test]
    fn shapes_of_tifffile() {
        let found = |text: &str, samples| shaped(text.as_bytes(), 4, 5, samples);
        assert_eq!(leads(&found(r#"{"shape": [3, 4, 5]}"#, 1).unwrap()), [("z", 3)]);
        assert_eq!(leads(&found(r#"{"shape": [2, 3, 4, 5]}"#, 1).unwrap()), [("dim0", 2), ("z", 3)]);
        assert_eq!(leads(&found(r#"{"shape": [1, 2, 3, 4, 5]}"#, 1).unwrap()), [("t", 1), ("c", 2), ("z", 3)]);
        assert_eq!(leads(&found(r#"{"shape": [2, 3, 4, 5], "axes": "TZYX"}"#, 1).unwrap()), [("t", 2), ("z", 3)]);
        assert_eq!(leads(&found(r#"{"shape": [2, 4, 5], "axes": "IYX"}"#, 1).unwrap()), [("z", 2)]);
        assert_eq!(leads(&found(r#"{"shape": [2, 4, 5, 3]}"#, 3).unwrap()), [("z", 2)]);
        assert_eq!(leads(&found(r#"{"shape": [2, 3, 4, 5]}"#, 3).unwrap()), [("z", 2)]);
        assert_eq!(leads(&found(r#"{"shape": [4, 5]}"#, 1).unwrap()), []);
        assert!(found(r#"{"shape": [2, 9, 5]}"#, 1).is_none() && found("{", 1).is_none() && found("[]", 1).is_none());
        assert!(found(r#"{"shape": [2, 2, 4, 5], "axes": "ZZYX"}"#, 1).is_none());
    }

    #[test]
    fn resolution_by_its_unit() {
        let mut centimetres = plain(1);
        resolution(&mut centimetres, [Some(100.0), Some(50.0)], Some(3));
        assert_eq!((centimetres.steps, centimetres.unit), ([None, Some(0.2), Some(0.1)], Unit::Millimetre));
        let mut inches = plain(1);
        resolution(&mut inches, [Some(254.0), None], Some(2));
        assert!(inches.steps[1].is_none() && (inches.steps[2].unwrap() - 0.1).abs() < 1e-12);
        let mut none = plain(1);
        resolution(&mut none, [Some(72.0), Some(72.0)], Some(1));
        assert_eq!((none.steps, none.unit), ([None; 3], Unit::Unknown));
        let mut micron = imagej(b"ImageJ=1\nunit=micron\n");
        resolution(&mut micron, [Some(4.0), Some(f64::INFINITY)], Some(1));
        assert_eq!(micron.steps, [None, None, Some(0.25)]);
        let mut micron = plain(1);
        resolution(&mut micron, [Some(4.0), Some(2.0)], Some(5));
        assert_eq!((micron.steps, micron.unit), ([None, Some(0.5), Some(0.25)], Unit::Micrometre));
    }

    #[test]
    fn units_of_imagej() {
        let found = |text: &str, per: [f64; 2], unit| {
            let mut found = imagej(text.as_bytes());
            resolution(&mut found, per.map(Some), unit);
            (found.steps.map(|step| step.map(|step| (step * 1e9).round() / 1e9)), found.unit)
        };
        // Slices are in the unit of the resolution.
        let text = "ImageJ=1\nimages=3\nslices=3\nspacing=0.002\n";
        assert_eq!(found(text, [1000.0; 2], Some(3)), ([Some(0.02), Some(0.01), Some(0.01)], Unit::Millimetre));
        // Without a unit the ratios of steps are kept, but for what screens have.
        let text = "ImageJ=1\nspacing=3\n";
        assert_eq!(found(text, [4.0; 2], Some(1)), ([Some(3.0), Some(0.25), Some(0.25)], Unit::Unknown));
        assert_eq!(found(text, [72.0; 2], Some(2)), ([Some(3.0), None, None], Unit::Unknown));
        // Axes with units of their own.
        let text = "ImageJ=1\nunit=um\nyunit=mm\nzunit=nm\nspacing=300\n";
        assert_eq!(found(text, [4.0, 0.004], Some(1)), ([Some(0.3), Some(250_000.0), Some(0.25)], Unit::Micrometre));
        assert_eq!(found("ImageJ=1\nunit=um\nspacing=-2\n", [4.0; 2], Some(1)).0[0], Some(2.0));
    }
}
