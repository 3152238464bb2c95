//! Speed of the ops alone: a synthetic MR head of 120x512x512 u16, 1.5x0.41x0.41 mm to 0.4 mm isotropic, in memory, in pieces,
//! on one thread.
//!
//! `cargo bench --bench resample [kernel]` prints target Mvoxel/s, the best of three.

use std::time::Instant;

use reslice::{
    block::{BlockMut, BlockRef},
    geometry::{AxisMap, Mapping},
    region::Region,
    resample::{BlockOp, KernelShape, Method, OpRequest, Order, Outside, Workspace, block_op},
    voxel::Rounding,
};

const SOURCE: [u64; 3] = [120, 512, 512];
const TARGET: [u64; 3] = [450, 524, 524];
/// One worker's share at a time: a few planes, as a plan cuts them.
const PIECE: [usize; 3] = [16, 128, 524];
const ROUNDS: usize = 3;

fn main() {
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let source = synthetic();
    let kernels = [
        ("nearest", Method::Nearest),
        ("linear", Method::Kernel(KernelShape::Linear)),
        ("cubic", Method::Kernel(KernelShape::CatmullRom)),
        ("lanczos3", Method::Kernel(KernelShape::Lanczos { lobes: 3 })),
    ];
    for (name, kernel) in kernels {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let op = block_op::<u16>(&request(kernel));
        let seconds = (0..ROUNDS).map(|_| pass(op.as_ref(), &source)).fold(f64::INFINITY, f64::min);
        let voxels = TARGET.iter().product::<u64>() as f64;
        println!("{name:>9}: {:7.1} Mvoxel/s ({seconds:.3} s)", voxels / seconds / 1e6);
    }
}

/// Blobs and noise over the whole range of a scanner.
fn synthetic() -> Vec<u16> {
    let mut noise = 1u32;
    Region::of_shape(SOURCE)
        .tiles([1, 1, SOURCE[2] as usize])
        .flat_map(|row| (0..SOURCE[2] as i64).map(move |x| [row.lo[0], row.lo[1], x]))
        .map(|[z, y, x]| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((z * 31 + y * 7 + x * 3) % 3500) as u16 + (noise >> 24) as u16
        })
        .collect()
}

fn request(kernel: Method) -> OpRequest {
    let steps = [0.4 / 1.5, 0.4 / 0.41, 0.4 / 0.41];
    let maps = [0, 1, 2].map(|a| AxisMap { source_axis: a, scale: steps[a], offset: 0.0 });
    OpRequest {
        method: kernel,
        antialias: false,
        mapping: Mapping::AxisAligned(maps),
        target_shape: TARGET,
        bounds: Region::of_shape(SOURCE),
        outside: Outside::Value(0.0),
        rounding: Rounding::Nearest,
        order: Order::Rising,
    }
}

/// Fetches and computes every piece; seconds.
fn pass(op: &dyn BlockOp<u16>, source: &[u16]) -> f64 {
    let all = Region::of_shape(TARGET);
    let source = BlockRef::new(Region::of_shape(SOURCE), 1, source);
    let (mut fetched, mut target) = (Vec::new(), vec![0u16; PIECE.iter().product()]);
    let mut scratch = Workspace::default();
    let begun = Instant::now();
    for piece in all.tiles(PIECE) {
        let region = op.source_region(piece);
        fetched.resize(region.voxels() as usize, 0);
        BlockMut::new(region, 1, &mut fetched).copy_from(source, 0);
        let mut block = BlockMut::new(piece, 1, &mut target[..piece.voxels() as usize]);
        op.apply(BlockRef::new(region, 1, &fetched), &mut block, piece, &mut scratch);
    }
    std::hint::black_box(&target);
    begun.elapsed().as_secs_f64()
}
