//! What went wrong, out of the errors of the client: whether to ask again, and what to say.
//!
//! Bodies of error answers are never passed on as they stand: those of S3 hold the access key and the signature.

use std::{error::Error as _, io};

use object_store::{
    Error,
    client::{HttpError, HttpErrorKind},
};

use super::retry::Failure;
use crate::io::zarr::store::StoreError;

/// How the client begins what it says of an answer that is not a success.
const STATUS: &str = "Server returned non-2xx status code: ";
/// The same for an error within a success.
const RESPONSE: &str = "Server returned error response: ";

/// Whether another try may help, and what to say.
pub fn judge(error: Error) -> Failure {
    let io = |kind, what: String| Failure::Final(StoreError::Io(io::Error::new(kind, what)));
    match &error {
        Error::NotFound { .. } => return io(io::ErrorKind::NotFound, "there is no such key".into()),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            let what = status(&error).map_or("access is denied".into(), |(_, what)| what);
            return io(io::ErrorKind::PermissionDenied, what);
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            return Failure::Final(StoreError::Unsupported(innermost(&error)));
        }
        _ => {}
    }
    if let Some((code, what)) = status(&error) {
        return match code {
            408 | 429 | 500.. => Failure::Again(what),
            _ => Failure::Final(StoreError::Remote { what, attempts: 1, seconds: 0.0 }),
        };
    }
    if let Some(what) = transport(&error) {
        return Failure::Again(what);
    }
    let what = innermost(&error);
    Failure::Final(StoreError::Remote { what, attempts: 1, seconds: 0.0 })
}

/// What the client says where a whole file was answered instead of a part.
const WITHOUT_PARTS: [&str; 2] = ["Range request not supported", "non-partial response"];

fn chain(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |e: &&(dyn std::error::Error + 'static)| (*e).source())
}

/// Status and text of an answer that was an error.
fn status(error: &Error) -> Option<(u16, String)> {
    chain(error).find_map(|e| {
        let text = e.to_string();
        if let Some(body) = text.strip_prefix(RESPONSE) {
            return Some((500, said(body).unwrap_or_else(|| "an error within a success".into())));
        }
        let (line, body) = text.strip_prefix(STATUS)?.split_once(": ")?;
        let code = line.get(..3)?.parse().ok()?;
        Some((code, said(body).map_or_else(|| line.to_string(), |said| format!("{line}: {said}"))))
    })
}

/// Code and message of an error document; nothing else of it.
fn said(body: &str) -> Option<String> {
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        let text = rest.split_once("</")?.0;
        Some(text.chars().filter(|c| !c.is_control()).take(200).collect::<String>())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => Some(format!("{code}, {message}")),
        (code, message) => code.or(message),
    }
}

/// What is wrong with the connection, if that is it.
fn transport(error: &Error) -> Option<String> {
    let http = chain(error).find_map(|e| e.downcast_ref::<HttpError>())?;
    let mut deepest: &dyn std::error::Error = http;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let what = match http.kind() {
        HttpErrorKind::Connect => "cannot connect",
        HttpErrorKind::Timeout => "no answer in time",
        _ => "the connection was cut",
    };
    Some(format!("{what}: {}", scrubbed(&deepest.to_string())))
}

pub fn innermost(error: &Error) -> String {
    let text = chain(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    match WITHOUT_PARTS.iter().any(|known| text.contains(known)) {
        true => "the server does not answer requests for a part of a file".into(),
        false => scrubbed(&text),
    }
}

/// Without what stands behind a question mark in a URL: signatures and tokens.
pub fn scrubbed(text: &str) -> String {
    let word = |word: &str| match word.split_once("://").and_then(|_| word.split_once('?')) {
        Some((address, _)) => format!("{address}?..."),
        None => word.to_string(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Without user and password in front of the host.
pub fn without_user(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", &rest[end..])
        }
        None => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures_in_error_documents_are_not_repeated() {
        let body = "<?xml?><Error><Code>SignatureDoesNotMatch</Code><Message>The signature differs</Message>\
            <AWSAccessKeyId>AKIASECRET</AWSAccessKeyId><SignatureProvided>SECRET</SignatureProvided></Error>";
        assert_eq!(said(body).unwrap(), "SignatureDoesNotMatch, The signature differs");
        assert_eq!(said("<html>SECRET</html>"), None);
        let text = "error sending request for url (https://host/key?sig=SECRET&x=1) at once";
        assert!(!scrubbed(text).contains("SECRET") && scrubbed(text).contains("https://host/key"));
        assert_eq!(without_user("http://me:SECRET@host:9/a@b"), "http://host:9/a@b");
    }

    #[test]
    fn what_is_worth_another_try() {
        let generic = |text: &str| Error::Generic { store: "S3", source: io::Error::other(text.to_string()).into() };
        for (text, again) in
            [("503 Service Unavailable", true), ("429 Too Many Requests", true), ("400 Bad Request", false)]
        {
            let judged = judge(generic(&format!("{STATUS}{text}: ")));
            assert_eq!(matches!(judged, Failure::Again(_)), again, "{text}");
        }
        let cut = HttpError::new(HttpErrorKind::Interrupted, io::Error::other("reset"));
        assert!(matches!(judge(Error::Generic { store: "S3", source: cut.into() }), Failure::Again(_)));
        assert!(matches!(judge(generic("no such region")), Failure::Final(StoreError::Remote { .. })));
    }
}
