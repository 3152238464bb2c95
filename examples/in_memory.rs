//! Voxels in memory to voxels in memory: `cargo run --release --example in_memory`.

use std::time::Instant;

use reslice::{Area, Grid, Method, Resampling, Unit, resample_voxels};

fn main() -> reslice::Result<()> {
    // 192 slices of 256 x 256 voxels, 1.5 x 1 x 1 mm: a ball that fades outwards.
    let from = Grid::with_spacing([192, 256, 256], [1.5, 1.0, 1.0], Unit::Millimetre);
    let voxels = ball(&from);

    let fine = Grid::with_spacing([288, 256, 256], [1.0; 3], Unit::Millimetre);
    let coarse = Grid::with_spacing([72, 64, 64], [4.0; 3], Unit::Millimetre);
    for (name, to, how) in [
        ("linear, to 1 mm", &fine, Resampling::default()),
        ("mean, to 4 mm", &coarse, Resampling::by(Method::Area(Area::Mean))),
    ] {
        let start = Instant::now();
        let target = resample_voxels(&voxels, &from, to, &how, 2)?;
        let mean = target.iter().sum::<f32>() / target.len() as f32;
        println!("{name}: {} voxels in {:.2} s, mean {mean:.3}", target.len(), start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn ball(grid: &Grid) -> Vec<f32> {
    let [nz, ny, nx] = grid.shape;
    let distance = |n: u64, len: u64| (n as f32 - len as f32 / 2.0) / len as f32;
    let voxel = |z, y, x| {
        let squares = [(z, nz), (y, ny), (x, nx)].map(|(n, len)| distance(n, len).powi(2));
        (1.0 - 2.0 * squares.iter().sum::<f32>().sqrt()).max(0.0)
    };
    (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| voxel(z, y, x)))).collect()
}
