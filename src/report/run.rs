//! The part of a page that tells of the run: memory, time by stage, passes.

use super::{chart, escape::escape, words};
use crate::{
    job::{PassKind, Summary},
    pictures::MemoryPoint,
    pipeline::Stages,
    plan::Plan,
};

fn name(kind: PassKind) -> &'static str {
    match kind {
        PassKind::Field => "read the field",
        PassKind::Unpack => "unpack",
        PassKind::Resample => "resample",
        PassKind::Pack => "pack",
        PassKind::Pyramid => "coarser level",
    }
}

/// Plan and run, as HTML.
pub(super) fn section(summary: &Summary, points: &[MemoryPoint]) -> String {
    let mut html = String::from("<div class=\"two\"><div><h3>Memory of the process</h3>");
    html += &chart::memory(points, summary.memory_bytes, summary.peak_bytes);
    html += &format!(
        "<p class=\"note\">At most {} of {} that were allowed; {} were planned. {}</p></div><div><h3>Time by stage</h3>",
        words::bytes(summary.peak_bytes),
        words::bytes(summary.memory_bytes),
        words::bytes(summary.projected_bytes()),
        match chart::is_near(summary.memory_bytes, summary.peak_bytes) {
            true => "The dashed line is the ceiling.",
            false => "The ceiling is far above what is drawn.",
        }
    );
    html += &stages(summary);
    html += "</div></div><div class=\"scroll\"><table><thead><tr><th>Pass</th><th class=\"n\">Blocks</th><th>Block</th><th class=\"n\">Workers</th>\
<th class=\"n\">Chunk decodes</th><th class=\"n\">Decodes per chunk</th><th class=\"n\">Written</th><th class=\"n\">Time</th></tr></thead><tbody>";
    for pass in &summary.passes {
        let [z, y, x] = pass.plan.block;
        let done = pass.done.unwrap_or_default();
        let decodes = if pass.chunk_bytes > 0 { words::count(done.decodes) } else { "–".into() };
        let volume = pass.volume.map_or_else(String::new, |volume| format!(", volume {volume}"));
        html += &format!(
            "<tr><td>{}{volume}</td><td class=\"n\">{}</td><td>{x} × {y} × {z}</td><td class=\"n\">{}</td><td class=\"n\">{decodes}</td>\
<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            name(pass.kind),
            words::count(pass.plan.blocks),
            threads(&pass.plan),
            pass.amplification.map_or_else(|| "–".to_string(), |times| format!("{times:.3}")),
            words::bytes(done.bytes_written),
            words::seconds(done.seconds)
        );
    }
    html + "</tbody></table></div>"
        + &format!(
            "<p class=\"note\">{} voxels in {}; {} threads; mapping: {}; fingerprint of the job: <code>{}</code></p>",
            words::count(summary.voxels),
            words::seconds(summary.seconds()),
            summary.threads,
            escape(&summary.mapping.replace('_', "-")),
            escape(&summary.fingerprint)
        )
}

/// Workers, and those who help them.
fn threads(plan: &Plan) -> String {
    match plan.helpers {
        0 => plan.workers.count.to_string(),
        helpers => format!("{} + {helpers}", plan.workers.count),
    }
}

/// Bars of the seconds that the workers together spent.
fn stages(summary: &Summary) -> String {
    let all = summary.passes.iter().filter_map(|pass| pass.done).fold(Stages::default(), |sum, done| Stages {
        read: sum.read + done.stages.read,
        apply: sum.apply + done.stages.apply,
        encode: sum.encode + done.stages.encode,
        write: sum.write + done.stages.write,
    });
    let stages = [("read", all.read), ("compute", all.apply), ("encode", all.encode), ("write", all.write)];
    let total: f64 = stages.iter().map(|(_, seconds)| seconds).sum();
    let bar = |(name, seconds): (&str, f64)| {
        let part = seconds / total.max(1e-9);
        format!(
            "<div class=\"stage\"><span>{name}</span><i style=\"width:{:.1}%\"></i><span>{}, {:.0} %</span></div>",
            100.0 * part,
            words::seconds(seconds),
            100.0 * part
        )
    };
    let bars: String = stages.into_iter().map(bar).collect();
    format!("{bars}<p class=\"note\">Seconds of all workers together; reading includes decoding, and waits for it.</p>")
}
