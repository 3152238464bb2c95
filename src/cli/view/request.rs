//! Requests of HTTP/1.1, as far as viewers make them: a method, a path, a host and perhaps a range. Pure.

use std::ops::Range;

/// A request that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub method: String,
    /// Percent-encoding undone, without a query.
    pub path: String,
    pub host: Option<String>,
    pub range: Option<Wanted>,
    /// Whether the other side wants to send another request.
    pub keeps: bool,
}

/// A range of bytes as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

impl Request {
    /// The request whose head is `text`; nothing where it makes no sense.
    pub(super) fn parse(text: &str) -> Option<Request> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || !version.starts_with("HTTP/1.") {
            return None;
        }
        let (mut host, mut range, mut keeps) = (None, None, version != "HTTP/1.0");
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "host" => host = Some(value.to_string()),
                "range" => range = Wanted::parse(value),
                "connection" if value.eq_ignore_ascii_case("close") => keeps = false,
                // Bodies are not taken.
                "content-length" if value != "0" => return None,
                "transfer-encoding" => return None,
                _ => {}
            }
        }
        let path = decoded(target.split(['?', '#']).next()?)?;
        Some(Request { method: method.to_string(), path, host, range, keeps })
    }
}

impl Wanted {
    /// One range of bytes; other units, and several ranges, are as if nothing was asked for, which HTTP allows.
    fn parse(value: &str) -> Option<Wanted> {
        let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", last) => last.parse().ok().map(Wanted::Last),
            (first, "") => first.parse().ok().map(Wanted::From),
            (first, last) => {
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then_some(Wanted::Between(first, last))
            }
        }
    }

    /// The bytes of a file of this length; nothing where it has none of them.
    pub(super) fn of(self, len: u64) -> Option<Range<u64>> {
        let range = match self {
            Wanted::From(first) => first..len,
            Wanted::Between(first, last) => first..last.saturating_add(1).min(len),
            Wanted::Last(count) => len.saturating_sub(count)..len,
        };
        (range.start < range.end).then_some(range)
    }
}

/// A path without percent-encoding; nothing where that is broken or no UTF-8.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// A path with everything encoded that is no letter, digit, slash or one of `-._~`.
pub(super) fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_taken_apart() {
        let head = "GET /s/a%20b.zarr/zarr.json?x=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nRange: bytes=5-9\r\n";
        let request = Request::parse(head).unwrap();
        assert_eq!((request.path.as_str(), request.host.as_deref()), ("/s/a b.zarr/zarr.json", Some("127.0.0.1:80")));
        assert_eq!((request.range, request.keeps), (Some(Wanted::Between(5, 9)), true));
        assert!(!Request::parse("GET / HTTP/1.1\r\nConnection: close\r\n").unwrap().keeps);
        for wrong in [
            "",
            "GET /",
            "GET / HTTP/2",
            "GET / x HTTP/1.1",
            "GET /%2 HTTP/1.1",
            "GET /%ff HTTP/1.1",
            "GET /%+1 HTTP/1.1",
            "GET / HTTP/1.1\r\nno colon",
            "GET / HTTP/1.1\r\nContent-Length: 3",
        ] {
            assert_eq!(Request::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_are_cut_to_what_is_there() {
        assert_eq!(Wanted::Between(2, 3).of(10), Some(2..4));
        assert_eq!(Wanted::Between(8, u64::MAX).of(10), Some(8..10));
        assert_eq!(Wanted::From(9).of(10), Some(9..10));
        assert_eq!(Wanted::Last(3).of(10), Some(7..10));
        assert_eq!(Wanted::Last(30).of(10), Some(0..10));
        assert_eq!([Wanted::From(10).of(10), Wanted::Last(0).of(10), Wanted::From(0).of(0)], [None, None, None]);
        assert_eq!(["bytes=5-4", "bytes=-", "lines=1-2", "bytes=1-2,4-5"].map(Wanted::parse), [None; 4]);
    }

    #[test]
    fn encoding_is_undone() {
        let name = "a b%/ü#?&.zarr";
        assert_eq!(decoded(&encoded(name)).as_deref(), Some(name));
        assert!(!encoded(name).contains(['#', '?', '&', ' ']));
    }
}
