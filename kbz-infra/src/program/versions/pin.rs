//! What a pin says.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The pin that names the version of PostgreSQL.
pub(super) const POSTGRES: &str = "postgres";

/// An exact version as the file gives it, without repository and digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub(super) String);

impl Version {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A container image that never changes under its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImagePin {
    /// Where it is kept: `haproxy`, `registry.example/team/name`.
    pub repository: String,
    /// Its tag.
    pub tag: String,
    /// `sha256:` and the digest of its content, where the pin gives one.
    pub digest: Option<String>,
}

impl fmt::Display for ImagePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// A version of PostgreSQL that this library knows how to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PostgresVersion {
    /// 16 or 17: data directories of different majors are incompatible.
    pub major: u16,
    /// Corrections only: any minor reads the data of any other.
    pub minor: u16,
}

impl fmt::Display for PostgresVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
