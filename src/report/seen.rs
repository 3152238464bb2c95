//! What the pixels of all pictures say together: range, percentiles, histogram, and which windows suit them.

use std::collections::HashSet;

use serde::Serialize;

use crate::{
    geometry::Unit,
    pictures::{Pictures, Raster},
};

/// Samples of each side from which percentiles are taken, at most.
const MOST_SAMPLES: usize = 1 << 16;
const BINS: usize = 120;
/// Different values up to which voxels may be labels, and of neighbours that are not both background how many have one value then, and how many
/// of the others are as close as those of a smooth image.
const MOST_LABELS: usize = 1024;
const LEAST_EQUAL: f64 = 0.85;
const MOST_CLOSE: f64 = 0.5;
/// Air in Hounsfield units, and the least part of pixels that have it in a scan.
const AIR_HU: f64 = -900.0;
const LEAST_AIR: f64 = 0.01;
const LEAST_HU: f64 = -4100.0;

/// What the voxels are, as far as that decides how they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    Labels,
    Ct,
    /// Magnetic resonance and other intensities of a body.
    Intensities,
    Microscopy,
}

/// A range of values that is shown from black to white, or labels in colours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Window {
    pub name: String,
    pub low: f64,
    pub high: f64,
    pub colours: bool,
}

/// Counts of pixels by value.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Histogram {
    pub low: f64,
    pub high: f64,
    /// Pixels of each bin over all pixels of that side; nothing of a side that is not there.
    pub before: Vec<f64>,
    pub after: Vec<f64>,
}

/// What the pixels of a side say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Statistics {
    pub pixels: u64,
    pub nans: u64,
    pub low: f64,
    pub high: f64,
    pub mean: f64,
}

/// What all pixels say.
#[derive(Debug)]
pub(super) struct Seen {
    /// Of all numbers; 0 and 1 where there are none.
    pub low: f64,
    pub high: f64,
    /// Whether all of them are whole.
    pub is_whole: bool,
    pub before: Option<Statistics>,
    pub after: Statistics,
    pub histogram: Histogram,
    pub looks_like_labels: bool,
    /// Some of the numbers of both sides, ascending.
    sorted: Vec<f32>,
}

impl Seen {
    /// Looks at all pixels but those that hold the outside value.
    pub(super) fn of(pictures: &Pictures) -> Seen {
        let befores: Vec<&Raster> = pictures.pairs.iter().filter_map(|pair| pair.before.as_ref()).collect();
        let before_values = || befores.iter().flat_map(|raster| numbers(raster, &[]));
        let after_values = || pictures.pairs.iter().flat_map(|pair| numbers(&pair.after, &pair.outside));
        let pixels: usize = pictures.pairs.iter().map(|pair| pair.after.pixels()).sum();
        let mut few = Few { every: pixels.div_ceil(MOST_SAMPLES).max(1), values: Vec::new(), are_whole: true };
        let before = (!befores.is_empty()).then(|| statistics(before_values(), &mut few));
        let after = statistics(after_values(), &mut few);
        let both = before.into_iter().chain([after]).filter(|side| side.pixels > side.nans);
        let (low, high) =
            both.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), side| (low.min(side.low), high.max(side.high)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let Few { values: mut sorted, are_whole: is_whole, .. } = few;
        sorted.sort_unstable_by(f32::total_cmp);
        let histogram = Histogram::default();
        let mut seen = Seen { low, high, is_whole, before, after, histogram, looks_like_labels: false, sorted };
        seen.looks_like_labels = is_whole && pictures.pairs.iter().all(|pair| is_patchy(&pair.after));
        seen.histogram = seen.histogram(before_values(), after_values());
        seen
    }

    /// The value below which the part `p` of the numbers lies, 0s left out or not.
    pub(super) fn percentile(&self, p: f64, without_zeros: bool) -> f64 {
        let zeros = self.sorted.partition_point(|&v| v < 0.0)..self.sorted.partition_point(|&v| v <= 0.0);
        let left_out = if without_zeros && zeros.len() < self.sorted.len() { zeros } else { 0..0 };
        let len = self.sorted.len() - left_out.len();
        if len == 0 {
            return self.low;
        }
        let place = ((p * (len - 1) as f64).round() as usize).min(len - 1);
        let place = if place < left_out.start { place } else { place + left_out.len() };
        f64::from(self.sorted[place.min(self.sorted.len() - 1)])
    }

    fn part_below(&self, value: f64) -> f64 {
        self.sorted.partition_point(|&v| f64::from(v) < value) as f64 / self.sorted.len().max(1) as f64
    }

    fn histogram(&self, before: impl Iterator<Item = f32>, after: impl Iterator<Item = f32>) -> Histogram {
        let (low, mut high) = (self.percentile(0.0005, false), self.percentile(0.9995, false));
        if high <= low {
            high = low + 1.0;
        }
        let count = |values: &mut dyn Iterator<Item = f32>| {
            let (mut bins, mut all) = (vec![0u64; BINS], 0u64);
            for value in values.map(f64::from).filter(|v| v.is_finite()) {
                all += 1;
                if (low..=high).contains(&value) {
                    let bin = ((value - low) / (high - low) * BINS as f64) as usize;
                    bins[bin.min(BINS - 1)] += 1;
                }
            }
            let part = |n: u64| if all > 0 { n as f64 / all as f64 } else { 0.0 };
            if all > 0 { bins.into_iter().map(part).collect() } else { Vec::new() }
        };
        let (mut before, mut after) = (before, after);
        Histogram { low, high, before: count(&mut before), after: count(&mut after) }
    }
}

/// The samples of a picture but those outside.
fn numbers<'a>(raster: &'a Raster, outside: &'a [bool]) -> impl Iterator<Item = f32> + 'a {
    (0..raster.pixels()).filter(|&n| !outside.get(n).copied().unwrap_or(false)).filter_map(|n| raster.get(n))
}

/// Some of the values that go by, and whether all are whole.
struct Few {
    every: usize,
    values: Vec<f32>,
    are_whole: bool,
}

fn statistics(values: impl Iterator<Item = f32>, few: &mut Few) -> Statistics {
    let (mut low, mut high, mut sum) = (f32::INFINITY, f32::NEG_INFINITY, 0.0);
    let (mut pixels, mut nans, mut are_whole) = (0u64, 0u64, true);
    for (n, value) in values.enumerate() {
        pixels += 1;
        if !value.is_finite() {
            nans += 1;
            continue;
        }
        (low, high) = (low.min(value), high.max(value));
        sum += f64::from(value);
        are_whole &= value.trunc() == value;
        if n % few.every == 0 {
            few.values.push(value);
        }
    }
    few.are_whole &= are_whole;
    let [low, high] = if pixels > nans { [low, high].map(f64::from) } else { [0.0; 2] };
    Statistics { pixels, nans, low, high, mean: sum / (pixels - nans).max(1) as f64 }
}

/// Whether a picture of whole numbers has few values, in patches of one each.
fn is_patchy(raster: &Raster) -> bool {
    let ([columns, rows], mut values) = (raster.size, HashSet::new());
    let (mut pairs, mut equal, mut close) = (0u64, 0u64, 0u64);
    for n in 0..columns * rows {
        let Some(value) = raster.get(n) else { continue };
        values.insert(value.to_bits());
        if values.len() > MOST_LABELS {
            return false;
        }
        let next = if n % columns + 1 < columns { raster.get(n + 1) } else { None };
        let here = raster.voxel([n % columns, n / columns]);
        let is_other = n % columns + 1 < columns && raster.voxel([n % columns + 1, n / columns]) != here;
        if let Some(next) = next.filter(|&next| is_other && (value != 0.0 || next != 0.0)) {
            pairs += 1;
            equal += u64::from(next == value);
            close += u64::from(next != value && (next - value).abs() <= 2.0);
        }
    }
    let unequal = pairs - equal;
    let smooth = close as f64 > MOST_CLOSE * unequal as f64 && values.len() > 4;
    (2..=MOST_LABELS).contains(&values.len()) && pairs > 0 && equal as f64 >= LEAST_EQUAL * pairs as f64 && !smooth
}

impl Seen {
    /// What the voxels are, by what the file and the method say, by the unit, and by the values.
    pub(super) fn content(&self, is_label: bool, is_body: bool, unit: &Unit) -> Content {
        let is_small = matches!(unit, Unit::Micrometre | Unit::Nanometre | Unit::Angstrom);
        let is_ct = || self.part_below(AIR_HU) >= LEAST_AIR && self.low >= LEAST_HU && self.high > 100.0;
        match is_body && !is_small {
            _ if is_label || self.looks_like_labels => Content::Labels,
            true if is_ct() => Content::Ct,
            true => Content::Intensities,
            false if *unit == Unit::Millimetre => Content::Intensities,
            false => Content::Microscopy,
        }
    }
}

/// The windows that suit such values, the first to begin with.
pub(super) fn windows(content: Content, seen: &Seen) -> Vec<Window> {
    let grey = |name: &str, low: f64, high: f64| Window { name: name.into(), low, high, colours: false };
    let by_level = |name: &str, level: f64, width: f64| {
        grey(&format!("{name} (level {level}, width {width})"), level - width / 2.0, level + width / 2.0)
    };
    let between = |name: &str, [low, high]: [f64; 2], without_zeros: bool| {
        let [from, to] = [low, high].map(|p| seen.percentile(p, without_zeros));
        (to > from).then(|| grey(name, from, to))
    };
    let full = grey("all values", seen.low, if seen.high > seen.low { seen.high } else { seen.low + 1.0 });
    let mut windows = match content {
        Content::Labels => vec![Window { name: "labels in colours".into(), colours: true, ..full.clone() }],
        Content::Ct => vec![
            by_level("soft tissue", 40.0, 400.0),
            by_level("lung", -600.0, 1500.0),
            by_level("bone", 400.0, 1800.0),
            by_level("brain", 40.0, 80.0),
        ],
        Content::Intensities => [
            between("1 to 99.5 % of what is not 0", [0.01, 0.995], true)
                .map(|window| Window { low: window.low.min(0.0).max(seen.low), ..window }),
            between("1 to 99 % of all", [0.01, 0.99], false),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Content::Microscopy => [
            between("2 to 99.8 % of what is not 0", [0.02, 0.998], true),
            between("1 to 99.95 % of all", [0.01, 0.9995], false),
            between("dim parts: 2 to 95 %", [0.02, 0.95], true),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    windows.push(full);
    windows
}
