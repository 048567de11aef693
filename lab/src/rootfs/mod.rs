//! Container images made from Debian packages alone.
//!
//! A [`Recipe`] names a suite, packages, files and commands; `mmdebstrap` makes the file
//! system and `docker import` takes it as a stream, so nothing is pulled from a registry
//! and nothing is unpacked on the machine. The tag holds the digest of the recipe: an
//! unchanged recipe is never built twice, and a changed one never hides behind an old tag.
//! What the digest does not hold is the state of Debian's archive: an image keeps the
//! package versions of the day on which it was made, until its recipe changes.

mod build;
mod recipes;
mod tool;

pub use build::{RootfsError, ensure};
pub use recipes::{debian_base, host};
pub use tool::{ToolError, ensure_mmdebstrap};
pub(crate) use tool::{find, is_root};

use sha2::{Digest, Sha256};

/// The repository of every image that the lab makes.
pub const REPOSITORY: &str = "kbz-lab";

/// How to make an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Name of the image: a word of lower-case letters, digits and dashes.
    pub name: String,
    /// Debian suite, such as `bookworm`.
    pub suite: String,
    /// Packages on top of the essential ones.
    pub packages: Vec<String>,
    /// Files laid over the installed packages.
    pub files: Vec<RecipeFile>,
    /// Shell commands run inside the finished file system, in order.
    pub customize: Vec<String>,
    /// Instructions of the image, as in a Dockerfile (`CMD`, `ENV`; the engine
    /// takes no `STOPSIGNAL` here).
    pub instructions: Vec<String>,
}

/// A file that a recipe lays over the packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeFile {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub content: Vec<u8>,
}

impl Recipe {
    /// Hash of everything that the recipe says.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |text: &[u8]| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        field(self.name.as_bytes());
        field(self.suite.as_bytes());
        for list in [&self.packages, &self.customize, &self.instructions] {
            field(&list.len().to_be_bytes());
            for item in list {
                field(item.as_bytes());
            }
        }
        for file in &self.files {
            field(file.path.as_bytes());
            field(&file.mode.to_be_bytes());
            field(&file.content);
        }
        hex::encode(hash.finalize())[..12].to_owned()
    }

    /// The image's name and tag.
    pub fn image(&self) -> String {
        format!("{REPOSITORY}/{}:{}", self.name, self.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_follows_every_part_of_the_recipe() {
        let base = host();
        let mut changed = vec![base.clone()];
        for change in [
            (|recipe| recipe.suite.push('x')) as fn(&mut Recipe),
            |recipe| recipe.packages.push("vim".to_owned()),
            |recipe| recipe.files[0].mode = 0o700,
            |recipe| recipe.files[0].content.push(b'\n'),
            |recipe| recipe.customize.push("true".to_owned()),
            |recipe| recipe.instructions.clear(),
        ] {
            let mut recipe = base.clone();
            change(&mut recipe);
            changed.push(recipe);
        }
        let tags: std::collections::BTreeSet<_> = changed.iter().map(Recipe::image).collect();
        assert_eq!(tags.len(), changed.len());
    }
}
