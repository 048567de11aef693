//! The lock as an object: empty while nobody holds it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::atomic::FileError;
use super::super::disk::Held;
use super::super::lock::{Holder, Liveness, LockError};
use super::objects::{Key, Objects};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct ObjectLock {
    objects: Arc<Objects>,
    key: Key,
    holder: Holder,
    predecessor: Option<Holder>,
}

impl Held for ObjectLock {
    fn holder(&self) -> &Holder {
        &self.holder
    }

    fn predecessor(&self) -> Option<&Holder> {
        self.predecessor.as_ref()
    }
}

impl Drop for ObjectLock {
    fn drop(&mut self) {
        // Only if it is still this one's. Otherwise it looks as if this process had died.
        let _ = self.objects.replace(&self.key, b"");
    }
}

fn key(directory: &Path) -> Key {
    Key::of(&directory.join("lock"))
}

/// Takes the lock, without waiting.
pub(super) fn take(objects: &Arc<Objects>, directory: &Path) -> Result<ObjectLock, LockError> {
    let failed = |doing| FileError::at(doing, directory);
    let key = key(directory);
    let found = objects.read(&key).map_err(failed("lock"))?;
    let predecessor = found.as_deref().and_then(told);
    let free = match (&found, &predecessor) {
        (None, _) => true,
        (Some(text), None) => text.is_empty(),
        (Some(_), Some(holder)) => holder.liveness() == Liveness::Dead,
    };
    if !free {
        return Err(LockError::Held {
            holder: predecessor,
        });
    }
    let holder = Holder::this();
    let text = serde_json::to_vec(&holder).map_err(|error| failed("lock")(error.into()))?;
    match objects.replace(&key, &text) {
        Ok(()) => Ok(ObjectLock {
            objects: Arc::clone(objects),
            key,
            holder,
            predecessor,
        }),
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let holder = objects.read(&key).map_err(failed("lock"))?;
            let holder = holder.as_deref().and_then(told);
            Err(LockError::Held { holder })
        }
        Err(error) => Err(failed("lock")(error).into()),
    }
}

/// Who says to hold the lock and is not known to be dead.
pub(super) fn holder(objects: &Objects, directory: &Path) -> io::Result<Option<Holder>> {
    let holder = objects.read(&key(directory))?.as_deref().and_then(told);
    Ok(holder.filter(|holder| holder.liveness() != Liveness::Dead))
}

/// Takes the lock from whoever has it; who that was.
pub(super) fn unlock(objects: &Objects, directory: &Path) -> io::Result<Option<Holder>> {
    let key = key(directory);
    let Some(found) = objects.read(&key)? else {
        return Ok(None);
    };
    objects.replace(&key, b"")?;
    Ok(told(&found))
}

fn told(text: &[u8]) -> Option<Holder> {
    serde_json::from_slice(text).ok()
}

/// Refuses a store that overwrites what it was told not to: it cannot hold a lock.
pub(super) fn probe(objects: &Objects, directory: &Path) -> io::Result<()> {
    let holder = Holder::this();
    let name = format!("probe-{}-{}", holder.pid, holder.started.as_nanosecond());
    let key = Key::of(&directory.join(name));
    objects.create(&key, b"first")?;
    let kept = keeps_conditions(objects, &key);
    let swept = objects.remove(&key);
    kept.and(swept)
}

/// Whether a store keeps both conditions of a lock, tried on an object that is there: it is made
/// by nobody else, and replaced by nobody who has not seen it as it is.
fn keeps_conditions(objects: &Objects, key: &Key) -> io::Result<()> {
    let first = objects.seen(key);
    let first = first.ok_or_else(|| io::Error::other("this store tells no version"))?;
    refused(objects.create(key, b"second"), "If-None-Match")?;
    objects.replace(key, b"second")?;
    refused(objects.replace_version(key, first, b"third"), "If-Match")
}

/// Whether a write was refused for its condition, as it had to be.
fn refused(written: io::Result<()>, condition: &str) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other(format!(
            "this store ignores conditions of a write ({condition}), so two runs could hold its \
             lock: take another store, or keep the state in a folder",
        ))),
    }
}
