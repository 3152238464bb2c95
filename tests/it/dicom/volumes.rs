//! Slices of several volumes: what they are told apart by, where they lie, and images that hold several.

use super::*;

/// Of one series, all in one image.
#[test]
fn mosaics_are_refused_by_name() {
    let folder = Folder::new();
    let kind = (0x0008_0008, b"CS", text("ORIGINAL\\PRIMARY\\M\\MOSAIC"));
    let other = (0x0008_0008, b"CS", text("DERIVED\\PRIMARY\\MOSAICS"));
    let numbered = |block: u32, n: u8| {
        let creator = (0x0019_0000 | block, b"LO", text("SIEMENS MR HEADER"));
        vec![creator, (0x0019_000a | block << 8, b"US", vec![n, 0])]
    };
    let of = |name: &str, extra| put(&folder, name, &[Slice { extra, ..slice(0) }]);
    of("stated", [vec![kind.clone()], numbered(0x10, 4)].concat());
    of("kind", vec![kind]);
    of("number", [vec![other.clone()], numbered(0x11, 4)].concat());
    for (name, says) in [("stated", "4 slices"), ("kind", "slices"), ("number", "4 slices")] {
        let told = refused(&folder, name, 1);
        let what = format!("is a mosaic of Siemens ({says} side by side in one image), which is not read");
        assert!(told.contains(&what) && told.contains(&format!("hint: dcm2niix -z y {name}")), "{told}");
    }
    // One slice, and the same element of another maker.
    of("one", [vec![other], numbered(0x10, 1)].concat());
    of("foreign", vec![(0x0019_0010, b"LO", text("GEMS_ACQU_01")), (0x0019_100a, b"US", vec![4, 0])]);
    for name in ["one", "foreign"] {
        assert_eq!(read(&folder, name).1, voxels(1), "{name}");
    }
}
