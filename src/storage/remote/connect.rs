//! From a URL and the environment to a client.
//!
//! Credentials come from the environment, the usual files and the machine's own service; never from the URL.

use std::sync::Arc;

use object_store::{
    ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    http::HttpBuilder,
    list::PaginatedListStore,
    multipart::MultipartStore,
};

use super::{
    Bucket, RemoteStore, aws,
    client::Connector,
    failure,
    retry::Patience,
    secret::{Secrets, scrubbed, without_user},
};
use crate::storage::{StoreError, Url, location::percent_decoded};

/// The store behind `url`. Nothing is asked of it yet.
pub fn connect(url: &Url) -> Result<RemoteStore, StoreError> {
    match url.scheme.as_str() {
        "s3" => s3(url),
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(&url.authority)
                .with_retry(once())
                .with_http_connector(Connector::signed());
            objects(url, builder.build().map_err(refused)?, None, Secrets::default())
        }
        "az" => {
            let builder = MicrosoftAzureBuilder::from_env()
                .with_container_name(&url.authority)
                .with_retry(once())
                .with_http_connector(Connector::signed());
            let secrets = Secrets::of_azure(&builder);
            objects(url, builder.build().map_err(refused)?, None, secrets)
        }
        _ => web(url),
    }
}

fn s3(url: &Url) -> Result<RemoteStore, StoreError> {
    let builder = AmazonS3Builder::from_env()
        .with_bucket_name(&url.authority)
        .with_retry(once())
        .with_http_connector(Connector::signed());
    let builder = aws::with_profile(builder);
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    let secrets = Secrets::of_s3(&builder);
    objects(url, builder.build().map_err(refused)?, endpoint, secrets)
}

fn objects<O: ObjectStore + MultipartStore + PaginatedListStore>(
    url: &Url,
    client: O,
    endpoint: Option<String>,
    secrets: Secrets,
) -> Result<RemoteStore, StoreError> {
    let client = Arc::new(client);
    let mut bucket = Bucket::new(client.clone(), Patience::default())?;
    bucket.parts = Some(client.clone());
    bucket.pages = Some(client);
    bucket.endpoint = endpoint.map(|at| without_user(&scrubbed(&at)));
    bucket.secrets = secrets;
    Ok(RemoteStore { bucket: Arc::new(bucket), url: url.clone(), prefix: url.path.clone() })
}

/// A plain web server: whole files and parts of them, no list.
fn web(url: &Url) -> Result<RemoteStore, StoreError> {
    let options = ClientOptions::new().with_allow_http(url.scheme == "http");
    let root = format!("{}://{}", url.scheme, url.authority);
    let builder = HttpBuilder::new().with_url(root).with_retry(once()).with_client_options(options);
    let client = builder.with_http_connector(Connector::plain()).build();
    let bucket = Bucket::new(Arc::new(client.map_err(refused)?), Patience::default())?;
    Ok(RemoteStore { bucket: Arc::new(bucket), url: url.clone(), prefix: percent_decoded(&url.path) })
}

/// The client asks once: [`super::retry`] asks again.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn refused(error: object_store::Error) -> StoreError {
    StoreError::Unsupported(failure::innermost(&error))
}
