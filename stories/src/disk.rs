//! A disk in memory, on which a process dies at any byte and power fails between two syncs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kbz_infra::state::{Append, Disk, FileError, Held, Holder, LockError, StoreError};
use tokio_util::sync::CancellationToken;

use crate::story::{Death, Moment};

/// A file as it is, and as a power failure would leave it.
#[derive(Debug, Default, Clone)]
struct File {
    bytes: Vec<u8>,
    /// How many of them stay in any case.
    synced: usize,
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<PathBuf, File>,
    locked: BTreeSet<PathBuf>,
    writes: usize,
    death: Option<Death>,
    full_from: Option<usize>,
    dead: bool,
    killed: CancellationToken,
    /// Everything that was ever written.
    ever: Vec<u8>,
}

/// The disk of one operator.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<Inner>>);

impl MemoryDisk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the operator's process is to die as told, or to find the disk full from a
    /// write on. Says when the process is dead.
    pub(crate) fn arm(&self, death: Option<Death>, full_from: Option<usize>) -> CancellationToken {
        let mut inner = self.inner();
        inner.writes = 0;
        inner.death = death;
        inner.full_from = full_from;
        inner.killed = CancellationToken::new();
        inner.killed.clone()
    }

    /// The process dies now.
    pub(crate) fn die(&self) {
        self.inner().die();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.inner().dead
    }

    /// A new process begins. After a failure of the power, of what was not synced so many bytes
    /// are left.
    pub(crate) fn revive(&self, power_left: Option<usize>) {
        let mut inner = self.inner();
        inner.dead = false;
        inner.death = None;
        inner.full_from = None;
        inner.locked.clear();
        if let Some(left) = power_left {
            for file in inner.files.values_mut() {
                let loose = file.bytes.len() - file.synced;
                let left = if loose == 0 { 0 } else { left % (loose + 1) };
                file.bytes.truncate(file.synced + left);
            }
        }
        for file in inner.files.values_mut() {
            file.synced = file.bytes.len();
        }
    }

    /// Everything is lost.
    pub(crate) fn wipe(&self) {
        self.inner().files.clear();
    }

    /// Everything that was ever written.
    pub(crate) fn ever(&self) -> String {
        String::from_utf8_lossy(&self.inner().ever).into_owned()
    }
}

impl Inner {
    fn die(&mut self) {
        self.dead = true;
        self.killed.cancel();
    }

    /// How many of so many bytes are written, and what is said of it.
    fn write(&mut self, length: usize, whole: bool) -> (usize, io::Result<()>) {
        if self.dead {
            return (0, Err(io::Error::other("the process is dead")));
        }
        self.writes += 1;
        if self.full_from.is_some_and(|from| self.writes >= from) {
            let half = if whole { 0 } else { length / 2 };
            return (half, Err(io::Error::from(io::ErrorKind::StorageFull)));
        }
        let Some(Death::AtWrite { number, moment, .. }) = self.death else {
            return (length, Ok(()));
        };
        if number != self.writes {
            return (length, Ok(()));
        }
        self.die();
        let written = match moment {
            Moment::Before => 0,
            Moment::After => length,
            Moment::Within(_) if whole || length == 0 => 0,
            Moment::Within(byte) => byte % length,
        };
        (written, Err(io::Error::other("the process died")))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError {
        doing,
        path,
        source,
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        let inner = self.inner();
        Ok(inner.files.get(path).map(|file| file.bytes.clone()))
    }

    fn replace(&self, path: &Path, bytes: &[u8], _mode: u32) -> Result<(), FileError> {
        let mut inner = self.inner();
        let (written, outcome) = inner.write(bytes.len(), true);
        if written == bytes.len() {
            inner.ever.extend_from_slice(bytes);
            let file = File {
                bytes: bytes.to_vec(),
                synced: bytes.len(),
            };
            inner.files.insert(path.to_owned(), file);
        }
        outcome.map_err(failed("write", path))
    }

    fn append_to(&self, path: &Path, length: Option<u64>) -> Result<Box<dyn Append>, FileError> {
        let mut inner = self.inner();
        let Some(file) = inner.files.get_mut(path) else {
            return Err(failed("open", path)(io::ErrorKind::NotFound.into()));
        };
        if let Some(length) = length {
            file.bytes
                .truncate(usize::try_from(length).unwrap_or(usize::MAX));
            file.synced = file.bytes.len();
        }
        Ok(Box::new(Appended {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }

    fn lock(&self, directory: &Path) -> Result<Box<dyn Held>, StoreError> {
        if !self.inner().locked.insert(directory.to_owned()) {
            return Err(LockError::Held { holder: None }.into());
        }
        Ok(Box::new(Lock {
            disk: self.clone(),
            directory: directory.to_owned(),
            holder: Holder {
                host: "operator".to_owned(),
                pid: 1,
                started: Timestamp::UNIX_EPOCH,
            },
        }))
    }

    fn holder(&self, _directory: &Path) -> Result<Option<Holder>, FileError> {
        Ok(None)
    }

    fn waits(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct Appended {
    disk: MemoryDisk,
    path: PathBuf,
}

impl Append for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let (written, outcome) = inner.write(bytes.len(), false);
        inner.ever.extend_from_slice(&bytes[..written]);
        let file = inner.files.entry(self.path.clone()).or_default();
        file.bytes.extend_from_slice(&bytes[..written]);
        outcome
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.disk.inner();
        if inner.dead {
            return Err(io::Error::other("the process is dead"));
        }
        let file = inner.files.entry(self.path.clone()).or_default();
        file.synced = file.bytes.len();
        Ok(())
    }
}

#[derive(Debug)]
struct Lock {
    disk: MemoryDisk,
    directory: PathBuf,
    holder: Holder,
}

impl Held for Lock {
    fn holder(&self) -> &Holder {
        &self.holder
    }

    fn predecessor(&self) -> Option<&Holder> {
        None
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.inner().locked.remove(&self.directory);
    }
}
