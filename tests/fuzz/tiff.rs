//! TIFF files: directories, lists, descriptions, strips and tiles.

use super::{
    kit::tiffs::Tiff,
    reading::{in_folder, put, read_all},
};

pub(super) fn body(bytes: &[u8]) {
    in_folder(|folder| {
        let path = folder.join("a.tif");
        put(&path, bytes);
        read_all(&path);
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let plain = Tiff::new([2, 4, 5]);
    let ome = "<OME><Image ID='a'><Pixels DimensionOrder='XYZCT' SizeZ='2' SizeC='1' SizeT='1' PhysicalSizeX='2'><TiffData/></Pixels></Image></OME>";
    [
        plain.clone(),
        Tiff { strip: 2, compression: 8, ..plain.clone() },
        Tiff { tile: Some([4, 4]), compression: 50000, wide: true, ..plain.clone() },
        Tiff { strip: 3, compression: 32773, ..Tiff::of([2, 4, 5], true) },
        Tiff { description: ome.into(), ..plain.clone() },
        Tiff { description: "ImageJ=1.54f\nimages=2\nslices=2\nunit=um\n".into(), is_one: true, ..plain },
    ]
    .iter()
    .map(Tiff::bytes)
    .collect()
}
