//! Labels: how much of the pictures each takes, before and after.

use std::collections::HashMap;

use serde::Serialize;

use crate::pictures::{Pictures, Raster};

/// Labels that a page lists.
const MOST_LISTED: usize = 16;

/// The part of all pixels that a label takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Share {
    pub label: f64,
    pub before: Option<f64>,
    pub after: f64,
}

/// The largest labels but 0, the largest first; nothing where voxels are no labels.
pub(super) fn shares(labels: Option<&[f64]>, pictures: &Pictures) -> Option<Vec<Share>> {
    let labels = labels?;
    let has_before = pictures.pairs.iter().any(|pair| pair.before.is_some());
    let before = parts(pictures.pairs.iter().filter_map(|pair| pair.before.as_ref()));
    let after = parts(pictures.pairs.iter().map(|pair| &pair.after));
    let of = |parts: &HashMap<u32, f64>, label: f64| parts.get(&(label as f32).to_bits()).copied().unwrap_or(0.0);
    let share =
        |&label: &f64| Share { label, before: has_before.then(|| of(&before, label)), after: of(&after, label) };
    let mut shares: Vec<Share> = labels.iter().filter(|label| **label != 0.0).map(share).collect();
    shares.sort_by(|a, b| b.after.total_cmp(&a.after).then(a.label.total_cmp(&b.label)));
    shares.truncate(MOST_LISTED);
    Some(shares)
}

fn parts<'a>(rasters: impl Iterator<Item = &'a Raster>) -> HashMap<u32, f64> {
    let (mut counts, mut all) = (HashMap::new(), 0u64);
    for value in rasters.flat_map(|raster| (0..raster.pixels()).filter_map(|n| raster.get(n))) {
        *counts.entry((value + 0.0).to_bits()).or_insert(0u64) += 1;
        all += 1;
    }
    counts.into_iter().map(|(bits, count)| (bits, count as f64 / all.max(1) as f64)).collect()
}

/// The colour of a label, as CSS has it; the page's script has the same.
pub(super) fn colour(label: f64) -> String {
    if label == 0.0 { "#000".into() } else { format!("hsl({:.1} 65% 58%)", (label * 137.508).rem_euclid(360.0)) }
}

/// The same as red, green and blue.
pub(super) fn rgb(label: f64) -> [u8; 3] {
    const SATURATION: f64 = 0.65;
    const LIGHTNESS: f64 = 0.58;
    if label == 0.0 {
        return [0; 3];
    }
    let hue = (label * 137.508).rem_euclid(360.0);
    let part = |n: f64| {
        let (k, a) = ((n + hue / 30.0) % 12.0, SATURATION * (1.0 - LIGHTNESS));
        (255.0 * (LIGHTNESS - a * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0))).round() as u8
    };
    [part(0.0), part(8.0), part(4.0)]
}
