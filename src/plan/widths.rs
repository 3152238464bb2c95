//! Widths of columns along one axis that cut few chunks. They follow from the ratio of block and chunk, so they are read off the chunks
//! that each slab of blocks reaches, not off a fixed list.

use std::ops::Range;

/// Blocks along an axis that cuts are judged by; longer axes repeat themselves.
const JUDGED_BLOCKS: u64 = 240;
/// Widest columns and widest joins of columns tried, beside whole axes.
const MOST_WIDE: u64 = 16;
const MOST_JOINED: u64 = 32;
/// Cuts kept along each axis.
const MOST_CUTS: usize = 8;
/// How an axis is cut into columns.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnWidths {
    /// Blocks per part, coarse to fine.
    pub widths: Vec<u64>,
    /// Chunks of the widest column.
    pub span: u64,
    /// Chunks of all columns.
    pub chunks: f64,
    /// Columns.
    pub columns: f64,
}

/// What is known of an axis within boxes of some blocks: the same for all orders.
#[derive(Debug)]
pub struct Judged {
    pub cuts: Vec<ColumnWidths>,
    pub along: Along,
}

impl Judged {
    /// By the chunks that each slab of blocks reaches.
    pub fn new(reach: &[Range<u64>], boxed: u64) -> Judged {
        Judged { cuts: cuts(reach, boxed), along: Along::new(reach, boxed) }
    }
}

/// Chunks down a column.
#[derive(Debug)]
pub struct Along {
    /// Of all boxes.
    pub total: f64,
    /// Of one block, on average.
    pub chunks: f64,
    /// Of one block and the next, on average.
    pub shared: f64,
}

impl Along {
    fn new(reach: &[Range<u64>], boxed: u64) -> Along {
        let judged = &reach[..reach.len().min(JUDGED_BLOCKS as usize)];
        let len = |r: &Range<u64>| r.end.saturating_sub(r.start) as f64;
        let per_block = |sum: f64| sum / judged.len().max(1) as f64;
        let overlap = |w: &[Range<u64>]| len(&(w[0].start.max(w[1].start)..w[0].end.min(w[1].end)));
        Along {
            total: judge(reach, boxed, &[boxed]).chunks,
            chunks: per_block(judged.iter().map(len).sum()),
            shared: per_block(judged.windows(2).map(overlap).sum()),
        }
    }
}

/// The cuts that no other cut beats in both width and chunks.
fn cuts(reach: &[Range<u64>], boxed: u64) -> Vec<ColumnWidths> {
    let mut all = vec![judge(reach, boxed, &[boxed])];
    for fine in 1..=MOST_WIDE.min(boxed) {
        all.push(judge(reach, boxed, &[fine]));
        let joined = (fine + 1..=MOST_JOINED.min(boxed)).filter(|joined| !joined.is_multiple_of(fine));
        all.extend(joined.map(|joined| judge(reach, boxed, &[joined, fine])));
    }
    all.sort_by(|a, b| (a.span, a.widths.len()).cmp(&(b.span, b.widths.len())).then(a.chunks.total_cmp(&b.chunks)));
    let mut best: Vec<ColumnWidths> = Vec::new();
    for cut in all {
        match best.last_mut() {
            Some(last) if cut.chunks >= last.chunks * 0.995 => {}
            Some(last) if cut.span == last.span => *last = cut,
            _ => best.push(cut),
        }
    }
    thinned(best)
}

/// At most [`MOST_CUTS`], the first and the last among them.
fn thinned(cuts: Vec<ColumnWidths>) -> Vec<ColumnWidths> {
    let last = cuts.len().saturating_sub(1);
    if last < MOST_CUTS {
        return cuts;
    }
    (0..MOST_CUTS).map(|n| cuts[n * last / (MOST_CUTS - 1)].clone()).collect()
}

/// What a cut of boxes of `boxed` blocks into parts of these widths comes to.
pub(super) fn judge(reach: &[Range<u64>], boxed: u64, widths: &[u64]) -> ColumnWidths {
    let blocks = reach.len() as u64;
    let judged = blocks.min(JUDGED_BLOCKS.max(boxed.min(4 * JUDGED_BLOCKS)));
    let (mut chunks, mut span, mut columns) = (0u64, 0, 0u64);
    parts(0..judged, &[&[boxed], widths].concat(), &mut |part| {
        let reached = reach[part.start as usize..part.end as usize].iter().filter(|r| r.start < r.end);
        let (lo, hi) = reached.fold((u64::MAX, 0), |(lo, hi), r| (r.start.min(lo), r.end.max(hi)));
        let len = u64::saturating_sub(hi, lo);
        (chunks, span, columns) = (chunks + len, len.max(span), columns + 1);
    });
    let scale = blocks as f64 / judged.max(1) as f64;
    ColumnWidths { widths: widths.to_vec(), span, chunks: chunks as f64 * scale, columns: columns as f64 * scale }
}

/// Calls `each` with every part of `range` cut by nested widths.
fn parts(range: Range<u64>, widths: &[u64], each: &mut impl FnMut(Range<u64>)) {
    let Some((&width, finer)) = widths.split_first() else { return each(range) };
    let mut lo = range.start;
    while lo < range.end {
        let hi = lo.saturating_add(width).min(range.end);
        parts(lo..hi, finer, each);
        lo = hi;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of 128 voxels, 1.6 source voxels each, over chunks of 128.
    fn reach() -> Vec<Range<u64>> {
        (0..8u64).map(|b| (b * 1024 / 5 / 128)..((b + 1) * 1024).div_ceil(5).min(1536).div_ceil(128)).collect()
    }

    #[test]
    fn columns_end_where_chunks_end() {
        let cuts = cuts(&reach(), 8);
        let aligned = cuts.iter().find(|cut| cut.chunks == 12.0).unwrap();
        assert_eq!((aligned.widths.as_slice(), aligned.span), ([5].as_slice(), 8), "{cuts:?}");
        // Three blocks and two of every five: one chunk of twelve is cut.
        let narrow = cuts.iter().find(|cut| cut.chunks == 13.0).unwrap();
        assert_eq!((narrow.widths.as_slice(), narrow.span), ([5, 3].as_slice(), 5), "{cuts:?}");
    }

    #[test]
    fn cuts_trade_width_for_chunks() {
        for boxed in [1, 3, 5, 8] {
            let cuts = cuts(&reach(), boxed);
            assert!(!cuts.is_empty() && cuts.len() <= MOST_CUTS);
            assert!(cuts.windows(2).all(|c| c[0].span < c[1].span && c[0].chunks > c[1].chunks), "{cuts:?}");
        }
    }
}
