//! What can be at a path.

use serde::{Deserialize, Serialize};

use crate::ident::Digest;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathReading {
    /// Nothing.
    Absent,
    /// A regular file.
    File(FileReading),
    /// A directory.
    Directory(Ownership),
    /// Something that is never managed, and never overwritten: a link, a device, a socket.
    Other(Node),
}

/// The names of what is in a directory, in order, [`EntriesReading::MOST`] at most; none where
/// there is no directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntriesReading(pub Vec<String>);

impl EntriesReading {
    /// As many names as are read: enough to tell a person what is there.
    pub const MOST: usize = 8;
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReading {
    /// SHA-256 of the content.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Owner and mode.
    pub ownership: Ownership,
    /// Whether the immutable attribute is set (`chattr +i`).
    pub immutable: bool,
    /// The content, where it was asked for and is UTF-8 of at most 256 KiB. Never serialised:
    /// it may hold secrets.
    #[serde(skip)]
    pub content: Option<String>,
}

/// Owner and mode of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// Permission bits, such as `0o600`.
    pub mode: u32,
    /// The owner's numeric id.
    pub uid: u32,
    /// The group's numeric id.
    pub gid: u32,
    /// The owner's name, where the host has one for the id.
    pub owner: String,
    /// The group's name, where the host has one for the id.
    pub group: String,
}

/// The types of a path that are no file and no directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Node {
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Special,
}
