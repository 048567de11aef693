//! Images built from a context.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ident::Digest;

/// Everything that an image is built from. Its tag is made from the content, so an image never
/// changes under its name, and three hosts cannot run three different ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildContext {
    /// Repository, without tag.
    pub repository: String,
    /// What the version part of the tag says to people, such as `17.11`.
    pub version: String,
    /// The files, `Dockerfile` among them, by path in the context.
    pub files: BTreeMap<String, ContextFile>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
}

/// A file of a build context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextFile {
    /// The content.
    pub content: String,
    /// Whether it is a program.
    pub executable: bool,
}

impl BuildContext {
    /// Repository and tag: `REPOSITORY:VERSION-DIGEST`.
    pub fn reference(&self) -> String {
        format!(
            "{}:{}-{}",
            self.repository,
            self.version,
            self.digest().short()
        )
    }

    /// The digest of the content.
    pub fn digest(&self) -> Digest {
        let files = self.files.iter().flat_map(|(path, file)| {
            let kind = if file.executable { "program" } else { "file" };
            [kind, path.as_str(), file.content.as_str()]
        });
        let args = self
            .args
            .iter()
            .flat_map(|(name, value)| ["arg", name.as_str(), value]);
        Digest::of_parts(files.chain(args))
    }
}
