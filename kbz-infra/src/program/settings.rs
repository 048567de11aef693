//! What the environment says of all hosts and of the program's inputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the images of a program come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageBase {
    /// Official images, pulled by the operator's machine.
    Official,
    /// Built from Debian packages on top of a base image that the operator's machine has.
    Debian {
        /// Repository and tag of the base image.
        reference: String,
    },
}

/// What the environment says of all hosts and of the program's inputs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that relative paths of inputs start from.
    pub folder: PathBuf,
    /// The inventory's file, where the environment has one of its own.
    pub inventory: Option<PathBuf>,
    /// The file of pins, where the environment has one of its own.
    pub versions: Option<PathBuf>,
    /// The credentials file, where the environment has one of its own.
    pub credentials: Option<PathBuf>,
    /// The file of the operator's age identities, for credentials that are encrypted.
    pub age_identity: Option<PathBuf>,
    /// Where images come from.
    pub images: ImageBase,
    /// Bytes of memory that each host's database may plan with, where hosts share one machine.
    pub memory_budget: Option<u64>,
    /// Parameters of PostgreSQL, over those of the program.
    pub postgresql: BTreeMap<String, String>,
    /// How many files a container may have open.
    pub open_files: i64,
    /// Whether the hosts' file systems can protect a file against everybody (`chattr +i`).
    pub immutable_files: bool,
    /// Whether all hosts run on the clock of one machine, which keeps it for them.
    pub shared_clock: bool,
    /// Whether a data directory on another file system than XFS is only warned about.
    pub tolerate_other_filesystems: bool,
}

impl Settings {
    /// Settings for the program in `folder` with official images and no exceptions.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            inventory: None,
            versions: None,
            credentials: None,
            age_identity: None,
            images: ImageBase::Official,
            memory_budget: None,
            postgresql: BTreeMap::new(),
            open_files: 65_536,
            immutable_files: true,
            shared_clock: false,
            tolerate_other_filesystems: false,
        }
    }

    /// The file of an input: the environment's own, or the one that the program names.
    pub(super) fn input(&self, own: Option<&PathBuf>, named: &str) -> PathBuf {
        own.cloned()
            .unwrap_or_else(|| self.folder.join(Path::new(named)))
    }
}
