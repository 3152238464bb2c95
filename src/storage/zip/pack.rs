//! Packs a folder into an archive (APPNOTE 6.3.10; RFC-9 of OME-NGFF): entries stored, sizes of 64 bits, the documents of Zarr first.
//!
//! The same folder makes the same bytes: names in order, and one time for all. Of names and records only those of one folder are held;
//! the directory waits in a file of its own until all entries are written.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{entry::LOCAL_BYTES, joined};
use crate::{
    error::{Error, Result},
    storage::nfs,
    sys::writeback::Behind,
};

/// The document that each node of Zarr v3 has.
const DOCUMENT: &str = "zarr.json";
/// Bytes that are copied at once.
const COPY_BYTES: usize = 1 << 20;
/// Needed to read it: sizes of 64 bits (4.4.3.2). Made by it, on Unix.
const VERSION: u16 = 45;
const MADE_BY: u16 = 3 << 8 | VERSION;
/// The first of January 1980, midnight.
const TIME: [u16; 2] = [0, 1 << 5 | 1];
/// A plain file that all may read.
const MODE: u32 = 0o100_644 << 16;

/// What is known of an entry when it was written.
struct Written<'a> {
    name: &'a str,
    bytes: u64,
    crc32: u32,
    at: u64,
}

/// An archive under construction.
struct Packer<'a> {
    folder: &'a Path,
    path: &'a Path,
    archive: File,
    /// Bytes so far.
    at: u64,
    entries: u64,
    directory: BufWriter<File>,
    behind: Behind,
    buffer: Vec<u8>,
    /// Looked at for each [`COPY_BYTES`].
    go_on: &'a dyn Fn() -> Result<()>,
}

/// Packs all files of `folder` into the archive `path`, in place of what is there. `path` with `.directory` behind it is used meanwhile.
/// `go_on` may end it.
///
/// # Errors
/// Those of the files, and those of `go_on`.
pub fn pack(folder: &Path, path: &Path, comment: &str, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
    let mut aside = path.as_os_str().to_os_string();
    aside.push(".directory");
    let aside = PathBuf::from(aside);
    let create = |path: &Path| nfs::create_anew(path).map_err(Error::io("create", path));
    let mut packer = Packer {
        folder,
        path,
        archive: create(path)?,
        at: 0,
        entries: 0,
        directory: BufWriter::new(create(&aside)?),
        behind: Behind::default(),
        buffer: vec![0; COPY_BYTES],
        go_on,
    };
    packer.documents()?;
    packer.files()?;
    packer.end(&aside, comment)?;
    fs::remove_file(&aside).map_err(Error::io("remove", &aside))
}

impl Packer<'_> {
    /// The documents of all nodes, those of one depth after those above; arrays have no nodes below them that matter to this.
    fn documents(&mut self) -> Result<()> {
        let mut waiting = VecDeque::from([String::new()]);
        while let Some(node) = waiting.pop_front() {
            let document = joined([&node, DOCUMENT, ""]);
            if !self.folder.join(&document).is_file() {
                continue;
            }
            self.add(&document)?;
            waiting.extend(self.names(&node)?.into_iter().filter(|entry| entry.is_folder).map(|entry| entry.path));
        }
        Ok(())
    }

    /// All other files, folder by folder.
    fn files(&mut self) -> Result<()> {
        let mut open = vec![self.names("")?.into_iter()];
        while let Some(entries) = open.last_mut() {
            match entries.next() {
                None => drop(open.pop()),
                Some(entry) if entry.is_folder => open.push(self.names(&entry.path)?.into_iter()),
                Some(entry) if is_document(&entry.path) => {}
                Some(entry) => self.add(&entry.path)?,
            }
        }
        Ok(())
    }

    /// What a folder holds, by names.
    fn names(&self, below: &str) -> Result<Vec<Name>> {
        let folder = self.folder.join(below);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::io("list", &folder))? {
            let entry = entry.map_err(Error::io("list", &folder))?;
            let kind = entry.file_type().map_err(Error::io("inspect", entry.path()))?;
            let name = entry.file_name();
            let name = name.to_str().filter(|_| kind.is_dir() || kind.is_file()).ok_or_else(|| Error::Unsupported {
                path: entry.path(),
                what: "is no file of a Zarr".into(),
                hint: Some("remove it".into()),
            })?;
            names.push(Name { path: joined([below, name, ""]), is_folder: kind.is_dir() });
        }
        names.sort_unstable();
        Ok(names)
    }

    fn add(&mut self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        let mut file = nfs::open(&path).map_err(Error::io("open", &path))?;
        let bytes = file.metadata().map_err(Error::io("examine", &path))?.len();
        let mut written = Written { name, bytes, crc32: 0, at: self.at };
        let head = local(&written);
        self.write(&head)?;
        let (mut crc32, mut left) = (crc32fast::Hasher::new(), bytes);
        while left > 0 {
            (self.go_on)()?;
            let mut buffer = std::mem::take(&mut self.buffer);
            let len = left.min(buffer.len() as u64) as usize;
            let read = file.read_exact(&mut buffer[..len]).map_err(Error::io("read", &path));
            let written = read.and_then(|()| self.write(&buffer[..len]));
            crc32.update(&buffer[..len]);
            (self.buffer, left) = (buffer, left - len as u64);
            written?;
        }
        written.crc32 = crc32.finalize();
        // The checksum stands before what it is of.
        self.archive.write_all_at(&local(&written), written.at).map_err(Error::io("write", self.path))?;
        self.directory.write_all(&central(&written)).map_err(Error::io("write", self.path))?;
        self.entries += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.archive.write_all_at(bytes, self.at).map_err(Error::io("write", self.path))?;
        self.behind.wrote(&self.archive, bytes.len() as u64);
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// The directory, and the records that say where it is.
    fn end(mut self, aside: &Path, comment: &str) -> Result<()> {
        self.directory.flush().map_err(Error::io("write", aside))?;
        let (start, mut directory) = (self.at, nfs::open(aside).map_err(Error::io("open", aside))?);
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            (self.go_on)()?;
            match directory.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => self.write(&buffer[..n])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", aside)(e)),
            }
        }
        let records = ends(self.entries, start, self.at - start, comment);
        self.write(&records)?;
        self.archive.sync_all().map_err(Error::io("write back", self.path))
    }
}

/// A file or a folder, by its path below the root.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    path: String,
    is_folder: bool,
}

fn is_document(path: &str) -> bool {
    path.rsplit('/').next() == Some(DOCUMENT)
}

/// What both records of an entry have: from the version that is needed to the length of the name.
fn shared(entry: &Written<'_>) -> Vec<u8> {
    let [time, date] = TIME;
    let mut bytes = [VERSION, 0, 0, time, date].map(u16::to_le_bytes).concat();
    bytes.extend([entry.crc32, u32::MAX, u32::MAX].map(u32::to_le_bytes).concat());
    bytes.extend((entry.name.len() as u16).to_le_bytes());
    bytes
}

/// The extra field with these numbers of 64 bits.
fn large(numbers: &[u64]) -> Vec<u8> {
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    [&1u16.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &data].concat()
}

/// What stands before the bytes of an entry (4.3.7).
fn local(entry: &Written<'_>) -> Vec<u8> {
    let extra = large(&[entry.bytes, entry.bytes]);
    let head = [&b"PK\x03\x04"[..], &shared(entry), &(extra.len() as u16).to_le_bytes()].concat();
    debug_assert_eq!(head.len() as u64, LOCAL_BYTES);
    [&head[..], entry.name.as_bytes(), &extra].concat()
}

/// The record of an entry in the directory (4.3.12).
fn central(entry: &Written<'_>) -> Vec<u8> {
    let extra = large(&[entry.bytes, entry.bytes, entry.at]);
    let head = [&b"PK\x01\x02"[..], &MADE_BY.to_le_bytes(), &shared(entry), &(extra.len() as u16).to_le_bytes()];
    // No comment, the first disk, no attribute but the mode; the place is in the extra field.
    let tail = [&[0; 6][..], &MODE.to_le_bytes(), &u32::MAX.to_le_bytes(), entry.name.as_bytes(), &extra];
    [head.concat(), tail.concat()].concat()
}

/// The end records, large and small, with the locator of the large one between them (4.3.14 to 4.3.16).
fn ends(entries: u64, start: u64, bytes: u64, comment: &str) -> Vec<u8> {
    let mut large = [&b"PK\x06\x06"[..], &44u64.to_le_bytes(), &MADE_BY.to_le_bytes(), &VERSION.to_le_bytes()].concat();
    large.extend([0; 8]);
    large.extend([entries, entries, bytes, start].map(u64::to_le_bytes).concat());
    large.extend([&b"PK\x06\x07\0\0\0\0"[..], &(start + bytes).to_le_bytes(), &1u32.to_le_bytes()].concat());
    let count = u16::try_from(entries).unwrap_or(u16::MAX).to_le_bytes();
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    large.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &small(bytes), &small(start)].concat());
    large.extend([&(comment.len() as u16).to_le_bytes()[..], comment.as_bytes()].concat());
    large
}
