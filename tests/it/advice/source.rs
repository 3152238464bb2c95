//! The texts in the source, and which of them are hints and warnings.

use std::{fs, path::Path};

/// A text in the source.
pub(super) struct Literal {
    pub file: String,
    pub text: String,
    /// Whether it stands where hints and warnings are made, or names an option.
    pub is_advice: bool,
}

/// Where hints and warnings are made: what stands in these brackets is told.
const MAKERS: [&str; 7] = [
    "usage_hint(",
    "hint: Some(",
    "warnings.push(",
    "warnings.extend(",
    "Remark::Warning(",
    "Remark::Note(",
    "fn hint(",
];
/// What an advice names.
const NAMED: [&str; 4] = ["`reslice ", "reslice info", ",ras", ",src="];
const SHORTEST: usize = 12;

/// All texts of the source, without those of its tests.
pub(super) fn literals() -> Vec<Literal> {
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.iter().filter(|literal| literal.is_advice).count() > 100, "the source is not understood");
    found
}

fn walk(folder: &Path, found: &mut Vec<Literal>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            walk(&path, found);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            let file = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
            of_file(&file, &fs::read_to_string(&path).unwrap(), found);
        }
    }
}

fn of_file(file: &str, text: &str, found: &mut Vec<Literal>) {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let (code, texts) = lex(text);
    let code: Vec<char> = code.chars().collect();
    let mut told = vec![false; texts.len()];
    for maker in MAKERS {
        let maker_chars: Vec<char> = maker.chars().collect();
        for at in (0..code.len()).filter(|&at| code[at..].starts_with(&maker_chars)) {
            let open = at + maker_chars.len() - 1;
            let mut within = open + 1..end_of(&code, open);
            match maker {
                "fn hint(" => {
                    let Some(body) = (within.end..code.len()).find(|&at| code[at] == '{') else { continue };
                    within = body..end_of(&code, body);
                }
                // The first argument says what is wrong.
                "usage_hint(" => within.start = end_of_argument(&code, within.clone()),
                _ => {}
            }
            mark(&code[within], &mut told);
        }
    }
    let binding: Vec<char> = "let hint".chars().collect();
    for at in (0..code.len()).filter(|&at| code[at..].starts_with(&binding)) {
        mark(&code[at..end_of_statement(&code, at)], &mut told);
    }
    for (text, is_told) in texts.into_iter().zip(told) {
        let is_sentence = text.trim().contains(' ');
        let names = NAMED.iter().any(|named| text.contains(named)) || names_an_option(&text);
        let is_advice = is_sentence && (names || is_told && text.len() >= SHORTEST);
        found.push(Literal { file: file.into(), text, is_advice });
    }
}

fn names_an_option(text: &str) -> bool {
    text.match_indices("--").any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + 2..].chars().next();
        before.is_none_or(|c| " (;".contains(c)) && after.is_some_and(|c| c.is_ascii_lowercase())
    })
}

/// Texts stand in the code as characters of a private area.
const FIRST: u32 = 0xF0000;

fn mark(code: &[char], told: &mut [bool]) {
    for &c in code {
        if let Some(told) = (c as u32).checked_sub(FIRST).and_then(|n| told.get_mut(n as usize)) {
            *told = true;
        }
    }
}

/// The place of the bracket that closes the one at `open`.
fn end_of(code: &[char], open: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code.iter().enumerate().skip(open) {
        depth += i32::from("([{".contains(*c)) - i32::from(")]}".contains(*c));
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

fn end_of_argument(code: &[char], within: std::ops::Range<usize>) -> usize {
    let mut depth = 0;
    for at in within.clone() {
        depth += i32::from("([{".contains(code[at])) - i32::from(")]}".contains(code[at]));
        if depth == 0 && code[at] == ',' {
            return at;
        }
    }
    within.end
}

fn end_of_statement(code: &[char], from: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code.iter().enumerate().skip(from) {
        depth += i32::from("([{".contains(*c)) - i32::from(")]}".contains(*c));
        if depth <= 0 && *c == ';' {
            return at;
        }
    }
    code.len()
}

/// The code without comments and attributes, and its texts, each of which is one character there.
fn lex(text: &str) -> (String, Vec<String>) {
    let (mut code, mut texts, mut rest) = (String::new(), Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("#[") || rest.starts_with("#![") {
            rest = &rest[attribute(rest)..];
        } else if let Some((text, len)) = raw(rest).or_else(|| quoted(rest)) {
            code.push(char::from_u32(FIRST + texts.len() as u32).unwrap());
            texts.push(text);
            rest = &rest[len..];
        } else {
            let len = character(rest).unwrap_or(c.len_utf8());
            code.push(if len == c.len_utf8() { c } else { ' ' });
            rest = &rest[len..];
        }
    }
    (code, texts)
}

/// Length of an attribute.
fn attribute(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        if let Some((_, len)) = quoted(&text[at..]) {
            at += len;
            continue;
        }
        at += character(&text[at..]).unwrap_or(c.len_utf8());
        depth += i32::from(c == '[') - i32::from(c == ']');
        if c == ']' && depth == 0 {
            break;
        }
    }
    at
}

/// `r#"..."#`, and its length.
fn raw(text: &str) -> Option<(String, usize)> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let inner = rest[hashes..].strip_prefix('"')?;
    let end = inner.find(&format!("\"{}", "#".repeat(hashes)))?;
    Some((inner[..end].into(), 1 + hashes + 1 + end + 1 + hashes))
}

/// `"..."`, with lines that a backslash joins, and its length.
fn quoted(text: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix('"')?;
    let (mut plain, mut chars) = (String::new(), inner.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((plain, at + 2)),
            '\\' => match chars.next()?.1 {
                '\n' => {
                    let rest = chars.as_str();
                    let blanks = rest.len() - rest.trim_start().len();
                    for _ in 0..rest[..blanks].chars().count() {
                        chars.next();
                    }
                }
                'n' => plain.push('\n'),
                other => plain.push(other),
            },
            c => plain.push(c),
        }
    }
    None
}

/// Length of a character in quotes, which may be a bracket or a quote.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let mut chars = inner.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        return inner[2..].find('\'').map(|end| end + 4);
    }
    chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 2)
}

#[test]
fn texts_comments_and_attributes_are_told_apart() {
    let text = "// \"no\"\n#[arg(long, help = \"no]\")]\nfn a() { b('\"', \"one \\\n   two\", r#\"a \"b\" c\"#); }";
    let (code, texts) = lex(text);
    assert_eq!(texts, ["one two", "a \"b\" c"]);
    assert!(!code.contains("no") && code.contains("fn a()"));
    let mut found = Vec::new();
    of_file(
        "x.rs",
        "fn f() { usage_hint(\"what is wrong\", g(\"the way out is here\")); h(\"give --option\") }",
        &mut found,
    );
    let advice: Vec<&str> =
        found.iter().filter(|literal| literal.is_advice).map(|literal| literal.text.as_str()).collect();
    assert_eq!(advice, ["the way out is here", "give --option"]);
}
