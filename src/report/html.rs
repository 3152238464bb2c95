//! The page: its parts put together, and text from files made harmless.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    Facts, chart,
    escape::{escape, json_in_script},
    labels, run,
    seen::Statistics,
    text, words,
};

/// Nothing but what stands in the page.
const POLICY: &str = include_str!("policy.txt");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub(super) fn page(facts: &Facts<'_>, data: &Value) -> String {
    let (title, policy) = (escape(&text::title(facts.material)), POLICY.trim());
    let mut html = String::with_capacity(1 << 20);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
<title>{title} – reslice</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    html += &header(facts);
    html += "<main>\n";
    html += &warnings(facts);
    html += &pictures(facts);
    html += &grids(facts);
    html += &values(facts);
    if let Some(summary) = facts.material.summary {
        html += "<h2 id=\"run\">The run</h2>\n";
        html += &run::section(summary, &facts.material.pictures.track.points());
    }
    html += &ending(facts);
    html += "</main>\n<footer>Made by reslice ";
    html += env!("CARGO_PKG_VERSION");
    html += ". This page needs no network and no other file.</footer>\n<div hidden>";
    for (n, pair) in facts.sprites.images.iter().enumerate() {
        for (side, image) in ["before", "after"].iter().zip(pair) {
            let Some(image) = image else { continue };
            let _ = write!(html, "<img id=\"sprite-{n}-{side}\" alt=\"\" src=\"data:image/png;base64,");
            STANDARD.encode_string(image, &mut html);
            html += "\">";
        }
    }
    let _ = write!(
        html,
        "</div>\n<script type=\"application/json\" id=\"data\">{}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        json_in_script(data)
    );
    html
}

fn header(facts: &Facts<'_>) -> String {
    let material = facts.material;
    let name = match &material.before {
        Some(before) => {
            format!("{}<span class=\"to\"> → </span>{}", escape(&before.name), escape(&material.after.name))
        }
        None => escape(&material.after.name),
    };
    let spaced = |side: &super::Side| words::grid_spaced(&side.grid, side.anatomical);
    let lead = match (material.summary, &material.before) {
        (Some(summary), _) => format!(
            "{} → {} · {} · {} · peak memory {} of {}",
            spaced(material.before.as_ref().unwrap_or(&material.after)),
            spaced(&material.after),
            summary.interpolation,
            words::seconds(summary.seconds()),
            words::bytes(summary.peak_bytes),
            words::bytes(summary.memory_bytes)
        ),
        (None, Some(before)) => format!("{} and {}", spaced(before), spaced(&material.after)),
        (None, None) => spaced(&material.after),
    };
    format!(
        "<header><p class=\"brand\">reslice report</p>\n<h1>{name}</h1>\n<p class=\"lead\">{}</p></header>\n",
        escape(&lead)
    )
}

fn warnings(facts: &Facts<'_>) -> String {
    let warnings = &facts.material.warnings;
    if warnings.is_empty() {
        return String::new();
    }
    let items: String = warnings.iter().map(|warning| format!("<li>{}</li>\n", escape(warning))).collect();
    format!("<section class=\"warnings\" role=\"note\"><h2>Look at this first</h2>\n<ul>\n{items}</ul></section>\n")
}

fn pictures(facts: &Facts<'_>) -> String {
    let has_before = facts.material.before.is_some();
    let has_outside = facts.material.pictures.pairs.iter().any(|pair| pair.outside.contains(&true));
    let mut html = String::from("<h2 id=\"pictures\">Pictures</h2>\n<div class=\"tools\">\n");
    if has_before {
        html += "<fieldset><legend>What is shown</legend>";
        for (value, name) in [("split", "Slider"), ("blink", "Blink"), ("before", "Before"), ("after", "After")] {
            let _ = write!(html, "<label><input type=\"radio\" name=\"view\" value=\"{value}\">{name}</label>");
        }
        html += "</fieldset>\n";
    }
    html += "<label class=\"row\" id=\"split-row\" hidden>Divider<input id=\"split\" type=\"range\" min=\"0\" max=\"100\" value=\"50\" aria-label=\"Divider between before and after, percent\"></label>\n";
    html += "<label class=\"row\">Window<select id=\"window\">";
    for (n, window) in facts.windows.iter().enumerate() {
        let _ = write!(html, "<option value=\"{n}\">{}</option>", escape(&window.name));
    }
    html += "</select></label>\n<label class=\"row grey-only\">Level<input id=\"level\" type=\"range\"></label>\n\
<label class=\"row grey-only\">Width<input id=\"width\" type=\"range\"></label>\n<span class=\"small grey-only\" id=\"window-values\"></span>\n";
    if has_outside {
        html += "<label class=\"row\"><input type=\"checkbox\" id=\"outside\" checked><span><span class=\"swatch outside\"></span>outside the source</span></label>\n";
    }
    html += "<label class=\"row\"><input type=\"checkbox\" id=\"letters\" checked>letters and scale</label>\n</div>\n<div class=\"pictures\">\n";
    for n in 0..facts.sprites.sizes.len() {
        html += &picture(facts, n, has_before);
    }
    html += "</div>\n<p class=\"small\" id=\"status\" role=\"status\" aria-live=\"polite\"></p>\n<noscript><p>The pictures need JavaScript.</p></noscript>\n";
    if has_before {
        html += "<p class=\"note keys\">Keys: <kbd>S</kbd> slider, <kbd>←</kbd> <kbd>→</kbd> move it, <kbd>B</kbd> blink, <kbd>1</kbd> before, <kbd>2</kbd> after, <kbd>Space</kbd> changes between them, \
<kbd>W</kbd> next window, <kbd>O</kbd> outside, <kbd>L</kbd> letters.</p>\n";
    } else {
        html += "<p class=\"note keys\">Keys: <kbd>W</kbd> next window, <kbd>L</kbd> letters.</p>\n";
    }
    html += "<p class=\"note\">Each pixel shows the voxel in which its centre lies, as it is stored: nothing is interpolated for display. ";
    if has_before {
        html += "Before and after show the same place. ";
    }
    html += &facts.notes.iter().map(|note| escape(note)).collect::<Vec<_>>().join(" ");
    html + "</p>\n"
}

fn picture(facts: &Facts<'_>, n: usize, has_before: bool) -> String {
    let plane = &facts.material.pictures.pairs[n].plane;
    let ([width, height], unit) = (facts.sprites.sizes[n], super::unit(&facts.material.after.grid));
    let extent = [0, 1].map(|a| plane.pixel[a] * plane.size[a] as f64);
    let (axis, at) = plane.cut;
    let shape = facts.material.after.grid.shape;
    let bar = nice(extent[0] * 0.3);
    let [left, right, top, bottom] = plane.edges.each_ref().map(|edge| escape(edge));
    let tags = if has_before {
        "<span class=\"tag before\">before</span><span class=\"tag after\">after</span>"
    } else {
        "<span class=\"tag before\" hidden></span><span class=\"tag after\" hidden></span>"
    };
    let described = format!("{} plane{}", plane.name, if has_before { ", before and after" } else { "" });
    format!(
        "<figure id=\"picture-{n}\" style=\"--wide:{:.4}\"><div class=\"view\" tabindex=\"0\" role=\"img\" aria-label=\"{}\">\
<canvas width=\"{width}\" height=\"{height}\"></canvas>{tags}<span class=\"split\" hidden></span>\
<span class=\"edge l\">{left}</span><span class=\"edge r\">{right}</span><span class=\"edge t\">{top}</span><span class=\"edge b\">{bottom}</span>\
<span class=\"bar\" style=\"width:{:.2}%\">{} {}</span></div>\
<figcaption><b>{}</b> · {} = {at} of {}<span class=\"readout\"></span></figcaption></figure>\n",
        // Planes that stand side by side have one scale, as far as that leaves each room.
        (extent[0] / widest(facts)).max(0.35),
        escape(&described),
        100.0 * bar / extent[0],
        words::number(bar),
        escape(unit),
        escape(&plane.name),
        ["k", "j", "i"][axis],
        words::count(shape[2 - axis])
    )
}

fn widest(facts: &Facts<'_>) -> f64 {
    let widths = facts.material.pictures.pairs.iter().map(|pair| pair.plane.pixel[0] * pair.plane.size[0] as f64);
    widths.fold(f64::MIN_POSITIVE, f64::max)
}

/// The largest of 1, 2 and 5 times a power of ten that is not above `length`.
fn nice(length: f64) -> f64 {
    let power = 10f64.powf(length.max(f64::MIN_POSITIVE).log10().floor());
    [5.0, 2.0].into_iter().map(|times| times * power).find(|&bar| bar <= length).unwrap_or(power)
}

fn grids(facts: &Facts<'_>) -> String {
    let has_before = facts.material.before.is_some();
    let wide = if has_before { " wide" } else { "" };
    let heads = if has_before { "<th>Before</th><th>After</th><th>What changed</th>" } else { "<th></th>" };
    let mut html = format!(
        "<h2 id=\"grids\">Grids</h2>\n<div class=\"scroll{wide}\" tabindex=\"0\" role=\"region\" aria-label=\"Grids\"><table><thead><tr><th></th>{heads}</tr></thead><tbody>\n"
    );
    for row in text::grid_rows(facts.material) {
        let cells = if has_before { vec![row.before, row.after, row.change] } else { vec![row.after] };
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        let _ = writeln!(html, "<tr><th scope=\"row\">{}</th>{cells}</tr>", row.what);
    }
    html += "</tbody></table></div>\n";
    if let Some(summary) = facts.material.summary {
        let _ = writeln!(
            html,
            "<h3>Outside the source</h3>\n<p>{}</p>",
            escape(&text::outside(summary, facts.material.pictures))
        );
    }
    html
}

fn values(facts: &Facts<'_>) -> String {
    let mut html = String::from("<h2 id=\"values\">Values on these planes</h2>\n");
    let sides: Vec<(&str, Statistics)> =
        facts.seen.before.map(|side| ("before", side)).into_iter().chain([("after", facts.seen.after)]).collect();
    let name = |side: &'static str| if sides.len() > 1 { side } else { "values" };
    html += "<div class=\"two\"><div>";
    if let Some(shares) = labels::shares(facts.sprites.labels.as_deref(), facts.material.pictures) {
        html += "<div class=\"scroll\"><table><thead><tr><th>Label</th><th class=\"n\">Before</th><th class=\"n\">After</th></tr></thead><tbody>";
        for share in shares {
            let before = share.before.map_or_else(|| "–".to_string(), words::percent);
            let _ = write!(
                html,
                "<tr><td><span class=\"swatch\" style=\"background:{}\"></span>{}</td><td class=\"n\">{before}</td><td class=\"n\">{}</td></tr>",
                labels::colour(share.label),
                words::number(share.label),
                words::percent(share.after)
            );
        }
        html += "</tbody></table></div><p class=\"note\">Part of the pixels of all pictures; the largest labels, without 0.</p>";
    } else {
        let (svg, is_cut) = chart::histogram(&facts.seen.histogram);
        html += &svg;
        html += "<p class=\"note key\">";
        for (side, _) in &sides {
            let _ = write!(
                html,
                "<span><span class=\"swatch\" style=\"background:var(--{side})\"></span>{}</span>",
                if sides.len() > 1 { side } else { "values" }
            );
        }
        html += "</p><p class=\"note\">Pixels of all pictures by value, but those outside the source.";
        html += if is_cut { " The highest bars are cut.</p>" } else { "</p>" };
    }
    html += "</div><div class=\"scroll\"><table><thead><tr><th></th><th class=\"n\">Lowest</th><th class=\"n\">Mean</th><th class=\"n\">Highest</th><th class=\"n\">NaN</th></tr></thead><tbody>";
    for (side, found) in &sides {
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            name(if *side == "before" { "before" } else { "after" }),
            words::short(found.low),
            words::short(found.mean),
            words::short(found.high),
            words::count(found.nans)
        );
    }
    html + "</tbody></table></div></div>\n"
}

fn ending(facts: &Facts<'_>) -> String {
    let mut html = format!(
        "<h2 id=\"for-a-paper\">For a paper</h2>\n<div class=\"methods\"><p id=\"methods\">{}</p><button type=\"button\" id=\"copy\">Copy this text</button> <span class=\"small\" id=\"copied\" role=\"status\"></span></div>\n",
        escape(&text::methods(facts.material))
    );
    if !facts.material.arguments.is_empty() {
        let _ = writeln!(
            html,
            "<h3>Command</h3>\n<p><code>reslice {}</code></p>",
            escape(&facts.material.arguments.join(" "))
        );
    }
    html + "<h3>All figures</h3>\n<details><summary>As JSON</summary><pre id=\"json\"></pre></details>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_bars_have_round_lengths() {
        assert_eq!([nice(72.0), nice(0.3), nice(10.0), nice(1.99)], [50.0, 0.2, 10.0, 1.0]);
    }
}
