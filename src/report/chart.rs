//! Charts as SVG: histogram, and memory over time. They take their colours from the page.

use std::fmt::Write;

use super::{seen::Histogram, words};
use crate::pictures::MemoryPoint;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 8.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 24.0;
/// Room at the left for the numbers of an axis.
const NUMBERS: f64 = 62.0;
/// Height of a line of text.
const LINE: f64 = 14.0;
/// A bin that is so much higher than all but a few is cut, so that the others are seen.
const FEW_BINS: usize = 3;
const ABOVE_OTHERS: f64 = 1.15;

/// Both sides as filled steps, and whether high bins are cut.
pub(super) fn histogram(histogram: &Histogram) -> (String, bool) {
    let sides = [("c-before", &histogram.before), ("c-after", &histogram.after)];
    let mut bins: Vec<f64> = sides.iter().flat_map(|(_, bins)| bins.iter().copied()).collect();
    bins.sort_by(f64::total_cmp);
    let highest = bins.last().copied().unwrap_or(0.0);
    let shown = bins.iter().rev().nth(FEW_BINS * 2).map_or(highest, |other| (other * ABOVE_OTHERS).min(highest));
    let top = if shown > 0.0 { shown } else { highest.max(f64::MIN_POSITIVE) };
    let mut svg =
        begin(&format!("Histogram of values from {} to {}", words::short(histogram.low), words::short(histogram.high)));
    let y = |part: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (part / top).min(1.0));
    for (class, bins) in sides {
        if bins.is_empty() {
            continue;
        }
        let step = (WIDTH - LEFT - RIGHT) / bins.len() as f64;
        let mut path = format!("M{LEFT} {:.1}", HEIGHT - BOTTOM);
        for (n, &part) in bins.iter().enumerate() {
            let _ = write!(path, "V{:.1}H{:.1}", y(part), LEFT + step * (n + 1) as f64);
        }
        let _ = write!(svg, r#"<path class="{class}" d="{path}V{:.1}Z"/>"#, HEIGHT - BOTTOM);
    }
    for n in 0..=4 {
        let part = f64::from(n) / 4.0;
        let value = histogram.low + part * (histogram.high - histogram.low);
        let anchor = ["start", "middle", "middle", "middle", "end"][n as usize];
        text(&mut svg, LEFT + part * (WIDTH - LEFT - RIGHT), HEIGHT - 7.0, anchor, &words::short(value));
    }
    line(&mut svg, "axis", [LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM]);
    (svg + "</svg>", top < highest)
}

/// Resident memory over time, against its ceiling where that is not far above.
pub(super) fn memory(points: &[MemoryPoint], ceiling_bytes: u64, peak_bytes: u64) -> String {
    let last = points.last().map_or(0.0, |point| point.seconds).max(1e-3);
    let has_ceiling = is_near(ceiling_bytes, peak_bytes);
    let top = if has_ceiling { ceiling_bytes.max(peak_bytes) as f64 * 1.08 } else { peak_bytes.max(1) as f64 * 1.2 };
    let x = |seconds: f64| NUMBERS + seconds / last * (WIDTH - NUMBERS - RIGHT);
    let y = |bytes: u64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - bytes as f64 / top);
    let mut svg = begin(&format!(
        "Resident memory over {}: at most {} of {}",
        words::seconds(last),
        words::bytes(peak_bytes),
        words::bytes(ceiling_bytes)
    ));
    let mut path = format!("M{:.1} {:.1}", x(0.0), y(0));
    let first = points.first().map(|point| MemoryPoint { seconds: 0.0, ..*point });
    for point in first.iter().chain(points) {
        let _ = write!(path, "L{:.1} {:.1}", x(point.seconds), y(point.bytes));
    }
    let _ = write!(svg, r#"<path class="c-line" d="{path}L{:.1} {:.1}Z"/>"#, x(last), y(0));
    let mut level = |class: &str, bytes: u64, is_named: bool| {
        line(&mut svg, class, [NUMBERS, y(bytes), WIDTH - RIGHT, y(bytes)]);
        if is_named {
            text(&mut svg, NUMBERS - 6.0, y(bytes) + 4.0, "end", &words::bytes(bytes));
        }
    };
    if has_ceiling {
        level("c-ceiling", ceiling_bytes, true);
    }
    // Names of lines that lie close together would lie over each other.
    level("grid", peak_bytes, !has_ceiling || (y(peak_bytes) - y(ceiling_bytes)).abs() > LINE);
    level("axis", 0, y(0) - y(peak_bytes) > LINE);
    text(&mut svg, NUMBERS, HEIGHT - 7.0, "start", "0 s");
    text(&mut svg, WIDTH - RIGHT, HEIGHT - 7.0, "end", &words::seconds(last));
    svg + "</svg>"
}

/// Whether a ceiling is drawn: what lies far below it would be flat.
pub(super) fn is_near(ceiling_bytes: u64, peak_bytes: u64) -> bool {
    ceiling_bytes / 4 <= peak_bytes
}

/// `described` is for those who do not see the chart; it holds nothing that comes from files.
fn begin(described: &str) -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{described}">"#)
}

fn line(svg: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = write!(svg, r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#);
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_bin_leaves_the_others_to_be_seen() {
        let mut after = vec![0.01; 96];
        after[0] = 0.9;
        let (svg, is_cut) = histogram(&Histogram { low: 0.0, high: 8.0, before: Vec::new(), after });
        assert!(is_cut && svg.contains(r#"class="c-after""#) && !svg.contains("c-before"));
        let (_, is_cut) = histogram(&Histogram { low: 0.0, high: 8.0, before: vec![0.1; 10], after: vec![0.1; 10] });
        assert!(!is_cut);
        let (svg, _) = histogram(&Histogram::default());
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn memory_has_its_ceiling_and_no_number_that_is_none() {
        let points = [MemoryPoint { seconds: 0.1, bytes: 10 << 20 }, MemoryPoint { seconds: 0.4, bytes: 40 << 20 }];
        let svg = memory(&points, 64 << 20, 41 << 20);
        assert!(svg.contains("41.0 MiB of 64.0 MiB") && svg.contains("c-ceiling"));
        assert!(!memory(&[], 64 << 20, 0).contains("NaN"));
        assert!(!memory(&points, 64 << 30, 41 << 20).contains("c-ceiling"));
    }
}
