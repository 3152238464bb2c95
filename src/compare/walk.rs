//! Chooses the boxes in which one volume or two are walked: within the budget, with few repeated decodes.

use crate::{
    error::{Error, PlanError, Result},
    io::reader::reads_directly,
    layout::{Access, Layout, Outer},
    region::Region,
    sys,
};

/// What one more box costs, in bytes of decoding.
const BOX_BYTES: f64 = 65_536.0;
/// Allocator slack, stacks and sums of the comparison, and of each thread.
const MARGIN_BYTES: u64 = 3 << 20;
const THREAD_BYTES: u64 = 512 << 10;

/// Boxes in C order, the same for each group of volumes.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    /// Voxels of one box, storage order.
    pub tile: [u64; 3],
    /// Outer axes by whose groups volumes are taken: a box of all members, then the next box.
    pub outer: Outer,
    /// Projected peak of resident memory.
    pub projected_bytes: u64,
}

impl Walk {
    /// The cheapest walk within the budget for two layouts of the same shape, voxels being of `sample_bytes`.
    ///
    /// # Errors
    /// [`PlanError::WalkTooSmall`], and two streams whose volumes stand in different orders.
    pub fn new(a: &Layout, b: &Layout, sample_bytes: usize, memory_bytes: u64, threads: usize) -> Result<Walk> {
        Walk::over(&[a, b], grouping(a, b)?, "the comparison", (sample_bytes, memory_bytes, threads))
    }

    /// The cheapest walk within the budget through one layout.
    ///
    /// # Errors
    /// [`PlanError::WalkTooSmall`].
    pub fn of_one(layout: &Layout, sample_bytes: usize, memory_bytes: u64, threads: usize) -> Result<Walk> {
        Walk::over(&[layout], layout.outer.clone(), "reading all values", (sample_bytes, memory_bytes, threads))
    }

    fn over(
        sides: &[&Layout],
        outer: Outer,
        what: &'static str,
        (sample_bytes, memory_bytes, threads): (usize, u64, usize),
    ) -> Result<Walk> {
        let reserved = sys::reserved_bytes() + MARGIN_BYTES + threads as u64 * THREAD_BYTES;
        let bytes = |tile| {
            let each = sides.iter().map(|layout| side_bytes(layout, tile, sample_bytes as u64));
            each.fold(reserved, u64::saturating_add)
        };
        let tiles: Vec<([u64; 3], u64)> = candidates(sides).into_iter().map(|tile| (tile, bytes(tile))).collect();
        let fitting = tiles.iter().filter(|(_, bytes)| *bytes <= memory_bytes);
        let cost = |&(tile, bytes): &([u64; 3], u64)| {
            let decoded: f64 = sides.iter().map(|layout| decoded_bytes(layout, tile)).sum();
            boxes(sides[0], tile) * BOX_BYTES + bytes as f64 + decoded
        };
        match fitting.min_by(|x, y| cost(x).total_cmp(&cost(y))) {
            Some(&(tile, projected_bytes)) => Ok(Walk { tile, outer, projected_bytes }),
            None => {
                let smallest_bytes = tiles.iter().map(|(_, bytes)| *bytes).min().unwrap_or(u64::MAX);
                Err(PlanError::WalkTooSmall { what, memory_bytes, smallest_bytes }.into())
            }
        }
    }

    /// The boxes of a grid of this shape.
    pub fn boxes(&self, shape: [u64; 3]) -> impl Iterator<Item = Region> + use<> {
        Region::of_shape(shape).tiles(self.tile.map(|extent| extent as usize))
    }
}

/// A stream has its own order of volumes; else the larger groups count, so that their chunks are decoded once.
fn grouping(a: &Layout, b: &Layout) -> Result<Outer> {
    let ascends = |layout: &Layout| layout.access == Access::Ascending;
    if ascends(a) && ascends(b) && a.outer.largest_group() != b.outer.largest_group() {
        return Err(Error::usage_hint(
            "the two gzip streams have their volumes in different orders, and streams are read forward only",
            "unpack one of them, or store it with --gzip bgzf",
        ));
    }
    let takes_b = !ascends(a) && (ascends(b) || b.outer.largest_group() > a.outer.largest_group());
    Ok(if takes_b { b.outer.clone() } else { a.outer.clone() })
}

/// Extents of boxes worth a look: voxels, chunks of each volume, everything; of a stream only what ascends.
fn candidates(sides: &[&Layout]) -> Vec<[u64; 3]> {
    let shape = sides[0].grid.shape;
    let axis = |axis: usize| {
        let chunks = sides.iter().map(|layout| layout.chunk[axis]);
        let mut extents: Vec<u64> = chunks.chain([1, 16, 64, 256, shape[axis]]).collect();
        extents.iter_mut().for_each(|extent| *extent = (*extent).clamp(1, shape[axis]));
        extents.sort_unstable();
        extents.dedup();
        extents
    };
    let (zs, ys, xs) = (axis(0), axis(1), axis(2));
    let all = zs.iter().flat_map(|&z| {
        ys.iter().flat_map({
            let xs = &xs;
            move |&y| xs.iter().map(move |&x| [z, y, x])
        })
    });
    let streams = sides.iter().any(|layout| layout.access == Access::Ascending);
    let ascends = |tile: &[u64; 3]| tile[2] == shape[2] && (tile[0] == 1 || tile[1] == shape[1]);
    all.filter(|tile| !streams || ascends(tile)).collect()
}

fn boxes(layout: &Layout, tile: [u64; 3]) -> f64 {
    (0..3).map(|a| layout.grid.shape[a].div_ceil(tile[a]) as f64).product()
}

/// Memory of one side: a box, the chunks it touches, and what the format takes.
fn side_bytes(layout: &Layout, tile: [u64; 3], sample_bytes: u64) -> u64 {
    let volume =
        |extent: [u64; 3]| extent.iter().fold(sample_bytes * layout.components as u64, |n, &e| n.saturating_mul(e));
    let held = match reads_directly(layout) {
        true => 0,
        false => (0..3)
            .map(|a| touched(layout, tile, a))
            .fold(volume(layout.chunk), u64::saturating_mul)
            .saturating_mul(layout.outer.largest_group()),
    };
    [held, layout.transfer_bytes, layout.resident_bytes].into_iter().fold(volume(tile), u64::saturating_add)
}

/// Chunks that one box touches at most along an axis.
fn touched(layout: &Layout, tile: [u64; 3], axis: usize) -> u64 {
    let (t, c) = (tile[axis], layout.chunk[axis]);
    let touched = if t % c == 0 || c % t == 0 { t.div_ceil(c) } else { (t + c - 2) / c + 1 };
    touched.min(layout.grid.shape[axis].div_ceil(c))
}

/// Bytes that the walk decodes or copies of one volume. A chunk stays from one box to the next along an axis whose
/// faster axes the box has whole.
fn decoded_bytes(layout: &Layout, tile: [u64; 3]) -> f64 {
    let shape = layout.grid.shape;
    let bytes = (layout.components * layout.stored.bytes()) as f64;
    if reads_directly(layout) {
        return layout.grid.voxels() as f64 * bytes;
    }
    let decodes: f64 = (0..3)
        .map(|a| {
            let (chunks, boxes) = (shape[a].div_ceil(layout.chunk[a]), shape[a].div_ceil(tile[a]));
            let stays = (a + 1..3).all(|faster| tile[faster] >= shape[faster]);
            // Borders of boxes that are borders of chunks too do not cut a chunk in two.
            match (tile[a] % layout.chunk[a], layout.chunk[a] % tile[a]) {
                (0, _) => chunks as f64,
                _ if stays => chunks as f64,
                (_, 0) => boxes as f64,
                _ => (chunks + boxes - 1) as f64,
            }
        })
        .product();
    decodes * layout.chunk.iter().map(|&n| n as f64).product::<f64>() * bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::BlockMut,
        geometry::{Affine, Grid, Unit},
        io::{memory::MemorySource, reader::RegionReader},
        voxel::Dtype,
    };

    const SHAPE: [u64; 3] = [9, 11, 13];

    fn layout(access: Access, chunk: [u64; 3]) -> Layout {
        Layout {
            grid: Grid::new(SHAPE, Affine::identity(), Unit::Millimetre),
            outer: Outer::default(),
            components: 1,
            stored: Dtype::U16,
            access,
            chunk,
            shard: None,
            transfer_bytes: 0,
            resident_bytes: 0,
            stored_bytes: None,
            ahead: Default::default(),
        }
    }

    /// Chunk decodes of a walk in boxes of `tile`.
    fn decodes(layout: &Layout, tile: [u64; 3]) -> u64 {
        let source = MemorySource::new(layout.clone(), vec![0u16; 9 * 11 * 13]);
        let mut reader = RegionReader::new(&source);
        for region in Region::of_shape(SHAPE).tiles(tile.map(|extent| extent as usize)) {
            let mut voxels = vec![0; region.voxels() as usize];
            reader.read(0, BlockMut::new(region, 1, &mut voxels)).unwrap();
        }
        reader.decodes()
    }

    #[test]
    fn a_walk_never_decodes_more_than_was_counted() {
        for (a, b) in
            [([2, 3, 13], [9, 2, 5]), ([3, 4, 5], [4, 4, 4]), ([1, 1, 1], [9, 11, 13]), ([7, 2, 3], [3, 5, 13])]
        {
            let (a, b) = (layout(Access::Chunked, a), layout(Access::Chunked, b));
            for tile in candidates(&[&a, &b]) {
                for side in [&a, &b] {
                    let chunk_bytes = side.chunk.iter().product::<u64>() * 2;
                    let counted = decoded_bytes(side, tile);
                    assert!((decodes(side, tile) * chunk_bytes) as f64 <= counted, "{:?} {tile:?}", side.chunk);
                }
            }
        }
    }

    #[test]
    fn with_memory_every_chunk_is_decoded_once() {
        for (a, b) in [
            (layout(Access::Chunked, [3, 4, 5]), layout(Access::Chunked, [4, 4, 4])),
            (layout(Access::Ascending, [1, 4, 13]), layout(Access::Chunked, [4, 4, 4])),
            (layout(Access::Ascending, [1, 4, 13]), layout(Access::Ascending, [2, 11, 13])),
        ] {
            let walk = Walk::new(&a, &b, 2, 1 << 40, 1).unwrap();
            for side in [&a, &b] {
                assert_eq!(decodes(side, walk.tile), side.chunk_counts().iter().product::<u64>(), "{:?}", walk.tile);
            }
        }
    }

    #[test]
    fn a_budget_that_is_too_small_is_refused_with_the_smallest_that_works() {
        let (a, b) = (layout(Access::Chunked, [3, 4, 5]), layout(Access::Random, [1, 1, 13]));
        let Err(Error::Plan(PlanError::WalkTooSmall { smallest_bytes, .. })) = Walk::new(&a, &b, 2, 1 << 10, 1) else {
            panic!("1 KiB is not enough");
        };
        assert!(Walk::new(&a, &b, 2, smallest_bytes + (8 << 20), 1).is_ok());
    }

    #[test]
    fn volumes_go_by_the_stream_else_by_the_larger_group() {
        let grouped = |access, n| {
            let axis = crate::layout::Axis { name: "c".into(), len: 4, step: 1.0, start: 0.0, unit: None };
            Layout { outer: Outer { axes: vec![axis], chunk: vec![n] }, ..layout(access, [3, 11, 13]) }
        };
        let walk = |a, b| grouping(&a, &b).map(|outer| outer.chunk[0]).ok();
        assert_eq!(walk(grouped(Access::Chunked, 1), grouped(Access::Chunked, 4)), Some(4));
        assert_eq!(walk(grouped(Access::Ascending, 1), grouped(Access::Chunked, 4)), Some(1));
        assert_eq!(walk(grouped(Access::Chunked, 4), grouped(Access::Ascending, 1)), Some(1));
        assert_eq!(walk(grouped(Access::Ascending, 4), grouped(Access::Ascending, 1)), None);
    }
}
