//! One hot loop once, on data that are always the same: what benches/instructions.py counts the instructions of.
//!
//! `instructions NAME` does the loop of that name, `instructions` names them all, `instructions nothing` makes the data alone.

use reslice::{
    block::{BlockMut, BlockRef},
    geometry::{Affine, AxisMap, Mapping},
    region::Region,
    resample::{Area, KernelShape, LabelWeights, Method, OpRequest, Order, Outside, Workspace, block_op},
    voxel::Rounding,
};

/// Prime extents, so that no loop meets whole vectors only.
const SOURCE: [u64; 3] = [23, 47, 83];

fn main() {
    let name = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let Some(name) = name else {
        jobs().iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let source = voxels(|value| value);
    let labels = voxels(|value| value / 400);
    let made = jobs().into_iter().find(|(other, _)| *other == name).map(|(_, request)| {
        let picks = matches!(request.method, Method::Label(_) | Method::Area(_));
        apply(&request, if picks { &labels } else { &source })
    });
    std::hint::black_box(made);
}

/// Smooth with noise, over the range of a scanner.
fn voxels(of: impl Fn(u16) -> u16) -> Vec<u16> {
    let mut noise = 1u32;
    let all = Region::of_shape(SOURCE).tiles([1; 3]);
    all.map(|at| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        of(((at.lo[0] * 31 + at.lo[1] * 7 + at.lo[2] * 3) % 3500) as u16 + (noise >> 25) as u16)
    })
    .collect()
}

fn jobs() -> Vec<(&'static str, OpRequest)> {
    let kernel = |shape| Method::Kernel(shape);
    let spline = kernel(KernelShape::BSpline { order: 3 });
    let lanczos = kernel(KernelShape::Lanczos { lobes: 3 });
    let cubic = kernel(KernelShape::CatmullRom);
    let linear = kernel(KernelShape::Linear);
    vec![
        ("nearest", straight(Method::Nearest, 0.7)),
        ("linear", straight(linear, 0.7)),
        ("cubic", straight(cubic, 0.7)),
        ("lanczos3", straight(lanczos, 0.7)),
        ("bspline3", straight(spline, 0.7)),
        ("coarser linear", OpRequest { antialias: true, ..straight(linear, 2.3) }),
        ("mean", straight(Method::Area(Area::Mean), 1.9)),
        ("max", straight(Method::Area(Area::Max), 1.9)),
        ("mode", straight(Method::Area(Area::Mode), 1.9)),
        ("median", straight(Method::Area(Area::Median), 1.9)),
        ("label", straight(Method::Label(LabelWeights::Linear), 0.7)),
        ("oblique nearest", turned(Method::Nearest)),
        ("oblique linear", turned(linear)),
        ("oblique cubic", turned(cubic)),
        ("oblique lanczos3", turned(lanczos)),
        ("oblique bspline3", turned(spline)),
        ("oblique label", turned(Method::Label(LabelWeights::Linear))),
    ]
}

fn request(method: Method, mapping: Mapping, target_shape: [u64; 3]) -> OpRequest {
    OpRequest {
        method,
        antialias: false,
        mapping,
        target_shape,
        bounds: Region::of_shape(SOURCE),
        outside: Outside::Value(0.0),
        rounding: Rounding::Nearest,
        order: Order::Rising,
    }
}

/// The whole source at steps of so many of its voxels.
fn straight(method: Method, step: f64) -> OpRequest {
    let maps = [0, 1, 2].map(|source_axis| AxisMap { source_axis, scale: step, offset: 0.1 });
    request(method, Mapping::AxisAligned(maps), SOURCE.map(|n| (n as f64 / step) as u64))
}

/// About the middle of the source, turned.
fn turned(method: Method) -> OpRequest {
    let m = [[0.95, -0.2, 0.1, 2.3], [0.2, 0.93, -0.15, 1.7], [-0.1, 0.15, 0.97, 3.1]];
    request(method, Mapping::Affine(Affine { m }), SOURCE)
}

fn apply(request: &OpRequest, source: &[u16]) -> Vec<u16> {
    let op = block_op::<u16>(request);
    let all = Region::of_shape(request.target_shape);
    let mut target = vec![0; all.voxels() as usize];
    let source = BlockRef::new(Region::of_shape(SOURCE), 1, source);
    op.apply(source, &mut BlockMut::new(all, 1, &mut target), all, &mut Workspace::default());
    target
}
