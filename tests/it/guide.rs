//! The pages of docs/ do what they say: each command is run as it stands, in a folder with the files that it names, and what a page shows as
//! printed is what is printed.
//!
//! A block ```` ```sh ```` is run by `sh`, and must succeed. A block ```` ```console ```` has commands after `$ ` and what they print: `...` stands
//! for any text, a line `...` for any lines, and numbers before units of time and size for any number; `# exit code N` behind a command is
//! the code it ends with. Other blocks with a command of ours stand behind a comment that says why they are not run, or which test runs them.

mod folder;
mod page;
mod printed;

use folder::{prepared, run};
use page::{Block, blocks, pages};

/// Commands that the pages have in all.
const LEAST_COMMANDS: usize = 120;

#[test]
fn every_command_of_the_pages_runs_and_prints_what_they_show() {
    let mut commands = 0;
    for (page, text) in pages() {
        let folder = prepared();
        for Block { line, kind, body, .. } in blocks(&text) {
            match kind.as_str() {
                "sh" => {
                    let (code, said) = run(&folder, &body);
                    assert_eq!(code, 0, "{page}:{line}: {body}{said}");
                    commands += body.matches("reslice ").count();
                }
                "console" => {
                    for printed::Shown { command, code, lines } in printed::shown(&body) {
                        let (ended, said) = run(&folder, &command);
                        assert_eq!(ended, code, "{page}:{line}: {command}: {said}");
                        let said_lines: Vec<&str> = said.trim_end().lines().collect();
                        assert!(
                            printed::agrees(&lines, &said_lines),
                            "{page}:{line}: {command} prints not what the page shows:\n{said}"
                        );
                        commands += 1;
                    }
                }
                _ => {}
            }
        }
    }
    assert!(commands >= LEAST_COMMANDS, "the pages have {commands} commands, and once had {LEAST_COMMANDS}");
}

#[test]
fn blocks_that_are_not_run_say_why() {
    let mut silent = Vec::new();
    for (page, text) in pages() {
        for block in blocks(&text) {
            let is_run = ["sh", "console"].contains(&block.kind.as_str());
            let names_ours = block.body.lines().any(page::is_ours);
            if names_ours && !is_run && !block.says_why {
                silent.push(format!("{page}:{}", block.line));
            }
        }
    }
    assert!(silent.is_empty(), "blocks with commands, not run, that do not say why: {silent:?}");
}
