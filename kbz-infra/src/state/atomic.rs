//! Local files replaced as a whole: beside, synced, renamed, and the directory synced too.
//!
//! A reader sees the old file or the new one, and after a power failure it is still one of the
//! two. What a killed writer leaves beside is recognised by its name and swept away.

#![expect(
    clippy::disallowed_methods,
    reason = "the operator's files are written here"
)]

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// How the name of a file that is still being written begins.
const UNFINISHED: &str = ".kbz-unfinished-";

/// A local file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct FileError {
    /// What was tried.
    pub doing: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Makes an [`io::Error`] one that says what was tried.
    pub(super) fn at(
        doing: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> FileError + use<> {
        let path = path.to_owned();
        move |source| FileError {
            doing,
            path,
            source,
        }
    }
}

/// Writes a file as a whole, with the permission bits `mode`.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let failed = |source| FileError {
        doing: "write",
        path: path.to_owned(),
        source,
    };
    let mut beside = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(directory)
        .map_err(failed)?;
    beside.write_all(bytes).map_err(failed)?;
    beside
        .as_file()
        .set_permissions(Permissions::from_mode(mode))
        .map_err(failed)?;
    beside.as_file().sync_all().map_err(failed)?;
    beside
        .persist(path)
        .map_err(|refused| failed(refused.error))?;
    sync_directory(directory)
}

/// Makes a directory and its parents, and makes sure that they stay.
pub fn make_directory(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
    {
        make_directory(parent)?;
    }
    match std::fs::create_dir(path) {
        Ok(()) => {}
        Err(there) if there.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(FileError::at("make", path)(error)),
    }
    path.parent().map_or(Ok(()), sync_directory)
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(FileError::at("sync", path))
}

/// Removes what killed writers left in a directory. Only for who holds its lock.
pub(super) fn sweep(directory: &Path) -> Result<(), FileError> {
    let failed = FileError::at("read", directory);
    let names = std::fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in names.map_err(failed)? {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(UNFINISHED.as_bytes())
        {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
        }
    }
    Ok(())
}

/// The content of a file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::at("read", path)(error)),
    }
}
