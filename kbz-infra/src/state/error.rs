//! Why state could not be read or written.

use std::path::{Path, PathBuf};

use super::atomic::FileError;
use super::lock::LockError;
use super::log::Misfit;
use super::snapshot::FormatError;
use crate::ident::StackName;

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The snapshot is not what was written.
    #[error("{} {why}{}", path.display(), way_out(why, path))]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: FormatError,
    },
    /// The journal is not what was written.
    #[error("{} {why}{}", path.display(), way_out(why, path))]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: FormatError,
    },
    /// The modelled world is not what was written.
    #[error("{} {why}{}", path.display(), begin_anew(why))]
    World {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: FormatError,
    },
    /// The directory belongs to another stack.
    #[error("{} belongs to the stack {found}", path.display())]
    OtherStack {
        /// The directory.
        path: PathBuf,
        /// The stack that the file names.
        found: StackName,
    },
    /// An entry that cannot follow what was before: a defect of who wrote it.
    #[error("the journal refuses an entry: {0}")]
    Misfit(#[from] Misfit),
    /// An entry that cannot be written down: a defect of its type.
    #[error("cannot write an entry down: {0}")]
    Encode(#[from] serde_json::Error),
    /// An earlier write failed, so nothing more is written.
    #[error("an earlier write to the journal failed; nothing more is recorded")]
    Poisoned,
}

impl StoreError {
    /// Whether a file of the state is not what was written to it.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Snapshot { why, .. } | Self::Journal { why, .. } => {
                matches!(why, FormatError::Damaged { .. })
            }
            _ => false,
        }
    }
}

fn way_out(why: &FormatError, path: &Path) -> String {
    match why {
        FormatError::Newer { .. } => String::new(),
        FormatError::Damaged { .. } => {
            let directory = path.parent().unwrap_or(path).display();
            format!(
                "; `state rebuild` keeps it beside and makes a new one from the marks on the hosts; \
                 a backup is restored to {directory}"
            )
        }
    }
}

fn begin_anew(why: &FormatError) -> &'static str {
    match why {
        FormatError::Newer { .. } => "",
        FormatError::Damaged { .. } => "; move it aside: the model then begins with empty hosts",
    }
}
