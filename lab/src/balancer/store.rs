//! The state file: read once, replaced atomically.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::world::World;

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It exists and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The state file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not what this program wrote. Missing is fine; damaged is not.
    #[error("{} is damaged: remove it to start with no balancers", path.display())]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// Where the parser gave up.
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be replaced.
    #[error("cannot write {}", path.display())]
    Write {
        /// The state file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Reads the world, or an empty one where there is no file yet.
pub(super) fn load(path: &Path) -> Result<World, StoreError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(World::default()),
        Err(source) => {
            return Err(StoreError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    serde_json::from_slice(&text).map_err(|source| StoreError::Damaged {
        path: path.to_owned(),
        source,
    })
}

/// Replaces the file: after a crash it holds the old world or the new one.
pub(super) fn save(path: &Path, world: &World) -> Result<(), StoreError> {
    replace(path, world).map_err(|source| StoreError::Write {
        path: path.to_owned(),
        source,
    })
}

fn replace(path: &Path, world: &World) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(world)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}
