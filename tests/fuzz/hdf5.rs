//! Imaris and BigDataViewer in HDF5: headers, groups, trees, chunks.

use super::{
    kit::hdf5s::{Cells, bdv, imaris},
    reading::{in_folder, put, read_all},
};

pub(super) fn body(bytes: &[u8]) {
    in_folder(|folder| {
        let path = folder.join("a.h5");
        put(&path, bytes);
        read_all(&path);
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let small = Cells::new([3, 4, 5], [2, 4, 4]);
    let image = [("Unit", "um"), ("ExtMin0", "0"), ("ExtMax0", "5")];
    vec![
        imaris(&[vec![vec![Cells { stored: [4, 4, 8], ..small.clone() }]]], &image),
        imaris(&[vec![vec![Cells { packing: 2, absent: vec![1], ..small.clone() }]]], &image),
        bdv(&[vec![vec![small]]], &[[1.0; 3]]),
    ]
}
