//! A picture by itself: the three planes of a target, or its projections, side by side in one PNG.

use super::{
    encode::{QUICK, png},
    labels, page_content,
    seen::{Seen, Window, windows},
};
use crate::{
    error::{Error, Result},
    job::Summary,
    pictures::{Pair, Pictures},
};

/// Pixels between two planes, and around them.
const GAP: usize = 6;
/// What is shown where no sample is.
const EMPTY: [u8; 3] = [24, 24, 30];
const GROUND: [u8; 3] = [0, 0, 0];

/// A PNG of the target's middle planes, or of its projections where the run made them, in the first window that suits them.
///
/// # Errors
/// The run sampled no pictures.
pub fn preview(summary: &Summary) -> Result<Vec<u8>> {
    let Some(pictures) = summary.pictures.as_deref() else {
        return Err(Error::usage_hint("the run sampled no pictures", "ask for them by Request::pictures"));
    };
    let seen = Seen::of(pictures);
    let content = page_content(summary, pictures, &seen);
    let Some(window) = windows(content, &seen).into_iter().next() else {
        return Err(Error::usage("no window suits the values"));
    };
    let window = match (&pictures.highest, window.colours) {
        // The highest values lie above those of a plane.
        (Some(_), false) => Window { high: seen.high.max(window.high), ..window },
        _ => window,
    };
    let tiles: Vec<([usize; 2], Vec<[u8; 3]>)> =
        pictures.pairs.iter().map(|pair| (pair.plane.size, tile(pictures, pair, &window))).collect();
    let width = tiles.iter().map(|([columns, _], _)| columns + GAP).sum::<usize>() + GAP;
    let height = tiles.iter().map(|([_, rows], _)| *rows).max().unwrap_or(1) + 2 * GAP;
    let mut canvas = vec![GROUND; width * height];
    let mut left = GAP;
    for ([columns, rows], pixels) in &tiles {
        let top = (height - rows) / 2;
        for (row, line) in pixels.chunks(*columns).enumerate() {
            canvas[(top + row) * width + left..][..*columns].copy_from_slice(line);
        }
        left += columns + GAP;
    }
    match canvas.iter().all(|[r, g, b]| r == g && g == b) {
        true => {
            let greys: Vec<u8> = canvas.iter().map(|[grey, ..]| *grey).collect();
            png([width, height], png::ColorType::Grayscale, &greys, QUICK)
        }
        false => png([width, height], png::ColorType::Rgb, canvas.as_flattened(), QUICK),
    }
}

/// The pixels of one plane.
fn tile(pictures: &Pictures, pair: &Pair, window: &Window) -> Vec<[u8; 3]> {
    let [columns, rows] = pair.plane.size;
    let highest = pictures.highest.as_ref().map(|highest| highest.of_plane(&pair.plane));
    let sample = |n: usize| match &highest {
        Some(image) => image[n],
        None => pair.after.get(n),
    };
    (0..columns * rows).map(|n| sample(n).map_or(EMPTY, |value| shown(f64::from(value), window))).collect()
}

fn shown(value: f64, window: &Window) -> [u8; 3] {
    if value.is_nan() {
        return EMPTY;
    }
    if window.colours {
        return labels::rgb(value);
    }
    let part = (value - window.low) / (window.high - window.low).max(f64::MIN_POSITIVE);
    [(part * 255.0).round().clamp(0.0, 255.0) as u8; 3]
}
