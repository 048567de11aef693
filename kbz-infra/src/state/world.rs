//! A modelled world, kept between runs beside the snapshot.
//!
//! Hosts that exist nowhere else live in this file. What it holds is the interpreter's own
//! affair; here it is one document with a format's number and the name of its stack, replaced as
//! a whole. It belongs to the right to write: only who holds the lock gets a [`WorldFile`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disk::Disk;
use super::error::StoreError;
use super::snapshot::{FormatError, damaged};
use crate::ident::StackName;

/// The name of the file.
const WORLD: &str = "world.json";
/// Only the operator reads it.
const PRIVATE: u32 = 0o600;
/// The version of the format.
const SCHEMA: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    schema: u32,
    stack: StackName,
    world: T,
}

/// Where a modelled world is kept, in the hands of who may write it.
#[derive(Debug, Clone)]
pub struct WorldFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    stack: StackName,
}

impl WorldFile {
    pub(super) fn of(disk: &Arc<dyn Disk>, directory: &Path, stack: &StackName) -> Self {
        Self {
            disk: Arc::clone(disk),
            path: directory.join(WORLD),
            stack: stack.clone(),
        }
    }

    /// Keeps a world instead of the one before.
    pub fn write(&self, world: &impl Serialize) -> Result<(), StoreError> {
        let kept = Kept {
            schema: SCHEMA,
            stack: self.stack.clone(),
            world,
        };
        let text = serde_json::to_vec(&kept)?;
        Ok(self.disk.replace(&self.path, &text, PRIVATE)?)
    }

    /// The world that is kept; `None` when there is none yet.
    pub(super) fn read(&self) -> Result<Option<Value>, StoreError> {
        let Some(bytes) = self.disk.read(&self.path)? else {
            return Ok(None);
        };
        let broken = |why| StoreError::World {
            path: self.path.clone(),
            why,
        };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| broken(damaged(&error)))?;
        let found = value["schema"].as_u64().unwrap_or_default();
        if found > u64::from(SCHEMA) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(broken(FormatError::newer(found, SCHEMA)));
        }
        let kept: Kept<Value> =
            serde_json::from_value(value).map_err(|error| broken(damaged(&error)))?;
        if kept.stack != self.stack {
            return Err(StoreError::OtherStack {
                path: self.path.clone(),
                found: kept.stack,
            });
        }
        Ok(Some(kept.world))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(folder: &Path, stack: &str) -> WorldFile {
        let disk: Arc<dyn Disk> = Arc::new(super::super::disk::LocalDisk);
        WorldFile::of(&disk, folder, &StackName::new(stack).unwrap())
    }

    #[test]
    fn a_world_comes_back_as_it_was_and_belongs_to_its_stack() {
        let folder = tempfile::TempDir::new().unwrap();
        let ours = file(folder.path(), "ours");
        assert_eq!(ours.read().unwrap(), None);
        ours.write(&json!({"hosts": ["db-1"]})).unwrap();
        assert_eq!(ours.read().unwrap(), Some(json!({"hosts": ["db-1"]})));
        let theirs = file(folder.path(), "theirs").read();
        assert!(matches!(theirs, Err(StoreError::OtherStack { .. })));
    }

    #[test]
    fn a_later_format_and_a_damaged_file_are_told_apart() {
        let folder = tempfile::TempDir::new().unwrap();
        let said = |text: &str| {
            std::fs::write(folder.path().join(WORLD), text).unwrap();
            file(folder.path(), "ours").read().unwrap_err().to_string()
        };
        let newer = said(r#"{"schema": 7, "whatever": 1}"#);
        assert!(newer.contains("has format 7"), "{newer}");
        let torn = said(r#"{"schema": 1, "stack": "ou"#);
        assert!(torn.contains("is damaged"), "{torn}");
        assert!(torn.contains("begins with empty hosts"), "{torn}");
    }
}
