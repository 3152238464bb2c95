use std::sync::atomic::AtomicBool;

use super::*;
use crate::{
    block::BlockRef,
    geometry::{Affine, Grid, Unit},
    io::memory::MemorySource,
    layout::{Access, Layout},
};

const PLAIN: Values = Values { stored: Dtype::I16, rounding: Rounding::Nearest, slope: None };

/// A body whose axes i, j, k run to the left, to the back and up.
fn body(shape: [u64; 3], [z, y, x]: [f64; 3]) -> Grid {
    let columns = [[0.0, 0.0, z], [0.0, -y, 0.0], [-x, 0.0, 0.0]];
    let affine = Affine::from_columns(columns, [30.0, 40.0, -50.0]);
    Grid { anatomical: true, ..Grid::new(shape, affine, Unit::Millimetre) }
}

fn scene<'a>(source: &'a Grid, target: &'a Grid, mapping: &'a Mapping) -> Scene<'a> {
    let bounds = Region::of_shape(source.shape);
    Scene { source, target, mapping, bounds, has_outside: true, values: [PLAIN; 2], is_label: false, pixels: 100 }
}

#[test]
fn planes_have_square_pixels_and_radiologists_edges() {
    let (source, target) = (body([20, 50, 60], [3.0, 1.0, 1.0]), body([60, 25, 30], [1.0, 2.0, 2.0]));
    let mapping = Mapping::between(&target, &source).unwrap().mapping;
    let planes = planes(&target, &mapping, 100);
    let names: Vec<&str> = planes.iter().map(|plane| plane.name.as_str()).collect();
    assert_eq!(names, ["Axial", "Coronal", "Sagittal"]);
    assert_eq!(planes[0].edges, ["R", "L", "A", "P"]);
    assert_eq!(planes[1].edges, ["R", "L", "S", "I"]);
    assert_eq!(planes[2].edges, ["A", "P", "S", "I"]);
    // The source's step of 1 mm is the finest.
    assert_eq!(planes.iter().map(|plane| plane.size).collect::<Vec<_>>(), [[60, 50], [60, 60], [50, 60]]);
    assert!(planes.iter().all(|plane| plane.pixel == [1.0, 1.0]));
    // i grows to the left, as columns do: (R at the left); k grows up, against rows.
    let first = raster::nearest(&planes[1].to_index, [0, 0]);
    assert_eq!(first, [59, 12, 0]);
    assert_eq!(planes[0].cut, (0, 30));
}

#[test]
fn other_volumes_lie_as_they_are_stored() {
    let grid = Grid::with_spacing([10, 300, 200], [4.0, 0.5, 0.5], Unit::Micrometre);
    let planes = planes(&grid, &Mapping::between(&grid, &grid).unwrap().mapping, 100);
    assert_eq!(planes.iter().map(|plane| plane.name.as_str()).collect::<Vec<_>>(), ["xy", "xz", "yz"]);
    assert_eq!(planes[0].size, [67, 100]);
    assert_eq!(raster::nearest(&planes[0].to_index, [0, 0]), [5, 1, 1]);
    assert_eq!(planes[2].edges[1], "y →");
}

/// Any cutting into blocks brings the same samples, those of the nearest voxels.
#[test]
fn samples_are_those_of_the_nearest_voxels() {
    let (s, c) = 0.3f64.sin_cos();
    let mut source = body([20, 50, 60], [3.0, 1.0, 1.0]);
    source.index_to_world =
        Affine::from_columns([[0.0, -3.0 * s, 3.0 * c], [0.0, -c, -s], [-1.0, 0.0, 0.0]], [30.0, 40.0, -50.0]);
    let target = body([60, 25, 30], [1.0, 2.0, 2.0]);
    let mapping = Mapping::between(&target, &source).unwrap().mapping;
    let whole = Region::of_shape(source.shape);
    let voxels: Vec<i16> = (0..whole.voxels()).map(|n| (n % 30_000) as i16).collect();
    let block = BlockRef::new(whole, 1, &voxels);
    for step in [[20, 50, 60], [7, 13, 17], [1, 1, 60], [1, 50, 1]] {
        let pictures = Pictures::new(&scene(&source, &target, &mapping));
        for region in whole.tiles(step) {
            let sample = |at| watched::sample(block, 0, 1, at, &PLAIN);
            pictures.befores().for_each(|before| before.take(region, &sample));
        }
        let mut seen = 0;
        for (pair, before) in pictures.pairs.iter().zip(pictures.befores()) {
            let [columns, rows] = pair.plane.size;
            assert_eq!(before.lacking(), 0);
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                let index = mapping.source_index(pair.plane.to_index.apply([column as f64, row as f64, 0.0]));
                let at = index.map(|c| (c + 0.5).floor() as i64);
                let is_inside = (0..3).all(|a| at[a] >= 0 && at[a] < whole.hi[a]);
                let expected = is_inside.then(|| f32::from(block.row(0, at[0], at[1], at[2]..at[2] + 1)[0]));
                // Where rounding of the two ways differs the voxel is the next one.
                let ties = index.iter().any(|c| ((c + 0.5).fract() - 0.5).abs() > 0.5 - 1e-9);
                assert!(before.get(row * columns + column) == expected || ties);
                seen += usize::from(is_inside);
            }
        }
        assert!(seen > 3000, "{seen}");
    }
}

#[test]
fn what_looks_outside_is_marked() {
    let (source, target) = (body([20, 50, 60], [3.0, 1.0, 1.0]), body([60, 50, 90], [1.0, 1.0, 1.0]));
    let mapping = Mapping::between(&target, &source).unwrap().mapping;
    let pictures = Pictures::new(&scene(&source, &target, &mapping));
    let axial = &pictures.pairs[0];
    assert_eq!(axial.plane.size, [90, 50]);
    // i from 60 on, that is pixels from column 60 on, lies beyond the source.
    assert!(axial.outside.iter().enumerate().all(|(n, &outside)| outside == (n % 90 >= 60)));
    let none = Pictures::new(&Scene { has_outside: false, ..scene(&source, &target, &mapping) });
    assert!(none.pairs.iter().all(|pair| pair.outside.is_empty()));
}

#[test]
fn stored_volumes_fill_what_is_lacking_within_a_bound() {
    let grid = Grid::with_spacing([40, 40, 40], [1.0; 3], Unit::Millimetre);
    let mapping = Mapping::between(&grid, &grid).unwrap().mapping;
    for (access, chunk) in
        [(Access::Chunked, [8, 8, 8]), (Access::Random, [1, 1, 40]), (Access::Ascending, [1, 40, 40])]
    {
        let layout = Layout { access, chunk, ..Layout::of(grid.clone(), Dtype::I16) };
        let source = MemorySource::new(layout, (0..64_000).map(|n| (n % 32_000) as i16).collect());
        let stop = AtomicBool::new(false);
        let pictures = Pictures::new(&scene(&grid, &grid, &mapping));
        let afters: Vec<&Raster> = pictures.pairs.iter().map(|pair| &pair.after).collect();
        let filled = fill(&afters, &source, &PLAIN, Bound::default(), &stop).unwrap();
        assert_eq!(filled.read, filled.needed);
        assert!(afters.iter().all(|after| after.lacking() == 0));
        assert_eq!(afters[0].get(3 * 40 + 5), Some((((20 * 40 + 3) * 40 + 5) % 32_000) as f32));
        let few = Pictures::new(&scene(&grid, &grid, &mapping));
        let afters: Vec<&Raster> = few.pairs.iter().map(|pair| &pair.after).collect();
        let filled = fill(&afters, &source, &PLAIN, Bound { chunks: 10, bytes: 1 << 40 }, &stop).unwrap();
        let is_bounded = access == Access::Chunked;
        assert_eq!((filled.read <= 10, afters[0].lacking() > 0), (is_bounded, is_bounded), "{filled:?}");
    }
}

#[test]
fn values_are_those_that_are_stored() {
    let values = Values { stored: Dtype::U8, rounding: Rounding::Nearest, slope: Some((0.5, -3.0)) };
    assert_eq!(values.of(7.5f32), 1.0);
    assert_eq!(values.of(1e9f64), 124.5);
    assert_eq!(Values { stored: Dtype::F32, ..values }.of(7.5f32), 0.75);
}

#[test]
fn small_budgets_have_small_pictures() {
    let of = |mebibytes: u64| pixels_within(mebibytes << 20);
    assert_eq!([of(20), of(64), of(255), of(256), of(100_000)], [192, 416, 416, 768, 768]);
}
