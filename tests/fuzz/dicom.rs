//! DICOM: elements, sequences, fragments, and codecs of one file beside a good one of the same series.

use super::{
    kit::{
        dicoms::{BIG, DEFLATED, EXPLICIT, IMPLICIT, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, RLE, Slice, slice},
        jpeg_lossy,
    },
    reading::{in_folder, put, read_all},
};

pub(super) fn body(bytes: &[u8]) {
    in_folder(|folder| {
        let series = folder.join("series");
        put(&series.join("a.dcm"), bytes);
        put(&series.join("b.dcm"), &slice(1).bytes());
        read_all(&series);
        read_all(&series.join("a.dcm"));
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let plain = [IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE, JPEG_LOSSLESS, JPEG_LS];
    let mut slices: Vec<Slice> = plain.into_iter().map(|syntax| Slice { syntax, ..slice(0) }).collect();
    slices.push(Slice { slope: Some((2.0, -1024.0)), ..slice(0) });
    let stream = jpeg_lossy::encode(&[(0..6).collect()], slice(0).size, jpeg_lossy::Coding::default());
    slices.push(Slice { syntax: JPEG_BASELINE, bits: [8, 8, 7, 0], streams: vec![stream], ..slice(0) });
    slices.iter().map(Slice::bytes).collect()
}
