//! A source of the program's own to a file, with staging, resuming and ranks: `cargo run --release --example own_source [TARGET]`.
//!
//! The source has 10^12 voxels, none of which exists before it is asked for.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use reslice::{
    Area, BlockMut, Dtype, Grid, GridChoice, GridRequest, Job, Layout, Method, OwnSource, Request, Result, Sizing,
    Source, Unit,
};

/// Shells around the origin, in chunks of 64^3 voxels.
struct Shells {
    layout: Layout,
}

impl Source<u8> for Shells {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, _group: u64, into: BlockMut<'_, u8>) -> Result<()> {
        let [[z0, y0, x0], [nz, ny, nx]] = [into.region.lo, into.region.shape().map(|n| n as i64)];
        let indices =
            (z0..z0 + nz).flat_map(|z| (y0..y0 + ny).flat_map(move |y| (x0..x0 + nx).map(move |x| [z, y, x])));
        for (voxel, index) in into.voxels.iter_mut().zip(indices) {
            let square: f64 = index.iter().map(|&n| (n as f64).powi(2)).sum();
            *voxel = (square.sqrt() as u64 % 256) as u8;
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let target = std::env::args_os().nth(1).map_or_else(|| std::env::temp_dir().join("shells.nii.gz"), PathBuf::from);
    let grid = Grid::with_spacing([10_000; 3], [0.1; 3], Unit::Micrometre);
    let shells = Shells { layout: Layout::of(grid, Dtype::U8).in_chunks([64; 3]) };
    let source = OwnSource::new("shells", Arc::new(shells));

    // The part of it that is nearest to the origin, in voxels twice as wide; 128 MiB of memory, two threads.
    let mut request = Request::new("", &target, 128 << 20, 2);
    request.method = Some(Method::Area(Area::Mean));
    request.target.overwrite = true;
    request.grid = GridChoice::Rules(GridRequest {
        sizing: Sizing::Spacing([0.2; 3]),
        region: Some(reslice::Region::of_shape([256; 3])),
        ..GridRequest::default()
    });
    let summary = Job::from_source(source, request)?.run(&AtomicBool::new(false), |_| {})?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("{}: {:?} voxels, peak {:.1} of 128 MiB", target.display(), summary.target.shape, mib(summary.peak_bytes));
    Ok(())
}
