//! Slices in the order of their places, and the grid that they make. Pure.
//!
//! World is LPS here, as in the files. Places are held against each other along the normal of the slices.

use super::fields::{Days, KEY_NAMES, KEYS, Keys, OF_A_DAY, TIMES, time_unit};

/// How far rounding may lead the last place off the normal through the first one, in millimetres.
///
/// Places in hundredths are off by 0.005 in each coordinate at either end: 0.0173 together. The rest is for directions of six decimals. A tilt that stays
/// below this over all slices, and below a tenth of a voxel, moves nothing that could be seen; as a shear it would keep readers built on ITK, which takes
/// the normal itself, from the target.
const ROUNDING_MM: f64 = 0.02;

/// One slice of one volume: where its samples stand in which file, and where it stands in the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slice {
    pub file: u32,
    pub offset: u64,
    /// Bytes there.
    pub len: u64,
    pub position: [f64; 3],
    pub slope: f64,
    pub intercept: f64,
    pub keys: Keys,
    pub days: Days,
}

/// How all slices of a series lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plane {
    /// Along a row, then along a column.
    pub orientation: [f64; 6],
    /// Between rows, then between columns.
    pub spacing: [f64; 2],
    /// Between slices, for a single one.
    pub step: f64,
}

/// Slices in order: volumes one after the other, each along the normal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arranged {
    pub slices: Vec<Slice>,
    pub volumes: usize,
    /// What tells volumes apart.
    pub key: Option<&'static str>,
    /// Seconds between volumes, where they are even and known.
    pub seconds: Option<f64>,
    /// From one slice to the next, in LPS.
    pub step: [f64; 3],
    pub origin: [f64; 3],
    /// Angle between that and the normal, in degrees.
    pub tilt: f64,
    /// Slices that were there twice.
    pub dropped: usize,
}

/// Why slices make no grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub String);

/// Slices of the same place, as a range of the sorted ones.
type Group = std::ops::Range<usize>;

/// Puts slices in order. `is_same` says whether two have the same voxels; it is asked of slices at one place only.
///
/// # Errors
/// Gaps, uneven steps, places off a line, numbers of slices that differ from place to place, volumes that nothing tells apart; and those of `is_same`.
pub(super) fn arrange<E>(
    mut slices: Vec<Slice>,
    plane: &Plane,
    mut is_same: impl FnMut(&Slice, &Slice) -> Result<bool, E>,
) -> Result<Result<Arranged, Refusal>, E> {
    add_days(&mut slices);
    let normal = plane.normal();
    let along = |slice: &Slice| dot(normal, slice.position);
    // Sorting is stable: files come in the order of their names.
    slices.sort_by(|a, b| along(a).total_cmp(&along(b)));
    let mut dropped = 0;
    let mut groups = plane.groups(&slices);
    let is_even = |groups: &[Group]| groups.iter().all(|group| group.len() == groups[0].len());
    if !is_even(&groups) || (groups[0].len() > 1 && telling(&slices, &groups).is_none()) {
        let mut kept: Vec<Slice> = Vec::with_capacity(slices.len());
        for group in &groups {
            let first = kept.len();
            for slice in &slices[group.clone()] {
                let mut is_new = true;
                for other in &kept[first..] {
                    is_new &= !is_same(other, slice)?;
                }
                if is_new {
                    kept.push(*slice);
                }
            }
        }
        dropped = slices.len() - kept.len();
        slices = kept;
        groups = plane.groups(&slices);
    }
    Ok(plane.arranged(slices, &groups, dropped))
}

impl Plane {
    fn row(&self) -> [f64; 3] {
        std::array::from_fn(|a| self.orientation[a])
    }

    fn column(&self) -> [f64; 3] {
        std::array::from_fn(|a| self.orientation[a + 3])
    }

    /// Of length 1, on the side from which rows and columns run as x and y do.
    pub(super) fn normal(&self) -> [f64; 3] {
        let (a, b) = (self.row(), self.column());
        let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
        let norm = length(cross);
        cross.map(|x| x / norm)
    }

    /// One step along a row, and one along a column.
    pub(super) fn steps(&self) -> [[f64; 3]; 2] {
        [self.row().map(|x| x * self.spacing[1]), self.column().map(|x| x * self.spacing[0])]
    }

    /// Whether the directions are two that are square to each other, and the steps are steps.
    pub(super) fn is_sound(&self) -> bool {
        let (a, b) = (self.row(), self.column());
        let is_unit = |v: [f64; 3]| (length(v) - 1.0).abs() < 1e-2;
        let is_step = |x: &f64| x.is_finite() && *x > 0.0;
        is_unit(a) && is_unit(b) && dot(a, b).abs() < 1e-2 && self.spacing.iter().all(is_step)
    }

    /// Sorted slices, those of one place together.
    fn groups(&self, slices: &[Slice]) -> Vec<Group> {
        let normal = self.normal();
        let near = 1e-3 * self.spacing[0].min(self.spacing[1]);
        let mut groups: Vec<Group> = Vec::new();
        for (n, slice) in slices.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if dot(normal, slice.position) - dot(normal, slices[group.start].position) <= near => {
                    group.end = n + 1;
                }
                _ => groups.push(n..n + 1),
            }
        }
        groups
    }

    fn arranged(&self, slices: Vec<Slice>, groups: &[Group], dropped: usize) -> Result<Arranged, Refusal> {
        let volumes = groups[0].len();
        self.same_numbers(&slices, groups)?;
        let key = if volumes > 1 { Some(telling(&slices, groups).ok_or_else(|| alike(volumes))?) } else { None };
        let places: Vec<[f64; 3]> = groups.iter().map(|group| slices[group.start].position).collect();
        let normal = self.normal();
        let step = self.step(&places, normal)?;
        let origin = places[0];
        self.on_a_line(&slices, groups, step)?;
        let mut ordered = Vec::with_capacity(slices.len());
        let mut sorted = slices;
        if let Some(key) = key {
            groups.iter().for_each(|group| {
                sorted[group.clone()].sort_by(|a, b| a.keys.0[key].total_cmp(&b.keys.0[key]));
            });
        }
        for volume in 0..volumes {
            ordered.extend(groups.iter().map(|group| sorted[group.start + volume]));
        }
        let seconds = key.and_then(|key| Some(time_unit(key)? * even(&sorted[groups[0].clone()], key)?));
        let tilt = (dot(step, normal) / length(step)).clamp(-1.0, 1.0).acos().to_degrees();
        let key = key.map(|key| KEY_NAMES[key]);
        Ok(Arranged { slices: ordered, volumes, key, seconds, step, origin, tilt, dropped })
    }

    fn same_numbers(&self, slices: &[Slice], groups: &[Group]) -> Result<(), Refusal> {
        let usual = usual(groups);
        let odd: Vec<String> = groups
            .iter()
            .filter(|group| group.len() != usual)
            .map(|group| format!("{} at {}", group.len(), self.place(&slices[group.start])))
            .collect();
        if odd.is_empty() {
            return Ok(());
        }
        Err(Refusal(format!("has {usual} {} at most places and {}", plural(usual, "slice"), some(&odd))))
    }

    /// The place along the normal, for messages.
    fn place(&self, slice: &Slice) -> String {
        format!("{:.3} mm", dot(self.normal(), slice.position))
    }

    fn step(&self, places: &[[f64; 3]], normal: [f64; 3]) -> Result<[f64; 3], Refusal> {
        let count = places.len();
        if count == 1 {
            return Ok(normal.map(|x| x * self.step));
        }
        let along: Vec<f64> = places.iter().map(|&place| dot(normal, place)).collect();
        let steps: Vec<f64> = along.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut sorted = steps.clone();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted[(sorted.len() - 1) / 2];
        let tolerance = tolerance(usual);
        let odd = || steps.iter().enumerate().filter(|(_, step)| (**step - usual).abs() > tolerance);
        let between = |n: usize| format!("{:.3} and {:.3} mm", along[n], along[n + 1]);
        let gaps: Vec<String> = odd().filter(|(_, step)| **step > 1.5 * usual).map(|(n, _)| between(n)).collect();
        if !gaps.is_empty() {
            return Err(Refusal(format!("lacks slices between {} (steps of {usual:.3} mm)", some(&gaps))));
        }
        let uneven: Vec<String> = odd().map(|(n, step)| format!("{step:.3} mm between {}", between(n))).collect();
        if !uneven.is_empty() {
            return Err(Refusal(format!("has uneven steps: {usual:.3} mm, and {}", some(&uneven))));
        }
        let span = std::array::from_fn(|a| places[count - 1][a] - places[0][a]);
        Ok(self.straightened(span, usual).map(|x| x / (count - 1) as f64))
    }

    /// From the first place to the last: along the normal, where these leave it by no more than rounding does.
    fn straightened(&self, span: [f64; 3], step: f64) -> [f64; 3] {
        let normal = self.normal();
        let along = normal.map(|x| x * dot(normal, span));
        let across = std::array::from_fn(|a| span[a] - along[a]);
        let voxel = step.min(self.spacing[0]).min(self.spacing[1]);
        if length(across) <= ROUNDING_MM.min(0.1 * voxel) { along } else { span }
    }

    /// Whether all slices stand where even steps from the first one lead.
    fn on_a_line(&self, slices: &[Slice], groups: &[Group], step: [f64; 3]) -> Result<(), Refusal> {
        let origin = slices[0].position;
        let tolerance = (0.1 * length(step).min(self.spacing[0]).min(self.spacing[1])).max(tolerance(length(step)));
        for (n, group) in groups.iter().enumerate() {
            for slice in &slices[group.clone()] {
                let off = std::array::from_fn(|a| slice.position[a] - origin[a] - n as f64 * step[a]);
                if length(off) > tolerance {
                    let at = self.place(slice);
                    return Err(Refusal(format!(
                        "has a slice at {at} that is {:.3} mm off the line of the others",
                        length(off)
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The number of slices that most places have.
fn usual(groups: &[Group]) -> usize {
    let mut counts: Vec<usize> = groups.iter().map(Group::len).collect();
    counts.sort_unstable();
    let runs = counts.chunk_by(|a, b| a == b).rev();
    runs.max_by_key(|run| run.len()).map_or(1, |run| run[0])
}

/// By how much a step may differ from the others: a hundredth of it, or 0.01 mm where that is a small part of it.
fn tolerance(step: f64) -> f64 {
    (0.01 * step).max(0.01f64.min(0.1 * step))
}

/// The first key but the times of a day that differs between all slices of each place, and has the same values at each; or else the first time
/// that differs, whose values are those of the place.
fn telling(slices: &[Slice], groups: &[Group]) -> Option<usize> {
    let values = |key: usize, group: &Group| {
        let mut values: Vec<f64> = slices[group.clone()].iter().map(|slice| slice.keys.0[key]).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let differs = |key: usize| {
        let is_rising = |values: &[f64]| values.windows(2).all(|pair| pair[0] < pair[1]);
        let is_one = |values: Vec<f64>| values.iter().all(|value| value.is_finite()) && is_rising(&values);
        groups.iter().all(|group| is_one(values(key, group)))
    };
    let is_same = |key: usize| groups.iter().all(|group| values(key, group) == values(key, &groups[0]));
    let by_value = (0..KEYS).find(|key| !OF_A_DAY.contains(key) && differs(*key) && is_same(*key));
    by_value.or_else(|| TIMES.into_iter().find(|&time| differs(time)))
}

/// Counts times of a day from the first day of the series on, where all slices have a date: it may have run over midnight.
fn add_days(slices: &mut [Slice]) {
    for (n, key) in OF_A_DAY.into_iter().enumerate() {
        let Some(days) = slices.iter().map(|slice| slice.days[n]).collect::<Option<Vec<f64>>>() else { continue };
        let first = days.iter().copied().fold(f64::INFINITY, f64::min);
        for (slice, day) in slices.iter_mut().zip(days) {
            slice.keys.0[key] += (day - first) * 86400.0;
        }
    }
}

/// The step between times, where it is the same everywhere.
fn even(slices: &[Slice], key: usize) -> Option<f64> {
    let times: Vec<f64> = slices.iter().map(|slice| slice.keys.0[key]).collect();
    let step = (times[times.len() - 1] - times[0]) / (times.len() - 1) as f64;
    times.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() <= 0.01 * step).then_some(step)
}

fn alike(volumes: usize) -> Refusal {
    let keys = KEY_NAMES.join(", ");
    Refusal(format!("has {volumes} slices at each place, which no one of {keys} tells apart"))
}

/// The first of a list, for messages.
fn some(list: &[String]) -> String {
    let shown = list.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    if list.len() > 4 { format!("{shown}, and {} more", list.len() - 4) } else { shown }
}

pub(super) fn plural(count: usize, what: &str) -> String {
    if count == 1 { what.into() } else { format!("{what}s") }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn length(v: [f64; 3]) -> f64 {
    dot(v, v).sqrt()
}

#[cfg(test)]
mod tests;
