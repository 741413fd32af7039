//! Where snapshots are kept beside the database: objects under keys, in a folder by default, or in a bucket over the S3 protocol.
//!
//! An object is there whole or not at all, and on the disk once it is put. Nobody's word is taken for what an object holds: whoever reads one
//! checks it, and none is read that is larger than it may be.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};

use crate::config::BucketConfig;

/// What a bucket does not answer is asked again so often, and for so long: whoever waits for the answer gives up after a minute.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_secs(20);

/// Why an object is not kept or not given. The disk's, or whoever's who runs the store.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// It is away, full, or refuses.
    #[error(
        "the place of the snapshots cannot be used ({0}): check that it is there, has room, and lets this server in"
    )]
    Away(#[source] Box<dyn Error + Send + Sync>),
    /// The person's.
    #[error(
        "`{0}` names no place for snapshots: give it as s3://BUCKET or s3://BUCKET/FOLDER, and its server as https:// (or http:// on this machine)"
    )]
    Address(String),
    /// Something else was put in an object's place.
    #[error(
        "an object of the snapshots is larger than it can be: delete it, and make a new snapshot"
    )]
    TooLarge,
}

impl From<object_store::Error> for ObjectsError {
    fn from(error: object_store::Error) -> Self {
        Self::Away(error.into())
    }
}

/// A place for objects.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Before every key.
    prefix: String,
}

impl Objects {
    /// In a folder, which is made.
    pub fn in_folder(folder: &FilePath) -> Result<Self, ObjectsError> {
        std::fs::create_dir_all(folder).map_err(|error| ObjectsError::Away(error.into()))?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            prefix: String::new(),
        })
    }

    /// In a bucket over the S3 protocol. Keys and region come from the environment, as every tool for S3 reads them (`AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`); without an endpoint it is Amazon's.
    pub fn in_bucket(bucket: &BucketConfig) -> Result<Self, ObjectsError> {
        let wrong = || ObjectsError::Address(bucket.url.clone());
        let rest = bucket.url.strip_prefix("s3://").ok_or_else(wrong)?;
        let (name, folder) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(wrong());
        }
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(name)
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_FOR,
                ..RetryConfig::default()
            });
        if let Some(endpoint) = &bucket.endpoint {
            let is_plain = match endpoint.split_once("://") {
                Some(("https", _)) => false,
                Some(("http", host)) if is_loopback(host) => true,
                _ => return Err(ObjectsError::Address(endpoint.clone())),
            };
            builder = builder.with_endpoint(endpoint).with_allow_http(is_plain);
        }
        let folder = folder.trim_matches('/');
        Ok(Self {
            store: Arc::new(builder.build()?),
            prefix: match folder {
                "" => String::new(),
                folder => format!("{folder}/"),
            },
        })
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }

    /// Gone with the process.
    pub fn in_memory() -> Self {
        Self {
            store: Arc::new(InMemory::new()),
            prefix: String::new(),
        }
    }

    /// Keeps an object.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectsError> {
        self.store.put(&self.path(key), bytes.into()).await?;
        Ok(())
    }

    /// An object of at most so many bytes.
    pub async fn read(&self, key: &str, most: usize) -> Result<Option<Bytes>, ObjectsError> {
        let found = match self.store.get(&self.path(key)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        if found.meta.size > most as u64 {
            return Err(ObjectsError::TooLarge);
        }
        Ok(Some(found.bytes().await?))
    }

    /// How many bytes an object has.
    pub async fn length(&self, key: &str) -> Result<Option<u64>, ObjectsError> {
        match self.store.head(&self.path(key)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => Ok(Some(found?.size)),
        }
    }

    /// The names of all objects under a key, in order, with how many bytes each has.
    pub async fn held(&self, under: &str) -> Result<BTreeMap<String, u64>, ObjectsError> {
        let under = self.path(under);
        let found: Vec<_> = self.store.list(Some(&under)).try_collect().await?;
        let named = found.iter().filter_map(|object| {
            let name = object.location.filename()?;
            Some((name.to_owned(), object.size))
        });
        Ok(named.collect())
    }

    /// Takes an object away; one that is gone already is no fault.
    pub async fn delete(&self, key: &str) -> Result<(), ObjectsError> {
        match self.store.delete(&self.path(key)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => Ok(done?),
        }
    }
}

/// Whether `host:port/path` is this machine.
fn is_loopback(rest: &str) -> bool {
    let host = rest.split('/').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|digit| digit.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_matches(['[', ']']);
    let is_own = |ip: IpAddr| ip.is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(url: &str, endpoint: Option<&str>) -> Result<String, ObjectsError> {
        let objects = Objects::in_bucket(&BucketConfig {
            url: url.into(),
            endpoint: endpoint.map(str::to_owned),
        })?;
        Ok(objects.path("snapshots/x").to_string())
    }

    #[test]
    fn a_bucket_is_named_with_or_without_a_folder_and_plain_http_stays_on_this_machine() {
        // The client is not made without a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own = Some("http://127.0.0.1:9000");
        assert_eq!(bucket("s3://b", own).expect("a bucket"), "snapshots/x");
        let folder = bucket("s3://b/lisbon/vault/", own);
        assert_eq!(folder.expect("a bucket"), "lisbon/vault/snapshots/x");
        for own in [
            "http://localhost",
            "http://[::1]:9000/",
            "https://s3.example.org",
        ] {
            assert!(bucket("s3://b", Some(own)).is_ok(), "{own}");
        }
        for wrong in ["b", "s3://", "s3:///x", "https://b", "gs://b"] {
            assert!(
                matches!(bucket(wrong, own), Err(ObjectsError::Address(_))),
                "{wrong}"
            );
        }
        for wrong in [
            "http://s3.example.org",
            "http://127.0.0.1.example.org:9000",
            "s3.example.org",
        ] {
            assert!(
                matches!(bucket("s3://b", Some(wrong)), Err(ObjectsError::Address(_))),
                "{wrong}"
            );
        }
    }
}
