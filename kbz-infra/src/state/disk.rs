//! What the operator's files are kept on.
//!
//! [`LocalDisk`] is the file system of this machine. A simulation brings a disk of its own, on
//! which a write breaks off at any byte, a sync is lost with the power, and no clock or process
//! number gets into a file; snapshot, journal and replay are the same on both.

#![expect(
    clippy::disallowed_methods,
    reason = "the operator's files are written here"
)]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::atomic::{self, FileError};
use super::error::StoreError;
use super::lock::{self, Holder, Lock};

/// The name of the lock in a state directory.
const LOCK: &str = "lock";

/// Where state is kept: files by path, and one lock per directory.
pub trait Disk: fmt::Debug + Send + Sync {
    /// The content of a file; `None` when there is none.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError>;

    /// Replaces a file as a whole, with the permission bits `mode`. A reader sees the old file or
    /// the new one, and once this returns the new one stays.
    fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError>;

    /// Opens a file that exists for appending. With `length` it is cut to so many bytes before,
    /// and stays so.
    fn append_to(&self, path: &Path, length: Option<u64>) -> Result<Box<dyn Append>, FileError>;

    /// Makes a directory, takes its lock without waiting, and sweeps away what a killed writer
    /// left there.
    fn lock(&self, directory: &Path) -> Result<Box<dyn Held>, StoreError>;

    /// Who says to hold the lock of a directory and is not known to be dead.
    fn holder(&self, directory: &Path) -> Result<Option<Holder>, FileError>;

    /// Takes the lock of a directory from whoever says to hold it; who that was. Only where a
    /// lock does not end with its process.
    fn unlock(&self, _directory: &Path) -> Result<Option<Holder>, FileError> {
        Ok(None)
    }

    /// What people, and hosts, call a directory: nobody else's has the same name.
    fn name(&self, directory: &Path) -> String {
        let whole = std::path::absolute(directory);
        let whole = whole.unwrap_or_else(|_| directory.to_owned());
        format!("{}:{}", lock::this_host(), whole.display())
    }

    /// Whether a write may take so long that it must not be waited for among other work.
    fn waits(&self) -> bool;
}

/// A file that is appended to.
pub trait Append: fmt::Debug + Send + Sync {
    /// Adds bytes at the end. Where this fails, some of them may be there.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything that was added stays.
    fn sync(&mut self) -> io::Result<()>;
}

/// A lock that is held until it is dropped.
pub trait Held: fmt::Debug + Send + Sync {
    /// Who holds it.
    fn holder(&self) -> &Holder;

    /// Who held it before and died with it.
    fn predecessor(&self) -> Option<&Holder>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        atomic::read(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
        atomic::write_atomically(path, bytes, mode)
    }

    fn append_to(&self, path: &Path, length: Option<u64>) -> Result<Box<dyn Append>, FileError> {
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(FileError::at("open", path))?;
        if let Some(length) = length {
            file.set_len(length)
                .and_then(|()| file.sync_all())
                .map_err(FileError::at("cut", path))?;
        }
        Ok(Box::new(file))
    }

    fn lock(&self, directory: &Path) -> Result<Box<dyn Held>, StoreError> {
        atomic::make_directory(directory)?;
        let lock = Lock::take(&directory.join(LOCK))?;
        atomic::sweep(directory)?;
        Ok(Box::new(lock))
    }

    fn holder(&self, directory: &Path) -> Result<Option<Holder>, FileError> {
        lock::holder(&directory.join(LOCK))
    }

    fn waits(&self) -> bool {
        true
    }
}

impl Append for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Held for Lock {
    fn holder(&self) -> &Holder {
        Lock::holder(self)
    }

    fn predecessor(&self) -> Option<&Holder> {
        Lock::predecessor(self)
    }
}
