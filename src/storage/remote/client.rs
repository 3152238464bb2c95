//! The client that sends requests: where they may be sent on to, and how much of an answer is taken.
//!
//! A signed request is sent on to nobody: another host is given neither the signature nor the token, and its bytes are not those
//! that were asked for. A web server may send on, but not from https to http.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::StreamExt;
use object_store::{
    ClientConfigKey, ClientOptions, Error,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
};
use reqwest::redirect::Policy;

use super::{answer::Asked, failure::Refusal, secret::scrubbed};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often one request may be sent on.
const MOST_REDIRECTS: usize = 10;
/// What is read of the body of an error: code and message stand at its beginning.
const ERROR_BYTES: usize = 16 << 10;
/// Bytes of an answer that is not an object: a page of a list has at most 1000 keys of 1024 bytes, Azure's 5000.
const ANSWER_BYTES: usize = 8 << 20;

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector {
    follows_redirects: bool,
}

impl Connector {
    /// For services whose requests are signed.
    pub(super) fn signed() -> Connector {
        Connector { follows_redirects: false }
    }

    /// For plain web servers.
    pub(super) fn plain() -> Connector {
        Connector { follows_redirects: true }
    }
}

#[derive(Debug)]
struct Client(HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed = |error: reqwest::Error| Error::Generic { store: "HTTP client", source: error.into() };
        let text = |key| options.get_config_value(&key);
        let is_set = |key| text(key).is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1" | "yes"));
        let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_string();
        let mut client = reqwest::Client::builder()
            .user_agent(text(ClientConfigKey::UserAgent).unwrap_or(agent))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(if self.follows_redirects { followed() } else { Policy::none() })
            .danger_accept_invalid_certs(is_set(ClientConfigKey::AllowInvalidCertificates))
            .https_only(!is_set(ClientConfigKey::AllowHttp));
        if let Some(url) = text(ClientConfigKey::ProxyUrl) {
            let mut proxy = reqwest::Proxy::all(url).map_err(failed)?;
            if let Some(excluded) = text(ClientConfigKey::ProxyExcludes) {
                proxy = proxy.no_proxy(reqwest::NoProxy::from_string(&excluded));
            }
            client = client.proxy(proxy);
        }
        if let Some(pem) = text(ClientConfigKey::ProxyCaCertificate) {
            client = client.add_root_certificate(reqwest::Certificate::from_pem(pem.as_bytes()).map_err(failed)?);
        }
        if is_set(ClientConfigKey::Http1Only) {
            client = client.http1_only();
        }
        if is_set(ClientConfigKey::Http2Only) {
            client = client.http2_prior_knowledge();
        }
        // Whoever asked decodes: a length is that of the bytes on the way.
        let client = client.no_gzip().no_brotli().no_zstd().no_deflate();
        Ok(HttpClient::new(Client(HttpClient::new(client.build().map_err(failed)?))))
    }
}

fn followed() -> Policy {
    Policy::custom(|attempt| {
        let from_https = attempt.previous().last().is_some_and(|from| from.scheme() == "https");
        if attempt.previous().len() > MOST_REDIRECTS {
            return attempt.error(Refusal(format!("the server sends on more than {MOST_REDIRECTS} times")));
        }
        if from_https && attempt.url().scheme() != "https" {
            let host = attempt.url().host_str().unwrap_or_default().to_string();
            return attempt.error(Refusal(format!("the server sends on from https to http, to {host}")));
        }
        attempt.follow()
    })
}

impl HttpService for Client {
    fn call<'me, 'call>(
        &'me self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'call>>
    where
        'me: 'call,
        Self: 'call,
    {
        Box::pin(async move {
            let asked = request.extensions().get::<Asked>().cloned();
            let mut answer = self.0.execute(request).await?;
            if let Some(elsewhere) = elsewhere(&answer) {
                return Err(refused(elsewhere));
            }
            match asked.filter(|_| answer.status().is_success()) {
                Some(asked) => {
                    asked.mark(&mut answer);
                    Ok(answer)
                }
                None => bounded(answer).await,
            }
        })
    }
}

fn refused(what: String) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, Refusal(what))
}

/// What to say of an answer that sends on.
fn elsewhere(answer: &HttpResponse) -> Option<String> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    if !answer.status().is_redirection() {
        return None;
    }
    if let Some(region) = header("x-amz-bucket-region") {
        return Some(format!("the bucket is in region {}: set AWS_REGION to it", scrubbed(region)));
    }
    let place = header("location")?.split(['?', '#']).next()?;
    // The host alone: a path may hold a token.
    let host = place.split_once("://").map_or("another path", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let host = host.rsplit('@').next().unwrap_or_default();
    Some(format!("the server sends on to {host}, where a signed request does not go: name that host as the endpoint"))
}

/// The answer with all of its body, if that is a success, or else the beginning.
async fn bounded(answer: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (mut parts, body) = answer.into_parts();
    let is_success = parts.status.is_success();
    let limit = if is_success { ANSWER_BYTES } else { ERROR_BYTES };
    let (mut stream, mut bytes) = (body.bytes_stream(), Vec::new());
    while let Some(piece) = stream.next().await {
        let piece = match piece {
            Err(error) if is_success => return Err(error),
            // The status has said it.
            Err(_) => break,
            Ok(piece) => piece,
        };
        let room = limit - bytes.len();
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            if is_success {
                return Err(refused(format!("an answer of more than {ANSWER_BYTES} bytes that is no object")));
            }
            break;
        }
    }
    if is_success && is_error(&bytes) {
        // Some servers, and some that stand in between, send errors so.
        if let Ok(unavailable) = 503u16.try_into() {
            parts.status = unavailable;
        }
        bytes.truncate(ERROR_BYTES);
    }
    if !parts.status.is_success() {
        bytes = String::from_utf8_lossy(&bytes).into_owned().into_bytes();
    }
    Ok(HttpResponse::from_parts(parts, bytes.into()))
}

/// Whether what should be an answer is a document of an error, or a page.
fn is_error(body: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&body[..body.len().min(1024)]).trim_start_matches('\u{feff}').to_lowercase();
    let start = match start.trim_start().strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or(rest, |(_, rest)| rest),
        None => start.as_str(),
    };
    ["<error", "<!doctype", "<html"].iter().any(|begin| start.trim_start().starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_come_as_a_success_are_told() {
        for body in ["<?xml version=\"1.0\"?>\n<Error><Code>x</Code>", "<html>", "\u{feff} <!DOCTYPE html>", "<Error>"]
        {
            assert!(is_error(body.as_bytes()), "{body}");
        }
        for body in ["<?xml version=\"1.0\"?><ListBucketResult><Key>error</Key>", "", "{\"error\": 1}", "<?xml"] {
            assert!(!is_error(body.as_bytes()), "{body}");
        }
    }
}
