//! Locks between processes of one machine: a file in the temporary directory, held by
//! the kernel for exactly as long as its holder lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use thiserror::Error;

use crate::event::{Events, LabEvent};

/// A lock could not be taken.
#[derive(Debug, Error)]
#[error("could not lock {path}")]
pub struct LockError {
    /// The lock's file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}

/// A lock that is released when this is dropped (or its process dies).
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock named `name` and says so when somebody else holds it.
    pub(crate) async fn acquire(name: &str, events: &Events) -> Result<Self, LockError> {
        let path = std::env::temp_dir().join(format!("kbz-lab-{name}.lock"));
        let failed = |source| LockError {
            path: path.clone(),
            source,
        };
        let file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                events.send(LabEvent::Waiting {
                    on: format!("another run ({name})"),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        let file = locked
            .map_err(std::io::Error::other)
            .and_then(|inner| inner)
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Opens the lock's file for everybody: another user's lock must be lockable too.
fn open(path: &std::path::Path) -> std::io::Result<File> {
    match OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
    {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => File::open(path),
        opened => opened,
    }
}

/// The only user of a subnet on this machine.
///
/// One machine has each subnet once. Whoever needs a lab for itself (a test that brings
/// it up and down) takes this lock first, whatever the lab's name is.
pub async fn lock_subnet(subnet: Ipv4Net, events: &Events) -> Result<FileLock, LockError> {
    let address: Ipv4Addr = subnet.network();
    FileLock::acquire(&format!("subnet-{address}-{}", subnet.prefix_len()), events).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let name = format!("test-{}", std::process::id());
        let events = Events::silent();
        let first = FileLock::acquire(&name, &events).await.unwrap();
        let second = tokio::spawn({
            let name = name.clone();
            async move { FileLock::acquire(&name, &Events::silent()).await }
        });
        assert!(!second.is_finished());
        drop(first);
        drop(second.await.unwrap().unwrap());
        std::fs::remove_file(std::env::temp_dir().join(format!("kbz-lab-{name}.lock"))).unwrap();
    }
}
