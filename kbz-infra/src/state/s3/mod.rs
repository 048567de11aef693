//! State in a bucket, for a team: any S3 store that keeps its conditions.
//!
//! Every file is an object, replaced as a whole and only if it is still the one that was read. A
//! file that is appended to is followed by parts, one a sync, each created and never overwritten;
//! they belong to the object whose content their names hold, so that parts of an earlier one are
//! never taken for its own. The lock is an object that is only taken over from nobody, or from a
//! process of this machine that is dead: a store that ignores conditions cannot hold it, and is
//! refused.

mod append;
mod bridge;
mod lock;
mod objects;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStore};
use secrecy::{ExposeSecret as _, SecretString};

use self::append::Parts;
use self::bridge::Bridge;
use self::objects::{Key, Objects};
use super::atomic::FileError;
use super::disk::{Append, Disk, Held};
use super::error::StoreError;
use super::lock::Holder;
use crate::ident::Digest;

/// Where a bucket is, and who may use it.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The address of the API; without one it follows from the region.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The id of the access key.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: SecretString,
}

/// A bucket that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the bucket {bucket} cannot be used")]
pub struct S3Error {
    /// The bucket.
    pub bucket: String,
    /// Why.
    #[source]
    pub source: object_store::Error,
}

/// State in a bucket.
#[derive(Clone)]
pub struct S3Disk {
    objects: Arc<Objects>,
    /// What people call it.
    name: String,
    /// Whether the store was seen to keep its conditions.
    conditional: Arc<OnceLock<()>>,
}

impl S3Disk {
    /// The disk in a bucket. Nothing is sent yet.
    ///
    /// Plain `http` is allowed to a loopback address alone.
    pub fn new(settings: &S3Settings) -> Result<Self, S3Error> {
        // Whatever was chosen before stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let local = settings.endpoint.as_deref().is_some_and(is_loopback);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(&settings.access_key)
            .with_secret_access_key(settings.secret_key.expose_secret())
            .with_client_options(ClientOptions::new().with_allow_http(local));
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|source| S3Error {
            bucket: settings.bucket.clone(),
            source,
        })?;
        let name = format!("s3://{}/{}", settings.bucket, settings.prefix);
        Ok(Self::on(Arc::new(store), &settings.prefix, name))
    }

    fn on(store: Arc<dyn ObjectStore>, prefix: &str, name: String) -> Self {
        Self {
            objects: Arc::new(Objects::new(store, prefix, Bridge::new())),
            name,
            conditional: Arc::default(),
        }
    }

    /// The parts that follow an object of this content.
    fn parts_of(path: &Path, base: &[u8]) -> Key {
        let generation = Digest::of(base).to_string();
        Key::of(path).below(&generation[..16])
    }

    fn whole(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(mut bytes) = self.objects.read(&Key::of(path))? else {
            return Ok(None);
        };
        let parts = Self::parts_of(path, &bytes);
        for part in self.objects.list(&parts)? {
            let more = self.objects.read(&part)?;
            bytes.extend(more.ok_or_else(|| io::Error::other("a part went away meanwhile"))?);
        }
        Ok(Some(bytes))
    }
}

/// Whether `http://ADDRESS:PORT` is this machine.
fn is_loopback(endpoint: &str) -> bool {
    let rest = endpoint.strip_prefix("http://").unwrap_or_default();
    let address: Result<SocketAddr, _> = rest.trim_end_matches('/').parse();
    address.is_ok_and(|address| address.ip().is_loopback())
}

impl Disk for S3Disk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        self.whole(path).map_err(FileError::at("read", path))
    }

    fn replace(&self, path: &Path, bytes: &[u8], _mode: u32) -> Result<(), FileError> {
        let key = Key::of(path);
        let replaced = self.objects.replace(&key, bytes);
        let swept = replaced.and_then(|()| {
            let kept = Self::parts_of(path, bytes);
            self.objects.sweep(&key, &kept)
        });
        swept.map_err(FileError::at("write", path))
    }

    fn append_to(&self, path: &Path, length: Option<u64>) -> Result<Box<dyn Append>, FileError> {
        let failed = || FileError::at("open", path);
        if let Some(length) = length {
            let whole = self.whole(path).map_err(failed())?.unwrap_or_default();
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            self.replace(path, &whole[..length.min(whole.len())], 0)?;
        }
        let base = self.objects.read(&Key::of(path)).map_err(failed())?;
        let base = base.ok_or_else(|| failed()(io::ErrorKind::NotFound.into()))?;
        let parts = Self::parts_of(path, &base);
        let next = self.objects.list(&parts).map_err(failed())?.len();
        Ok(Box::new(Parts::new(Arc::clone(&self.objects), parts, next)))
    }

    fn lock(&self, directory: &Path) -> Result<Box<dyn Held>, StoreError> {
        let failed = |doing| FileError::at(doing, directory);
        if self.conditional.get().is_none() {
            lock::probe(&self.objects, directory).map_err(failed("use"))?;
            let _ = self.conditional.set(());
        }
        let lock = lock::take(&self.objects, directory)?;
        Ok(Box::new(lock))
    }

    fn holder(&self, directory: &Path) -> Result<Option<Holder>, FileError> {
        let holder = lock::holder(&self.objects, directory);
        holder.map_err(FileError::at("read", directory))
    }

    fn unlock(&self, directory: &Path) -> Result<Option<Holder>, FileError> {
        let broken = lock::unlock(&self.objects, directory);
        broken.map_err(FileError::at("unlock", directory))
    }

    fn name(&self, directory: &Path) -> String {
        format!(
            "{}/{}",
            self.name.trim_end_matches('/'),
            directory.display()
        )
    }

    fn waits(&self) -> bool {
        true
    }
}

impl fmt::Debug for S3Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Disk")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
