//! Where something is: a folder, or a URL.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// The schemes that are known, but for `file`.
const SCHEMES: [&str; 5] = ["s3", "gs", "az", "http", "https"];

/// A local path, or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Folder(PathBuf),
    Url(Url),
}

/// `scheme://authority/path`, without a trailing slash, user, password, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub scheme: String,
    /// Host and port, bucket, or container.
    pub authority: String,
    /// Parts joined by `/`, as typed; empty at the top.
    pub path: String,
}

impl Location {
    /// What the user wrote: `s3://bucket/a.zarr`, `gs://`, `az://container/`, `http(s)://`, `file:///a.zarr`, or a path.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for other schemes, and for URLs with a password or a query: those are secrets, and places where
    /// secrets are seen.
    pub fn of(path: &Path) -> Result<Location> {
        let Some((scheme, rest)) = path.to_str().and_then(split_scheme) else {
            // Without the slash at the end that completion leaves.
            return Ok(Location::Folder(path.components().as_path().to_path_buf()));
        };
        if scheme == "file" {
            return local(rest);
        }
        if !SCHEMES.contains(&scheme) {
            return Err(Error::usage_hint(
                format!("'{scheme}://' is not known"),
                "use s3://, gs://, az://, http://, https:// or file://",
            ));
        }
        let (authority, below) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') || rest.contains(['?', '#']) {
            return Err(Error::usage_hint(
                format!("the {scheme} URL has a user, a password, a query or a fragment"),
                "give the plain address; credentials come from the environment, and only ?image=N may stand behind it",
            ));
        }
        let path = below.trim_end_matches('/');
        let odd = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(['\\', '\0']);
        if authority.is_empty() || (!path.is_empty() && path.split('/').any(odd)) {
            return Err(Error::usage(format!("'{scheme}://{rest}' is no URL of a folder")));
        }
        Ok(Location::Url(Url { scheme: scheme.into(), authority: authority.into(), path: path.into() }))
    }

    /// The local path, where it is one.
    pub fn local(&self) -> Option<&Path> {
        match self {
            Location::Folder(path) => Some(path),
            Location::Url(_) => None,
        }
    }

    /// As a path, for what keeps names of files: the folder, or the URL's text.
    pub fn into_path(self) -> PathBuf {
        match self {
            Location::Folder(path) => path,
            Location::Url(url) => url.to_string().into(),
        }
    }
}

/// A path or URL without `?image=NAME`, `?series=UID` or `?transform=NUMBER` at its end, and what stands there; a local path that is there as it stands is left.
pub fn split_image(path: &Path) -> (PathBuf, Option<String>) {
    let split = |text| ["?image=", "?series=", "?transform="].iter().find_map(|mark| str::rsplit_once(text, mark));
    match path.to_str().and_then(split) {
        Some((plain, image)) if !image.is_empty() && !path.exists() => (plain.into(), Some(image.into())),
        _ => (path.to_path_buf(), None),
    }
}

impl Url {
    /// The URL of what lies at `key` below.
    pub fn join(&self, key: &str) -> Url {
        let path = [self.path.as_str(), key].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        Url { path, ..self.clone() }
    }

    /// One up, and the last part of the path; `None` at the top.
    pub fn parent(&self) -> Option<(Url, String)> {
        if self.path.is_empty() {
            return None;
        }
        let (path, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        Some((Url { path: path.into(), ..self.clone() }, name.into()))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

/// Scheme and what follows `://`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (scheme.len() > 1 && scheme.bytes().all(known)).then_some((scheme, rest))
}

/// RFC 8089: `file:///path` or `file://localhost/path`, percent-encoded.
fn local(rest: &str) -> Result<Location> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(Error::usage_hint("a file:// URL that names another host", "write file:///path"));
    }
    Ok(Location::Folder(percent_decoded(path).into()))
}

/// `%41` as `A`; what is not two digits stays as it stands, as does what would not be UTF-8.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Location> {
        Location::of(Path::new(text))
    }

    #[test]
    fn paths_and_urls() {
        for path in ["a.zarr", "/a/b.zarr", "./s3:/x", "C://x", "a b://c"] {
            assert_eq!(of(path).unwrap(), Location::Folder(path.into()), "{path}");
        }
        assert_eq!(of("file:///a/b%20c.zarr").unwrap(), Location::Folder("/a/b c.zarr".into()));
        assert_eq!(of("file://localhost/a").unwrap(), Location::Folder("/a".into()));
        let Location::Url(url) = of("s3://bucket/deep/a.zarr/").unwrap() else { panic!("a path") };
        assert_eq!(url.to_string(), "s3://bucket/deep/a.zarr");
        assert_eq!(url.join("0/c").to_string(), "s3://bucket/deep/a.zarr/0/c");
        let (parent, name) = url.parent().unwrap();
        assert_eq!((parent.to_string().as_str(), name.as_str()), ("s3://bucket/deep", "a.zarr"));
        let top = parent.parent().unwrap().0;
        assert_eq!((top.to_string().as_str(), top.parent()), ("s3://bucket", None));
    }

    #[test]
    fn an_image_of_a_group_stands_behind_its_path() {
        let split = |text: &str| split_image(Path::new(text));
        assert_eq!(split("a.zarr?image=1"), ("a.zarr".into(), Some("1".into())));
        assert_eq!(split("s3://b/a.zarr?image=left eye"), ("s3://b/a.zarr".into(), Some("left eye".into())));
        for plain in ["a.zarr", "a.zarr?image=", "https://host/a?sig=secret"] {
            assert_eq!(split(plain), (plain.into(), None));
        }
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a?image=1");
        std::fs::write(&odd, "x").unwrap();
        assert_eq!(split_image(&odd), (odd, None));
    }

    #[test]
    fn secrets_and_strange_urls_are_refused_without_being_repeated() {
        for url in ["http://me:secret@host/a", "https://host/a?sig=secret", "s3://b/a#secret", "az://u:secret@c"] {
            let error = of(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        for url in ["ftp://host/a", "s3://", "s3:///a", "s3://b/../c", "http://host//a", "file://host/a"] {
            assert!(of(url).is_err(), "{url}");
        }
    }
}
