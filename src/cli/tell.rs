//! Plans and summaries in words.

use super::{
    forecast, progress,
    words::{bytes, grid},
};
use reslice::{
    job::{PassKind, PassSummary, Summary, TargetState},
    plan::Offer,
    transform::{Convention, FieldKind, Step},
};

/// Both grids and what leads from one to the other, a line each.
pub(super) fn grids(summary: &Summary) -> String {
    let volumes = if summary.volumes > 1 { format!(" x {} volumes", summary.volumes) } else { String::new() };
    let chain = chain_of(summary).map_or(String::new(), |chain| format!("\n{chain}"));
    format!(
        "source  {}{volumes}, {}\ntarget  {}{volumes}, {}{chain}",
        grid(&summary.source),
        summary.source_dtype,
        grid(&summary.target),
        summary.target_dtype
    )
}

/// The line `chain`, where there are transforms.
pub(super) fn chain_of(summary: &Summary) -> Option<String> {
    let list = summary.transform_list.as_deref().map(|list| (list, &summary.list_conventions[..]));
    match (&summary.chain[..], list) {
        ([], None) => None,
        (steps, list) => Some(chain(steps, list)),
    }
}

/// `chain   target -> w.nii.gz (displacement field, LPS) -> affine.mat (ITK, LPS) -> source`; of a list of transforms, with
/// how they were read, a volume has one.
pub(super) fn chain(steps: &[Step], list: Option<(&str, &[Convention])>) -> String {
    let mut names = vec!["chain   target".to_string()];
    names.extend(steps.iter().map(|step| {
        let inverse = if step.inverse { ", inverted" } else { "" };
        format!("{} ({}{inverse})", step.file.display(), convention(&step.convention))
    }));
    names.extend(list.map(|(list, conventions)| {
        let conventions: Vec<String> = conventions.iter().map(convention).collect();
        format!("each volume's of {list} ({})", conventions.join("; "))
    }));
    names.push("source".into());
    names.join(" -> ")
}

fn convention(convention: &Convention) -> String {
    match convention {
        Convention::Itk => "ITK, LPS".into(),
        Convention::ItkComposite { parts } => format!("ITK composite, LPS: {}", parts.join(" -> ")),
        Convention::Elastix { parts, .. } => format!("elastix, LPS: {}", parts.join(" -> ")),
        Convention::FreeSurfer => "FreeSurfer LTA".into(),
        Convention::Ras => "matrix, RAS".into(),
        Convention::Fsl { source, reference } => {
            format!("FSL, src={}, ref={}", source.display(), reference.display())
        }
        Convention::FslSpline { source, reference } => {
            format!("FNIRT coefficients, src={}, ref={}", source.display(), reference.display())
        }
        Convention::FslField { source, vectors } => {
            let what = match vectors {
                Some(FieldKind::FslPositions) => "field of places",
                Some(FieldKind::FslDisplacements) => "displacement field",
                _ => "field",
            };
            format!("FSL {what}, src={}", source.display())
        }
        Convention::NiftyRegSpline => "NiftyReg control points, B-splines".into(),
        Convention::Field { vectors: None } => "displacement field".into(),
        Convention::Field { vectors: Some(FieldKind::DisplacementsLps) } => "displacement field, LPS".into(),
        Convention::Field { vectors: Some(FieldKind::DisplacementsRas) } => "displacement field, RAS".into(),
        Convention::Field { vectors: Some(FieldKind::PositionsRas) } => "field of positions, RAS".into(),
        Convention::Field { vectors: Some(FieldKind::VoxelDisplacements | FieldKind::VoxelPositions) } => {
            "FreeSurfer warp, voxels".into()
        }
        Convention::Field { vectors: Some(FieldKind::FslDisplacements | FieldKind::FslPositions) } => {
            "FSL field".into()
        }
    }
}

/// What will be done.
pub(super) fn plan(summary: &Summary) -> String {
    let mut lines = begin(summary);
    lines.extend(chain_of(summary));
    lines.push(format!(
        "values  {}{}, {} mapping{}",
        summary.interpolation,
        if summary.antialias { ", anti-aliased" } else { "" },
        summary.mapping.replace('_', "-"),
        if summary.vectors_turned { ", vectors turned along" } else { "" }
    ));
    lines.extend(passes(summary));
    lines.push(format!("memory  {} projected of {}", bytes(summary.projected_bytes()), bytes(summary.memory_bytes)));
    lines.extend(
        summary.passes.iter().filter_map(|pass| forecast::memory(&pass.what_memory_buys, summary.memory_bytes)),
    );
    lines.join("\n")
}

/// What is read, what is written, and the room for it.
pub(super) fn begin(summary: &Summary) -> Vec<String> {
    std::iter::once(forecast::ends(summary)).chain(forecast::disks(&summary.disks)).collect()
}

/// A line for each pass; of those to single volumes for the first and the last.
fn passes(summary: &Summary) -> Vec<String> {
    let is_between = |n: usize| {
        let volume = |n: usize| summary.passes.get(n).and_then(|pass| pass.volume);
        n > 0 && [n - 1, n, n + 1].into_iter().all(|n| volume(n).is_some())
    };
    let mut lines = Vec::new();
    for (n, pass) in summary.passes.iter().enumerate() {
        if !is_between(n) {
            lines.push(self::pass(pass, summary.threads));
        } else if !is_between(n - 1) {
            lines.push("        ...".into());
        }
    }
    lines
}

/// Before a run that fetches voxels many times: how often, and what would make it fewer; a line each.
pub(super) fn slow(summary: &Summary) -> Vec<String> {
    let told = |pass: &PassSummary| {
        let now = pass.plan.fetch_ratio;
        let more = || pass.what_memory_buys.iter().filter(|offer| offer.memory_bytes > summary.memory_bytes);
        let times = |offer: &Offer| offer.fetch_ratio.unwrap_or(now);
        // The smallest budget that buys about as much as any.
        let best = more().map(times).fold(now / 2.0, f64::min);
        let (enough, then) =
            more().map(|offer| (offer, times(offer))).find(|&(_, then)| then <= 2.0 * best && then <= now / 2.0)?;
        Some(format!(
            "each voxel of the source is fetched about {now:.0} times with {}; with --memory {}MiB it would be {then:.1} times",
            bytes(summary.memory_bytes),
            enough.memory_bytes.div_ceil(1 << 20)
        ))
    };
    summary.passes.iter().filter(|pass| pass.plan.fetches_often()).filter_map(told).collect()
}

/// One pass, planned: blocks, workers, decodes.
pub(super) fn pass(pass: &PassSummary, threads: usize) -> String {
    let plan = &pass.plan;
    let [z, y, x] = plan.block;
    let mut text = format!(
        "{:<7} {} blocks of {x}x{y}x{z}, {} of {} workers",
        progress::name(pass.kind),
        plan.blocks,
        plan.workers.count,
        threads
    );
    match plan.helpers {
        0 => {}
        1 => text += ", 1 helper",
        helpers => text += &format!(", {helpers} helpers"),
    }
    if plan.window_bytes > 0 {
        let about = if plan.exact { "" } else { "about " };
        text += &format!(
            ", {about}{} chunk decodes (amplification {:.3}), {} of decoded chunks at most",
            plan.totals.decodes,
            pass.planned_amplification,
            bytes(plan.window_bytes)
        );
    }
    if plan.passing {
        text += ", which pass by";
    }
    if let Some(volume) = pass.volume {
        text += &format!(", volume {volume}");
    }
    if pass.makes_next_level {
        text += ", level 1 along with it";
    }
    if let Some(scratch) = pass.scratch_bytes {
        text += &format!(", into a scratch file of {}", bytes(scratch));
    }
    text
}

/// What is gone on with: how much is stored, and what has to go by again.
pub(super) fn resumed(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    if summary.stored_before > 0 {
        let percent = 100.0 * summary.stored_before as f64 / summary.voxels.max(1) as f64;
        lines.push(format!("{percent:.1} % of {} is stored already", summary.output));
    }
    if summary.inflated_again_bytes > 0 {
        let again = bytes(summary.inflated_again_bytes);
        lines.push(format!(
            "the source is a stream: {again} of it are inflated again before the first part that is needed"
        ));
    }
    lines
}

/// What was done.
pub(super) fn outcome(summary: &Summary) -> String {
    if summary.target_state == TargetState::FinishedBefore {
        return format!("{} is finished already, nothing was done", summary.output);
    }
    let voxels = summary.passes.iter().filter(|pass| pass.scratch_bytes.is_none() && pass.kind != PassKind::Pyramid);
    let voxels: u64 = voxels.filter_map(|pass| pass.done).map(|done| done.voxels_done).sum();
    let seconds = summary.seconds();
    let to_target = summary.passes.iter().filter(|pass| pass.scratch_bytes.is_none());
    let written: u64 = to_target.filter_map(|pass| pass.done).map(|done| done.bytes_written).sum();
    let text = format!(
        "{} in {seconds:.2} s ({:.0} Mvoxel/s), {} written, peak memory {} of {}",
        summary.output,
        voxels as f64 / seconds.max(1e-9) / 1e6,
        bytes(written),
        bytes(summary.peak_bytes),
        bytes(summary.memory_bytes)
    );
    let rank = summary.rank.map_or(String::new(), |rank| format!("; rank {} of {}", rank.index, rank.of));
    let left = match summary.target_state {
        TargetState::LeftToOthers { voxels_left } => {
            let percent = 100.0 * voxels_left as f64 / summary.voxels.max(1) as f64;
            format!(", other ranks have {percent:.1} % left")
        }
        _ if summary.rank.is_some() => ", all ranks are done".into(),
        _ => String::new(),
    };
    text + &decodes(summary) + &rank + &left
}

/// Chunk decodes of the first pass that decodes, or of the passes to all volumes.
fn decodes(summary: &Summary) -> String {
    let Some(first) = summary.passes.iter().position(|pass| pass.chunk_bytes > 0) else { return String::new() };
    let is_more = |pass: &&PassSummary| pass.volume.is_some();
    let (head, rest) = (&summary.passes[first], &summary.passes[first + 1..]);
    let passes: Vec<&PassSummary> = match head.volume {
        Some(_) => std::iter::once(head).chain(rest.iter().take_while(is_more)).collect(),
        None => vec![head],
    };
    let done: Option<u64> = passes.iter().map(|pass| pass.done.map(|done| done.decodes)).sum();
    let about = if passes.iter().all(|pass| pass.plan.exact) { "" } else { "about " };
    let planned: u64 = passes.iter().map(|pass| pass.plan.totals.decodes).sum();
    done.map_or(String::new(), |done| format!(", {done} chunk decodes (planned {about}{planned})"))
}
