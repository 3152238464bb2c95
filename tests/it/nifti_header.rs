//! NIfTI headers as files: round trips, damage, the `nifti` crate as oracle, and headers of targets.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use reslice::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    io::nifti::{Header, NiftiFile, TargetSpec, Version, data_type_code, open, target_header},
    layout::{Access, Axis, Outer},
    voxel::Dtype,
};
use tempfile::TempDir;

/// Two volumes of 5 x 3 x 2 voxels with a tilted sform.
fn sample(version: Version, big_endian: bool, single_file: bool) -> Header {
    let mut header = Header { big_endian, single_file, ..Header::new(version) };
    header.dim = [4, 5, 3, 2, 2, 1, 1, 1];
    header.pixdim = [1.0, 0.5, 0.75, f64::from(2.015_564_4f32), 1.5, 0.0, 0.0, 0.0];
    (header.datatype, header.bitpix) = (4, 16);
    header.xyzt_units = 2 | 8;
    (header.sform_code, header.qform_code) = (1, 0);
    header.srow = [[0.5, 0.0, 0.25, -7.0], [0.0, -0.75, 0.0, 8.0], [0.0, 0.0, 2.0, 9.0]];
    header.descrip[..5].copy_from_slice(b"phant");
    (header.intent_code, header.cal_max, header.toffset) = (1002, 100.0, 0.25);
    (header.slice_code, header.slice_end, header.slice_duration, header.dim_info) = (1, 1, 0.5, 0x39);
    header
}

const VOXEL_BYTES: usize = 5 * 3 * 2 * 2 * 2;

/// The extension "6, 8 bytes of text" with its flag, in the given byte order.
fn comment(big_endian: bool) -> Vec<u8> {
    let int = |n: i32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    [&[1, 0, 0, 0][..], &int(16), &int(6), b"a remark"].concat()
}

/// Header, extension and voxels of a single file.
fn single_file(version: Version, big_endian: bool) -> Vec<u8> {
    let mut header = sample(version, big_endian, true);
    let extensions = comment(big_endian);
    header.vox_offset = (version.header_bytes() + extensions.len()) as i64;
    [header.encode(), extensions, vec![7; VOXEL_BYTES]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn message(result: Result<NiftiFile>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn every_kind_of_file_gives_the_same_volume() {
    let orders = [(Version::One, false), (Version::One, true), (Version::Two, false), (Version::Two, true)];
    for (version, big_endian) in orders {
        let dir = TempDir::new().unwrap();
        let bytes = single_file(version, big_endian);
        let pair = [sample(version, big_endian, false).encode(), comment(big_endian)].concat();
        let voxels = vec![7; VOXEL_BYTES];
        write(&dir, "b.hdr", &pair);
        write(&dir, "c.img.gz", &gzip(&voxels));
        let paths = [
            (write(&dir, "a.nii", &bytes), false),
            (write(&dir, "a.nii.gz", &gzip(&bytes)), true),
            (write(&dir, "misnamed.nii", &gzip(&bytes)), true),
            (write(&dir, "b.img", &voxels), false),
            (dir.path().join("b.hdr"), false),
            (write(&dir, "c.hdr.gz", &gzip(&pair)), true),
            (dir.path().join("c.img.gz"), true),
        ];
        for (path, compressed) in paths {
            let file = open(&path).unwrap();
            assert_eq!(file.layout.grid.shape, [2, 3, 5]);
            assert_eq!(file.layout.grid.spacing()[1..], [0.75, 0.5]);
            assert_eq!(file.layout.grid.index_to_world.column(0), [0.25, 0.0, 2.0]);
            assert_eq!(file.layout.grid.origin(), [-7.0, 8.0, 9.0]);
            assert_eq!((file.layout.stored, file.layout.components), (Dtype::I16, 1));
            assert_eq!((file.layout.outer.axes.len(), file.layout.outer.axes[0].step), (1, 1.5));
            assert_eq!((file.compressed, file.conversion.big_endian), (compressed, big_endian));
            assert_eq!(file.layout.access == Access::Ascending, compressed);
            assert_eq!(file.extensions, comment(big_endian));
            assert_eq!(file.warnings, Vec::<String>::new());
            assert_eq!(file.layout.stored_bytes, Some(fs::metadata(&file.data_path).unwrap().len()));
        }
    }
}

#[test]
fn refusals_come_before_the_voxels() {
    let dir = TempDir::new().unwrap();
    let bytes = single_file(Version::One, false);
    let with = |at: usize, value: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        message(open(&write(&dir, "x.nii", &bytes)))
    };
    assert!(with(42, &30_000i16.to_le_bytes()).contains("file size is 488 bytes, expected at least 720368 bytes"));
    assert!(with(108, &348f32.to_le_bytes()).contains("vox_offset is 348, expected at least 352"));
    assert!(with(108, &1e9f32.to_le_bytes()).contains("file size"));
    assert!(with(280, &f32::NAN.to_le_bytes()).contains("srow_x, srow_y, srow_z is"));
    let folder = open(dir.path()).unwrap_err();
    let cause = std::error::Error::source(&folder).map_or(String::new(), ToString::to_string);
    assert!(format!("{folder}: {cause}").contains("folder"), "{folder}: {cause}");
    assert!(message(open(&dir.path().join("none.nii"))).contains("cannot open"));
    let header = write(&dir, "alone.hdr", &sample(Version::One, false, false).encode());
    assert!(message(open(&header)).contains("alone.img"));
    assert!(message(open(&write(&dir, "alone2.img", &[0; 100]))).contains("alone2.hdr"));
}

/// `vox_offset` says where the voxels are, whatever stands before them.
#[test]
fn broken_extensions_are_left_out_with_a_warning() {
    let dir = TempDir::new().unwrap();
    let mut bytes = single_file(Version::One, false);
    bytes[352..356].copy_from_slice(&99i32.to_le_bytes());
    let file = open(&write(&dir, "x.nii", &bytes)).unwrap();
    assert_eq!((file.data_offset, file.warnings.len()), (368, 1));
    assert!(file.warnings[0].contains("esize of extension 1 is 99"), "{:?}", file.warnings);
    let rubbish = [sample(Version::One, false, false).encode(), vec![1, 0, 0, 0], vec![0xee; 40]].concat();
    write(&dir, "y.img", &[7; VOXEL_BYTES]);
    assert_eq!(open(&write(&dir, "y.hdr", &rubbish)).unwrap().warnings.len(), 1);
}

#[test]
fn extensions_are_bounded() {
    let dir = TempDir::new().unwrap();
    let header = Header { vox_offset: 200 << 20, ..sample(Version::Two, false, true) };
    let path = write(&dir, "sparse.nii", &header.encode());
    fs::File::options().write(true).open(&path).unwrap().set_len((200 << 20) + VOXEL_BYTES as u64).unwrap();
    assert!(message(open(&path)).contains("vox_offset is 209715200, expected at most 67109404"));
}

#[test]
fn raw_voxels_that_look_like_gzip_are_raw() {
    let dir = TempDir::new().unwrap();
    let mut voxels = vec![0; VOXEL_BYTES];
    voxels[..4].copy_from_slice(&[0x1f, 0x8b, 8, 0]);
    write(&dir, "x.hdr", &sample(Version::One, false, false).encode());
    assert!(!open(&write(&dir, "x.img", &voxels)).unwrap().compressed);
    assert!(open(&write(&dir, "x.img", &gzip(&[0; VOXEL_BYTES]))).unwrap().compressed);
}

#[test]
fn dimensions_from_one_to_seven() {
    let dir = TempDir::new().unwrap();
    for rank in 1..=7usize {
        let mut header = Header { vox_offset: 352, datatype: 2, bitpix: 8, ..Header::new(Version::One) };
        header.dim = [rank as i64, 2, 3, 2, 3, 2, 1, 2];
        let voxels: i64 = header.dim[1..=rank].iter().product();
        let bytes = [header.encode(), vec![0; 4 + voxels as usize]].concat();
        let layout = open(&write(&dir, "x.nii", &bytes)).unwrap().layout;
        assert_eq!(layout.grid.shape, [[1, 1, 2], [1, 3, 2], [2, 3, 2]][rank.min(3) - 1]);
        let names: Vec<_> = layout.outer.axes.iter().map(|axis| axis.name.as_str()).collect();
        assert_eq!(names, ["dim7", "dim6", "c", "t"][7 - rank.max(3)..]);
        assert_eq!(layout.grid.voxels() * layout.outer.volumes(), voxels as u64);
    }
}

/// An error or a volume that the file can hold; anything else is a bug.
fn survives(path: &Path, what: &str) {
    let Ok(file) = open(path) else { return };
    let layout = &file.layout;
    let voxel_bytes = (layout.stored.bytes() * layout.components) as u64;
    let data_bytes = layout.grid.voxels() * layout.outer.volumes() * voxel_bytes;
    assert!(data_bytes > 0 && layout.grid.index_to_world.inverse().is_some(), "{what}");
    if !file.compressed {
        assert!(file.data_offset + data_bytes <= fs::metadata(&file.data_path).unwrap().len(), "{what}");
    }
}

#[test]
fn any_byte_changed_or_cut_is_an_error_or_a_volume() {
    let dir = TempDir::new().unwrap();
    let qform = Header { qform_code: 1, sform_code: 0, vox_offset: 352, ..sample(Version::One, false, true) };
    write(&dir, "p.img", &[0; VOXEL_BYTES]);
    let files = [
        ("a.nii", single_file(Version::One, false)),
        ("b.nii", single_file(Version::Two, true)),
        ("c.nii", [qform.encode(), vec![0; 4 + VOXEL_BYTES]].concat()),
        ("d.nii.gz", gzip(&single_file(Version::One, false))),
        ("p.hdr", [sample(Version::One, true, false).encode(), comment(true)].concat()),
    ];
    for (name, bytes) in &files {
        for at in 0..bytes.len() - if name.ends_with(".nii") { VOXEL_BYTES } else { 0 } {
            for change in [1, 8, 64, 128, 255, bytes[at], bytes[at] ^ 0x7f] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                survives(&write(&dir, name, &changed), &format!("{name}: byte {at} xor {change}"));
            }
            survives(&write(&dir, name, &bytes[..at]), &format!("{name}: cut at {at}"));
        }
    }
}

#[test]
fn a_cut_gzip_stream_is_named_with_its_place() {
    let dir = TempDir::new().unwrap();
    let bytes = gzip(&single_file(Version::One, false));
    let error = open(&write(&dir, "x.nii.gz", &bytes[..40])).unwrap_err();
    assert!(matches!(error, Error::Stream { offset: 40, .. }), "{error}");
}

proptest! {
    #[test]
    fn target_headers_read_back_as_the_grid_asked_for(
        q in prop::array::uniform4(-1.0f64..1.0),
        steps in prop::array::uniform3(0.05f64..8.0),
        origin in prop::array::uniform3(-300.0f64..300.0),
        flip in any::<bool>(),
        like_two in any::<bool>(),
        codes in (0i32..4, 0i32..4),
    ) {
        let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
        prop_assume!(norm > 0.1);
        let grid = rotated_grid(q.map(|x| x / norm), steps, origin, flip);
        let version = if like_two { Version::Two } else { Version::One };
        let like = Header { qform_code: codes.0, sform_code: codes.1, ..sample(version, true, true) };
        let outer = Outer::default();
        let (header, prefix) = target_header(&TargetSpec { like: Some(&like), ..spec(&grid, &outer) }).unwrap();
        prop_assert_eq!(header.version, version);
        let dir = TempDir::new().unwrap();
        let file = open(&write(&dir, "x.nii", &[prefix, vec![0; 20 * 23 * 29 * 2]].concat())).unwrap();
        prop_assert_eq!(file.layout.grid.shape, grid.shape);
        // A qform alone, in f32, may lose up to 3e-4 rad very near a half turn.
        let tolerance = if header.sform_code > 0 { 8e-7 } else { 5e-3 };
        for (found, expected) in file.layout.grid.index_to_world.m.iter().zip(grid.index_to_world.m) {
            prop_assert!((0..3).all(|c| (found[c] - expected[c]).abs() <= tolerance), "{found:?} {expected:?}");
            prop_assert!((found[3] - expected[3]).abs() <= 2e-5);
        }
    }
}

fn rotated_grid([a, b, c, d]: [f64; 4], steps: [f64; 3], origin: [f64; 3], flip: bool) -> Grid {
    let columns = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c + a * d), 2.0 * (b * d - a * c)],
        [2.0 * (b * c - a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d + a * b)],
        [2.0 * (b * d + a * c), 2.0 * (c * d - a * b), a * a + d * d - b * b - c * c],
    ];
    let sign = if flip { -1.0 } else { 1.0 };
    let column = |n: usize, sign: f64| columns[n].map(|x| x * steps[n] * sign);
    let affine = Affine::from_columns([column(0, sign), column(1, 1.0), column(2, 1.0)], origin);
    Grid::new([20, 23, 29], affine, Unit::Millimetre)
}

fn plain_grid(shape: [u64; 3]) -> Grid {
    let columns = [[0.0, 0.0, 3.0], [0.0, 2.0, 0.0], [0.5, 0.0, 0.0]];
    Grid::new(shape, Affine::from_columns(columns, [-4.0, 5.0, 6.5]), Unit::Millimetre)
}

fn spec<'a>(grid: &'a Grid, outer: &'a Outer) -> TargetSpec<'a> {
    TargetSpec {
        path: Path::new("target.nii"),
        like: None,
        place: None,
        extensions: &[],
        grid,
        outer,
        stored: Dtype::I16,
        components: 1,
        slope: None,
        slice_axis_resampled: false,
        single_file: true,
    }
}

#[test]
fn a_target_without_a_source_header_is_complete() {
    let (grid, outer) = (plain_grid([20, 23, 29]), Outer::default());
    let (header, prefix) = target_header(&spec(&grid, &outer)).unwrap();
    assert_eq!((header.version, header.vox_offset, prefix.len()), (Version::One, 352, 352));
    assert_eq!((header.qform_code, header.sform_code, header.xyzt_units), (1, 1, 2));
    assert_eq!(header.dim, [3, 29, 23, 20, 1, 1, 1, 1]);
    assert_eq!(header.pixdim[..4], [1.0, 0.5, 2.0, 3.0]);
    assert_eq!((header.datatype, header.bitpix, header.slope()), (4, 16, None));
    let theirs = nifti::NiftiHeader::from_reader(&prefix[..]).unwrap();
    assert_eq!(theirs.dim().unwrap(), [29, 23, 20]);
    assert_eq!(theirs.srow_z, [0.0, 0.0, 3.0, 6.5]);
}

#[test]
fn what_a_source_says_is_carried_over() {
    let dir = TempDir::new().unwrap();
    let source = open(&write(&dir, "x.nii", &single_file(Version::One, true))).unwrap();
    let grid = Grid { shape: [4, 3, 5], ..source.layout.grid.clone() };
    let base = TargetSpec {
        like: Some(&source.header),
        extensions: &source.extensions,
        slope: Some((2.0, -1.0)),
        ..spec(&grid, &source.layout.outer)
    };
    let (header, prefix) = target_header(&base).unwrap();
    let mut expected = Header { big_endian: false, vox_offset: 368, ..source.header.clone() };
    expected.dim[3] = 4;
    (expected.scl_slope, expected.scl_inter) = (2.0, -1.0);
    assert_eq!(header, expected);
    assert_eq!(prefix[348..], comment(false));

    let (reset, _) = target_header(&TargetSpec { slice_axis_resampled: true, ..base }).unwrap();
    assert_eq!((reset.slice_code, reset.slice_end, reset.slice_duration), (0, 0, 0.0));
    assert_eq!((reset.dim_info, reset.descrip), (0x39, source.header.descrip));

    let (pair, prefix) = target_header(&TargetSpec { single_file: false, ..base }).unwrap();
    assert_eq!((pair.vox_offset, prefix.len(), &prefix[344..348]), (0, 368, &b"ni1\0"[..]));

    let broken = [1, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 6];
    let (without, prefix) = target_header(&TargetSpec { extensions: &broken, ..base }).unwrap();
    assert_eq!((without.vox_offset, &prefix[348..]), (352, &[0; 4][..]));
}

#[test]
fn a_stated_step_is_written_as_stated() {
    let turned = rotated_grid([0.8, 0.0, 0.6, 0.0], [0.4 + 1e-8, 0.4 - 1e-8, 0.4], [0.0; 3], false);
    let grid = Grid { stated_spacing: Some([0.4; 3]), ..turned };
    let (header, _) = target_header(&spec(&grid, &Outer::default())).unwrap();
    assert_eq!(header.pixdim[1..4], [0.4; 3]);
}

#[test]
fn turned_axes_reset_what_speaks_of_axes() {
    let like = sample(Version::One, false, true);
    let outer = Outer::default();
    let [k, j, i] = [[0.0, 0.0, -3.0], [0.0, -2.0, 0.0], [0.5, 0.0, 0.0]];
    let [flipped_k, flipped_j] = [k, j].map(|column| column.map(|x| -x));
    // Frequency, phase and slice along i, j, k; and along i, k, j.
    let cases = [
        ([k, j, i], 0x39, 0),
        ([j, k, i], 0x2d, 0),
        ([flipped_k, j, i], 0x39, 1),
        ([flipped_k, flipped_j, i], 0x39, 1),
    ];
    for (columns, dim_info, slice_code) in cases {
        let grid = Grid::new([2, 3, 5], Affine::from_columns(columns, [0.0; 3]), Unit::Millimetre);
        let (header, _) = target_header(&TargetSpec { like: Some(&like), ..spec(&grid, &outer) }).unwrap();
        assert_eq!((header.dim_info, header.slice_code), (dim_info, slice_code));
    }
}

#[test]
fn long_axes_make_a_nifti_2() {
    let outer = Outer::default();
    for (len, version) in [(32_767, Version::One), (32_768, Version::Two)] {
        let grid = plain_grid([1, len, 2]);
        let (header, prefix) = target_header(&spec(&grid, &outer)).unwrap();
        assert_eq!((header.version, header.dim[2]), (version, len as i64));
        assert_eq!((prefix.len() as i64, header.vox_offset % 16), (header.vox_offset, 0));
    }
    let axis = Axis { name: "t".into(), len: 40_000, step: 2.0, start: 0.0, unit: Some("second".into()) };
    let (grid, outer) = (plain_grid([2, 2, 2]), Outer::separate(vec![axis]));
    let (header, _) = target_header(&spec(&grid, &outer)).unwrap();
    assert_eq!((header.version, header.dim[..5].to_vec()), (Version::Two, vec![4, 2, 2, 2, 40_000]));
    assert_eq!((header.pixdim[4], header.xyzt_units), (2.0, 2 | 8));
}

#[test]
fn what_nifti_cannot_hold_is_refused() {
    let (grid, none) = (plain_grid([2, 3, 4]), Outer::default());
    assert!(target_header(&TargetSpec { components: 3, ..spec(&grid, &none) }).is_err());
    let axis = |n: u64| Axis { name: format!("axis{n}"), len: n, step: 1.0, start: 0.0, unit: None };
    let five = Outer::separate((2..7).map(axis).collect());
    assert!(matches!(target_header(&spec(&grid, &five)), Err(Error::Unsupported { .. })));
    let empty = plain_grid([2, 0, 4]);
    assert!(matches!(target_header(&spec(&empty, &none)), Err(Error::Unsupported { .. })));
    assert_eq!(data_type_code(Dtype::U8, 4).unwrap(), 2304);
}

#[test]
fn a_flat_source_stays_flat() {
    let like = Header { dim: [2, 5, 3, 1, 1, 1, 1, 1], ..sample(Version::One, false, true) };
    let outer = Outer::default();
    for (nz, rank) in [(1, 2), (2, 3)] {
        let grid = plain_grid([nz, 3, 5]);
        let (header, _) = target_header(&TargetSpec { like: Some(&like), ..spec(&grid, &outer) }).unwrap();
        assert_eq!(header.dim[..4], [rank, 5, 3, nz as i64]);
    }
}
