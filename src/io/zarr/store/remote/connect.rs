//! From a URL and the environment to a client.
//!
//! Credentials come from the environment, the usual files and the machine's own service; never from the URL.

use std::{sync::Arc, time::Duration};

use object_store::{
    ClientConfigKey, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    http::HttpBuilder,
    multipart::MultipartStore,
};

use super::{Bucket, RemoteStore, answer::Marking, aws, cause, retry::Patience};
use crate::io::zarr::store::{StoreError, Url, location::percent_decoded};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: &str = "5 seconds";
/// Limit of a whole answer: none, since silence is what is limited.
const ANSWER_TIMEOUT: &str = "7 days";

/// The store behind `url`. Nothing is asked of it yet.
pub fn connect(url: &Url) -> Result<RemoteStore, StoreError> {
    match url.scheme.as_str() {
        "s3" => s3(url),
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(&url.authority)
                .with_retry(once())
                .with_http_connector(Marking::default())
                .with_config(GoogleConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
                .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), ANSWER_TIMEOUT);
            objects(url, builder.build().map_err(refused)?, None)
        }
        "az" => {
            let builder = MicrosoftAzureBuilder::from_env()
                .with_container_name(&url.authority)
                .with_retry(once())
                .with_http_connector(Marking::default())
                .with_config(AzureConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
                .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), ANSWER_TIMEOUT);
            objects(url, builder.build().map_err(refused)?, None)
        }
        _ => web(url),
    }
}

fn s3(url: &Url) -> Result<RemoteStore, StoreError> {
    let builder = AmazonS3Builder::from_env()
        .with_bucket_name(&url.authority)
        .with_retry(once())
        .with_http_connector(Marking::default())
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), ANSWER_TIMEOUT);
    let builder = aws::with_profile(builder);
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    objects(url, builder.build().map_err(refused)?, endpoint)
}

fn objects<O: ObjectStore + MultipartStore>(
    url: &Url,
    client: O,
    endpoint: Option<String>,
) -> Result<RemoteStore, StoreError> {
    let client = Arc::new(client);
    let endpoint = endpoint.map(|at| cause::without_user(&cause::scrubbed(&at)));
    let mut bucket = Bucket::new(client.clone(), Patience::default())?;
    bucket.parts = Some(client);
    bucket.endpoint = endpoint;
    Ok(RemoteStore { bucket: Arc::new(bucket), url: url.clone(), prefix: url.path.clone() })
}

/// A plain web server: whole files and parts of them, no list.
fn web(url: &Url) -> Result<RemoteStore, StoreError> {
    let options = ClientOptions::new()
        .with_allow_http(url.scheme == "http")
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout_disabled();
    let root = format!("{}://{}", url.scheme, url.authority);
    let builder = HttpBuilder::new().with_url(root).with_retry(once()).with_client_options(options);
    let client = builder.with_http_connector(Marking::default()).build();
    let mut bucket = Bucket::new(Arc::new(client.map_err(refused)?), Patience::default())?;
    bucket.can_list = false;
    Ok(RemoteStore { bucket: Arc::new(bucket), url: url.clone(), prefix: percent_decoded(&url.path) })
}

/// The client asks once: [`super::retry`] asks again.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn refused(error: object_store::Error) -> StoreError {
    StoreError::Unsupported(cause::innermost(&error))
}
