//! Orders worth a walk: columns cut where chunks end, and an estimate of what each decodes.
//!
//! Blocks across a column share the chunks on their seams, columns decode those on their edges twice.

use std::sync::Arc;

use super::{
    ChunkMap, Order,
    widths::{ColumnWidths, Judged, judge},
};

/// Widths in blocks of the columns that are tried where nothing is known of what they would decode.
const FREE_WIDTHS: [u64; 4] = [1, 2, 4, 8];

/// An order with what it would hold and decode.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
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
    pub(super) fn plain(order: Order) -> Sweep {
        Sweep { order, in_line: true, chunks: 0.0, held: 0.0, steps: 0.0 }
    }

    /// Chunk decodes of a volume, roughly, with a window of so many chunks: what does not stay is decoded again at the
    /// next step down the column.
    pub(super) fn estimate(&self, window_chunks: u64) -> f64 {
        self.chunks + (self.held - window_chunks as f64).max(0.0) * self.steps
    }

    /// The window beyond which the estimate stays.
    pub(super) fn enough_chunks(&self) -> u64 {
        self.held.ceil() as u64
    }
}

/// Columns along every axis within boxes of `boxes` blocks, for a source of chunks.
pub(super) fn sweeps(touch: &ChunkMap, boxes: [u64; 3]) -> Vec<Sweep> {
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

/// Orders for regions that are no products: the raster, and square columns along every axis. Their dry runs tell which is
/// best.
pub(super) fn free_sweeps(touch: &ChunkMap, boxes: [u64; 3]) -> Vec<Sweep> {
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

fn raster(touch: &ChunkMap, boxes: [u64; 3], axes: &[Arc<Judged>; 3]) -> Sweep {
    let whole = |t: usize| judge(touch.own_reach(t), boxes[t], &[boxes[t]]);
    let sweep = sweep(touch, boxes, axes, 0, (1, &whole(1)), (2, &whole(2)));
    Sweep { order: within(Order::raster(), touch, boxes), in_line: true, ..sweep }
}

fn sweep(
    touch: &ChunkMap,
    boxes: [u64; 3],
    axes: &[Arc<Judged>; 3],
    axis: usize,
    a: (usize, &ColumnWidths),
    b: (usize, &ColumnWidths),
) -> Sweep {
    let along = &axes[axis].along;
    let shared = |t: usize| axes[t].along.shared;
    // Down the slower of the two axes across, a seam of the length of the other one stays.
    let seam =
        |slow: (usize, &ColumnWidths), fast: (usize, &ColumnWidths)| shared(slow.0) * fast.1.span as f64 * along.chunks;
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

fn within(order: Order, touch: &ChunkMap, boxes: [u64; 3]) -> Order {
    if boxes == touch.counts { order } else { order.within(boxes) }
}
