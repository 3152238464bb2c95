//! Orders worth a walk: columns cut where chunks end, and an estimate of what each decodes.
//!
//! Blocks across a column share the chunks on their seams, columns decode those on their edges twice. Which widths cut few
//! chunks follows from the ratio of block and chunk; they are read off the tables of a [`Touch`], not off a fixed list.

use std::{ops::Range, sync::Arc};

use super::{Order, Touch};

/// Blocks along an axis that cuts are judged by; longer axes repeat themselves.
const JUDGED_BLOCKS: u64 = 240;
/// Widest columns and widest joins of columns tried, beside whole axes.
const MOST_WIDE: u64 = 16;
const MOST_JOINED: u64 = 32;
/// Cuts kept along each axis.
const MOST_CUTS: usize = 8;
/// Widths in blocks of the columns that are tried where nothing is known of what they would decode.
const FREE_WIDTHS: [u64; 4] = [1, 2, 4, 8];

/// How an axis is cut into columns.
#[derive(Clone, Debug, PartialEq)]
struct Cut {
    /// Blocks per part, coarse to fine.
    widths: Vec<u64>,
    /// Chunks of the widest column.
    span: u64,
    /// Chunks of all columns.
    chunks: f64,
    /// Columns.
    columns: f64,
}

/// An order with what it would hold and decode.
#[derive(Clone, Debug)]
pub struct Sweep {
    pub order: Order,
    /// Whether write units come in C order.
    pub in_line: bool,
    /// Decodes of a volume with a window of at least `held` chunks.
    chunks: f64,
    held: f64,
    /// Steps down all columns.
    steps: f64,
}

impl Sweep {
    /// An order that nothing is known of.
    pub fn plain(order: Order) -> Sweep {
        Sweep { order, in_line: true, chunks: 0.0, held: 0.0, steps: 0.0 }
    }

    /// Chunk decodes of a volume, roughly, with a window of so many chunks: what does not stay is decoded again at the
    /// next step down the column.
    pub fn estimate(&self, window_chunks: u64) -> f64 {
        self.chunks + (self.held - window_chunks as f64).max(0.0) * self.steps
    }

    /// The window beyond which the estimate stays.
    pub fn enough_chunks(&self) -> u64 {
        self.held.ceil() as u64
    }
}

/// Columns along every axis within boxes of `boxes` blocks, for a source of chunks.
pub fn sweeps(touch: &Touch, boxes: [u64; 3]) -> Vec<Sweep> {
    let boxes: [u64; 3] = std::array::from_fn(|a| boxes[a].clamp(1, touch.counts[a]));
    let axes: [Arc<Judged>; 3] = std::array::from_fn(|t| touch.judged(t, boxes[t]));
    let mut sweeps = vec![raster(touch, boxes, &axes)];
    for axis in 0..3 {
        let [a, b] = match axis {
            0 => [1, 2],
            1 => [0, 2],
            _ => [0, 1],
        };
        for cut_a in &axes[a].cuts {
            for cut_b in &axes[b].cuts {
                sweeps.push(sweep(touch, boxes, &axes, axis, (a, cut_a), (b, cut_b)));
            }
        }
    }
    sweeps
}

/// What is known of an axis within boxes of some blocks: the same for all orders.
#[derive(Debug)]
pub struct Judged {
    cuts: Vec<Cut>,
    along: Along,
}

impl Judged {
    /// By the chunks that each slab of blocks reaches.
    pub fn new(reach: &[Range<u64>], boxed: u64) -> Judged {
        Judged { cuts: cuts(reach, boxed), along: Along::new(reach, boxed) }
    }
}

/// Orders for regions that are no products: the raster, and square columns along every axis. Their dry runs tell which is
/// best.
pub fn free_sweeps(touch: &Touch, boxes: [u64; 3]) -> Vec<Sweep> {
    let mut sweeps = vec![Sweep::plain(within(Order::raster(), touch, boxes))];
    for axis in 0..3 {
        let [a, b] = [(axis + 1) % 3, (axis + 2) % 3];
        let widths = FREE_WIDTHS.iter().filter(|&&width| width < boxes[a].max(boxes[b]));
        sweeps.extend(widths.map(|width| {
            let order = Order::columns(axis, [(a.min(b), &[*width]), (a.max(b), &[*width])]);
            Sweep { in_line: false, ..Sweep::plain(within(order, touch, boxes)) }
        }));
    }
    sweeps
}

fn raster(touch: &Touch, boxes: [u64; 3], axes: &[Arc<Judged>; 3]) -> Sweep {
    let whole = |t: usize| judge(touch.own_reach(t), boxes[t], &[boxes[t]]);
    let sweep = sweep(touch, boxes, axes, 0, (1, &whole(1)), (2, &whole(2)));
    Sweep { order: within(Order::raster(), touch, boxes), in_line: true, ..sweep }
}

fn sweep(
    touch: &Touch,
    boxes: [u64; 3],
    axes: &[Arc<Judged>; 3],
    axis: usize,
    a: (usize, &Cut),
    b: (usize, &Cut),
) -> Sweep {
    let along = &axes[axis].along;
    let shared = |t: usize| axes[t].along.shared;
    // Down the slower of the two axes across, a seam of the length of the other one stays.
    let seam = |slow: (usize, &Cut), fast: (usize, &Cut)| shared(slow.0) * fast.1.span as f64 * along.chunks;
    let (slow, fast) = if seam(a, b) <= seam(b, a) { (a, b) } else { (b, a) };
    let order = Order::columns(axis, [(slow.0, &slow.1.widths), (fast.0, &fast.1.widths)]);
    Sweep {
        order: within(order, touch, boxes),
        in_line: false,
        chunks: a.1.chunks * b.1.chunks * along.total,
        held: (a.1.span * b.1.span) as f64 * along.shared + seam(slow, fast) + touch.most_chunks_per_block() as f64,
        steps: a.1.columns * b.1.columns * touch.counts[axis] as f64,
    }
}

fn within(order: Order, touch: &Touch, boxes: [u64; 3]) -> Order {
    if boxes == touch.counts { order } else { order.within(boxes) }
}

/// Chunks down a column.
#[derive(Debug)]
struct Along {
    /// Of all boxes.
    total: f64,
    /// Of one block, on average.
    chunks: f64,
    /// Of one block and the next, on average.
    shared: f64,
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
fn cuts(reach: &[Range<u64>], boxed: u64) -> Vec<Cut> {
    let mut all = vec![judge(reach, boxed, &[boxed])];
    for fine in 1..=MOST_WIDE.min(boxed) {
        all.push(judge(reach, boxed, &[fine]));
        let joined = (fine + 1..=MOST_JOINED.min(boxed)).filter(|joined| !joined.is_multiple_of(fine));
        all.extend(joined.map(|joined| judge(reach, boxed, &[joined, fine])));
    }
    all.sort_by(|a, b| (a.span, a.widths.len()).cmp(&(b.span, b.widths.len())).then(a.chunks.total_cmp(&b.chunks)));
    let mut best: Vec<Cut> = Vec::new();
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
fn thinned(cuts: Vec<Cut>) -> Vec<Cut> {
    let last = cuts.len().saturating_sub(1);
    if last < MOST_CUTS {
        return cuts;
    }
    (0..MOST_CUTS).map(|n| cuts[n * last / (MOST_CUTS - 1)].clone()).collect()
}

/// What a cut of boxes of `boxed` blocks into parts of these widths comes to.
fn judge(reach: &[Range<u64>], boxed: u64, widths: &[u64]) -> Cut {
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
    Cut { widths: widths.to_vec(), span, chunks: chunks as f64 * scale, columns: columns as f64 * scale }
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
