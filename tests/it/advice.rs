//! Advice is followed: every hint and warning that the source has stands in a table with a command that brings it and commands that
//! follow it, which must succeed and must not bring it again.
//!
//! The table is `tests/it/advice/rows.txt`; what it leaves out stands in `tests/it/advice/exempt.txt` with the reason. A test reads the
//! source and finds what is in neither.

pub(crate) mod images;
mod source;

use std::fs;

use crate::kit::folder::{Answer, Folder};

const ROWS: &str = include_str!("advice/rows.txt");
const FILES: &str = include_str!("advice/files.txt");
const EXEMPT: &str = include_str!("advice/exempt.txt");

/// A hint or warning of the table.
#[derive(Debug, Default)]
struct Row<'a> {
    /// Parts of its text in the source.
    says: Vec<&'a str>,
    brought_by: &'a str,
    told: &'a str,
    followed_by: Vec<&'a str>,
}

fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, "")))
}

fn rows() -> Vec<Row<'static>> {
    let mut rows: Vec<Row<'static>> = Vec::new();
    for (mark, rest) in lines(ROWS) {
        let begins = mark == "?" && rows.last().is_none_or(|row| !row.brought_by.is_empty());
        if begins {
            rows.push(Row::default());
        }
        let row = rows.last_mut().expect("a row begins with ?");
        match mark {
            "?" => (row.told, row.says) = (rest, [row.says.as_slice(), &[rest]].concat()),
            "!" => row.brought_by = rest,
            "~" => row.told = rest,
            ">" => row.followed_by.push(rest),
            other => panic!("'{other}' begins no line of the table"),
        }
    }
    rows
}

/// Texts of the exemptions, or files of the source.
fn exempt() -> Vec<&'static str> {
    let lines = EXEMPT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(" | ").unwrap_or_else(|| panic!("no reason: {line}")).0).collect()
}

/// Makes the files that the table speaks of.
fn prepare(folder: &Folder) {
    let mut open = folder.path("");
    for (what, rest) in lines(FILES) {
        match what {
            "nii" => images::write(&folder.path(""), rest),
            "text" => {
                open = folder.path(rest);
                fs::create_dir_all(open.parent().unwrap()).unwrap();
                fs::write(&open, "").unwrap();
            }
            "|" => {
                let text = fs::read_to_string(&open).unwrap() + &rest.replace("\\t", "\t") + "\n";
                fs::write(&open, text).unwrap();
            }
            "run" => drop(run(folder, rest, &mut 0).expect(0)),
            other => panic!("'{other}' makes no file"),
        }
    }
}

/// Runs a command of the table; each `@` is the name of a new target.
fn run(folder: &Folder, command: &str, made: &mut u32) -> Answer {
    *made += 1;
    let here = folder.path("").display().to_string();
    let command = command.replace('@', &format!("out{made}")).replace("$PWD", here.trim_end_matches('/'));
    folder.run(&command.split(' ').collect::<Vec<_>>())
}

fn said(answer: &Answer) -> String {
    format!("{}{}", answer.stdout, answer.stderr)
}

#[test]
fn advice_that_is_followed_succeeds_and_is_not_given_again() {
    let folder = Folder::new();
    prepare(&folder);
    let mut made = 0;
    for row in rows() {
        let brought = run(&folder, row.brought_by, &mut made);
        assert!(said(&brought).contains(row.told), "{row:?} is not told: {}", said(&brought));
        assert!([0, 1, 2].contains(&brought.code), "{row:?}: {}", brought.code);
        assert!(!row.followed_by.is_empty(), "{row:?} is not followed");
        let answers: Vec<Answer> = row.followed_by.iter().map(|command| run(&folder, command, &mut made)).collect();
        for (answer, command) in answers.iter().zip(&row.followed_by) {
            assert_eq!(answer.code, 0, "{row:?}, {command}: {}", said(answer));
        }
        let last = said(answers.last().unwrap());
        assert!(!last.contains(row.told), "{row:?} is told again: {last}");
    }
}

#[test]
fn every_hint_and_warning_is_in_the_table() {
    let (rows, exempt) = (rows(), exempt());
    let covers = |file: &str, text: &str| {
        rows.iter().flat_map(|row| &row.says).any(|says| text.contains(says))
            || exempt.iter().any(|exempt| *exempt == file || text.contains(exempt))
    };
    let literals = source::literals();
    let missing: Vec<String> = literals
        .iter()
        .filter(|literal| literal.is_advice && !covers(&literal.file, &literal.text))
        .map(|literal| format!("{}: {}", literal.file, literal.text))
        .collect();
    assert!(missing.is_empty(), "neither in tests/it/advice/rows.txt nor in exempt.txt:\n{}", missing.join("\n"));
    // What the source does not say any more is taken out of the tables.
    for text in rows.iter().flat_map(|row| &row.says).chain(exempt.iter().filter(|text| !text.starts_with("src/"))) {
        assert!(literals.iter().any(|literal| literal.text.contains(text)), "the source does not say '{text}'");
    }
}
