//! What a write of a file says besides its content.

use serde::{Deserialize, Serialize};

use crate::ident::Digest;

/// What must be at a path for a change of it to go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreImage {
    /// Anything that is a file, or nothing.
    Any,
    /// Nothing.
    Absent,
    /// A file with this content.
    Content(Digest),
    /// A symbolic link, whose place is taken; what it points to stays as it is.
    Link,
}

/// Who owns a file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// A user and a group that the host knows by name.
    Named {
        /// The user's name.
        user: String,
        /// The group's name.
        group: String,
    },
    /// A user and its group as an image has them; looked up where the image is.
    InImage {
        /// Repository and tag.
        reference: String,
        /// The user's name inside the image.
        user: String,
    },
}

impl Owner {
    /// `root:root`.
    pub fn root() -> Self {
        Self::Named {
            user: "root".to_owned(),
            group: "root".to_owned(),
        }
    }

    /// The user, where it is the host that knows it.
    pub fn on_host(&self) -> Option<String> {
        match self {
            Self::Named { user, .. } => Some(user.clone()),
            Self::InImage { .. } => None,
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Owner::Named { user, .. } | Owner::InImage { user, .. } => f.write_str(user),
        }
    }
}
