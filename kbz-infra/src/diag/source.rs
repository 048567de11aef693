//! Where the text of a source comes from when a snippet of it is drawn.

use std::path::{Path, PathBuf};

/// Gives the text of a source that a location names.
pub trait SourceReader {
    /// The text of `file`, or nothing where it cannot be read: the finding is then shown
    /// without a snippet.
    fn read(&self, file: &str) -> Option<String>;
}

/// Shows no snippets at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSources;

impl SourceReader for NoSources {
    fn read(&self, _file: &str) -> Option<String> {
        None
    }
}

/// Reads sources from disk.
///
/// The compiler names a file relative to the workspace in which it was built, or absolutely; a
/// program may run from any folder below. So a relative name is looked for below each root and
/// then below the folders above it.
#[derive(Debug, Clone, Default)]
pub struct FileSources {
    roots: Vec<PathBuf>,
}

impl FileSources {
    /// Looks below `current_dir` and the folders above it.
    pub fn below(current_dir: impl Into<PathBuf>) -> Self {
        Self {
            roots: vec![current_dir.into()],
        }
    }

    /// Looks below this folder too, such as the `CARGO_MANIFEST_DIR` of the program.
    #[must_use]
    pub fn or_below(mut self, root: impl Into<PathBuf>) -> Self {
        self.roots.push(root.into());
        self
    }

    fn find(&self, file: &Path) -> Option<PathBuf> {
        if file.is_absolute() {
            return file.is_file().then(|| file.to_owned());
        }
        let folders = self.roots.iter().flat_map(|root| root.ancestors());
        folders
            .map(|dir| dir.join(file))
            .find(|path| path.is_file())
    }
}

impl SourceReader for FileSources {
    fn read(&self, file: &str) -> Option<String> {
        let file = Path::new(file);
        // Locations in credentials are withheld; should one not be, its file is not read either.
        if file.extension().is_some_and(|extension| extension == "env") {
            return None;
        }
        std::fs::read_to_string(self.find(file)?).ok()
    }
}
