//! What went wrong, out of the errors of the client: whether to ask again, and what to say.
//!
//! Bodies of error answers are never passed on as they stand: those of S3 hold the access key and the signature. What is told
//! of them passes through [`super::secret`].

use std::{error::Error as _, io};

use object_store::{
    Error,
    client::{HttpError, HttpErrorKind},
};

use super::secret::scrubbed;
use crate::storage::StoreError;

/// Why one try did not succeed.
pub enum Failure {
    /// Another try may.
    Again(String),
    /// No other try will.
    Final(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Final(error)
    }
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Failure {
        judge(error)
    }
}

/// How the client begins what it says of an answer that is not a success.
const STATUS: &str = "Server returned non-2xx status code: ";
/// The same for an error within a success.
const RESPONSE: &str = "Server returned error response: ";

/// How it begins what it says of an answer that cannot be read: one that was cut, or of something in between.
const UNREADABLE: [&str; 2] = ["Got invalid ", "Error decoding "];
/// Error codes of S3 that pass, whatever status they come with.
const PASSING: [&str; 7] = [
    "InternalError",
    "SlowDown",
    "ServiceUnavailable",
    "RequestTimeout",
    "OperationAborted",
    "ConditionalRequestConflict",
    "ServerBusy",
];

/// What the client must not go on with: no other try will be better.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(pub String);

/// Whether another try may help, and what to say.
pub(super) fn judge(error: Error) -> Failure {
    let io = |kind, what: String| Failure::Final(StoreError::Io(io::Error::new(kind, what)));
    let last = |what| Failure::Final(StoreError::Remote { what, attempts: 1, seconds: 0.0 });
    if let Some(Refusal(what)) = chain(&error).find_map(|e| e.downcast_ref()) {
        return last(what.clone());
    }
    let answer = status(&error);
    if let Some(Answer { what, .. }) = answer.as_ref().filter(|answer| PASSING.contains(&answer.name.as_str())) {
        return Failure::Again(what.clone());
    }
    match &error {
        Error::NotFound { .. } => return io(io::ErrorKind::NotFound, "there is no such key".into()),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            let what = answer.map_or("access is denied".into(), |answer| answer.what);
            return io(io::ErrorKind::PermissionDenied, what);
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            return Failure::Final(StoreError::Unsupported(innermost(&error)));
        }
        _ => {}
    }
    if let Some(Answer { code, what, .. }) = answer {
        return match code {
            408 | 429 | 500.. => Failure::Again(what),
            _ => last(what),
        };
    }
    if let Some(what) = transport(&error) {
        return Failure::Again(what);
    }
    if let Some(what) = unreadable(&error) {
        return Failure::Again(what);
    }
    last(innermost(&error))
}

/// What is wrong with an answer that was a success by its status, and cannot be read; also one key's part of such an answer.
fn unreadable(error: &Error) -> Option<String> {
    chain(error).find_map(|e| {
        let text = e.to_string();
        if UNREADABLE.iter().any(|known| text.starts_with(known)) {
            return Some("the answer is cut, or not one of an object store".to_string());
        }
        let code = text.rsplit_once("(code: ")?.1.trim_end_matches(')');
        PASSING.contains(&code).then(|| code.to_string())
    })
}

/// What the client says where a whole file was answered instead of a part.
const WITHOUT_PARTS: [&str; 2] = ["Range request not supported", "non-partial response"];

/// And where it was asked how long a file is, and not told.
const WITHOUT_LENGTH: &str = "Content-Length Header missing";

fn chain(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |e: &&(dyn std::error::Error + 'static)| (*e).source())
}

/// An answer that was an error.
struct Answer {
    code: u16,
    /// The service's own name of the error; empty where it has none.
    name: String,
    what: String,
}

fn status(error: &Error) -> Option<Answer> {
    chain(error).find_map(|e| {
        let text = e.to_string();
        if let Some(body) = text.strip_prefix(RESPONSE) {
            let what = said(body).unwrap_or_else(|| "an error within a success".into());
            return Some(Answer { code: 500, name: element(body, "Code").unwrap_or_default(), what });
        }
        let (line, body) = text.strip_prefix(STATUS)?.split_once(": ")?;
        let code = line.get(..3)?.parse().ok()?;
        let what = said(body).map_or_else(|| line.to_string(), |said| format!("{line}: {said}"));
        Some(Answer { code, name: element(body, "Code").unwrap_or_default(), what })
    })
}

/// Code and message of an error document; nothing else of it.
fn said(body: &str) -> Option<String> {
    match (element(body, "Code"), element(body, "Message")) {
        (Some(code), Some(message)) => Some(format!("{code}, {message}")),
        (code, message) => code.or(message),
    }
}

fn element(body: &str, name: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let text = rest.split_once("</")?.0;
    Some(text.chars().filter(|c| !c.is_control()).take(2000).collect())
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

/// The last cause of an error, which says the most.
pub(super) fn innermost(error: &Error) -> String {
    let text = chain(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    match text {
        _ if WITHOUT_PARTS.iter().any(|known| text.contains(known)) => {
            "the server does not answer requests for a part of a file".into()
        }
        _ if text.contains(WITHOUT_LENGTH) => "the server does not tell the length of the file".into(),
        _ => scrubbed(&text),
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
    }

    #[test]
    fn what_is_worth_another_try() {
        let generic = |text: &str| Error::Generic { store: "S3", source: io::Error::other(text.to_string()).into() };
        for (text, again) in [
            ("503 Service Unavailable: ", true),
            ("429 Too Many Requests: ", true),
            ("400 Bad Request: ", false),
            ("400 Bad Request: <Error><Code>RequestTimeout</Code><Message>idle</Message></Error>", true),
            ("400 Bad Request: <Error><Code>Malformed</Code><Message>RequestTimeout</Message></Error>", false),
        ] {
            let judged = judge(generic(&format!("{STATUS}{text}")));
            assert_eq!(matches!(judged, Failure::Again(_)), again, "{text}");
        }
        let cut = HttpError::new(HttpErrorKind::Interrupted, io::Error::other("reset"));
        assert!(matches!(judge(Error::Generic { store: "S3", source: cut.into() }), Failure::Again(_)));
        let done_and_cut = [
            "Got invalid DeleteObjects response: missing field `$value`",
            "Got invalid list response: unexpected end",
            "DeleteObjects request failed for key a: try later (code: SlowDown)",
        ];
        assert!(done_and_cut.iter().all(|text| matches!(judge(generic(text)), Failure::Again(_))));
        for text in ["no such region", "DeleteObjects request failed for key a: no (code: AccessDenied)"] {
            assert!(matches!(judge(generic(text)), Failure::Final(StoreError::Remote { .. })), "{text}");
        }
        let refusal = HttpError::new(HttpErrorKind::Unknown, Refusal("elsewhere".into()));
        let judged = judge(Error::Generic { store: "S3", source: refusal.into() });
        assert!(matches!(judged, Failure::Final(StoreError::Remote { what, .. }) if what == "elsewhere"));
    }
}
