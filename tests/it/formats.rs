//! Every format against one conformance function: what is written comes back, bit for bit, in any sample type, with outer
//! axes and components, in pieces of any size; and streams under damage.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use reslice::{
    block::BlockMut,
    dispatch,
    error::Result,
    geometry::{Affine, Grid, Unit},
    io::{
        gzip::Framing,
        input::{Input, IoMode},
        nifti::{TargetSpec, target_header},
        reader::RegionReader,
        zarr::{Codec, OpenOptions},
    },
    job::{Job, Request},
    layout::{Axis, Layout, Outer},
    region::Region,
    voxel::{Dtype, Rounding, Voxel},
};

static STOP: AtomicBool = AtomicBool::new(false);

fn axis(name: &str, len: u64) -> Axis {
    Axis { name: name.into(), len, step: 1.0, start: 0.0, unit: None }
}

/// An oblique volume as a `.nii` made by hand: header and samples. `outer` slowest first.
fn scan<T: Voxel>(path: &Path, shape: [u64; 3], outer: Vec<Axis>, components: usize) -> Vec<T> {
    let columns = [[0.3, 0.0, 2.0], [0.0, -0.75, 0.0], [0.5, 0.0, -0.075]];
    let grid = Grid::new(shape, Affine::from_columns(columns, [-7.0, 8.0, 9.5]), Unit::Millimetre);
    let outer = Outer::separate(outer);
    let spec = TargetSpec {
        path,
        like: None,
        place: None,
        extensions: &[],
        grid: &grid,
        outer: &outer,
        stored: T::DTYPE,
        components,
        slope: None,
        slice_axis_resampled: false,
        single_file: true,
    };
    let samples = shape.iter().product::<u64>() * outer.volumes() * components as u64;
    let voxels: Vec<T> =
        (0..samples).map(|n| T::from_f64(((n * 2_654_435_761) % 100_003) as f64 * 0.37, Rounding::Nearest)).collect();
    fs::write(path, [target_header(&spec).unwrap().1, bytemuck::cast_slice(&voxels).to_vec()].concat()).unwrap();
    voxels
}

/// All samples of a file as bytes of its stored type, `[volume][component][z][y][x]`, read in boxes of `step` voxels.
fn samples(path: &Path, step: [usize; 3], io: IoMode) -> Result<(Layout, Vec<u8>)> {
    let input = Input::open(path, &OpenOptions::default())?;
    dispatch!(input.layout().stored, T => {
        let source = input.source::<T>(input.conversion(), io)?;
        let mut reader = RegionReader::new(source.as_ref());
        let layout = reader.layout().clone();
        let whole = Region::of_shape(layout.grid.shape);
        let mut bytes = Vec::new();
        for volume in 0..layout.outer.volumes() {
            let mut voxels = vec![T::default(); whole.voxels() as usize * layout.components];
            for part in whole.tiles(step) {
                let mut piece = vec![T::default(); part.voxels() as usize * layout.components];
                reader.read(volume, BlockMut::new(part, layout.components, &mut piece))?;
                let piece = reslice::block::BlockRef::new(part, layout.components, &piece);
                BlockMut::new(whole, layout.components, &mut voxels).copy_from(piece, 0);
            }
            bytes.extend_from_slice(bytemuck::cast_slice(&voxels));
        }
        Ok((layout, bytes))
    })
}

/// Copies `from` to `to` (the format by its name) with small chunks.
fn copy(from: &Path, to: &Path, framing: Framing, shard: Option<[u64; 3]>, codec: Codec) {
    let mut request = Request::new(from, to, 1 << 30, 2);
    request.target.framing = Some(framing).filter(|_| codec != RAW || is_gzip_by_name(to));
    request.target.chunk = Some([8, 8, 8]);
    request.target.shard = Some(shard);
    request.target.codec = codec;
    Job::resolve(request).unwrap().run(&STOP, |_| {}).unwrap();
}

/// The codec that stands for no compression of files that leave the choice.
const RAW: Codec = Codec::None;

fn is_gzip_by_name(path: &Path) -> bool {
    [".gz", ".mgz"].iter().any(|ending| path.to_string_lossy().ends_with(ending))
}

/// Whether a format has such samples; `volumes` are axes beyond space.
fn has(name: &str, layout: &Layout) -> bool {
    let (axes, is_time) = (&layout.outer.axes, |axis: &Axis| axis.name == "t");
    match () {
        () if name.contains(".mg") => {
            let known = [Dtype::U8, Dtype::I16, Dtype::I32, Dtype::F32].contains(&layout.stored);
            known && layout.components == 1 && axes.len() < 2
        }
        () if name.contains(".mh") => axes.len() < 2 && axes.iter().all(is_time),
        () => true,
    }
}

const SINGLE: Framing = Framing::Single { level: 1 };
const BGZF: Framing = Framing::Bgzf { level: 1 };
const SHARD: Option<[u64; 3]> = Some([16, 16, 24]);

/// Name, framing, shard, codec of every format that is written.
fn formats() -> Vec<(&'static str, Framing, Option<[u64; 3]>, Codec)> {
    let mut formats = vec![
        ("a.nii", SINGLE, None, Codec::None),
        ("b.nii.gz", SINGLE, None, Codec::None),
        ("c.nii.gz", BGZF, None, Codec::None),
        ("d.hdr", SINGLE, None, Codec::None),
        ("o.nrrd", SINGLE, None, Codec::None),
        ("p.nrrd", SINGLE, None, Codec::Gzip(1)),
        ("q.nhdr", SINGLE, None, Codec::None),
        ("r.mha", SINGLE, None, Codec::None),
        ("s.mha", SINGLE, None, Codec::Gzip(1)),
        ("t.mhd", SINGLE, None, Codec::None),
        ("u.mgh", SINGLE, None, Codec::None),
        ("v.mgz", SINGLE, None, Codec::None),
        ("w.mgz", BGZF, None, Codec::None),
    ];
    let codecs = [Codec::Zstd(3), Codec::BloscZstd(3), Codec::BloscLz4(5), Codec::Gzip(3), Codec::None];
    for (n, codec) in codecs.into_iter().enumerate() {
        formats.push((["e.zarr", "f.zarr", "g.zarr", "h.zarr", "i.zarr"][n], SINGLE, SHARD, codec));
        formats.push((["j.zarr", "k.zarr", "l.zarr", "m.zarr", "n.zarr"][n], SINGLE, None, codec));
    }
    formats
}

/// Holds every format to the samples and the geometry of `source`.
fn conforms(dir: &Path, source: &Path, expected: &[u8], with_zarr: bool) {
    let (layout, _) = samples(source, [64; 3], IoMode::Auto).unwrap();
    for (name, framing, shard, codec) in formats() {
        if name.ends_with(".zarr") && !with_zarr || !has(name, &layout) {
            continue;
        }
        let path: PathBuf = dir.join(name);
        copy(source, &path, framing, shard, codec);
        for (step, io) in [([64; 3], IoMode::Auto), ([3, 64, 64], IoMode::Map)] {
            let (found, bytes) = samples(&path, step, io).unwrap();
            assert!(bytes == expected, "{name} in boxes of {step:?}");
            assert_eq!(found.grid.shape, layout.grid.shape, "{name}");
            let pairs = found.grid.index_to_world.m.iter().flatten().zip(layout.grid.index_to_world.m.iter().flatten());
            assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-6), "{name}: {:?}", found.grid);
        }
        // And back, which must give the same file again.
        let back = dir.join("back.nii");
        copy(&path, &back, SINGLE, None, Codec::None);
        assert!(samples(&back, [64; 3], IoMode::Auto).unwrap().1 == expected, "{name} and back");
        fs::remove_file(back).unwrap();
    }
}

#[test]
fn every_format_keeps_every_sample_type() {
    for dtype in Dtype::ALL {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source.nii");
        dispatch!(dtype, T => {
            let voxels = scan::<T>(&source, [20, 23, 29], Vec::new(), 1);
            conforms(dir.path(), &source, bytemuck::cast_slice(&voxels), true);
        });
    }
}

#[test]
fn every_format_keeps_outer_axes_and_thin_volumes() {
    // With channels and times, OME-Zarr has its own order of volumes (docs/decisions.md).
    for (shape, outer, with_zarr) in [
        ([5, 7, 11], vec![axis("t", 3)], true),
        ([5, 7, 11], vec![axis("c", 2), axis("t", 3)], false),
        ([1, 1, 1], vec![], true),
        ([1, 23, 1], vec![axis("t", 2)], true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source.nii");
        let voxels = scan::<i16>(&source, shape, outer, 1);
        conforms(dir.path(), &source, bytemuck::cast_slice(&voxels), with_zarr);
    }
}

/// TIFF has no oblique grids: its samples alone are held, here and back.
#[test]
fn tiff_keeps_every_sample() {
    let dir = tempfile::tempdir().unwrap();
    let [source, path, back] = ["source.nii", "a.ome.tif", "back.nii"].map(|name| dir.path().join(name));
    let holds = |expected: &[u8], what: &str| {
        copy(&source, &path, SINGLE, None, Codec::None);
        for (step, io) in [([64; 3], IoMode::Auto), ([3, 64, 64], IoMode::Map), ([2, 3, 5], IoMode::Auto)] {
            assert!(samples(&path, step, io).unwrap().1 == expected, "{what} in boxes of {step:?}");
        }
        copy(&path, &back, SINGLE, None, Codec::None);
        assert!(samples(&back, [64; 3], IoMode::Auto).unwrap().1 == expected, "{what} and back");
        [&path, &back].into_iter().for_each(|file| fs::remove_file(file).unwrap());
    };
    for dtype in Dtype::ALL.into_iter().filter(|dtype| ![Dtype::I64, Dtype::U64].contains(dtype)) {
        dispatch!(dtype, T => {
            let voxels = scan::<T>(&source, [20, 23, 29], Vec::new(), 1);
            holds(bytemuck::cast_slice(&voxels), dtype.name());
        });
    }
    for (shape, outer) in [
        ([5, 7, 11], vec![axis("t", 3)]),
        ([5, 7, 11], vec![axis("t", 2), axis("c", 3)]),
        ([1, 23, 1], vec![axis("c", 2)]),
        ([1, 1, 1], vec![]),
    ] {
        let voxels = scan::<i16>(&source, shape, outer, 1);
        holds(bytemuck::cast_slice(&voxels), "volumes");
    }
    for components in [3, 4] {
        scan::<u8>(&source, [6, 7, 11], Vec::new(), components);
        let (_, expected) = samples(&source, [64; 3], IoMode::Auto).unwrap();
        holds(&expected, "colours");
    }
}

#[test]
fn colours_and_complex_samples_stay_interleaved() {
    let dir = tempfile::tempdir().unwrap();
    for components in [3, 4] {
        let source = dir.path().join("colours.nii");
        scan::<u8>(&source, [6, 7, 11], Vec::new(), components);
        let (_, expected) = samples(&source, [64; 3], IoMode::Auto).unwrap();
        conforms(dir.path(), &source, &expected, false);
        // In Zarr, components are channels: the same samples in the same order.
        let target = dir.path().join("colours.zarr");
        copy(&source, &target, SINGLE, SHARD, Codec::Zstd(3));
        let (layout, found) = samples(&target, [64; 3], IoMode::Auto).unwrap();
        assert_eq!((layout.outer.volumes(), layout.components), (components as u64, 1));
        assert!(found == expected);
        fs::remove_dir_all(target).unwrap();
        for entry in fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
            fs::remove_file(entry).unwrap();
        }
    }
    let source = dir.path().join("complex.nii");
    scan::<f32>(&source, [6, 7, 11], Vec::new(), 2);
    let (_, expected) = samples(&source, [64; 3], IoMode::Auto).unwrap();
    conforms(dir.path(), &source, &expected, false);
    let refused = Job::resolve(Request::new(&source, dir.path().join("complex.zarr"), 64 << 20, 1)).unwrap_err();
    assert!(refused.to_string().contains("complex"), "{refused}");
}

#[test]
fn any_byte_of_a_stream_changed_or_cut_is_an_error_or_the_same_voxels() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source.nii");
    scan::<u16>(&source, [3, 5, 7], Vec::new(), 1);
    let (_, expected) = samples(&source, [64; 3], IoMode::Auto).unwrap();
    for framing in [SINGLE, BGZF] {
        let stream = dir.path().join("stream.nii.gz");
        copy(&source, &stream, framing, None, Codec::None);
        let whole = fs::read(&stream).unwrap();
        let damaged = dir.path().join("damaged.nii.gz");
        let check = |bytes: &[u8], what: String| {
            fs::write(&damaged, bytes).unwrap();
            if let Ok((_, found)) = samples(&damaged, [64; 3], IoMode::Auto) {
                assert!(found == expected, "{framing:?}: {what}");
            }
        };
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                check(&bytes, format!("byte {at} changed by {change:#x}"));
            }
            check(&whole[..at], format!("cut at {at}"));
        }
        check(&[&whole[..], b"trailing garbage"].concat(), "garbage behind".into());
        fs::remove_file(&stream).unwrap();
    }
}
