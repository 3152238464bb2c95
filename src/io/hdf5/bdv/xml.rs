//! The document of BigDataViewer: where the voxels are, and the setups of its views.
//!
//! Source: <https://imagej.net/plugins/bdv>, "XML File Format".

use std::{
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use crate::{
    io::tiff::{
        fault::Fault,
        xml::{Tag, Tags},
    },
    storage::nfs,
};

/// Bytes of a document, its setups, and letters of one word, at most.
const MOST_BYTES: u64 = 256 << 20;
const MOST_SETUPS: usize = 1 << 14;
const MOST_LETTERS: usize = 256;
/// Bytes in which the mark of a document must stand.
const START_BYTES: u64 = 4096;
const DEEPEST: usize = 64;

/// One setup: what a microscope did the same way at all times.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Setup {
    pub id: u64,
    pub name: String,
    /// Voxels along x, y, z.
    pub size: Option<[f64; 3]>,
    /// Steps along x, y, z.
    pub steps: Option<[f64; 3]>,
    pub unit: String,
    pub channel: String,
    /// Angle, tile, illumination and what else tells it apart, but for the channel.
    pub apart: String,
}

/// What a document says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Document {
    /// The HDF5 file.
    pub file: PathBuf,
    pub setups: Vec<Setup>,
    /// Whether some view is turned or shifted.
    pub is_moved: bool,
}

/// Reads a document; `None` where the file is none of BigDataViewer.
///
/// # Errors
/// Those of reading; XML that is damaged; images in another format.
pub(crate) fn read(path: &Path) -> Result<Option<Document>, Fault> {
    let mut start = Vec::new();
    nfs::open(path)?.take(START_BYTES).read_to_end(&mut start)?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(byte));
    if first != Some(&b'<') || !start.windows(9).any(|part| part == b"<SpimData") {
        return Ok(None);
    }
    let mut document = parse(nfs::open(path)?.take(MOST_BYTES))?;
    document.file = path.parent().unwrap_or(Path::new("")).join(document.file);
    Ok(Some(document))
}

/// What a document says; its file as it stands, below the base path.
fn parse(from: impl Read) -> Result<Document, Fault> {
    let mut reading = Reading::default();
    let mut tags = Tags::new(from);
    let damaged = |error: io::Error| match error.kind() {
        ErrorKind::InvalidData => Fault::wrong("the XML", error, "a document of BigDataViewer"),
        _ => Fault::Io(error),
    };
    while let Some(tag) = tags.next().map_err(damaged)? {
        match tag {
            Tag::Open { name, attributes } => {
                let text = tags.text(MOST_LETTERS).map_err(damaged)?;
                reading.open.push(name);
                if reading.open.len() > DEEPEST {
                    return Err(Fault::wrong("the XML", format!("more than {DEEPEST} elements deep"), "fewer"));
                }
                reading.see(&attributes, text)?;
            }
            Tag::Close { .. } => {
                reading.open.pop();
            }
        }
    }
    let (file, base) = (reading.file, reading.base.unwrap_or_default());
    let Some(file) = file else {
        return Err(Fault::wrong("the XML", "without an HDF5 file", "an ImageLoader of the format bdv.hdf5"));
    };
    Ok(Document { file: Path::new(&base).join(file), ..reading.document })
}

/// A document that is being read.
#[derive(Default)]
struct Reading {
    /// The names of the elements that are open.
    open: Vec<String>,
    document: Document,
    base: Option<String>,
    file: Option<String>,
}

impl Reading {
    /// Takes what the element that was opened last says.
    fn see(&mut self, attributes: &[(String, String)], text: String) -> Result<(), Fault> {
        let open: Vec<&str> = self.open.iter().map(String::as_str).collect();
        let attribute = |name: &str| attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let setups = &mut self.document.setups;
        match open[..] {
            ["SpimData", "BasePath"] => self.base = Some(text),
            ["SpimData", "SequenceDescription", "ImageLoader"] => {
                let format = attribute("format").unwrap_or("an unknown format");
                if format != "bdv.hdf5" {
                    let what =
                        format!("is a document of BigDataViewer whose images are in {format:.40}, which is not read");
                    return Err(Fault::Unread(what));
                }
            }
            ["SpimData", "SequenceDescription", "ImageLoader", "hdf5"] => self.file = Some(text),
            ["SpimData", "SequenceDescription", "ViewSetups", "ViewSetup"] => {
                if setups.len() == MOST_SETUPS {
                    return Err(Fault::wrong("the XML", format!("more than {MOST_SETUPS} setups"), "fewer"));
                }
                setups.push(Setup::default());
            }
            ["SpimData", "SequenceDescription", "ViewSetups", "ViewSetup", ..] => {
                if let Some(setup) = setups.last_mut() {
                    setup.see(&open[4..], text)?;
                }
            }
            ["SpimData", "ViewRegistrations", "ViewRegistration", "ViewTransform", "affine"] => {
                let affine = numbers::<12>(&text);
                let is_scaled = |n: usize, value: f64| n.is_multiple_of(5) || value.abs() < 1e-9;
                let is_plain =
                    affine.is_some_and(|all| all.into_iter().enumerate().all(|(n, value)| is_scaled(n, value)));
                self.document.is_moved |= !is_plain;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Setup {
    /// Takes what an element within a setup says.
    fn see(&mut self, within: &[&str], text: String) -> Result<(), Fault> {
        let three = |what: &str| {
            let found = numbers::<3>(&text).filter(|all| all.iter().all(|&n| n.is_finite() && n > 0.0));
            found.ok_or_else(|| Fault::wrong(what, format!("{text:?}"), "three numbers above 0"))
        };
        match *within {
            ["id"] => self.id = text.parse().map_err(|_| Fault::wrong("the id of a setup", &text, "a number"))?,
            ["name"] => self.name = text,
            ["size"] => self.size = Some(three("the size of a setup")?),
            ["voxelSize", "unit"] => self.unit = text,
            ["voxelSize", "size"] => self.steps = Some(three("the voxel size of a setup")?),
            ["attributes", "channel"] => self.channel = text,
            ["attributes", name] if self.apart.len() < MOST_LETTERS => {
                self.apart += &format!("{name:.40} {text:.40}; ");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Numbers with blanks between them.
fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let all: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    all.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<?xml version='1.0'?><SpimData version='0.2'><BasePath type='relative'>sub</BasePath>
        <SequenceDescription><ImageLoader format='bdv.hdf5'><hdf5 type='relative'>a.h5</hdf5></ImageLoader>
        <ViewSetups><ViewSetup><id>0</id><name>first</name><size>29 23 20</size>
        <voxelSize><unit>um</unit><size>0.5 0.5 2</size></voxelSize>
        <attributes><illumination>0</illumination><channel>1</channel></attributes></ViewSetup>
        <Attributes name='channel'><Channel><id>1</id><name>1</name></Channel></Attributes></ViewSetups></SequenceDescription>
        <ViewRegistrations><ViewRegistration timepoint='0' setup='0'><ViewTransform type='affine'>
        <affine>1.0 0 0 0 0 1.0 0 0 0 0 4.0 0</affine></ViewTransform></ViewRegistration></ViewRegistrations></SpimData>";

    #[test]
    fn setups_have_size_steps_and_channel() {
        let document = parse(TEXT.as_bytes()).unwrap();
        let setup = Setup {
            id: 0,
            name: "first".into(),
            size: Some([29.0, 23.0, 20.0]),
            steps: Some([0.5, 0.5, 2.0]),
            unit: "um".into(),
            channel: "1".into(),
            apart: "illumination 0; ".into(),
        };
        assert_eq!(document, Document { file: "sub/a.h5".into(), setups: vec![setup], is_moved: false });
        assert!(parse(TEXT.replace("4.0 0<", "4.0 7<").as_bytes()).unwrap().is_moved);
        assert!(parse(TEXT.replace("1.0 0 0 0 0 1.0", "1.0 0.1 0 0 0 1.0").as_bytes()).unwrap().is_moved);
    }

    #[test]
    fn what_is_not_read_is_told() {
        let told = |text: String| match parse(text.as_bytes()) {
            Err(Fault::Unread(what)) => what,
            Err(Fault::Wrong { field, found, .. }) => format!("{field} is {found}"),
            other => panic!("{other:?}"),
        };
        assert!(told(TEXT.replace("bdv.hdf5", "bdv.n5")).contains("in bdv.n5"));
        assert!(told(TEXT.replace("29 23 20", "29 23")).contains("the size of a setup is \"29 23\""));
        assert!(told(TEXT.replace("hdf5>", "h>").replace("<hdf5", "<h")).contains("without an HDF5 file"));
        for cut in 0..TEXT.len() {
            let _ = parse(&TEXT.as_bytes()[..cut]);
        }
    }
}
