//! Remarks about a finished run, each with what to do about it.

use super::{messages, tell};
use reslice::{
    geometry::{FaceCounts, MOST_STEPS},
    job::{OutsideView, Summary, other_space},
};

/// The file's names of the storage axes.
const AXES: [char; 3] = ['k', 'j', 'i'];

/// Share of the samples above which overshoot is more than what edges bring.
const MUCH_OVERSHOOT: f64 = 0.01;

/// What is told after a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Remark {
    /// As it should be, and good to know.
    Note(String),
    /// Perhaps not as it should be.
    Warning(String),
}

impl Remark {
    /// Prints it, with what it is about in front: `warning: 3 of 40, out.nii: `.
    pub(super) fn tell(&self, about: &str) {
        match self {
            Remark::Note(text) => messages::remark_of(about, text),
            Remark::Warning(text) => messages::warning_of(about, text),
        }
    }
}

/// Texts of all warnings that a run has, those of its remarks among them, and of its notes.
pub(super) fn warnings_and_notes(summary: &Summary) -> (Vec<String>, Vec<String>) {
    let (mut warnings, mut notes) = (summary.warnings.clone(), Vec::new());
    warnings.extend(tell::slow(summary));
    for remark in remarks(summary) {
        match remark {
            Remark::Warning(text) => warnings.push(text),
            Remark::Note(text) => notes.push(text),
        }
    }
    (warnings, notes)
}

/// What happened that was not asked for; each with the way out.
pub(super) fn remarks(summary: &Summary) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = outside(summary).into_iter().collect();
    let nans: u64 = summary.passes.iter().filter_map(|pass| pass.done).map(|done| done.nans).sum();
    if nans > 0 {
        remarks.push(Remark::Warning(format!("{nans} NaNs became 0 in {}", summary.target_dtype)));
    }
    remarks.extend(clipped(summary));
    remarks.extend(unsettled(summary.unsettled, summary.outside_of).map(Remark::Warning));
    if summary.missing_chunks > 0 {
        remarks.push(Remark::Warning(format!(
            "{} chunks of the source are absent and were read as the fill value",
            summary.missing_chunks
        )));
    }
    if summary.hidden_keys > 0 {
        remarks.push(Remark::Warning(format!(
            "the server refuses {} of the source's chunks or shards (403), as it refuses all that is absent: taken for absent",
            summary.hidden_keys
        )));
    }
    remarks
}

/// `12 voxels of the target (0.1 %) ...: the inverse of a displacement does not settle there ...`
fn unsettled(count: u64, of: u64) -> Option<String> {
    let share = 100.0 * count as f64 / of.max(1) as f64;
    (count > 0).then(|| {
        format!(
            "for {count} of {of} voxels of the target ({share:.2} %) the inverse of a displacement does not settle in {MOST_STEPS} steps: \
             they look where the last one led; where the registration wrote an inverse field, give that"
        )
    })
}

/// Of the target voxels that look outside the source, where there are any and nothing was said before the run.
fn outside(summary: &Summary) -> Option<Remark> {
    let (counts, of, view) = (&summary.outside, summary.outside_of, &summary.outside_view);
    if counts.outside == 0 {
        return None;
    }
    if let Some(text) = other_space(counts.outside, of) {
        return (!summary.warnings.contains(&text)).then_some(Remark::Warning(text));
    }
    let [nx, ny, nz] = summary.target.shape;
    Some(match view.last_planes {
        Some(planes) => Remark::Note(last_planes(planes, [nz, ny, nx], view)),
        None => Remark::Warning(share_outside(counts, of, view)),
    })
}

/// `the last of 450 planes along k lies beyond the source and is 0, as in SimpleITK; --outside edge fills it`
fn last_planes(planes: [u64; 3], shape: [u64; 3], view: &OutsideView) -> String {
    let along = |a: usize| match planes[a] {
        0 => None,
        1 => Some(format!("the last of {} planes along {}", shape[a], AXES[a])),
        n => Some(format!("the last {n} of {} planes along {}", shape[a], AXES[a])),
    };
    let parts: Vec<String> = [2, 1, 0].into_iter().filter_map(along).collect();
    let is_one = planes.iter().sum::<u64>() == 1;
    let (lie, are, them) = if is_one { ("lies", "is", "it") } else { ("lie", "are", "them") };
    let value = view.value.unwrap_or(0.0);
    let habit = if value == 0.0 { ", as in SimpleITK" } else { "" };
    let center = if view.center_fits { format!(", --align center avoids {them}") } else { String::new() };
    format!("{} {lie} beyond the source and {are} {value}{habit}; --outside edge fills {them}{center}", listed(&parts))
}

/// `12.3 % of the target is outside the source, before its first plane along i, and is 0; --outside edge repeats its border`
fn share_outside(counts: &FaceCounts, of: u64, view: &OutsideView) -> String {
    let faces = faces(counts);
    let faces = if faces.is_empty() { String::new() } else { format!(", {},", listed(&faces)) };
    let value = view.value.unwrap_or(0.0);
    let percent = 100.0 * counts.outside as f64 / of.max(1) as f64;
    let (share, is) = match counts.outside {
        1 => ("1 voxel".to_string(), "is"),
        count if percent < 0.05 => (format!("{count} voxels"), "are"),
        _ => (format!("{percent:.1} %"), "is"),
    };
    format!(
        "{share} of the target {is} outside the source{faces} and {is} {value}; --outside edge repeats the source's border"
    )
}

/// Source faces that target voxels lie beyond, by the file's axes.
fn faces(counts: &FaceCounts) -> Vec<String> {
    let mut parts = Vec::new();
    for a in [2, 1, 0] {
        for (count, place) in [(counts.low[a], "before its first plane"), (counts.high[a], "behind its last plane")] {
            if count > 0 {
                parts.push(format!("{place} along {}", AXES[a]));
            }
        }
    }
    parts
}

/// `a, b and c`
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// What the type of the target could not hold: at either end, in percent. Overshoot of a kernel is no surprise where there is
/// little of it.
fn clipped(summary: &Summary) -> Option<Remark> {
    let done: Vec<_> = summary.passes.iter().filter_map(|pass| pass.done).collect();
    let (below, above) =
        done.iter().fold((0, 0), |(below, above), done| (below + done.clipped_below, above + done.clipped_above));
    if below + above == 0 {
        return None;
    }
    let samples = summary.voxels.saturating_sub(summary.stored_before).saturating_mul(summary.components as u64).max(1);
    let (least, most) = summary.target_dtype.range();
    let end = |count: u64, where_: &str, limit: f64| {
        let share = percent(count, samples);
        (count > 0).then(|| format!("{share} {where_} {limit} became {limit}"))
    };
    let ends: Vec<String> = [end(below, "below", least), end(above, "above", most)].into_iter().flatten().collect();
    let ends = listed(&ends);
    if summary.source_dtype != summary.target_dtype {
        return Some(Remark::Warning(format!("{ends}; --dtype same or f32 keeps them")));
    }
    let text = format!("{} overshoots: {ends}; --dtype f32 keeps them", summary.interpolation);
    let is_much = (below + above) as f64 > MUCH_OVERSHOOT * samples as f64;
    Some(if is_much { Remark::Warning(text) } else { Remark::Note(text) })
}

/// `28.8 %`; the number itself where that says more.
fn percent(count: u64, of: u64) -> String {
    let percent = 100.0 * count as f64 / of.max(1) as f64;
    if percent < 0.05 { format!("{count} of {of}") } else { format!("{:.1} %", percent.min(100.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(last_planes: Option<[u64; 3]>, value: f64, center_fits: bool) -> OutsideView {
        OutsideView { last_planes, value: Some(value), center_fits }
    }

    #[test]
    fn whole_planes_are_told_as_planes() {
        let told = |planes, value, center| last_planes(planes, [450, 512, 512], &view(Some(planes), value, center));
        assert_eq!(
            told([1, 0, 0], 0.0, true),
            "the last of 450 planes along k lies beyond the source and is 0, as in SimpleITK; --outside edge fills it, --align center avoids it"
        );
        assert_eq!(
            told([2, 0, 1], -1024.0, false),
            "the last of 512 planes along i and the last 2 of 450 planes along k lie beyond the source and are -1024; --outside edge fills them"
        );
    }

    #[test]
    fn anything_else_is_told_in_percent_or_as_a_number() {
        let told =
            |low, high, outside, of| share_outside(&FaceCounts { low, high, outside }, of, &view(None, 0.0, false));
        assert_eq!(
            told([0, 0, 5], [7, 0, 0], 123, 1000),
            "12.3 % of the target is outside the source, before its first plane along i and behind its last plane along k, and is 0; --outside edge repeats the source's border"
        );
        assert!(
            told([0; 3], [0; 3], 27, 1_000_000)
                .starts_with("27 voxels of the target are outside the source and are 0;")
        );
        assert!(
            told([0; 3], [0; 3], 1, 1_000_000).starts_with("1 voxel of the target is outside the source and is 0;")
        );
    }
}
