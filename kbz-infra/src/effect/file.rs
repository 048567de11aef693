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

    /// How a goal names it. What is remembered was made from goals, so it never changes.
    pub(crate) fn in_goal(&self) -> String {
        match self {
            Self::Named { user, group } => {
                format!("Named {{ user: {user:?}, group: {group:?} }}")
            }
            Self::InImage { reference, user } => {
                format!("InImage {{ reference: {reference:?}, user: {user:?} }}")
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_name_an_owner_as_they_always_did() {
        let named = r#"Named { user: "root", group: "root" }"#;
        assert_eq!(Owner::root().in_goal(), named);
        let in_image = Owner::InImage {
            reference: "kbz-patroni:17".to_owned(),
            user: "postgres".to_owned(),
        };
        let told = r#"InImage { reference: "kbz-patroni:17", user: "postgres" }"#;
        assert_eq!(in_image.in_goal(), told);
    }
}
