//! Pages and their blocks of code.

use std::{fs, path::Path};

/// A block of code.
pub(super) struct Block {
    /// Line of its first line of text, from 1.
    pub line: usize,
    /// What stands behind the fence; `indented` without one.
    pub kind: String,
    pub body: String,
    /// Whether a comment before it says why it is not run, or where.
    pub says_why: bool,
}

/// The README and all pages of docs/, by name.
pub(super) fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    paths.sort();
    paths.push(root.join("README.md"));
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The blocks of a page, fenced and indented.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut before): (Vec<Block>, &str) = (Vec::new(), "");
    let mut lines = text.lines().enumerate().peekable();
    while let Some((n, line)) = lines.next() {
        let fence = line.trim_start().strip_prefix("```");
        let is_indented = fence.is_none() && line.starts_with("    ") && before.is_empty();
        let says_why = |before: &str| before.starts_with("<!-- not run: ") || before.starts_with("<!-- run by ");
        if let Some(kind) = fence {
            let mut body = String::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
                body += &format!("{line}\n");
            }
            blocks.push(Block { line: n + 2, kind: kind.to_string(), body, says_why: says_why(before) });
        } else if is_indented {
            let mut body = format!("{}\n", line.trim_start());
            while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("    ")) {
                body += &format!("{}\n", line.trim_start());
            }
            let why = blocks_before(text, n).is_some_and(says_why);
            blocks.push(Block { line: n + 1, kind: "indented".into(), body, says_why: why });
        }
        before = line.trim();
    }
    blocks
}

/// The last line of text before line `n`, from 0.
fn blocks_before(text: &str, n: usize) -> Option<&str> {
    text.lines().take(n).map(str::trim).filter(|line| !line.is_empty()).last()
}

/// Whether a line begins with a command that has arguments; `COMMAND` and the like in capitals are its form, and no command.
pub(super) fn is_ours(line: &str) -> bool {
    let mut words = line.trim_start().trim_start_matches("$ ").split_whitespace();
    let is_form = |word: &str| word.chars().all(|c| c.is_ascii_uppercase() || !c.is_alphabetic());
    let (program, command, argument) = (words.next(), words.next(), words.next());
    program == Some("reslice")
        && command.is_some()
        && argument.is_some_and(|word| !is_form(word) || word.starts_with('-'))
}

#[test]
fn blocks_are_found() {
    let text = "# A\n\n```sh\nreslice info a\n```\n\n<!-- not run: far -->\n```bash\nreslice info b\n```\n\n    reslice info c\n    x\n\nend\n";
    let found = blocks(text);
    let kinds: Vec<&str> = found.iter().map(|block| block.kind.as_str()).collect();
    assert_eq!(kinds, ["sh", "bash", "indented"]);
    assert_eq!(found.iter().map(|block| block.line).collect::<Vec<_>>(), [4, 9, 12]);
    assert_eq!(found.iter().map(|block| block.says_why).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(found[2].body, "reslice info c\nx\n");
    assert!(
        is_ours("$ reslice info scan.nii") && !is_ours("reslice resample INPUT OUTPUT") && !is_ours("nextflow run")
    );
}
