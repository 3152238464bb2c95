//! Imaris 5.5 (`.ims`): levels, times and channels are groups, each with a dataset of three axes.
//!
//! `/DataSet/ResolutionLevel r/TimePoint t/Channel c/Data` may have more voxels than the image, so that chunks are whole; `ImageSizeX`, `Y`, `Z` of the channel's
//! group say how many count. `/DataSetInfo/Image` has the edges of the image, `ExtMin` and `ExtMax`, which all levels share.
//!
//! Source: "Imaris 5.5 File Format Description", Bitplane.

use super::{
    attribute::Attributes,
    bytes::Bytes,
    group::{Link, child, links, numbered},
    volumes::{Described, Volumes, axis, level},
};
use crate::{geometry::Unit, io::tiff::fault::Fault, layout::Axis};

/// What such files are called.
pub(super) const KIND: &str = "Imaris";
const DATA: &str = "DataSet";
const INFO: &str = "DataSetInfo";

/// The image of a file of Imaris; `None` where it is none.
///
/// # Errors
/// Damage; levels, times or channels that are missing.
pub(super) fn describe(bytes: &Bytes, root: &[Link], asked: Option<usize>) -> Result<Option<Described>, Fault> {
    let of_root = |name: &str| root.iter().find(|link| link.name == name).and_then(|link| link.at);
    let Some(data) = of_root(DATA) else { return Ok(None) };
    let levels = all(links(bytes, data)?, "ResolutionLevel ", DATA)?;
    if levels.is_empty() {
        return Ok(None);
    }
    let level = level(asked, levels.len())?;
    let place = format!("/{DATA}/ResolutionLevel {level}");
    let times = all(links(bytes, levels[level])?, "TimePoint ", &place)?;
    let (mut volumes, mut first, mut channels) = (Volumes::default(), None, 0);
    for (t, &time) in times.iter().enumerate() {
        let place = format!("{place}/TimePoint {t}");
        let found = all(links(bytes, time)?, "Channel ", &place)?;
        if t == 0 {
            channels = found.len();
        }
        if found.len() != channels {
            let found = format!("{} channels", found.len());
            return Err(Fault::wrong(place, found, format!("{channels}, as in TimePoint 0")));
        }
        for (c, &channel) in found.iter().enumerate() {
            first.get_or_insert(channel);
            volumes.add(bytes, child(bytes, channel, "Data")?, &format!("{place}/Channel {c}/Data"))?;
        }
    }
    let stored = volumes.storage()?.shape;
    let channel = match first {
        Some(channel) => Attributes::read(bytes, channel, |name| name.starts_with("ImageSize"))?,
        None => Attributes::default(),
    };
    let info = match of_root(INFO) {
        Some(at) => links(bytes, at)?.unwrap_or_default(),
        None => Vec::new(),
    };
    let image = attributes(bytes, &info, "Image")?;
    let shape = shape(&channel, &image, stored, level)?;
    let [steps, origin] = place_of(&image, shape);
    let mut warnings = Vec::new();
    let time = time_axis(&attributes(bytes, &info, "TimeInfo")?, times.len(), &mut warnings);
    Ok(Some(Described {
        kind: KIND,
        axes: [(times.len() > 1).then_some(time), (channels > 1).then(|| axis("c", channels))]
            .into_iter()
            .flatten()
            .collect(),
        volumes,
        shape,
        steps,
        origin: origin.map(|at| at.unwrap_or(0.0)),
        unit: image.text("Unit").filter(|unit| !unit.is_empty()).map_or(Unit::Micrometre, Unit::from_name),
        level: (level, levels.len()),
        is_unsigned: false,
        warnings,
    }))
}

/// All objects of this prefix, from number 0 on.
fn all(links: Option<Vec<Link>>, prefix: &str, place: &str) -> Result<Vec<u64>, Fault> {
    let found = numbered(&links.unwrap_or_default(), prefix);
    let each = |(n, (number, at)): (usize, &(u64, Option<u64>))| match at {
        Some(at) if *number == n as u64 => Ok(*at),
        _ => Err(Fault::wrong(place, format!("no group '{prefix}{n}'"), format!("one for each up to {}", found.len()))),
    };
    found.iter().enumerate().map(each).collect()
}

fn attributes(bytes: &Bytes, info: &[Link], name: &str) -> Result<Attributes, Fault> {
    // Long ones, such as the history of an image, are passed over.
    let is_wanted =
        |name: &str| name == "Unit" || name.len() < 3 || name.starts_with("Ext") || name.starts_with("TimePoint");
    match info.iter().find(|link| link.name == name).and_then(|link| link.at) {
        Some(at) => Attributes::read(bytes, at, is_wanted),
        None => Ok(Attributes::default()),
    }
}

/// Voxels along z, y, x.
fn shape(channel: &Attributes, image: &Attributes, stored: [u64; 3], level: usize) -> Result<[u64; 3], Fault> {
    let mut shape = stored;
    for (a, name) in ["Z", "Y", "X"].into_iter().enumerate() {
        let own = channel.number(&format!("ImageSize{name}"));
        let Some(len) = own.or(image.number(name).filter(|_| level == 0)) else { continue };
        if len < 1.0 || len.fract() != 0.0 || len > stored[a] as f64 {
            let expected = format!("1 to the {} of the dataset", stored[a]);
            return Err(Fault::wrong(format!("ImageSize{name}"), len, expected));
        }
        shape[a] = len as u64;
    }
    Ok(shape)
}

/// Steps and the centre of the first voxel, z, y, x: the edges of the image are those of all levels.
fn place_of(image: &Attributes, shape: [u64; 3]) -> [[Option<f64>; 3]; 2] {
    let edges = |a: usize| {
        let [low, high] = ["ExtMin", "ExtMax"].map(|name| image.number(&format!("{name}{}", 2 - a)));
        let (low, step) = (low?, (high? - low?) / shape[a] as f64);
        (step > 0.0 && step.is_finite()).then_some([step, low + step / 2.0])
    };
    let found: [Option<[f64; 2]>; 3] = std::array::from_fn(edges);
    [0, 1].map(|n| found.map(|edges| edges.map(|edges| edges[n])))
}

/// The axis of times: seconds between the first and the last one, evenly.
fn time_axis(info: &Attributes, len: usize, warnings: &mut Vec<String>) -> Axis {
    let seconds = |n: usize| info.text(&format!("TimePoint{n}")).and_then(seconds);
    let stated: Option<Vec<f64>> = (1..=len).map(seconds).collect();
    let mut axis = axis("t", len);
    let Some(stated) = stated.filter(|all| all.len() > 1) else { return axis };
    let step = (stated[len - 1] - stated[0]) / (len - 1) as f64;
    if step <= 0.0 {
        return axis;
    }
    let is_even = stated.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() <= 0.01 * step + 0.001);
    if !is_even {
        warnings.push(format!("times are uneven: their mean step of {step} s is taken"));
    }
    (axis.step, axis.unit) = (step, Some("second".into()));
    axis
}

/// Seconds of a time such as `2012-01-31 09:05:00.250`, since some day.
fn seconds(text: &str) -> Option<f64> {
    let (date, time) = text.split_once(' ')?;
    let numbers = |text: &str, by: char| text.split(by).map(str::parse).collect::<Result<Vec<f64>, _>>().ok();
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let (&[year, month, day], &[hour, minute, second]) = (&date[..], &time[..]) else { return None };
    // Days from the first of March of the year 0 on, by the Gregorian calendar.
    let (year, month) = if month < 3.0 { (year - 1.0, month + 9.0) } else { (year, month - 3.0) };
    let leap = (year / 4.0).floor() - (year / 100.0).floor() + (year / 400.0).floor();
    let days = 365.0 * year + leap + ((153.0 * month + 2.0) / 5.0).floor() + day;
    Some(((days * 24.0 + hour) * 60.0 + minute) * 60.0 + second).filter(|seconds| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_seconds() {
        let between = |a: &str, b: &str| seconds(b).unwrap() - seconds(a).unwrap();
        assert_eq!(between("2012-01-31 09:05:00.250", "2012-01-31 09:05:01.750"), 1.5);
        assert_eq!(between("2012-02-28 23:59:59", "2012-03-01 00:00:00"), 86401.0);
        assert_eq!(between("1999-12-31 00:00:00.000", "2000-12-31 00:00:00.000"), 366.0 * 86400.0);
        assert!(seconds("2012-01-31").is_none() && seconds("x y").is_none() && seconds("").is_none());
    }
}
