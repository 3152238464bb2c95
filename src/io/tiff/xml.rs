//! Tags of an XML document, one after the other, in fixed memory. Text between them is passed over, but for what is asked for.
//!
//! It knows what metadata need: elements, attributes, the five entities and those by number, comments, instructions, CDATA.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// Bytes of one tag, at most.
const MOST_TAG_BYTES: usize = 64 << 10;

/// A tag, its name without a prefix.
#[derive(Debug, PartialEq)]
pub(crate) enum Tag {
    Open { name: String, attributes: Vec<(String, String)> },
    Close { name: String },
}

/// The tags of a document.
pub(crate) struct Tags<R> {
    from: BufReader<R>,
    /// The name of an element without contents, which was opened.
    empty: Option<String>,
}

impl<R: Read> Tags<R> {
    /// Reads forward from where `from` stands.
    pub(crate) fn new(from: R) -> Tags<R> {
        Tags { from: BufReader::new(from), empty: None }
    }

    /// The next tag; `None` at the end.
    ///
    /// # Errors
    /// Those of reading; a tag that does not end, or is none.
    pub(crate) fn next(&mut self) -> io::Result<Option<Tag>> {
        if let Some(name) = self.empty.take() {
            return Ok(Some(Tag::Close { name }));
        }
        loop {
            self.from.skip_until(b'<')?;
            let Some(&first) = self.from.fill_buf()?.first() else { return Ok(None) };
            match first {
                b'!' => self.pass_declaration()?,
                b'?' => self.pass("?>")?,
                _ => return self.tag().map(Some),
            }
        }
    }

    /// The text up to the next tag, of which at most `most` bytes are kept.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn text(&mut self, most: usize) -> io::Result<String> {
        let mut text = Vec::new();
        while self.empty.is_none()
            && let Some(&byte) = self.from.fill_buf()?.first().filter(|&&byte| byte != b'<')
        {
            self.from.consume(1);
            if text.len() < most {
                text.push(byte);
            }
        }
        Ok(unescaped(String::from_utf8_lossy(&text).trim()))
    }

    fn tag(&mut self) -> io::Result<Tag> {
        let text = self.text_of_tag()?;
        let text = text.trim();
        if let Some(name) = text.strip_prefix('/') {
            return Ok(Tag::Close { name: plain(name.trim()).into() });
        }
        let (text, is_empty) = text.strip_suffix('/').map_or((text, false), |text| (text, true));
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let name = plain(&text[..end]).to_string();
        let attributes = attributes(&text[end..])?;
        self.empty = is_empty.then(|| name.clone());
        Ok(Tag::Open { name, attributes })
    }

    /// What stands up to the `>` that no quotes hold.
    fn text_of_tag(&mut self) -> io::Result<String> {
        let (mut text, mut quote) = (Vec::new(), None);
        loop {
            let byte = self.byte()?;
            match (quote, byte) {
                (None, b'>') => break,
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), _) if open == byte => quote = None,
                _ => {}
            }
            text.push(byte);
            if text.len() > MOST_TAG_BYTES {
                return Err(wrong(format!("a tag of more than {MOST_TAG_BYTES} bytes")));
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// `<!-- ... -->`, `<![CDATA[ ... ]]>` or `<!DOCTYPE ... >`.
    fn pass_declaration(&mut self) -> io::Result<()> {
        let mut start = [0; 3];
        for byte in &mut start {
            *byte = self.byte()?;
            if *byte == b'>' {
                return Ok(());
            }
        }
        match &start {
            b"!--" => self.pass("-->"),
            b"![C" => self.pass("]]>"),
            _ => self.pass(">"),
        }
    }

    fn pass(&mut self, end: &str) -> io::Result<()> {
        let end = end.as_bytes();
        let mut last = vec![0; end.len()];
        while last != end {
            last.rotate_left(1);
            let place = last.len() - 1;
            last[place] = self.byte()?;
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let byte = *self.from.fill_buf()?.first().ok_or_else(|| wrong("a tag that does not end".into()))?;
        self.from.consume(1);
        Ok(byte)
    }
}

fn wrong(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// A name without its prefix.
fn plain(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, name)| name)
}

fn attributes(mut text: &str) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(found);
        }
        let parts = text.split_once('=').and_then(|(name, rest)| {
            let rest = rest.trim_start();
            let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, rest) = rest[1..].split_once(quote)?;
            Some((name.trim(), value, rest))
        });
        let Some((name, value, rest)) = parts else {
            return Err(wrong(format!("a tag with {:?}", text.chars().take(40).collect::<String>())));
        };
        found.push((plain(name).to_string(), unescaped(value)));
        text = rest;
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let known = after.split_once(';').and_then(|(name, rest)| Some((entity(name)?, rest)));
        match known {
            Some((letter, after)) => {
                plain.push(letter);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain + rest
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> io::Result<Vec<Tag>> {
        let mut tags = Tags::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(tag) = tags.next()? {
            found.push(tag);
        }
        Ok(found)
    }

    #[test]
    fn tags_come_in_order() {
        let text = "<?xml version='1.0'?><!-- <a> --><OME:a x = \"1 > 0\" y='&#181;m &amp; &no; &#xb5;'>text<b/><![CDATA[<c>]]></OME:a >";
        let attributes = vec![("x".into(), "1 > 0".into()), ("y".into(), "µm & &no; µ".into())];
        let close = |name: &str| Tag::Close { name: name.into() };
        let expected = [
            Tag::Open { name: "a".into(), attributes },
            Tag::Open { name: "b".into(), attributes: Vec::new() },
            close("b"),
            close("a"),
        ];
        assert_eq!(all(text).unwrap(), expected);
    }

    #[test]
    fn what_is_no_tag_is_an_error() {
        for text in ["<a", "<a b>", "<a b=1>", "<a b='1>", "<!-- ", "<?", &format!("<{}>", "a".repeat(70_000))] {
            assert!(all(text).is_err(), "{text:.20}");
        }
        assert!(all("no tag").unwrap().is_empty());
    }
}
