//! The table of formats: first bytes and name to what it is called and what to do.

use std::path::Path;

/// A format that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// "is a ...", for a message.
    pub what: &'static str,
    /// What to do; FILE is the file, FOLDER its folder, STEM the file without its ending.
    hint: &'static str,
}

const fn known(what: &'static str, hint: &'static str) -> Known {
    Known { what, hint }
}

/// SimpleITK reads what ITK reads, and keeps spacing and direction.
const BY_ITK: &str = r#"convert it: python -c "import SimpleITK as s, sys; s.WriteImage(s.ReadImage(sys.argv[1]), sys.argv[2])" FILE STEM.nii.gz"#;
const BY_VTK: &str = r#"convert it: python -c "import vtk, sys; r = vtk.vtkXMLImageDataReader(); r.SetFileName(sys.argv[1]); w = vtk.vtkNIFTIImageWriter(); w.SetInputConnection(r.GetOutputPort()); w.SetFileName(sys.argv[2]); w.Write()" FILE STEM.nii.gz"#;
/// With imagecodecs it reads what Bio-Formats does not.
const BY_TIFFFILE: &str = r#"convert it: python -c "import tifffile, zarr, sys; zarr.save(sys.argv[2], tifffile.imread(sys.argv[1]))" FILE STEM.zarr, with imagecodecs installed; then state the steps with --spacing-in"#;
const BY_NUMPY: &str = r#"convert it: python -c "import numpy as n, zarr, sys; zarr.save(sys.argv[2], n.load(sys.argv[1]))" FILE STEM.zarr; then state the steps with --spacing-in"#;
/// The first of its arrays.
const BY_NUMPY_ZIP: &str = r#"convert it: python -c "import numpy as n, zarr, sys; zarr.save(sys.argv[2], [*n.load(sys.argv[1]).values()][0])" FILE STEM.zarr; then state the steps with --spacing-in"#;
const BY_BIOFORMATS: &str = "convert it: bioformats2raw FILE STEM.zarr; then name an image in it, such as STEM.zarr/0";
const BY_DCM2NIIX: &str = "convert its folder: dcm2niix -z y FOLDER";
/// DICOM is read by position. Files of a series belong together, and `gunzip` takes none without the ending.
const GUNZIP: &str = "unpack it first, with the other files of its series: gunzip FILE";
const GUNZIP_UNNAMED: &str = "unpack it first, with the other files of its series: gunzip < FILE > STEM.plain.dcm";
const BY_MINC: &str = "convert it: mnc2nii FILE STEM.nii";
const UNZIP: &str = "name an image in it, such as FILE/NAME.zarr; or unpack it: unzip FILE -d STEM";

const DICOM: Known = known("is a DICOM file without an image that is read", BY_DCM2NIIX);

/// What begins with these bytes, at this offset.
const MAGIC: [(usize, &[u8], Known); 43] = [
    (0, b"PK\x03\x04", known("is a zip archive with no Zarr array or group at its top", UNZIP)),
    (0, b"PK\x05\x06", known("is an empty zip archive", "")),
    (
        0,
        b"\x89HDF\r\n\x1a\n",
        known(
            "is an HDF5 file with no image of Imaris or BigDataViewer in it, and no transform of ITK",
            "write the image in it as NIfTI or OME-Zarr, by h5py and nibabel or by Fiji",
        ),
    ),
    (0, b"CDF\x01", known("is a NetCDF file, as MINC 1 has them, which is not read", BY_MINC)),
    (0, b"CDF\x02", known("is a NetCDF file, as MINC 1 has them, which is not read", BY_MINC)),
    (128, b"DICM", DICOM),
    (0, b"ZISRAWFILE", known("is a Zeiss CZI file, which is not read", BY_BIOFORMATS)),
    (0, b"\xda\xce\xbe\x0a", known("is a Nikon ND2 file, which is not read", BY_BIOFORMATS)),
    (0, b"OLYMPUSRAWFORMAT", known("is an Olympus OIR file, which is not read", BY_BIOFORMATS)),
    (208, b"MAP ", known("is an MRC map, which is not read", BY_BIOFORMATS)),
    (208, b"MAP\0", known("is an MRC map, which is not read", BY_BIOFORMATS)),
    (96, b"\xa0\xc0", known("is a DeltaVision file, which is not read", BY_BIOFORMATS)),
    (96, b"\xc0\xa0", known("is a DeltaVision file, which is not read", BY_BIOFORMATS)),
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        known("is a compound document, as Olympus OIB and Zeiss ZVI are, which is not read", BY_BIOFORMATS),
    ),
    (0, b"ics_version", known("is an ICS header, which is not read", BY_BIOFORMATS)),
    (0, b"\t\nics_version", known("is an ICS header, which is not read", BY_BIOFORMATS)),
    (0, b"\t\r\nics_version", known("is an ICS header, which is not read", BY_BIOFORMATS)),
    (0, b"# AmiraMesh", known("is an AmiraMesh file, which is not read", BY_BIOFORMATS)),
    (
        8,
        b"WEBP",
        known(
            "is a WebP picture, which is not read",
            "convert it: python -c \"from PIL import Image; import sys; Image.open(sys.argv[1]).save(sys.argv[2])\" FILE STEM.tif",
        ),
    ),
    (0, b"\x89PNG\r\n\x1a\n", known("is a PNG picture, which is not read", BY_ITK)),
    (0, b"\xff\xd8\xff", known("is a JPEG picture, which is not read", BY_ITK)),
    (0, b"\0\0\0\x0cjP  ", known("is a JPEG 2000 picture, which is not read", BY_BIOFORMATS)),
    (0, b"GIF8", known("is a GIF picture, which is not read", BY_BIOFORMATS)),
    (0, b"\x93NUMPY", known("is a NumPy array, which is not read", BY_NUMPY)),
    (0, b"# vtk DataFile", known("is a VTK file, which is not read", BY_ITK)),
    (
        0,
        b"mrtrix image",
        known("is an MRtrix image (MIF), which is not read", "convert it: mrconvert FILE STEM.nii.gz"),
    ),
    (0, b"# === DATA DESCRIPTION FILE", known("is a Philips PAR/REC header, which is not read", BY_DCM2NIIX)),
    (0, b"MATRIX7", known("is an ECAT 7 file, which is not read", "")),
    (
        0,
        b"version https://git-lfs.github.com/",
        known("is a pointer of git-lfs, not the file itself", "fetch it: git -C FOLDER lfs pull"),
    ),
    (0, b"/annex/objects/", known("is a pointer of git-annex, not the file itself", "fetch it: git annex get FILE")),
    (0, b"BZh", known("is a bzip2 stream, which is not read", "unpack it: bunzip2 --keep FILE")),
    (0, b"\xfd7zXZ\0", known("is an xz stream, which is not read", "unpack it: unxz --keep FILE")),
    (0, b"\x28\xb5\x2f\xfd", known("is a zstd stream, which is not read", "unpack it: unzstd FILE")),
    (0, b"7z\xbc\xaf\x27\x1c", known("is a 7z archive, which is not read", "unpack it: 7z x FILE")),
    (257, b"ustar", known("is a tar archive, which is not read", "unpack it: tar -xf FILE; then name what was in it")),
    (0, b"MATLAB 5.0 MAT-file", known("is a MATLAB file, which is not read", "in MATLAB: niftiwrite(V, 'NAME.nii')")),
    (0, b"solid ", known("is an STL surface, not an image", "")),
    (0, b"%PDF", known("is a PDF document, not an image", "")),
    (0, b"%!PS", known("is a PostScript document, not an image", "")),
    (0, b"ply\n", known("is a PLY surface, not an image", "")),
    (0, b"\xff\xff\xfe", known("is a FreeSurfer surface, not an image", "")),
    (0, b"\x7fELF", known("is a program, not an image", "")),
    (0, b"SIMPLE  =", known("is a FITS file, which is not read", BY_BIOFORMATS)),
];

/// What begins in text with these letters, in either case.
const TEXTS: [(&str, Known); 3] =
    [("<!doctype html", PAGE), ("<html", PAGE), ("<?xml", known("is an XML document, not an image", ""))];
const PAGE: Known = known(
    "is an HTML page, not an image: a download that went wrong",
    "open it in a browser to see what the server says, and fetch the file anew",
);

/// What a file is by its name in lower case and its first bytes, decompressed; `None` for what is not known and for NIfTI.
pub fn of_start(name: &str, start: &[u8]) -> Option<Known> {
    if start.is_empty() {
        return Some(known("is empty", "copy or download it anew"));
    }
    if is_nifti(start) {
        return None;
    }
    if start.len() >= 348 && start.iter().all(|&byte| byte == 0) {
        return Some(known("begins with nothing but zeros, as an unfinished copy does", "copy or download it anew"));
    }
    let by_magic = MAGIC.iter().find(|(at, magic, _)| start.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    if let Some((_, _, known)) = by_magic {
        return Some(by_name(name, start, *known));
    }
    by_layout(name, start).or_else(|| by_text(name, start))
}

/// NIfTI-1 and 2 of either byte order, and Analyze with a mark of NIfTI.
pub(super) fn is_nifti(start: &[u8]) -> bool {
    let marked =
        |at: usize, marks: [&[u8]; 2]| start.get(at..).is_some_and(|rest| marks.iter().any(|m| rest.starts_with(m)));
    marked(344, [b"n+1\0", b"ni1\0"]) || marked(4, [b"n+2\0", b"ni2\0"])
}

/// Formats that share a container are told by their names.
fn by_name(name: &str, start: &[u8], found: Known) -> Known {
    let ends = |ending: &str| name.ends_with(ending);
    match found.what {
        what if what.contains("zip archive") && start.starts_with(b"PK\x03") => match () {
            _ if ends(".npz") => known("is a zip of NumPy arrays (.npz), which is not read", BY_NUMPY_ZIP),
            _ => found,
        },
        what if what.contains("HDF5") => match () {
            _ if ends(".mnc") => known("is a MINC 2 image (HDF5), which is not read", BY_MINC),
            _ if ends(".ims") => known("is an HDF5 file named .ims, without the groups of Imaris 5.5", BY_BIOFORMATS),
            _ if ends(".mat") => {
                known("is a MATLAB 7.3 file (HDF5), which is not read", "in MATLAB: niftiwrite(V, 'NAME.nii')")
            }
            _ => found,
        },
        _ => found,
    }
}

/// Formats without a mark, by numbers that only they have there.
fn by_layout(name: &str, start: &[u8]) -> Option<Known> {
    let int = |at: usize| Some(i32::from_be_bytes(*start.get(at..)?.first_chunk()?));
    let mgh = int(0).is_some_and(|version| version & !0xff00 == 1)
        && matches!(int(20), Some(0 | 1 | 3 | 4 | 10))
        && start.len() >= 24;
    if mgh {
        let what = "begins like a FreeSurfer MGH image, and its header is cut or damaged";
        return Some(known(what, "write it anew: mri_convert FILE STEM.nii.gz"));
    }
    if [".m3z", ".m3d"].iter().any(|ending| name.ends_with(ending)) && start.starts_with(&1f32.to_be_bytes()) {
        let hint = "give it to resample: --transform FILE";
        return Some(known("is a FreeSurfer morph, which is a transform and no image", hint));
    }
    if start.starts_with(b"BM") && name.ends_with(".bmp") {
        return Some(known("is a BMP picture, which is not read", BY_ITK));
    }
    if start.starts_with(&[0x70, 0, 0, 0]) && start.get(8) == Some(&0x2a) {
        return Some(known("is a Leica LIF file, which is not read", BY_BIOFORMATS));
    }
    if matches!(int(0), Some(348 | 0x5c01_0000)) && start.len() >= 348 {
        let hint = "it does not say which side is left: convert it by the program that wrote it, or by SPM or fslchfiletype, and check the sides";
        return Some(known("is an Analyze 7.5 header, not NIfTI, which is not read", hint));
    }
    let dicom = start.len() > 8
        && matches!(start[..4], [8, 0, 0 | 5 | 8, 0])
        && (name.ends_with(".dcm") || name.ends_with(".ima"));
    dicom.then_some(known("is a DICOM file without a preamble, which is not read", BY_DCM2NIIX))
}

fn by_text(name: &str, start: &[u8]) -> Option<Known> {
    let head = String::from_utf8_lossy(&start[..start.len().min(4096)]).to_lowercase();
    let text = head.trim_start_matches('\u{feff}').trim_start();
    if let Some((_, known)) = TEXTS.iter().find(|(begins, _)| text.starts_with(begins)) {
        return Some(match () {
            _ if text.contains("<vtkfile") => known_vtk(),
            _ if text.contains("<ome") => {
                self::known("is the OME-XML of an image in other files, which is not read", BY_BIOFORMATS)
            }
            _ if text.contains("<gifti") => self::known("is a GIFTI surface, not an image", ""),
            _ if text.contains("<html") => PAGE,
            _ => *known,
        });
    }
    if text.starts_with("type") && text.contains("-attribute") {
        return Some(known(
            "is an AFNI header, which is not read",
            "convert it: 3dAFNItoNIFTI -prefix STEM.nii.gz FILE",
        ));
    }
    let document = ["zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"].contains(&name);
    if document {
        return Some(known("is a document of a Zarr store, not the store", "name the folder: FOLDER"));
    }
    text.starts_with('{').then_some(known("is a JSON document, not an image", ""))
}

fn known_vtk() -> Known {
    known("is a VTK file, which is not read", BY_VTK)
}

/// How a TIFF file in a codec that Bio-Formats does not read becomes a Zarr array.
pub fn by_tifffile(path: &Path) -> String {
    known("", BY_TIFFFILE).hint_for(path)
}

/// How a file of a microscope becomes OME-Zarr.
pub fn by_bioformats(path: &Path) -> String {
    known("", BY_BIOFORMATS).hint_for(path)
}

impl Known {
    /// The same where the bytes are within a gzip stream, in a file of that name in lower case.
    pub fn within_gzip(self, name: &str) -> Known {
        if self != DICOM {
            return self;
        }
        let hint = if name.ends_with(".gz") { GUNZIP } else { GUNZIP_UNNAMED };
        known("is a DICOM file in a gzip stream, which is not read", hint)
    }

    /// What to do with `path`, as a command that a shell takes.
    pub fn hint_for(&self, path: &Path) -> String {
        let file = path.display().to_string();
        let folder = match path.parent().map(|parent| parent.display().to_string()) {
            Some(parent) if !parent.is_empty() => parent,
            _ => ".".into(),
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = stem(&name);
        let stem = if folder == "." && !file.starts_with("./") { stem.to_string() } else { format!("{folder}/{stem}") };
        let words = |word: &str| match word.trim_end_matches(';') {
            "FILE" => word.replace("FILE", &quoted(&file)),
            part if part.starts_with("FILE/") => word.replacen(part, &quoted(&part.replacen("FILE", &file, 1)), 1),
            "FOLDER" => word.replace("FOLDER", &quoted(&folder)),
            part if part.starts_with("STEM") => word.replacen(part, &quoted(&part.replacen("STEM", &stem, 1)), 1),
            _ => word.to_string(),
        };
        self.hint.split(' ').map(words).collect::<Vec<_>>().join(" ")
    }
}

/// A name without its ending, or its two.
fn stem(name: &str) -> &str {
    const DOUBLE: [&str; 5] = [".nii.gz", ".ome.tiff", ".ome.tif", ".zarr.zip", ".tar.gz"];
    let lower = name.to_lowercase();
    let cut = DOUBLE.iter().find(|ending| lower.ends_with(*ending)).map(|ending| name.len() - ending.len());
    let cut = cut.or_else(|| name.rfind('.')).filter(|&end| end > 0 && name.is_char_boundary(end));
    &name[..cut.unwrap_or(name.len())]
}

/// A word of a command line, in quotes where a shell would split or change it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:+@%=".contains(c);
    if word.chars().all(plain) { word.to_string() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests;
