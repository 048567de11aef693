//! A state directory begun anew, where its files are damaged.

use std::path::{Path, PathBuf};

use super::atomic::FileError;
use super::error::StoreError;
use super::snapshot::{self, Stored};
use super::store::{JOURNAL, LockedStore, PRIVATE, SNAPSHOT, Store};
use crate::effect::Record;

impl Store {
    /// Takes the lock of a directory whose files cannot be read, and puts empty ones in their
    /// place. The old ones stay beside them; their new names are told.
    pub fn begin_anew(&self) -> Result<(LockedStore, Vec<PathBuf>), StoreError> {
        let lock = self.disk().lock(self.directory())?;
        let mut aside = Vec::new();
        for name in [SNAPSHOT, JOURNAL] {
            let path = self.directory().join(name);
            if let Some(bytes) = self.disk().read(&path)? {
                let beside = self.free_name(&path)?;
                self.disk().replace(&beside, &bytes, PRIVATE)?;
                aside.push(beside);
            }
        }
        let stored: Stored<Record> = Stored {
            stack: self.stack().clone(),
            run: 0,
            seq: 0,
            records: Vec::new(),
        };
        // A kill between the two leaves a journal that does not fit, which is damage again.
        self.begin_journal(1)?;
        let bytes = snapshot::encode(&stored)?;
        let path = self.directory().join(SNAPSHOT);
        self.disk().replace(&path, &bytes, PRIVATE)?;
        Ok((self.under(lock)?, aside))
    }

    /// A name beside a file that nothing has.
    fn free_name(&self, path: &Path) -> Result<PathBuf, FileError> {
        let mut number = 1;
        loop {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".damaged-{number}"));
            let beside = PathBuf::from(name);
            if self.disk().read(&beside)?.is_none() {
                return Ok(beside);
            }
            number += 1;
        }
    }
}
