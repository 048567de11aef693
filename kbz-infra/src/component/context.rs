//! What an image is built from.

use std::collections::BTreeMap;

use crate::ident::Digest;

/// A Dockerfile and the files beside it. The name of the image is derived from all of it, so the
/// same content is never built twice and different content never shares a name.
///
/// It holds no secret: an image is copied around, and its layers are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildContext {
    repository: String,
    files: BTreeMap<String, Vec<u8>>,
}

/// Why an image cannot be described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContext {
    /// The base is not pinned.
    #[error("the image `{0}` is not pinned: give a tag other than `latest`, or a digest")]
    NotPinned(String),
    /// A version is not exact.
    #[error("`{given}` is no exact version of {what}, such as {example}")]
    Version {
        /// Of what.
        what: &'static str,
        /// What was given.
        given: String,
        /// What it should look like.
        example: &'static str,
    },
    /// pysyncobj forgets its votes.
    #[error(
        "pysyncobj {0} may lose RAFT terms and votes when all members restart; take 0.3.17 or later"
    )]
    ForgetfulRaft(String),
    /// Patroni is too old.
    #[error("Patroni {0} is not supported; take 4.1 or later")]
    OldPatroni(String),
    /// Debian has one major version only.
    #[error(
        "the Debian base has PostgreSQL {available}, not {wanted}; take the official image as the base, or PostgreSQL {available}"
    )]
    Major {
        /// What was asked for.
        wanted: u16,
        /// What there is.
        available: u16,
    },
}

impl BuildContext {
    /// A context of a Dockerfile alone, for an image of this repository.
    pub fn new(repository: &str, dockerfile: String) -> Self {
        Self {
            repository: repository.to_owned(),
            files: BTreeMap::from([("Dockerfile".to_owned(), dockerfile.into_bytes())]),
        }
    }

    /// Adds a file; one that starts with `#!` is a program.
    pub fn with(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// The files by path, `Dockerfile` among them.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The Dockerfile as text.
    pub fn dockerfile(&self) -> String {
        String::from_utf8_lossy(&self.files["Dockerfile"]).into_owned()
    }

    /// The digest of all files with their paths.
    pub fn digest(&self) -> Digest {
        Digest::of_parts(
            self.files
                .iter()
                .flat_map(|(path, content)| [path.as_bytes(), content.as_slice()]),
        )
    }

    /// The name of the image: `REPOSITORY:DIGEST`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.digest().short())
    }
}

/// Refuses an image that may be another one tomorrow.
pub(crate) fn pinned(reference: &str) -> Result<(), InvalidContext> {
    let refused = || Err(InvalidContext::NotPinned(reference.to_owned()));
    if reference.contains(char::is_whitespace) {
        return refused();
    }
    if reference.contains("@sha256:") {
        return Ok(());
    }
    let name = reference.rsplit('/').next().unwrap_or(reference);
    match name.split_once(':') {
        Some((_, tag)) if !tag.is_empty() && tag != "latest" => Ok(()),
        _ => refused(),
    }
}

/// Refuses a version that is not digits with `parts` dots between them.
pub(crate) fn exact(
    what: &'static str,
    given: &str,
    parts: std::ops::RangeInclusive<usize>,
    example: &'static str,
) -> Result<Vec<u32>, InvalidContext> {
    let numbers: Result<Vec<u32>, _> = given.split('.').map(str::parse).collect();
    match numbers {
        Ok(numbers) if parts.contains(&numbers.len()) => Ok(numbers),
        _ => Err(InvalidContext::Version {
            what,
            given: given.to_owned(),
            example,
        }),
    }
}

impl BuildContext {
    /// The context as an effect builds it, with a version for people in its tag.
    pub fn versioned(self, version: impl Into<String>) -> crate::model::BuildContext {
        let files = self.files.into_iter().map(|(path, content)| {
            let content = String::from_utf8_lossy(&content).into_owned();
            let executable = content.starts_with("#!");
            (
                path,
                crate::model::ContextFile {
                    content,
                    executable,
                },
            )
        });
        crate::model::BuildContext {
            repository: self.repository,
            version: version.into(),
            files: files.collect(),
            args: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_follows_the_content() {
        let one = BuildContext::new("kbz-x", "FROM a:1\n".to_owned());
        let same = BuildContext::new("kbz-x", "FROM a:1\n".to_owned());
        assert_eq!(one.reference(), same.reference());
        assert_ne!(one.reference(), same.with("f", "x").reference());
    }

    #[test]
    fn floating_images_are_refused() {
        for good in ["postgres:16.4-bookworm", "r:5000/x:1", "x@sha256:00"] {
            pinned(good).unwrap();
        }
        for bad in ["postgres", "postgres:latest", "r:5000/x", "x:", "x:1 AS y"] {
            assert!(pinned(bad).is_err(), "{bad}");
        }
    }
}
