//! OME-XML: the images of a file, and where their planes are.
//!
//! Source: OME-TIFF specification, OME 2016-06 schema. Documents are read tag by tag, in fixed memory; of an image the list of its planes is kept.

use std::io::{self, ErrorKind, Read};

use super::{
    fault::Fault,
    series::{Described, Lead},
    xml::{Tag, Tags},
};
use crate::geometry::{Unit, time_name};

/// Images of a file, at most: plates have thousands.
const MOST_IMAGES: usize = 1 << 14;
/// Letters of a name that are kept.
const MOST_LETTERS: usize = 100;

/// One image: its axes, and what else matters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Image {
    pub name: String,
    /// `XYZCT` and so on: the axes of planes, fastest first.
    order: String,
    /// Along z, c, t; samples of a voxel not counted among the channels.
    sizes: [u64; 3],
    /// Samples of a voxel.
    samples: u64,
    /// The largest `FirstC` of its planes.
    last_channel: u64,
    steps: [Option<(f64, Unit)>; 3],
    time: Option<(f64, String)>,
}

type Attributes = Vec<(String, String)>;

fn of<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.trim())
}

fn number(attributes: &Attributes, name: &str) -> Result<Option<u64>, Fault> {
    let Some(value) = of(attributes, name) else { return Ok(None) };
    match value.parse() {
        Ok(n) => Ok(Some(n)),
        Err(_) => Err(Fault::wrong(format!("{name} of the OME-XML"), format!("'{}'", short(value)), "a number")),
    }
}

fn short(text: &str) -> String {
    text.chars().take(MOST_LETTERS).collect()
}

/// What is wrong with the document, as far as it is not a matter of reading.
fn fault(error: io::Error) -> Fault {
    match error.kind() {
        ErrorKind::InvalidData => Fault::wrong("the OME-XML", error, "a document that can be read"),
        _ => Fault::Io(error),
    }
}

/// All images of a document, in its order. `samples` of a voxel are taken where it does not state them.
///
/// # Errors
/// A document that cannot be read or says what cannot be; metadata in another file.
pub(super) fn images(document: impl Read, samples: u64) -> Result<Vec<Image>, Fault> {
    let mut tags = Tags::new(document);
    let (mut images, mut name): (Vec<Image>, Option<String>) = (Vec::new(), None);
    let mut is_within = false;
    while let Some(tag) = tags.next().map_err(fault)? {
        match tag {
            Tag::Open { name: tag, attributes } => match tag.as_str() {
                "BinaryOnly" => {
                    let file = of(&attributes, "MetadataFile").unwrap_or("another file");
                    return Err(Fault::Unread(format!("has its metadata in {}, which is not read", short(file))));
                }
                "Image" => {
                    let id = of(&attributes, "ID").unwrap_or("");
                    name = Some(short(of(&attributes, "Name").filter(|name| !name.is_empty()).unwrap_or(id)));
                }
                "Pixels" if images.len() < MOST_IMAGES => {
                    if let Some(name) = name.take() {
                        images.push(image(name, &attributes)?);
                        is_within = true;
                    }
                }
                "Pixels" => {
                    return Err(Fault::wrong("the number of images", format!("more than {MOST_IMAGES}"), "fewer"));
                }
                "Channel" if is_within => {
                    let samples = number(&attributes, "SamplesPerPixel")?.unwrap_or(1);
                    if let Some(image) = images.last_mut() {
                        image.samples = image.samples.max(samples);
                    }
                }
                "TiffData" if is_within => {
                    let channel = number(&attributes, "FirstC")?.unwrap_or(0);
                    if let Some(image) = images.last_mut() {
                        image.last_channel = image.last_channel.max(channel);
                    }
                }
                "StructuredAnnotations" => break,
                _ => {}
            },
            Tag::Close { name } if name == "Pixels" => is_within = false,
            Tag::Close { .. } => {}
        }
    }
    for image in &mut images {
        let channels = image.sizes[1];
        if image.samples == 1 && channels % samples.max(1) == 0 {
            image.samples = samples.max(1);
        }
        if channels % image.samples != 0 {
            let found = format!("{channels} channels of {} samples", image.samples);
            return Err(Fault::wrong("SizeC of the OME-XML", found, "a multiple of the samples"));
        }
        image.sizes[1] = channels / image.samples;
    }
    Ok(images)
}

fn image(name: String, attributes: &Attributes) -> Result<Image, Fault> {
    let size = |name: &str| match number(attributes, name)? {
        Some(0) => Err(Fault::wrong(format!("{name} of the OME-XML"), 0, "1 or more")),
        other => Ok(other.unwrap_or(1)),
    };
    let order = of(attributes, "DimensionOrder").unwrap_or("XYZCT");
    let is_order =
        order.len() == 5 && order.starts_with("XY") && ['Z', 'C', 'T'].iter().all(|axis| order.contains(*axis));
    if !is_order {
        let expected = "X, Y and then Z, C, T in some order";
        return Err(Fault::wrong("DimensionOrder of the OME-XML", format!("'{}'", short(order)), expected));
    }
    let step = |axis: &str| {
        let value = of(attributes, &format!("PhysicalSize{axis}"))?.parse::<f64>().ok()?;
        let unit = match of(attributes, &format!("PhysicalSize{axis}Unit")) {
            None => Unit::Micrometre,
            Some("reference frame" | "pixel") => Unit::Unknown,
            Some(name) => Unit::from_name(name),
        };
        (value.is_finite() && value > 0.0).then_some((value, unit))
    };
    let time = of(attributes, "TimeIncrement").and_then(|value| value.parse::<f64>().ok());
    let time = time.filter(|value| value.is_finite() && *value > 0.0);
    let unit = of(attributes, "TimeIncrementUnit").unwrap_or("s");
    let unit = time_name(unit).unwrap_or(unit).to_string();
    Ok(Image {
        name,
        order: order.into(),
        sizes: [size("SizeZ")?, size("SizeC")?, size("SizeT")?],
        samples: 1,
        last_channel: 0,
        steps: [step("Z"), step("Y"), step("X")],
        time: time.map(|time| (time, unit)),
    })
}

impl Image {
    /// Its axes and steps.
    pub(super) fn described(&self) -> Described {
        let mut warnings = Vec::new();
        let unit = self.steps.iter().rev().flatten().map(|(_, unit)| unit.clone()).next().unwrap_or(Unit::Unknown);
        let steps = ["z", "y", "x"].iter().zip(&self.steps).map(|(axis, step)| {
            let (value, own) = step.as_ref()?;
            let factor = own.factor_to(&unit);
            if factor.is_none() {
                warnings.push(format!("axis '{axis}' has the unit \"{}\", taken as {}", own.symbol(), unit.symbol()));
            }
            Some(value * factor.unwrap_or(1.0))
        });
        let steps: Vec<Option<f64>> = steps.collect();
        let lead = |axis: char| {
            let (name, len) = match axis {
                'Z' => ("z", self.sizes[0]),
                'C' => ("c", self.sizes[1]),
                _ => ("t", self.sizes[2]),
            };
            let lead = Lead::new(name, len);
            match (&self.time, axis) {
                (Some((step, unit)), 'T') => Lead { step: *step, unit: Some(unit.clone()), ..lead },
                _ => lead,
            }
        };
        let leads = self.order.chars().skip(2).collect::<Vec<_>>().into_iter().rev().map(lead).collect();
        Described {
            kind: "OME-TIFF",
            leads,
            steps: [steps[0], steps[1], steps[2]],
            scales: [1.0; 3],
            unit,
            origin: [0.0; 3],
            warnings,
        }
    }

    /// How many pages it has; `None` where that is no number.
    pub(super) fn pages(&self) -> Option<u64> {
        self.sizes.iter().try_fold(1u64, |n, size| n.checked_mul(*size))
    }

    /// The channel that `FirstC` names: writers count channels, or the samples of all of them.
    fn channel(&self, first: u64) -> u64 {
        if self.last_channel < self.sizes[1] { first } else { first / self.samples.max(1) }
    }

    /// Position of a plane in the order of the image.
    fn position(&self, [z, c, t]: [u64; 3]) -> Option<u64> {
        let (mut position, mut stride) = (0u64, 1u64);
        for axis in self.order.chars().skip(2) {
            let (at, len) = match axis {
                'Z' => (z, self.sizes[0]),
                'C' => (c, self.sizes[1]),
                _ => (t, self.sizes[2]),
            };
            if at >= len {
                return None;
            }
            position += at * stride;
            stride *= len;
        }
        Some(position)
    }
}

/// The directory of a plane that the file does not have, as an acquisition that was broken off leaves them.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The numbers of the directories of the planes of image `n`, in the order of its planes. `most` is how many directories the file can have; `file` is
/// its name.
///
/// # Errors
/// No plane has a place, or some are in other files.
pub(super) fn places(
    document: impl Read,
    images: &[Image],
    n: usize,
    most: u64,
    file: &str,
) -> Result<Vec<u32>, Fault> {
    let image = &images[n];
    let pages = image.pages().filter(|pages| *pages <= most);
    let Some(pages) = pages else {
        let [z, c, t] = image.sizes;
        return Err(Fault::wrong(
            "the size in the OME-XML",
            format!("{z} x {c} x {t} planes"),
            format!("at most {most}, by the file and --memory"),
        ));
    };
    // Where nothing is said the images follow each other.
    let start = images[..n].iter().try_fold(0u64, |sum, image| sum.checked_add(image.pages()?)).unwrap_or(u64::MAX);
    let mut places = Places { image, list: vec![NOWHERE; pages as usize], start, most };
    let mut files = Files { own: file, root: String::new(), named: None };
    let mut tags = Tags::new(document);
    let (mut seen, mut is_within, mut has_data, mut at) = (0, false, false, None);
    while let Some(tag) = tags.next().map_err(fault)? {
        match tag {
            Tag::Open { name, attributes } => match name.as_str() {
                "OME" => files.root = short(of(&attributes, "UUID").unwrap_or("")),
                "Image" => at = Some(()),
                "Pixels" if at.take().is_some() => {
                    is_within = seen == n;
                    seen += 1;
                }
                "TiffData" if is_within => {
                    has_data = true;
                    places.take(&attributes)?;
                }
                "UUID" if is_within => {
                    let named = short(of(&attributes, "FileName").unwrap_or(""));
                    files.see(named, &tags.text(MOST_LETTERS).map_err(fault)?)?;
                }
                "StructuredAnnotations" => break,
                _ => {}
            },
            Tag::Close { name } if name == "Pixels" && is_within => break,
            Tag::Close { .. } => {}
        }
    }
    if !has_data {
        places.take(&Vec::new())?;
    }
    places.complete()
}

struct Places<'a> {
    image: &'a Image,
    list: Vec<u32>,
    start: u64,
    most: u64,
}

impl Places<'_> {
    /// A `TiffData`: planes from one on, in the directories from one on.
    fn take(&mut self, attributes: &Attributes) -> Result<(), Fault> {
        let directory = number(attributes, "IFD")?;
        let first = |axis: &str| number(attributes, &format!("First{axis}")).map(Option::unwrap_or_default);
        let at = [first("Z")?, self.image.channel(first("C")?), first("T")?];
        let count = number(attributes, "PlaneCount")?.or(number(attributes, "NumPlanes")?);
        let position = self.image.position(at);
        let Some(position) = position else {
            let [z, c, t] = at;
            return Err(Fault::wrong(
                "a TiffData of the OME-XML",
                format!("for z {z}, c {c}, t {t}"),
                "a plane that the image has",
            ));
        };
        let left = self.list.len() as u64 - position;
        // Without anything: all that follows.
        let count = count.unwrap_or(if directory.is_some() { 1 } else { left }).min(left);
        let directory = directory.unwrap_or(self.start);
        if directory.checked_add(count).is_none_or(|end| end > self.most) {
            let found = format!("{count} directories from {directory} on");
            return Err(Fault::wrong(
                "a TiffData of the OME-XML",
                found,
                format!("at most {}, by the file and --memory", self.most),
            ));
        }
        for n in 0..count {
            self.list[(position + n) as usize] = (directory + n) as u32;
        }
        Ok(())
    }

    fn complete(self) -> Result<Vec<u32>, Fault> {
        if self.list.iter().all(|place| *place == NOWHERE) {
            let found = format!("none of {} planes", self.list.len());
            return Err(Fault::wrong("what the OME-XML has a place for", found, "one of them at least"));
        }
        Ok(self.list)
    }
}

/// The files that planes are said to be in.
struct Files<'a> {
    own: &'a str,
    root: String,
    named: Option<String>,
}

impl Files<'_> {
    /// A plane is in the file with this name and UUID: this one, or a renamed one if all planes are in it.
    fn see(&mut self, named: String, uuid: &str) -> Result<(), Fault> {
        let is_own =
            named == self.own || (!uuid.is_empty() && uuid == self.root) || (named.is_empty() && uuid.is_empty());
        let other = match &self.named {
            _ if is_own => None,
            Some(before) if *before != named => Some(before.clone()),
            _ if !uuid.is_empty() && !self.root.is_empty() => Some(self.own.to_string()),
            _ => None,
        };
        if let Some(other) = other {
            return Err(Fault::Unread(format!(
                "is one of several files of an image ({other}, {named}), which are not read"
            )));
        }
        self.named = Some(if is_own { self.own.to_string() } else { named });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
