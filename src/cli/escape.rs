//! Escapes text for a terminal, which obeys some characters: names, metadata and answers of servers may hold any.

use std::{
    borrow::Cow,
    io::{self, Write},
};

/// Whether a terminal might obey the character, or show the text around it in another order.
pub(super) fn is_control(c: char) -> bool {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || reorders || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A line with such characters as `\n`, `\u{1b}`.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |c, out| out.extend(c.escape_default()))
}

/// Lines of ours: line feeds and tabs stay.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    escaped(text, |c, out| match c {
        '\n' | '\t' => out.push(c),
        _ => out.extend(c.escape_default()),
    })
}

/// A JSON text, in which such characters stand in strings only; between them stand line feeds.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    escaped(text, |c, out| match c {
        '\n' => out.push(c),
        // All of them are of the basic plane.
        _ => out.push_str(&format!("\\u{:04x}", u32::from(c))),
    })
}

fn escaped(text: &str, mut escape: impl FnMut(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_control(c) { escape(c, &mut out) } else { out.push(c) }
    }
    out.into()
}

/// A writer that passes lines on with such characters escaped.
pub(super) struct Escaping<W: Write> {
    out: W,
    open: Vec<u8>,
}

impl<W: Write> Escaping<W> {
    /// Writes to `out`.
    pub(super) fn new(out: W) -> Escaping<W> {
        Escaping { out, open: Vec::new() }
    }

    fn hand_on(&mut self, end: usize) -> io::Result<()> {
        let lines: Vec<u8> = self.open.drain(..end).collect();
        self.out.write_all(text(&String::from_utf8_lossy(&lines)).as_bytes())
    }
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open.extend_from_slice(bytes);
        let end = self.open.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.hand_on(end)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on(self.open.len())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "a\u{1b}[2Jb\nc\td\r\u{9b}\u{7f}\u{202e}e\u{2028}é";

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (escaped, kept) in [(line(ODD), &[][..]), (text(ODD), &['\n', '\t']), (json(ODD), &['\n'])] {
            assert!(escaped.chars().all(|c| !is_control(c) || kept.contains(&c)), "{escaped:?}");
            assert!(escaped.ends_with('é'));
        }
        assert_eq!(line("a\u{1b}b\n"), "a\\u{1b}b\\n");
        assert!(matches!(line("plain, with é and 体"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_what_it_was() {
        let value = serde_json::json!({"name": ODD, "list": [1, "\u{202e}"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        assert_ne!(json(&text), text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json(&text)).unwrap(), value);
    }

    #[test]
    fn lines_are_escaped_however_they_come() {
        let mut out = Vec::new();
        let mut escaping = Escaping::new(&mut out);
        for byte in ODD.bytes() {
            escaping.write_all(&[byte]).unwrap();
        }
        escaping.flush().unwrap();
        drop(escaping);
        assert_eq!(String::from_utf8(out).unwrap(), text(ODD));
    }
}
