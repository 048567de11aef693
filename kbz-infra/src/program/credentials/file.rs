//! The file itself: opened so that nobody can slip another one in, written so that it is there
//! whole or not at all.

#![expect(clippy::disallowed_methods, reason = "a credentials file is made here")]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::super::InputErrors;
use super::super::input::name_of;
use crate::diag::{Finding, SourceLocation};

/// The content of a file, or nothing where there is none. Refused: a file that others may read or
/// write, one of another owner, a link, a folder in which others may replace it.
pub(super) fn read_bytes(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, InputErrors> {
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(refused(
                path,
                "is a symbolic link",
                "put the file itself there",
            ));
        }
        Err(error) => return Err(unreadable(path, &error)),
    };
    check_owner_and_mode(path, &file)?;
    check_folder(path)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    Ok(Some(bytes))
}

/// Opens without following a link and without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = flags.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn check_owner_and_mode(path: &Path, file: &File) -> Result<(), InputErrors> {
    let about = file.metadata().map_err(|error| unreadable(path, &error))?;
    let shown = path.display();
    if !about.is_file() {
        return Err(refused(path, "is no file", "put a file there"));
    }
    if about.uid() != rustix::process::geteuid().as_raw() {
        let why = format!("belongs to user {}, who can read it", about.uid());
        return Err(refused(
            path,
            &why,
            "work as that user, or make the file your own",
        ));
    }
    if about.mode() & 0o077 != 0 {
        let why = format!("can be read by others (mode {:o})", about.mode() & 0o777);
        return Err(refused(path, &why, &format!("chmod 600 {shown}")));
    }
    Ok(())
}

fn check_folder(path: &Path) -> Result<(), InputErrors> {
    let folder = folder_of(path);
    let about = std::fs::metadata(folder).map_err(|error| unreadable(folder, &error))?;
    let is_sticky = about.mode() & 0o1000 != 0;
    if about.mode() & 0o022 != 0 && !is_sticky {
        let why = format!(
            "lies where others can replace it ({} is writable)",
            folder.display()
        );
        return Err(refused(
            path,
            &why,
            &format!("chmod 700 {}", folder.display()),
        ));
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes the folder where there is none, for its owner alone and hidden from Git. Holding the
/// handle that is returned keeps others from generating at the same time.
pub(super) fn locked_folder(path: &Path) -> Result<File, InputErrors> {
    let folder = folder_of(path);
    let lock = || -> io::Result<File> {
        if !folder.exists() {
            DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(folder)?;
            write(&folder.join(".gitignore"), b"*\n")?;
        }
        let handle = File::open(folder)?;
        handle.lock()?;
        Ok(handle)
    };
    lock().map_err(|error| unwritable(folder, &error))
}

/// The one place here that writes: whole or not at all, and on disk when it returns.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    // Mode 600 from the start.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

pub(super) fn refused(path: &Path, why: &str, help: &str) -> InputErrors {
    Finding::error(
        "kbz::credentials::refused",
        format!("{} {why}", path.display()),
    )
    .label(SourceLocation::new(name_of(path), 1, 1, 1).withhold(), "")
    .help(help)
    .into()
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> InputErrors {
    let message = format!("{} cannot be read: {error}", path.display());
    Finding::error("kbz::credentials::unreadable", message).into()
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> InputErrors {
    let message = format!("{} cannot be written: {error}", path.display());
    Finding::error("kbz::credentials::unwritable", message).into()
}
