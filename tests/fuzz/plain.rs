//! NRRD, MetaImage and MGH: headers and packed voxels.

use std::io::Write;

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};

use super::{
    choosing, chosen,
    reading::{in_folder, put, read_all},
};

const NRRD: &str = "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\nendian: little\n\
    space directions: (0.5,0,0) (0,1.5,0) (0,0,2)\nspace origin: (10,-20,30)\n";
const META: &str = "ObjectType = Image\nNDims = 3\nBinaryDataByteOrderMSB = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n\
    Offset = 10 -20 30\nElementSpacing = 0.5 1.5 2\nDimSize = 2 3 4\nElementType = MET_SHORT\n";

pub(super) fn body(bytes: &[u8]) {
    let (kind, bytes) = chosen(bytes, 3);
    in_folder(|folder| {
        let path = folder.join(["a.nrrd", "a.mha", "a.mgh"][kind]);
        put(&path, bytes);
        read_all(&path);
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let voxels: Vec<u8> = (0..48).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&voxels).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&voxels).unwrap();
    let file = |header: &str, end: &str, data: &[u8]| [header.as_bytes(), end.as_bytes(), data].concat();
    vec![
        choosing(0, file(NRRD, "encoding: raw\n\n", &voxels)),
        choosing(0, file(NRRD, "encoding: gzip\n\n", &gzip.finish().unwrap())),
        choosing(1, file(META, "CompressedData = False\nElementDataFile = LOCAL\n", &voxels)),
        choosing(1, file(META, "CompressedData = True\nElementDataFile = LOCAL\n", &zlib.finish().unwrap())),
        choosing(2, mgh(&voxels)),
    ]
}

/// Two volumes of 2 x 3 x 4 bytes.
fn mgh(voxels: &[u8]) -> Vec<u8> {
    let mut file = [1, 2, 3, 4, 2, 0, 0].map(i32::to_be_bytes).concat();
    file.extend(1i16.to_be_bytes());
    let floats = [0.5f32, 1.5, 2.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0];
    file.extend(floats.map(f32::to_be_bytes).concat());
    file.resize(284, 0);
    file.extend(voxels);
    file
}
