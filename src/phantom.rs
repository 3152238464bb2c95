//! A synthetic head: ellipsoids with some texture, computed voxel by voxel, written plane by plane.
//!
//! The ellipsoids are those of the 3-D Shepp-Logan phantom (Kak and Slaney 1988, table 3.2), with the contrast of a T1
//! weighted scan. The texture is a smooth wave and a hash of the index: the same everywhere, and it does not compress away.

use std::path::Path;

use crate::{
    block::BlockRef,
    checkpoint::staging::{Claim, Staging},
    error::Result,
    geometry::{Affine, Grid, Unit},
    io::{
        Sink,
        around::Around,
        convert::Conversion,
        gzip::{self, DEFAULT_LEVEL, Framing, GzipSink},
        nifti::{self, TargetSpec},
        packed::Packed,
    },
    layout::{Access, Layout, Outer},
    region::Region,
    voxel::Dtype,
};

/// An ellipsoid in the cube from -1 to 1, turned about z; `value` is added inside.
struct Ellipsoid {
    centre: [f64; 3],
    half_axes: [f64; 3],
    degrees: f64,
    value: f64,
}

const fn ellipsoid(centre: [f64; 3], half_axes: [f64; 3], degrees: f64, value: f64) -> Ellipsoid {
    Ellipsoid { centre, half_axes, degrees, value }
}

/// In x, y, z.
const HEAD: [Ellipsoid; 10] = [
    ellipsoid([0.0, 0.0, 0.0], [0.69, 0.92, 0.9], 0.0, 900.0),
    ellipsoid([0.0, 0.0, 0.0], [0.6624, 0.874, 0.88], 0.0, -500.0),
    ellipsoid([-0.22, 0.0, -0.25], [0.41, 0.16, 0.21], 108.0, -220.0),
    ellipsoid([0.22, 0.0, -0.25], [0.31, 0.11, 0.22], 72.0, -220.0),
    ellipsoid([0.0, 0.35, -0.25], [0.21, 0.25, 0.5], 0.0, 260.0),
    ellipsoid([0.0, 0.1, -0.25], [0.046, 0.046, 0.046], 0.0, 300.0),
    ellipsoid([-0.08, -0.65, -0.25], [0.046, 0.023, 0.02], 0.0, 200.0),
    ellipsoid([0.06, -0.65, -0.25], [0.046, 0.023, 0.02], 90.0, 200.0),
    ellipsoid([0.06, -0.105, 0.625], [0.056, 0.04, 0.1], 90.0, 240.0),
    ellipsoid([0.0, 0.1, 0.625], [0.056, 0.056, 0.1], 0.0, -240.0),
];

/// A scan of the phantom: u16, millimetres, RAS+, the centre of the head at the origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Phantom {
    pub grid: Grid,
}

impl Phantom {
    /// `shape` and `spacing_mm` in storage order (z, y, x).
    pub fn new(shape: [u64; 3], spacing_mm: [f64; 3]) -> Phantom {
        let column = |a: usize| std::array::from_fn(|r| if r == 2 - a { spacing_mm[a] } else { 0.0 });
        let origin = std::array::from_fn(|r| -0.5 * spacing_mm[2 - r] * (shape[2 - r] - 1) as f64);
        let affine = Affine::from_columns([column(0), column(1), column(2)], origin);
        Phantom { grid: Grid { stated_spacing: Some(spacing_mm), ..Grid::new(shape, affine, Unit::Millimetre) } }
    }

    /// The sample of voxel `at` (z, y, x), which lies in the grid.
    pub fn voxel(&self, at: [i64; 3]) -> u16 {
        let mut row = [0];
        self.row(at[0], at[1], at[2], &mut row);
        row[0]
    }

    /// The samples from voxel (z, y, x) on along x.
    fn row(&self, z: i64, y: i64, x: i64, out: &mut [u16]) {
        let place = |a: usize, i: i64| 2.0 * (i as f64 + 0.5) / self.grid.shape[a] as f64 - 1.0;
        let (pz, py) = (place(0, z), place(1, y));
        for (n, sample) in out.iter_mut().enumerate() {
            let i = x + n as i64;
            let tissue = tissue([place(2, i), py, pz]);
            let texture = if tissue > 0.0 { wave([z, y, i]) + noise([z, y, i]) } else { noise([z, y, i]).abs() };
            *sample = (tissue + texture).clamp(0.0, 4095.0) as u16;
        }
    }

    /// Writes the scan as `.nii.gz`; what stands there is replaced when the new file is complete. Holds one write unit of
    /// about 1 MiB at a time.
    pub fn write(&self, path: &Path) -> Result<()> {
        let layout = gzip::target_layout(self.layout());
        let spec = TargetSpec {
            path,
            like: None,
            place: None,
            extensions: &[],
            grid: &layout.grid,
            outer: &layout.outer,
            stored: layout.stored,
            components: 1,
            slope: None,
            slice_axis_resampled: false,
            single_file: true,
        };
        let (_, prefix) = nifti::target_header(&spec)?;
        let mut staging = Staging::create(path, Claim::fresh(true))?;
        staging.clear()?;
        let built = staging.path("target");
        let packed = Packed::new(&layout, prefix.len() as u64, Conversion::plain(Dtype::U16));
        let framing = Framing::Single { level: DEFAULT_LEVEL };
        let sink: GzipSink<u16> = GzipSink::create(&built, layout.clone(), packed, &Around::leading(prefix), framing)?;
        let mut voxels = Vec::new();
        for unit in Region::of_shape(layout.grid.shape).tiles(layout.chunk.map(|extent| extent as usize)) {
            self.fill(unit, &mut voxels);
            sink.put(0, unit, sink.encode(0, unit, BlockRef::new(unit, 1, &voxels))?)?;
        }
        sink.finish()?;
        drop(sink);
        staging.commit(&[(built, path.to_path_buf())], b"{}", false)
    }

    fn fill(&self, region: Region, voxels: &mut Vec<u16>) {
        let [_, ny, nx] = region.shape();
        voxels.resize(region.voxels() as usize, 0);
        for (n, row) in voxels.chunks_exact_mut(nx.max(1)).enumerate() {
            self.row(region.lo[0] + (n / ny) as i64, region.lo[1] + (n % ny) as i64, region.lo[2], row);
        }
    }

    fn layout(&self) -> Layout {
        Layout {
            grid: self.grid.clone(),
            outer: Outer::default(),
            components: 1,
            stored: Dtype::U16,
            access: Access::Random,
            chunk: self.grid.shape,
            shard: None,
            transfer_bytes: 0,
            resident_bytes: 0,
            stored_bytes: None,
            ahead: Default::default(),
        }
    }
}

/// What the ellipsoids at this place add up to.
fn tissue(p: [f64; 3]) -> f64 {
    HEAD.iter().filter(|e| contains(e, p)).map(|e| e.value).sum()
}

fn contains(e: &Ellipsoid, p: [f64; 3]) -> bool {
    let [dx, dy, dz] = std::array::from_fn(|a| p[a] - e.centre[a]);
    if dz.abs() > e.half_axes[2] {
        return false;
    }
    let (sin, cos) = match e.degrees {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        degrees => (libm::sin(degrees.to_radians()), libm::cos(degrees.to_radians())),
    };
    let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
    let [a, b, c] = e.half_axes;
    (u / a).powi(2) + (v / b).powi(2) + (dz / c).powi(2) <= 1.0
}

/// A gentle triangle wave of index sums, up to 30 either way.
fn wave([z, y, x]: [i64; 3]) -> f64 {
    let phase = (3 * z + y + 2 * x).rem_euclid(120) - 60;
    (phase.abs() - 30) as f64
}

/// Whole numbers from -16 to 15, by a hash of the index (the finaliser of SplitMix64, Steele et al. 2014).
fn noise([z, y, x]: [i64; 3]) -> f64 {
    let mut h = (z as u64) << 42 ^ (y as u64) << 21 ^ x as u64;
    h = (h ^ h >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ h >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((h ^ h >> 31) & 31) as f64 - 16.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::BlockMut,
        io::{
            input::{Input, IoMode},
            reader::RegionReader,
            zarr::OpenOptions,
        },
    };

    #[test]
    fn what_is_written_is_what_is_computed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scan.nii.gz");
        let phantom = Phantom::new([20, 23, 29], [3.0, 0.9, 0.8]);
        phantom.write(&path).unwrap();
        phantom.write(&path).unwrap();
        let input = Input::open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(input.layout().grid.spacing(), [3.0, 0.9f32 as f64, 0.8f32 as f64]);
        let source = input.source::<u16>(input.conversion(), IoMode::Auto).unwrap();
        let whole = Region::of_shape([20, 23, 29]);
        let mut voxels = vec![0; whole.voxels() as usize];
        RegionReader::new(source.as_ref()).read(0, BlockMut::new(whole, 1, &mut voxels)).unwrap();
        for (n, &sample) in voxels.iter().enumerate() {
            let n = n as i64;
            assert_eq!(sample, phantom.voxel([n / (23 * 29), n / 29 % 23, n % 29]));
        }
        assert!(voxels.iter().any(|&v| v > 700) && voxels.iter().any(|&v| v < 20));
    }
}
