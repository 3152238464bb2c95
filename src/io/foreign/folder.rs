//! Names what is in folders without a Zarr array or group.

use std::{
    fs,
    io::Read,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{io::zarr::parse_document, storage::nfs};

/// Entries that are looked at, over all folders, and how many folders deep.
const MOST_ENTRIES: usize = 2000;
const MOST_DEPTH: usize = 2;
/// Documents of other formats are smaller.
pub(super) const DOCUMENT_BYTES: u64 = 1 << 20;

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    pub n5: bool,
    pub precomputed: bool,
    /// Folder of the first DICOM file, and how many there are in it.
    pub dicom: Option<(PathBuf, usize)>,
    /// The first file or folder that is likely to be read.
    pub readable: Option<PathBuf>,
    pub entries: usize,
    /// Not all entries were looked at.
    pub cut: bool,
}

impl Folder {
    /// Looks at the names in a folder and at the first bytes of its files, within bounds; `None` where it cannot be listed.
    pub fn look(path: &Path) -> Option<Folder> {
        let mut folder = Folder::of_documents(|name| document(&path.join(name)));
        folder.visit(path, 0)?;
        Some(folder)
    }

    /// The same by documents alone, where nothing can be listed.
    pub fn of_documents(text: impl Fn(&str) -> Option<Vec<u8>>) -> Folder {
        let document = |name: &str| parse_document(&text(name)?).ok();
        let n5 = document("attributes.json").is_some_and(|document| is_n5(&document));
        let precomputed = !n5 && document("info").is_some_and(|document| is_precomputed(&document));
        Folder { n5, precomputed, ..Folder::default() }
    }

    fn visit(&mut self, path: &Path, depth: usize) -> Option<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).ok()?.flatten() {
            if self.entries == MOST_ENTRIES {
                self.cut = true;
                break;
            }
            self.entries += 1;
            entries.push(entry.path());
        }
        entries.sort();
        for entry in &entries {
            self.note(path, entry);
        }
        if depth < MOST_DEPTH && self.dicom.is_none() && self.readable.is_none() {
            for entry in entries.iter().filter(|entry| entry.is_dir() && !entry.is_symlink()) {
                self.visit(entry, depth + 1);
            }
        }
        Some(())
    }

    fn note(&mut self, within: &Path, entry: &Path) {
        let name = entry.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let named = [".nii", ".nii.gz", ".hdr"].iter().any(|ending| name.ends_with(ending));
        let nifti =
            || named && entry.is_file() && super::start(entry).is_some_and(|start| super::is_nifti(&start.plain));
        let zarr = ["zarr.json", ".zgroup", ".zarray"].iter().any(|document| entry.join(document).is_file());
        if self.readable.is_none() && (zarr || nifti()) {
            self.readable = Some(entry.to_path_buf());
        }
        if entry.is_file() && is_dicom(entry) {
            match &mut self.dicom {
                Some((folder, count)) if folder == within => *count += 1,
                Some(_) => {}
                none => *none = Some((within.to_path_buf(), 1)),
            }
        }
    }

    /// What the folder is, and what to do.
    pub fn tell(&self, path: &Path) -> (String, String) {
        if self.n5 {
            let hint = "write it as OME-Zarr first: Fiji reads N5 and exports Zarr, and so does tensorstore";
            return ("is an N5 container, which is not read".into(), hint.into());
        }
        if self.precomputed {
            let what = "is a neuroglancer precomputed folder without a volume, such as meshes or annotations";
            return (what.into(), "name the folder of the volume".into());
        }
        let several =
            |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        if let Some((folder, count)) = &self.dicom {
            let at_least = if self.cut { "at least " } else { "" };
            let files = several(*count, "DICOM file");
            let shown = super::quoted(&folder.display().to_string());
            if folder != path {
                return (format!("holds {at_least}{files} in a folder below"), format!("name that folder: {shown}"));
            }
            let what = format!("holds {at_least}{files}, and no image of them is read");
            return (what, format!("convert them: dcm2niix -z y {shown}"));
        }
        if let Some(readable) = &self.readable {
            let what = "is a folder and no image itself".to_string();
            return (what, format!("name one of the images in it, such as {}", readable.display()));
        }
        if self.entries == 0 {
            return ("is an empty folder".into(), String::new());
        }
        let what = format!(
            "is a folder with no NIfTI or Zarr in it ({})",
            several(self.entries, "entry").replace("entrys", "entries")
        );
        let hint = format!(
            "name a .nii, .nii.gz or .hdr file, or a folder with zarr.json, .zarray or .zgroup in it; {} has none",
            path.display()
        );
        (what, hint)
    }
}

/// Containers say so; their groups and arrays have the same document without that.
fn is_n5(document: &Value) -> bool {
    document.get("n5").is_some() || (document.get("dimensions").is_some() && document.get("blockSize").is_some())
}

fn is_precomputed(document: &Value) -> bool {
    let kind = document.get("@type").and_then(Value::as_str).unwrap_or_default();
    kind.starts_with("neuroglancer_") || (document.get("scales").is_some() && document.get("data_type").is_some())
}

fn document(path: &Path) -> Option<Vec<u8>> {
    if !path.is_file() {
        return None;
    }
    let mut text = Vec::new();
    nfs::open(path).ok()?.take(DOCUMENT_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

fn is_dicom(path: &Path) -> bool {
    let mut mark = [0; 4];
    nfs::open(path).and_then(|file| file.read_exact_at(&mut mark, 128)).is_ok() && &mark == b"DICM"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[(&str, &[u8])]) -> (String, String) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("f");
        fs::create_dir(&root).unwrap();
        for (name, bytes) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let (what, hint) = Folder::look(&root).unwrap().tell(&root);
        (what, hint.replace(&dir.path().display().to_string(), ""))
    }

    #[test]
    fn folders_of_other_formats_are_told() {
        let dicom = [&[0; 128][..], b"DICM"].concat();
        assert!(told(&[("attributes.json", b"{\"n5\": \"2.5.0\"}")]).0.contains("N5"));
        let array = b"{\"dataType\": \"uint8\", \"dimensions\": [8], \"blockSize\": [8]}";
        assert!(told(&[("attributes.json", array)]).0.contains("N5"));
        assert!(told(&[("info", b"{\"@type\": \"neuroglancer_multiscale_volume\"}")]).0.contains("precomputed"));
        let info = |name: &str| (name == "info").then(|| b"{\"data_type\": \"uint8\", \"scales\": []}".to_vec());
        assert!(Folder::of_documents(info).tell(Path::new("x")).0.contains("precomputed"));
        let (what, hint) = told(&[("1", &dicom), ("2", &dicom), ("readme", b"x")]);
        assert_eq!(
            (what.as_str(), hint.as_str()),
            ("holds 2 DICOM files, and no image of them is read", "convert them: dcm2niix -z y /f")
        );
        let (what, hint) = told(&[("patient/series/1", &dicom)]);
        assert!(
            what.contains("1 DICOM file in a folder below") && hint.ends_with("/f/patient/series"),
            "{what} {hint}"
        );
    }

    #[test]
    fn folders_of_images_name_one_and_others_say_what_is_missing() {
        let nifti = [&[92, 1][..], &[0; 342], b"n+1\0"].concat();
        let (what, hint) = told(&[("b.nii", &nifti), ("a.nii", b""), ("analyze.hdr", &[0; 348]), ("0.txt", b"")]);
        assert!(what.contains("no image itself") && hint.ends_with("/f/b.nii"), "{what} {hint}");
        assert!(told(&[("sub/x.zarr/zarr.json", b"{}")]).1.ends_with("/f/sub/x.zarr"));
        assert!(told(&[("a.txt", b"")]).0.contains("no NIfTI or Zarr in it (1 entry)"));
        assert_eq!(told(&[]).0, "is an empty folder");
    }
}
