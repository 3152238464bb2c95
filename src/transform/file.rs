//! Bytes and lines of a transform file, bounded, and what is wrong with them.

use std::{io::Read, path::Path};

use crate::{
    error::{Error, Result},
    io::itk,
    storage::nfs,
};

/// Transform files hold a few numbers; anything larger is another kind of file.
const MOST_BYTES: u64 = 1 << 20;
/// The same of those that may hold the coefficients of a B-spline, and how they begin.
const MOST_SPLINE_BYTES: u64 = 8 << 20;
const MAY_HOLD_SPLINES: [&[u8]; 3] = [b"#Insight Transform File", b"(", b"//"];
/// Characters of a line that a message shows.
const SHOWN: usize = 60;

/// A file by its first bytes.
#[derive(Debug)]
pub(super) enum Contents {
    Text(String),
    /// Small, and not text: MATLAB.
    Binary(Vec<u8>),
    /// gzip, NIfTI, NRRD or MetaImage: an image under an unusual name.
    Image,
    /// A container that is not read whole.
    Hdf5,
}

/// Reads a small file.
///
/// # Errors
/// More than 1 MiB; MATLAB of level 5, which is another container; text that is not UTF-8.
pub(super) fn read(path: &Path) -> Result<Contents> {
    let mut bytes = Vec::new();
    let file = nfs::open(path).map_err(Error::io("open", path))?;
    let mut file = file.take(MOST_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    let mut most_bytes = MOST_BYTES;
    if MAY_HOLD_SPLINES.iter().any(|start| bytes.starts_with(start)) {
        most_bytes = MOST_SPLINE_BYTES;
        file.set_limit(MOST_SPLINE_BYTES - MOST_BYTES);
        file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    }
    if is_image(&bytes) {
        return Ok(Contents::Image);
    }
    if bytes.starts_with(itk::MAGIC) {
        return Ok(Contents::Hdf5);
    }
    refuse_containers(path, &bytes)?;
    if bytes.len() as u64 > most_bytes {
        let found = format!("more than {} MiB", most_bytes >> 20);
        return Err(Error::malformed(path, "the size", found, "a transform of some numbers, or in HDF5 (.h5)"));
    }
    // A MATLAB header begins with small integers of 32 bits; no text has a NUL.
    if bytes.iter().take(20).any(|&byte| byte == 0) {
        return Ok(Contents::Binary(bytes));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::malformed(path, format!("byte {at}"), "no UTF-8", "text")
    })?;
    Ok(Contents::Text(text))
}

fn is_image(bytes: &[u8]) -> bool {
    let size_of_header = bytes.first_chunk::<4>().map(|&first| (u32::from_le_bytes(first), u32::from_be_bytes(first)));
    let begins = [&[0x1f, 0x8b][..], b"NRRD", b"ObjectType"];
    begins.iter().any(|magic| bytes.starts_with(magic))
        || matches!(size_of_header, Some((348 | 540, _) | (_, 348 | 540)))
}

/// The way out of MATLAB files that are none of ITK's. A text called `.mat` would be taken for FSL's.
pub(super) const MATRIX_AS_TEXT: &str = "save the 4x4 matrix as text, under a name that does not end in .mat: numpy.savetxt('m.txt', M) in Python, save('m.txt', 'M', '-ascii', '-double') in MATLAB";

/// Files that are known and not read: how they begin, what they are, and the way out.
const REFUSED: [(&[u8], &str, &str); 5] = [
    (b"MATLAB 5", "MATLAB files of level 5 are not read", MATRIX_AS_TEXT),
    (b"MATLAB 7", "MATLAB files of level 7 are not read", MATRIX_AS_TEXT),
    (
        b"MNI Transform File",
        "MNI .xfm files are not read",
        "where it is linear, write its rows as text: sed '1,/Linear_Transform/d; s/;//' FILE >NEW.txt; it leads from the source to the target, so give NEW.txt,inverse",
    ),
    (b"mrtrix image", "MRtrix warps are not read", "write it as a displacement field in NIfTI, as ITK has it"),
    (b"version https://git-lfs", "a pointer of git-lfs stands for the file", "fetch the file: git lfs pull"),
];

fn refuse_containers(path: &Path, bytes: &[u8]) -> Result<()> {
    let refusal = |what: &str, hint: &str| {
        Err(Error::Unsupported { path: path.to_path_buf(), what: what.into(), hint: Some(hint.into()) })
    };
    // Comments come first in what elastix and others write.
    let mut rest = bytes;
    while let Some(line) = rest.strip_prefix(b"//") {
        rest = line.iter().position(|&byte| byte == b'\n').map_or(&[], |end| line[end..].trim_ascii_start());
    }
    if bytes.trim_ascii().is_empty() {
        return Err(Error::malformed(path, "the size", "0 bytes, or blanks", "a transform of some numbers"));
    }
    match REFUSED.iter().find(|(magic, ..)| bytes.starts_with(magic) || rest.starts_with(magic)) {
        Some((_, what, hint)) => refusal(what, hint),
        None => Ok(()),
    }
}

/// A text and where it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub path: &'a Path,
    text: &'a str,
}

impl<'a> Text<'a> {
    /// The text of the file at `path`.
    pub(super) fn new(path: &'a Path, text: &'a str) -> Text<'a> {
        Text { path, text: text.trim_start_matches('\u{feff}') }
    }

    /// Lines that are not blank, trimmed, counted from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        let path = self.path;
        let lines = self.text.lines().enumerate().map(move |(n, text)| Line { path, number: n + 1, text: text.trim() });
        lines.filter(|line| !line.text.is_empty())
    }

    /// The text ended before it said `expected`.
    pub(super) fn ended(&self, expected: &str) -> Error {
        Error::malformed(self.path, format!("line {}", self.text.lines().count() + 1), "the end of the file", expected)
    }
}

/// One line of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub path: &'a Path,
    pub number: usize,
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// What stands before `mark`.
    pub(super) fn before(self, mark: char) -> Line<'a> {
        Line { text: self.text.split(mark).next().unwrap_or("").trim(), ..self }
    }

    /// What stands behind `key` and `mark`, if the line begins with them.
    pub(super) fn value(self, key: &str, mark: char) -> Option<Line<'a>> {
        let rest = self.text.strip_prefix(key)?.trim_start().strip_prefix(mark)?;
        Some(Line { text: rest.trim(), ..self })
    }

    /// Finite numbers with blanks or commas between them.
    pub(super) fn numbers(self) -> Result<Vec<f64>> {
        let parts = self.text.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty());
        let number = |part: &str| part.parse().ok().filter(|number: &f64| number.is_finite());
        parts.map(|part| number(part).ok_or_else(|| self.is_not("numbers"))).collect()
    }

    /// Exactly `N` numbers.
    pub(super) fn exactly<const N: usize>(self, what: &str) -> Result<[f64; N]> {
        let numbers = self.numbers()?;
        numbers.try_into().map_err(|_| self.is_not(&format!("{N} numbers: {what}")))
    }

    /// The line is not what was expected.
    pub(super) fn is_not(self, expected: &str) -> Error {
        let shown: String = self.text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        let dots = if self.text.chars().nth(SHOWN).is_some() { "..." } else { "" };
        Error::malformed(self.path, format!("line {}", self.number), format!("'{shown}{dots}'"), expected)
    }
}
