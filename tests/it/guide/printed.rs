//! What a page shows of a command, beside what it prints.

/// Units before which a number is any number.
const UNITS: [&str; 7] = ["s", "B", "KiB", "MiB", "GiB", "TiB", "Mvoxel/s"];

/// A command of a page, and what is shown of it.
pub(super) struct Shown<'a> {
    pub command: String,
    pub code: i32,
    pub lines: Vec<&'a str>,
}

/// The commands of a block: lines that begin with `$ `, each with the lines up to the next.
pub(super) fn shown(body: &str) -> Vec<Shown<'_>> {
    let mut all: Vec<Shown<'_>> = Vec::new();
    for line in body.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let code = command.split("# exit code ").nth(1).map_or(0, |code| code.trim().parse().unwrap());
            all.push(Shown { command: command.to_string(), code, lines: Vec::new() });
        } else if let Some(last) = all.last_mut() {
            last.lines.push(line);
        }
    }
    all
}

/// Whether what is printed is what is shown.
pub(super) fn agrees(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], printed) => printed.is_empty(),
        (["...", rest @ ..], printed) => (0..=printed.len()).any(|n| agrees(rest, &printed[n..])),
        ([_, ..], []) => false,
        ([line, rest @ ..], [said, more @ ..]) => {
            alike(&without_figures(line), &without_figures(said)) && agrees(rest, more)
        }
    }
}

/// Whether `text` is `pattern`, in which `...` stands for any text.
fn alike(pattern: &str, text: &str) -> bool {
    match pattern.split_once("...") {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            text.char_indices().map(|(n, _)| n).chain([text.len()]).any(|n| alike(rest, &text[n..]))
        }),
    }
}

/// A line with single blanks, and a mark for each number before a unit.
fn without_figures(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_figure = |n: usize| {
        let unit = words.get(n + 1).map(|unit| unit.trim_end_matches([',', ';', ')', ':']));
        let number = words[n].trim_start_matches('(');
        unit.is_some_and(|unit| UNITS.contains(&unit)) && number.parse::<f64>().is_ok()
    };
    let shown: Vec<&str> = (0..words.len()).map(|n| if is_figure(n) { "#" } else { words[n] }).collect();
    shown.join(" ")
}

#[test]
fn what_is_printed_is_held_against_what_is_shown() {
    let shown = ["a 1.0 s (3 Mvoxel/s), 2 of 3", "...", "end of ... it"];
    assert!(agrees(&shown, &["a 7 s (99 Mvoxel/s), 2 of 3", "x", "y", "end of all of it"]));
    assert!(!agrees(&shown, &["a 7 s (99 Mvoxel/s), 2 of 4", "end of all of it"]));
    assert!(!agrees(&shown, &["a 7 s (99 Mvoxel/s), 2 of 3", "end of all of them"]));
    assert!(!agrees(&shown, &["a 7 s (99 Mvoxel/s), 2 of 3", "end of it", "more"]));
    assert!(!agrees(&["1 of 2"], &["1 of 3"]));
}
