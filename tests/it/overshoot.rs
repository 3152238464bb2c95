//! Sums of kernels that an integer type does not hold are counted: as many whatever the pieces, threads and memory.

use std::fs;

use crate::{advice::images, kit::folder::Folder};
use reslice::{
    block::{BlockMut, BlockRef},
    geometry::{Affine, AxisMap, Mapping},
    region::Region,
    resample::{Method, OpRequest, Order, Outside, Workspace, block_op},
    voxel::{Rounding, Voxel},
};
use serde_json::Value;

const SOURCE: [u64; 3] = [13, 17, 23];
const TARGET: [u64; 3] = [19, 23, 29];

fn request(method: &str, mapping: Mapping) -> OpRequest {
    OpRequest {
        method: method.parse::<Method>().unwrap(),
        antialias: false,
        mapping,
        target_shape: TARGET,
        bounds: Region::of_shape(SOURCE),
        outside: Outside::Value(0.0),
        rounding: Rounding::Nearest,
        order: Order::default(),
    }
}

/// Many at either end of u8, so that every kernel goes beyond.
fn voxels() -> Vec<u8> {
    let mixed = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    let count = SOURCE.iter().product::<u64>();
    (0..count)
        .map(|n| {
            if mixed(n) < 90 {
                0
            } else if mixed(n) > 160 {
                255
            } else {
                mixed(n)
            }
        })
        .collect()
}

/// The target, made in pieces of this shape, and what was counted.
fn made<T: Voxel>(request: &OpRequest, source: &[T], piece: [usize; 3]) -> (Vec<T>, [u64; 2]) {
    let (op, whole) = (block_op::<T>(request), Region::of_shape(TARGET));
    let mut voxels = vec![T::default(); whole.voxels() as usize];
    let mut target = BlockMut::new(whole, 1, &mut voxels);
    let mut scratch = Workspace::default();
    for piece in whole.tiles(piece) {
        let region = op.source_region(piece);
        let mut part = vec![T::default(); region.voxels() as usize];
        BlockMut::new(region, 1, &mut part).copy_from(BlockRef::new(Region::of_shape(SOURCE), 1, source), 0);
        op.apply(BlockRef::new(region, 1, &part), &mut target, piece, &mut scratch);
    }
    (voxels, scratch.beyond)
}

fn mappings() -> [Mapping; 3] {
    let map = |source_axis, scale, offset| AxisMap { source_axis, scale, offset };
    let turned = Affine::from_columns([[0.61, 0.1, 0.05], [-0.08, 0.7, 0.1], [0.02, -0.1, 0.73]], [0.3, 0.2, -0.1]);
    [
        Mapping::AxisAligned([map(0, 0.65, 0.1), map(1, 0.7, -0.2), map(2, 0.75, 0.3)]),
        Mapping::AxisAligned([map(1, 0.65, 0.1), map(0, -0.6, 12.0), map(2, 0.75, 0.3)]),
        Mapping::Affine(turned),
    ]
}

#[test]
fn counts_are_those_of_the_sums_and_do_not_depend_on_pieces() {
    let source = voxels();
    let real: Vec<f32> = source.iter().map(|&voxel| f32::from(voxel)).collect();
    for mapping in mappings() {
        for method in ["cubic", "lanczos3", "bspline3", "sinc-hamming"] {
            let request = request(method, mapping.clone());
            // The same sums as they are, in a type that holds them.
            let (sums, none) = made::<f32>(&request, &real, [19, 23, 29]);
            let below = sums.iter().filter(|&&sum| sum < -0.5).count() as u64;
            let above = sums.iter().filter(|&&sum| sum > 255.5).count() as u64;
            assert!(below > 100 && above > 100 && none == [0, 0], "{method}: {below} {above} {none:?}");
            for piece in [[19, 23, 29], [1, 5, 29], [4, 4, 7]] {
                let (_, counted) = made::<u8>(&request, &source, piece);
                assert_eq!(counted, [below, above], "{method}, {mapping:?}, {piece:?}");
            }
        }
        for method in ["linear", "gaussian", "nearest", "mean"] {
            assert_eq!(made::<u8>(&request(method, mapping.clone()), &source, [4, 4, 7]).1, [0, 0], "{method}");
        }
    }
}

#[test]
fn a_run_counts_the_same_with_any_threads_and_memory() {
    let folder = Folder::new();
    images::write(&folder.path(""), "byte.nii 90,70,60 u8 noise");
    let counted = |name: &str, options: &[&str]| -> [u64; 2] {
        let args = ["resample", "byte.nii", name, "--spacing", "0.7", "--interp", "cubic", "--summary", "run.json"];
        let answer = folder.run(&[&args, options].concat()).expect(0);
        assert!(answer.stderr.contains("cubic overshoots: ") && answer.stderr.contains("--dtype f32 keeps them"));
        let summary: Value = serde_json::from_slice(&fs::read(folder.path("run.json")).unwrap()).unwrap();
        let passes = summary["passes"].as_array().unwrap();
        ["clipped_below", "clipped_above"].map(|key| passes.iter().filter_map(|pass| pass["done"][key].as_u64()).sum())
    };
    let first = counted("a.nii", &["--threads", "1"]);
    assert!(first.iter().all(|&count| count > 1000), "{first:?}");
    assert_eq!(counted("b.nii", &["--threads", "2", "--memory", "40MiB"]), first);
    assert_eq!(counted("c.zarr", &["--threads", "2", "--chunk", "16"]), first);
    assert_eq!(fs::read(folder.path("a.nii")).unwrap(), fs::read(folder.path("b.nii")).unwrap());
}
