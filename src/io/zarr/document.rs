//! JSON documents as other programs write them.
//!
//! Python writes NaN, Infinity and -Infinity without quotes, which JSON does not allow. They become the strings of Zarr
//! v3: "NaN", "Infinity", "-Infinity".

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
};

use bytesize::ByteSize;
use serde_json::Value;

use crate::sys;

/// The byte order mark of UTF-8, which some editors put in front.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Numbers that Python writes and JSON does not know; the longer ones first.
const LITERALS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// Bytes of a document's text at most.
const MOST_TEXT_BYTES: u64 = 64 << 20;
/// Bytes that the values of a document may take in memory at most.
const MOST_VALUE_BYTES: u64 = 64 << 20;
/// The parts of a budget that text and values may take: a value is copied a few times on its way to where it is used.
const TEXT_SHARE: u64 = 4;
const VALUE_SHARE: u64 = 16;
/// So much is always taken.
const LEAST_BYTES: u64 = 1 << 20;

/// Why a text is no value.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("values that take up to {} in memory (at most {} are read; {})", ByteSize(*.bytes), ByteSize(*.limit), way_out(*.bytes))]
    Large { bytes: u64, limit: u64 },
}

fn way_out(bytes: u64) -> String {
    match bytes {
        ..=MOST_VALUE_BYTES => format!("--memory {}MiB is enough", (bytes * VALUE_SHARE).div_ceil(1 << 20)),
        _ => "no metadata are as large".into(),
    }
}

/// The text of an open file, of `most_bytes` at most.
///
/// # Errors
///
/// Those of reading; a file that is larger.
pub fn text_of(file: File) -> io::Result<Vec<u8>> {
    let (mut text, limit) = (Vec::new(), most_bytes());
    file.take(limit + 1).read_to_end(&mut text)?;
    if text.len() as u64 > limit {
        return Err(io::Error::other(format!("more than {limit} bytes, which no metadata have")));
    }
    Ok(text)
}

/// Bytes of a document's text that are read at most.
pub(super) fn most_bytes() -> u64 {
    share(TEXT_SHARE, MOST_TEXT_BYTES)
}

fn share(part: u64, most: u64) -> u64 {
    sys::budget().map_or(most, |budget| (budget / part).clamp(LEAST_BYTES, most))
}

/// The value of a document. What it takes in memory is known before anything is made of it.
///
/// # Errors
///
/// The message of the JSON reader, or that of more values than the budget has room for.
pub fn parse(text: &[u8]) -> Result<Value, Fault> {
    let (bytes, limit) = (weight(text), share(VALUE_SHARE, MOST_VALUE_BYTES));
    if bytes > limit {
        return Err(Fault::Large { bytes, limit });
    }
    read(text, |text| serde_json::from_slice(text))
}

/// Reads `text` as it stands, or with the literals of Python quoted.
fn read<R>(text: &[u8], read: impl Fn(&[u8]) -> Result<R, serde_json::Error>) -> Result<R, Fault> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let strict = match read(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match quoted(text) {
        Cow::Owned(quoted) => Ok(read(&quoted)?),
        Cow::Borrowed(_) => Err(strict.into()),
    }
}

/// An upper bound of what the values of `text` take in memory, in one pass: lists and maps grow by doubling, and the smallest
/// have room for four.
fn weight(text: &[u8]) -> u64 {
    const VALUE: u64 = size_of::<Value>() as u64;
    /// Key, value and hash of a member, beside its place in the table of its map.
    const MEMBER: u64 = VALUE + size_of::<String>() as u64 + 8 + 16;
    const BLOCK: u64 = 32;
    let (mut bytes, mut is_string, mut at) = (text.len() as u64, false, 0);
    while at < text.len() {
        match text[at] {
            b'\\' if is_string => at += 1,
            b'"' => {
                is_string = !is_string;
                bytes += BLOCK / 2;
            }
            _ if is_string => {}
            b'[' => bytes += BLOCK + 4 * VALUE,
            b'{' => bytes += 2 * BLOCK + 4 * MEMBER,
            b',' => bytes += 2 * VALUE,
            b':' => bytes += 2 * (MEMBER - VALUE),
            _ => {}
        }
        at += 1;
    }
    bytes
}

/// Whether `text` is JSON, whatever it holds; nothing is made of it.
///
/// # Errors
///
/// The message of the JSON reader.
pub(super) fn check(text: &[u8]) -> Result<(), Fault> {
    read(text, |text| serde_json::from_slice::<serde::de::IgnoredAny>(text).map(drop))
}

/// The members of an object, as they stand in its text: key and value. Nothing for what is no object. The text is one that
/// [`check`] has found to be JSON.
pub(super) fn members(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
    let start = text.strip_prefix(MARK).unwrap_or(text).trim_ascii_start();
    let mut rest = start.strip_prefix(b"{").unwrap_or_default();
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        if rest.first() != Some(&b'"') {
            return None;
        }
        let (key, after) = rest.split_at(value_len(rest));
        let after = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let (value, after) = after.split_at(value_len(after));
        rest = after;
        let key = match std::str::from_utf8(key).ok()?.trim_matches('"') {
            plain if !plain.contains('\\') => Cow::Borrowed(plain),
            _ => Cow::Owned(serde_json::from_slice(key).ok()?),
        };
        Some((key, value))
    })
}

/// The member `name` of an object; the last one of that name counts, as for every reader.
pub(super) fn member<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    members(text).filter(|(key, _)| key == name).last().map(|(_, value)| value)
}

/// The text of an object without the member `name`.
pub(super) fn without<'a>(text: &'a [u8], name: &str) -> Cow<'a, [u8]> {
    let Some(value) = member(text, name) else { return Cow::Borrowed(text) };
    let start = value.as_ptr() as usize - text.as_ptr() as usize;
    Cow::Owned([&text[..start], b"null", &text[start + value.len()..]].concat())
}

/// Bytes of the value that `text` begins with.
fn value_len(text: &[u8]) -> usize {
    let (mut depth, mut is_string, mut at) = (0usize, false, 0);
    while at < text.len() {
        match text[at] {
            b'\\' if is_string => at += 1,
            b'"' if is_string && depth == 0 => return at + 1,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 0 => return at,
            b']' | b'}' if depth == 1 => return at + 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at.min(text.len())
}

/// Whether the text has literals that JSON does not know, so that writing it anew changes them.
pub fn has_literals(text: &[u8]) -> bool {
    matches!(quoted(text), Cow::Owned(_))
}

/// Whether the text is a web page: what servers send with a good status for what they do not have.
pub(super) fn is_page(text: &[u8]) -> bool {
    let start = text.strip_prefix(MARK).unwrap_or(text).trim_ascii_start();
    [&b"<!doctype"[..], b"<html", b"<?xml"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(tag)))
}

/// The text with the literals outside of strings in quotes; borrowed where there are none.
fn quoted(text: &[u8]) -> Cow<'_, [u8]> {
    let mut quoted = Vec::new();
    let (mut done, mut at, mut in_string) = (0, 0, false);
    while at < text.len() {
        match text[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            _ => {
                if let Some(literal) = LITERALS.iter().find(|literal| text[at..].starts_with(literal)) {
                    quoted.extend_from_slice(&text[done..at]);
                    quoted.push(b'"');
                    quoted.extend_from_slice(literal);
                    quoted.push(b'"');
                    at += literal.len();
                    done = at;
                    continue;
                }
            }
        }
        at += 1;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    quoted.extend_from_slice(&text[done..]);
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_of_python_are_read() {
        let text = br#"{"a": NaN, "b": [Infinity,-Infinity, 1], "c": "NaN \" Infinity", "d": {"e":NaN}}"#;
        let expected =
            json!({"a": "NaN", "b": ["Infinity", "-Infinity", 1], "c": "NaN \" Infinity", "d": {"e": "NaN"}});
        assert_eq!(parse(text).unwrap(), expected);
        assert!(has_literals(text) && !has_literals(br#"{"a": "NaN", "b": 1}"#));
        assert_eq!(parse(b"\xef\xbb\xbf{\"a\": 1}").unwrap(), json!({"a": 1}));
    }

    #[test]
    fn what_is_no_json_stays_an_error() {
        for text in [&b"{\"a\": NaN"[..], b"{\"a\": NaNs}", b"NaN: 1", b"{\"a\": \"NaN}", b"", b"{\"a\": nan}", b"\"\\"]
        {
            assert!(parse(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn values_are_weighed_before_they_are_made() {
        let many = |unit: &str| format!("[{}0]", format!("{unit},").repeat(1 << 20));
        for text in [many("[0]"), many("{}"), many("[]"), many("{\"a\":0}"), many("0").repeat(3)] {
            assert!(matches!(parse(text.as_bytes()), Err(Fault::Large { bytes: 64_000_000.., .. })), "{}", &text[..9]);
        }
        let told = Fault::Large { bytes: 6 << 20, limit: 1 << 20 }.to_string();
        assert!(told.contains("--memory 96MiB is enough"), "{told}");
        // As much as the values of some metadata take, and not many times more.
        let array = json!({"shape": [100, 200, 300], "chunks": [64, 64, 64], "compressor": {"id": "zstd", "level": 3}});
        assert!(
            (500..20_000).contains(&weight(array.to_string().as_bytes())),
            "{}",
            weight(array.to_string().as_bytes())
        );
        let text = format!("[\"{}\"]", "[{,:".repeat(1 << 20));
        assert!(weight(text.as_bytes()) < 6 << 20 && parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn members_are_found_in_the_text() {
        let text = br#" {"a": [1, {"b": "}"}], "c\"d" : "x\\" ,"e":-1.5e3, "a": null, "f": {} } "#;
        let found: Vec<_> =
            members(text).map(|(key, value)| (key.into_owned(), std::str::from_utf8(value).unwrap())).collect();
        let expected =
            [("a", "[1, {\"b\": \"}\"}]"), ("c\"d", "\"x\\\\\""), ("e", "-1.5e3"), ("a", "null"), ("f", "{}")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_string(), value)));
        assert_eq!(
            (member(text, "a"), member(text, "f"), member(text, "b")),
            (Some(&b"null"[..]), Some(&b"{}"[..]), None)
        );
        assert_eq!(members(b"[1]").count() + members(b"{}").count() + members(b"").count(), 0);
        let whole = br#"{"keep": 1, "drop": {"x": [1, 2]}, "last": 2}"#;
        assert_eq!(parse(&without(whole, "drop")).unwrap(), json!({"keep": 1, "drop": null, "last": 2}));
        assert!(check(text).is_ok() && check(b"{\"a\": NaN}").is_ok() && check(b"{").is_err());
    }

    #[test]
    fn pages_are_told_from_documents() {
        assert!(is_page(b"\n <!DOCTYPE html><html>") && is_page(b"<HTML>") && is_page(b"<?xml version"));
        assert!(!is_page(b"{\"a\": \"<html>\"}") && !is_page(b"<") && !is_page(b""));
    }
}
