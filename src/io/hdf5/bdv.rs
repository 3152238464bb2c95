//! BigDataViewer's HDF5: times, setups and levels are groups, each with a dataset of three axes.
//!
//! `/t00000/s00/0/cells` has the voxels, `/s00/resolutions` the voxels of the finest level that a voxel of each level spans. The `.xml` beside it has the size of a voxel.
//! Samples of 16 bits are unsigned, and stored as signed ones.
//!
//! Source: <https://imagej.net/plugins/bdv>, "About the BigDataViewer data format".

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use super::{
    bytes::Bytes,
    group::{Link, child, links, numbered},
    matrix,
    volumes::{Described, Volumes, axis, level},
};
use crate::{geometry::Unit, io::tiff::fault::Fault};

mod xml;

pub(super) use xml::{Document, Setup, read as document};

/// Images that are listed where none was chosen.
const MOST_LISTED: usize = 30;
/// Levels of an image, at most.
const MOST_LEVELS: usize = 64;

/// An image: setups that differ in their channel alone.
#[derive(Clone, Debug, Default, PartialEq)]
struct Image {
    name: String,
    /// In the order of their channels.
    setups: Vec<u64>,
    /// The first of them, where the XML describes it.
    of: Option<Setup>,
}

/// An image of a file of BigDataViewer; `None` where it is none.
///
/// # Errors
/// Damage; times, setups or levels that are missing; several images, of which none was chosen.
pub(super) fn describe(
    path: &Path,
    bytes: &Bytes,
    root: &[Link],
    document: Option<Document>,
    asked: Option<&str>,
    asked_level: Option<usize>,
) -> Result<Option<Described>, Fault> {
    let (setups, times) = (numbered(root, "s"), numbered(root, "t"));
    let (Some(&(_, Some(first))), false) = (setups.first(), times.is_empty()) else { return Ok(None) };
    if child(bytes, first, "resolutions")?.is_none() {
        return Ok(None);
    }
    let mut warnings = Vec::new();
    let document = document.or_else(|| beside(path, &mut warnings));
    let places: HashMap<u64, Option<u64>> = setups.iter().copied().collect();
    let images = images(&setups.iter().map(|setup| setup.0).collect::<Vec<_>>(), document.as_ref());
    let image = chosen(path, &images, asked)?;
    if document.as_ref().is_some_and(|document| document.is_moved) {
        warnings.push("its views are turned or shifted by registrations, which are not applied".into());
    }
    let factors = factors(bytes, image.setups.first().and_then(|setup| places.get(setup).copied().flatten()))?;
    let level = level(asked_level, factors.len())?;
    let volumes = volumes(bytes, &times, &image.setups, level)?;
    let shape = volumes.storage()?.shape;
    if volumes.absent > 0 {
        let (missing, all) = (volumes.absent, volumes.trees.len());
        warnings.push(format!("{missing} of {all} views are not in the file: 0 is taken for their voxels"));
    }
    if times.last().is_some_and(|last| last.0 - times[0].0 != times.len() as u64 - 1) {
        warnings.push(format!("some times are left out: the {} that there are follow each other", times.len()));
    }
    let [steps, origin] = place_of(image.of.as_ref(), factors[level]);
    check_size(image.of.as_ref(), shape, level, &mut warnings);
    let axes = [("t", times.len()), ("c", image.setups.len())];
    Ok(Some(Described {
        kind: "BigDataViewer",
        axes: axes.into_iter().filter(|(_, len)| *len > 1).map(|(name, len)| axis(name, len)).collect(),
        volumes,
        shape,
        steps,
        origin: origin.map(|at| at.unwrap_or(0.0)),
        unit: unit(image.of.as_ref()),
        level: (level, factors.len()),
        is_unsigned: true,
        warnings,
    }))
}

/// The document of the same name, where there is one that speaks of this file.
fn beside(path: &Path, warnings: &mut Vec<String>) -> Option<Document> {
    let xml = path.with_extension("xml");
    if !xml.is_file() {
        return None;
    }
    match document(&xml) {
        Ok(document) => {
            let same =
                |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
            document.filter(|document| same(&document.file, path))
        }
        Err(fault) => {
            warnings.push(format!("the XML beside it is passed over: {}", fault.of(&xml)));
            None
        }
    }
}

/// The images of the setups in a file, in the order of their first setups.
fn images(setups: &[u64], document: Option<&Document>) -> Vec<Image> {
    let described: HashMap<u64, &Setup> =
        document.into_iter().flat_map(|document| &document.setups).map(|setup| (setup.id, setup)).collect();
    let mut groups: BTreeMap<(u64, String), Vec<u64>> = BTreeMap::new();
    let mut firsts: HashMap<String, u64> = HashMap::new();
    for &id in setups {
        let alike = described
            .get(&id)
            .map(|setup| format!("{:?} {:?} {} {}", setup.size, setup.steps, setup.unit, setup.apart));
        let key = alike.unwrap_or_else(|| format!("setup {id}"));
        let first = *firsts.entry(key.clone()).or_insert(id);
        groups.entry((first, key)).or_default().push(id);
    }
    let channel = |id: &u64| described.get(id).map_or("", |setup| setup.channel.as_str());
    let named = |id: u64| {
        let of = described.get(&id).map(|setup| (*setup).clone());
        let name = of.as_ref().map(|setup| setup.name.clone()).filter(|name| !name.is_empty());
        (name.unwrap_or_else(|| format!("setup {id}")), of)
    };
    let mut images = Vec::new();
    for (_, mut ids) in groups {
        ids.sort_by_key(|id| (channel(id).parse().unwrap_or(u64::MAX), *id));
        let are_channels = ids.windows(2).all(|pair| channel(&pair[0]) != channel(&pair[1]));
        let parts: Vec<Vec<u64>> = if are_channels { vec![ids] } else { ids.into_iter().map(|id| vec![id]).collect() };
        for setups in parts {
            let (name, of) = named(setups[0]);
            images.push(Image { name, setups, of });
        }
    }
    images
}

/// The image that is asked for by its number or name, or the only one.
fn chosen<'a>(path: &Path, images: &'a [Image], asked: Option<&str>) -> Result<&'a Image, Fault> {
    let by = |asked: &str| {
        let number = asked.parse().ok().and_then(|n: usize| images.get(n));
        number.or_else(|| images.iter().find(|image| image.name == asked))
    };
    match (asked.map(by), images) {
        (Some(Some(image)), _) | (None, [image]) => Ok(image),
        _ => {
            let told = |(n, image): (usize, &Image)| match image.setups.len() {
                1 => format!("{n} {}", image.name),
                count => format!("{n} {} and {} channels more", image.name, count - 1),
            };
            let shown = images.iter().enumerate().take(MOST_LISTED).map(told).collect::<Vec<_>>().join("\n  ");
            let (file, count) = (path.display(), images.len());
            let begin = asked.map_or_else(
                || format!("{file} has {count} images"),
                |asked| format!("{file} has no image {asked:.60}"),
            );
            Err(Fault::Asked(format!("{begin}:\n  {shown}"), format!("name one of them: '{file}?image=0'")))
        }
    }
}

/// Voxels of the finest level that a voxel of each level spans, x, y, z.
fn factors(bytes: &Bytes, setup: Option<u64>) -> Result<Vec<[f64; 3]>, Fault> {
    let table = match setup {
        Some(setup) => child(bytes, setup, "resolutions")?,
        None => None,
    };
    let table = table.ok_or_else(|| Fault::wrong("a setup", "without a table of resolutions", "one"))?;
    let factors = matrix::read::<3>(bytes, table, "the table of resolutions")?;
    let is_factor = |factor: &f64| factor.is_finite() && *factor > 0.0;
    if factors.is_empty() || factors.len() > MOST_LEVELS || !factors.iter().flatten().all(is_factor) {
        let found = format!("{:?}", &factors[..factors.len().min(8)]);
        return Err(Fault::wrong(
            "the table of resolutions",
            found,
            format!("1 to {MOST_LEVELS} rows of numbers above 0"),
        ));
    }
    Ok(factors)
}

/// All times of the setups of an image.
fn volumes(bytes: &Bytes, times: &[(u64, Option<u64>)], setups: &[u64], level: usize) -> Result<Volumes, Fault> {
    let mut volumes = Volumes::default();
    for &(t, time) in times {
        let there: HashMap<u64, Option<u64>> = match time {
            Some(time) => numbered(&links(bytes, time)?.unwrap_or_default(), "s").into_iter().collect(),
            None => HashMap::new(),
        };
        for setup in setups {
            if !there.contains_key(setup) {
                volumes.add_absent()?;
                continue;
            }
            let mut at = there.get(setup).copied().flatten();
            for name in [level.to_string().as_str(), "cells"] {
                at = match at {
                    Some(above) => child(bytes, above, name)?,
                    None => None,
                };
            }
            volumes.add(bytes, at, &format!("/t{t:05}/s{setup:02}/{level}/cells"))?;
        }
    }
    Ok(volumes)
}

/// Steps and the centre of the first voxel, z, y, x: that of a coarser level is in the middle of the voxels that it spans.
fn place_of(of: Option<&Setup>, factors: [f64; 3]) -> [[Option<f64>; 3]; 2] {
    let stated = of.and_then(|setup| setup.steps);
    let is_finest = factors == [1.0; 3];
    let step = |a: usize| stated.map(|steps| steps[2 - a]).or((!is_finest).then_some(1.0));
    let factor = |a: usize| factors[2 - a];
    [
        std::array::from_fn(|a| step(a).map(|step| step * factor(a))),
        std::array::from_fn(|a| step(a).map(|step| step * (factor(a) - 1.0) / 2.0)),
    ]
}

fn unit(of: Option<&Setup>) -> Unit {
    let name = of.map_or("", |setup| setup.unit.trim());
    let is_pixel = ["px", "pixel", "pixels"].contains(&name.to_lowercase().as_str());
    if is_pixel { Unit::Unknown } else { Unit::from_name(name) }
}

/// Says where the document and the file differ, and where nothing says how large a voxel is.
fn check_size(of: Option<&Setup>, [nz, ny, nx]: [u64; 3], level: usize, warnings: &mut Vec<String>) {
    let stored = [nx, ny, nz];
    if let Some(size) = of.and_then(|setup| setup.size)
        && level == 0
        && size != stored.map(|n| n as f64)
    {
        let told = |n: [f64; 3]| n.map(|n| n.to_string()).join("x");
        warnings.push(format!("the XML speaks of {} voxels, and the file has {nx}x{ny}x{nz}", told(size)));
    }
    if of.and_then(|setup| setup.steps).is_none() && level > 0 {
        warnings
            .push("no step is stated: 1 is taken for the finest level; --spacing-in states that of this one".into());
    }
}
