//! JSON documents as people's programs write them.
//!
//! Python writes NaN, Infinity and -Infinity bare, which JSON does not know. They become the strings that Zarr v3 has for
//! them: "NaN", "Infinity", "-Infinity".

use std::borrow::Cow;

use serde_json::Value;

/// The byte order mark of UTF-8, which some editors put in front.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Numbers that Python writes and JSON does not know; the longer ones first.
const LITERALS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// The value of a document; takes at most twice the document's bytes beside it.
///
/// # Errors
///
/// The message of the JSON reader.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let strict = match serde_json::from_slice(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match quoted(text) {
        Cow::Owned(quoted) => serde_json::from_slice(&quoted),
        Cow::Borrowed(_) => Err(strict),
    }
}

/// Whether the text has literals that JSON does not know, so that writing it anew changes them.
pub fn has_literals(text: &[u8]) -> bool {
    matches!(quoted(text), Cow::Owned(_))
}

/// Whether the text is a web page: what servers send with a good status for what they do not have.
pub fn is_page(text: &[u8]) -> bool {
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
    fn pages_are_told_from_documents() {
        assert!(is_page(b"\n <!DOCTYPE html><html>") && is_page(b"<HTML>") && is_page(b"<?xml version"));
        assert!(!is_page(b"{\"a\": \"<html>\"}") && !is_page(b"<") && !is_page(b""));
    }
}
