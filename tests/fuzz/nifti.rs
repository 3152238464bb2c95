//! NIfTI files: header, extensions and a few voxels, as `.nii`, as `.hdr` with its `.img`, and as the header of a target.

use reslice::{
    io::nifti::{TargetSpec, open, target_header},
    layout::Outer,
};

use super::{
    choosing, chosen,
    kit::nifti::Said,
    reading::{in_folder, put, read_all},
};

pub(super) fn body(bytes: &[u8]) {
    let (kind, bytes) = chosen(bytes, 2);
    in_folder(|folder| {
        let path = folder.join(["a.nii", "b.hdr"][kind]);
        put(&path, bytes);
        if kind == 1 {
            put(&folder.join("b.img"), &[7; 2048]);
        }
        read_all(&path);
        let Ok(file) = open(&path) else { return };
        let outer = Outer::separate(file.layout.outer.axes.clone());
        let spec = TargetSpec {
            path: &path,
            like: Some(&file.header),
            place: None,
            extensions: &file.extensions,
            grid: &file.layout.grid,
            outer: &outer,
            stored: file.layout.stored,
            components: file.layout.components,
            slope: file.header.slope(),
            slice_axis_resampled: false,
            single_file: true,
        };
        // A header that was read can be written, or is refused with a reason.
        let _ = target_header(&spec);
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.nii");
    let saids = [
        Said::new([2, 3, 5]),
        Said::new([2, 3, 4]).with_outer(&[("t", 2)]),
        Said { components: 3, intent: 0, ..Said::new([2, 2, 3]) },
        Said { slope: Some((2.0, -1.0)), ..Said::new([1, 3, 2]) },
    ];
    let mut seeds = Vec::new();
    for said in saids {
        match said.components {
            1 => said.write::<i16>(&path, &vec![-3; said.samples()]),
            _ => said.write::<u8>(&path, &vec![3; said.samples()]),
        }
        let one = std::fs::read(&path).unwrap();
        seeds.push(choosing(0, &one));
        let mut pair = one.clone();
        pair[344..348].copy_from_slice(b"ni1\0");
        pair[108..112].copy_from_slice(&0f32.to_le_bytes());
        seeds.push(choosing(1, &pair[..352]));
        // One extension of 16 bytes.
        let mut extended = one.clone();
        extended[108..112].copy_from_slice(&368f32.to_le_bytes());
        extended[348] = 1;
        let extension: Vec<u8> = [16u32.to_le_bytes(), 6u32.to_le_bytes(), *b"abcd", *b"efgh"].concat();
        extended.splice(352..352, extension);
        seeds.push(choosing(0, &extended));
        seeds.push(choosing(0, two(&one)));
    }
    seeds
}

/// The same as NIfTI-2 (nifti2.h): the fields that are needed to place the voxels.
fn two(one: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 544];
    header[..4].copy_from_slice(&540i32.to_le_bytes());
    header[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
    header[12..14].copy_from_slice(&one[70..72]);
    header[14..16].copy_from_slice(&one[72..74]);
    for n in 0..8 {
        let dim = i16::from_le_bytes([one[40 + 2 * n], one[41 + 2 * n]]);
        header[16 + 8 * n..24 + 8 * n].copy_from_slice(&i64::from(dim).to_le_bytes());
        let pixdim = f32::from_le_bytes(one[76 + 4 * n..80 + 4 * n].try_into().unwrap());
        header[104 + 8 * n..112 + 8 * n].copy_from_slice(&f64::from(pixdim).to_le_bytes());
    }
    header[168..176].copy_from_slice(&544i64.to_le_bytes());
    header[348..352].copy_from_slice(&1i32.to_le_bytes());
    for n in 0..12 {
        let value = f32::from_le_bytes(one[280 + 4 * n..284 + 4 * n].try_into().unwrap());
        header[400 + 8 * n..408 + 8 * n].copy_from_slice(&f64::from(value).to_le_bytes());
    }
    header.extend_from_slice(&one[352..]);
    header
}
