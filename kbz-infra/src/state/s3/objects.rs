//! The objects of a bucket: read, replaced under a condition, listed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt as _;
use object_store::path::Path as Location;
use object_store::{
    ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use super::bridge::Bridge;

/// The name of an object below the prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(String);

impl Key {
    /// The object that stands for a file.
    pub(super) fn of(path: &Path) -> Self {
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        });
        Self(parts.collect::<Vec<_>>().join("/"))
    }

    /// What follows this object.
    pub(super) fn below(&self, name: &str) -> Self {
        Self(format!("{}.parts/{name}", self.0))
    }

    /// One of those that follow.
    pub(super) fn part(&self, number: usize) -> Self {
        Self(format!("{}/{number:08}", self.0))
    }
}

/// What an object was when it was last seen: which version, or that there was none.
type Known = Option<UpdateVersion>;

/// The objects of a bucket below a prefix.
#[derive(Debug)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Location,
    bridge: Bridge,
    known: Mutex<BTreeMap<Key, Known>>,
}

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>, prefix: &str, bridge: Bridge) -> Self {
        Self {
            store,
            prefix: Location::from(prefix),
            bridge,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn location(&self, key: &Key) -> Location {
        let parts = key.0.split('/').map(object_store::path::PathPart::from);
        parts.fold(self.prefix.clone(), Location::join)
    }

    /// The content of an object; `None` when there is none.
    pub(super) fn read(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        let (store, location) = (Arc::clone(&self.store), self.location(key));
        let read = self.bridge.wait(async move {
            let found = match store.get(&location).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                found => found?,
            };
            let version = UpdateVersion {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            };
            Ok(Some((found.bytes().await?.to_vec(), version)))
        })?;
        let (bytes, version) = read.unzip();
        self.known().insert(key.clone(), version);
        Ok(bytes)
    }

    /// Puts an object where there is none; an error of the kind `AlreadyExists` where there is.
    pub(super) fn create(&self, key: &Key, bytes: &[u8]) -> io::Result<()> {
        self.put(key, bytes, PutMode::Create)
    }

    /// Replaces an object that is still the one that was seen last; an error of the kind
    /// `AlreadyExists` where it is another.
    pub(super) fn replace(&self, key: &Key, bytes: &[u8]) -> io::Result<()> {
        let known = self.known().get(key).cloned();
        let mode = match known {
            Some(Some(version)) => PutMode::Update(version),
            Some(None) => PutMode::Create,
            None => {
                self.read(key)?;
                return self.replace(key, bytes);
            }
        };
        self.put(key, bytes, mode)
    }

    /// Which version of an object was seen last.
    pub(super) fn seen(&self, key: &Key) -> Option<UpdateVersion> {
        self.known().get(key).cloned().flatten()
    }

    /// Replaces an object that is still of this version; an error of the kind `AlreadyExists`
    /// where it is of another.
    pub(super) fn replace_version(
        &self,
        key: &Key,
        version: UpdateVersion,
        bytes: &[u8],
    ) -> io::Result<()> {
        self.put(key, bytes, PutMode::Update(version))
    }

    fn put(&self, key: &Key, bytes: &[u8], mode: PutMode) -> io::Result<()> {
        let (store, location) = (Arc::clone(&self.store), self.location(key));
        let payload = PutPayload::from(bytes.to_vec());
        let put = self.bridge.wait(async move {
            let options = PutOptions::from(mode);
            store.put_opts(&location, payload, options).await
        })?;
        self.known().insert(key.clone(), Some(put.into()));
        Ok(())
    }

    /// The parts below a key, in their order.
    pub(super) fn list(&self, below: &Key) -> io::Result<Vec<Key>> {
        let (store, location) = (Arc::clone(&self.store), self.location(below));
        let names: Vec<Location> = self.bridge.wait(async move {
            let found = store.list(Some(&location));
            found.map_ok(|meta| meta.location).try_collect().await
        })?;
        let names = names.iter().filter_map(|name| {
            let name = name.prefix_match(&self.prefix)?;
            let parts: Vec<String> = name.map(|part| part.as_ref().to_owned()).collect();
            Some(Key(parts.join("/")))
        });
        let mut keys: Vec<Key> = names.collect();
        keys.sort();
        Ok(keys)
    }

    /// Removes what follows an object, but for what is `kept`.
    pub(super) fn sweep(&self, key: &Key, kept: &Key) -> io::Result<()> {
        let stale = self.list(&Key(format!("{}.parts", key.0)))?;
        let own = format!("{}/", kept.0);
        for key in stale.iter().filter(|key| !key.0.starts_with(&own)) {
            self.remove(key)?;
        }
        Ok(())
    }

    /// Removes an object; one that is gone is fine.
    pub(super) fn remove(&self, key: &Key) -> io::Result<()> {
        let (store, location) = (Arc::clone(&self.store), self.location(key));
        let removed = self
            .bridge
            .wait(async move { store.delete(&location).await });
        self.known().remove(key);
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}
