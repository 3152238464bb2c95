use super::*;

fn what(name: &str, start: &[u8]) -> &'static str {
    of_start(name, start).map_or("", |known| known.what)
}

#[test]
fn formats_are_told_by_their_first_bytes() {
    let dicom = [&[0; 128][..], b"DICM\x02\0"].concat();
    let tar = [&[b'x'; 257][..], b"ustar"].concat();
    let analyze = [&348i32.to_le_bytes()[..], &[0; 344]].concat();
    for (name, start, expected) in [
        ("a.nii.gz", &b"PK\x03\x04.."[..], "is a zip archive"),
        ("a.npz", b"PK\x03\x04..", "NumPy"),
        ("a.nii", &dicom, "DICOM"),
        ("a.tgz", &tar, "tar archive"),
        ("a.img", &analyze, "Analyze"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("a.mnc", b"\x89HDF\r\n\x1a\n", "MINC 2"),
        ("a.mnc", b"CDF\x01", "MINC 1"),
        ("a.ims", b"\x89HDF\r\n\x1a\n", "Imaris"),
        ("a.mat", b"\x89HDF\r\n\x1a\n", "MATLAB 7.3"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "PNG"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "JPEG"),
        ("a.npy", b"\x93NUMPY\x01", "NumPy array"),
        ("a.vtk", b"# vtk DataFile Version 3.0", "VTK"),
        ("a.vti", b"<?xml version=\"1.0\"?>\n<VTKFile type=\"ImageData\">", "VTK"),
        ("a.par", b"# === DATA DESCRIPTION FILE ===", "PAR/REC"),
        ("a.mif", b"mrtrix image\ndim: 3", "MIF"),
        ("a.czi", b"ZISRAWFILE\0", "CZI"),
        ("a.nd2", b"\xda\xce\xbe\x0a", "ND2"),
        ("a.lif", b"\x70\0\0\0\x10\0\0\0\x2a", "LIF"),
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1", "git-lfs"),
        ("a.nii.gz", b"\r\n <!DOCTYPE HTML>", "HTML"),
        (".zattrs", b"{\"a\": 1}", "Zarr store"),
        ("a.json", b"{\"a\": 1}", "JSON"),
        ("a.head", b"\ntype = string-attribute", "AFNI"),
        ("a.nii", b"", "is empty"),
        ("a.nii", &[0; 400], "nothing but zeros"),
    ] {
        assert!(what(name, start).contains(expected), "{name} {expected}: {:?}", what(name, start));
    }
}

#[test]
fn nifti_and_unknown_bytes_are_not_named() {
    let nifti = [&348i32.to_le_bytes()[..], &[0; 340], b"n+1\0"].concat();
    let pair = [&348i32.to_be_bytes()[..], &[0; 340], b"ni1\0"].concat();
    let two = [&540i32.to_le_bytes()[..], b"n+2\0\r\n\x1a\n"].concat();
    for start in [&nifti[..], &pair, &two, b"nonsense", &[0; 300], b"II", b"\x89"] {
        assert_eq!(what("a.nii", start), "");
    }
}

#[test]
fn hints_name_the_file_and_its_folder() {
    let hint = |path: &str, start: &[u8]| of_start(path, start).unwrap().hint_for(Path::new(path));
    assert_eq!(hint("d/s.mif", b"mrtrix image"), "convert it: mrconvert d/s.mif d/s.nii.gz");
    assert_eq!(hint("s.mif", b"mrtrix image"), "convert it: mrconvert s.mif s.nii.gz");
    assert_eq!(hint("my d/s.dcm", &[&[0; 128][..], b"DICM"].concat()), "convert its folder: dcm2niix -z y 'my d'");
    assert!(hint("a b.czi", b"ZISRAWFILE").contains("bioformats2raw 'a b.czi' 'a b.zarr'; then"));
    let morph = hint("d/warp.m3z", &1f32.to_be_bytes());
    assert_eq!(morph, "give it to resample: --transform d/warp.m3z");
    assert!(hint("x.vtk", b"# vtk DataFile Version 3.0").ends_with("\" x.vtk x.nii.gz"));
}
