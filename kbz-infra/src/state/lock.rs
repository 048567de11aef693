//! One run at a time in a state directory.
//!
//! The lock is the operating system's, on a file that is never replaced or removed, so that it
//! ends with its holder however that ends; the text in the file only tells who holds it. A text
//! left in a file that nobody has locked belongs to a holder that died: the lock is taken over,
//! and that is reported.
//!
//! Two machines that share the directory over a file system without locks are kept apart by the
//! hosts, not by this.

#![expect(
    clippy::disallowed_methods,
    reason = "the operator's files are written here"
)]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::atomic::FileError;

/// Who holds a lock, or made a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When it took the lock.
    pub started: Timestamp,
}

/// Whether a holder's process lives, as far as this machine can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It lives.
    Alive,
    /// There is no such process any more.
    Dead,
    /// It is on another machine.
    Elsewhere,
}

impl Holder {
    /// This process, now.
    pub(super) fn this() -> Self {
        Self {
            host: this_host(),
            pid: std::process::id(),
            started: Timestamp::now(),
        }
    }

    /// Whether its process lives.
    pub fn liveness(&self) -> Liveness {
        if self.host != this_host() {
            return Liveness::Elsewhere;
        }
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        match pid.map(rustix::process::test_kill_process) {
            // A process of another user answers that it must not be signalled: it is there.
            Some(Ok(()) | Err(rustix::io::Errno::PERM)) => Liveness::Alive,
            Some(Err(_)) | None => Liveness::Dead,
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "pid {} on {}, since {}",
            self.pid,
            self.host,
            self.started.strftime("%Y-%m-%d %H:%M:%S UTC")
        )
    }
}

pub(super) fn this_host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("another run holds the state: {}", held_by(holder.as_ref()))]
    Held {
        /// Who; `None` in the moment between taking the lock and saying so.
        holder: Option<Holder>,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

fn held_by(holder: Option<&Holder>) -> String {
    let Some(holder) = holder else {
        return "it has just begun; try again".to_owned();
    };
    match holder.liveness() {
        Liveness::Alive => format!("{holder}; wait for it, or end it"),
        Liveness::Dead => format!(
            "{holder}; that process is gone, but a process that it started still keeps the lock"
        ),
        Liveness::Elsewhere => format!("{holder}; look there whether it lives"),
    }
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    holder: Holder,
    predecessor: Option<Holder>,
}

impl Lock {
    /// Takes the lock, without waiting.
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(FileError::at("open", path))?;
        let locked = file.try_lock();
        let written = told(&mut file).map_err(FileError::at("read", path))?;
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { holder: written }),
            Err(TryLockError::Error(error)) => {
                return Err(FileError::at("lock", path)(error).into());
            }
        }
        let holder = Holder::this();
        tell(&mut file, Some(&holder)).map_err(FileError::at("write", path))?;
        Ok(Self {
            file,
            holder,
            predecessor: written,
        })
    }

    /// Who holds it: this process.
    pub(super) fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Who held it before and died with it.
    pub(super) fn predecessor(&self) -> Option<&Holder> {
        self.predecessor.as_ref()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Left unsaid it only looks as if this process had died, which the next one reports.
        let _ = tell(&mut self.file, None);
        // Said outright, because a child that is being started holds the file open as well.
        let _ = self.file.unlock();
    }
}

/// Who says to hold the lock and is not known to be dead. Goes by the text alone: even a shared
/// lock, held for a moment, would turn away a run that wants to begin.
pub(super) fn holder(path: &Path) -> Result<Option<Holder>, FileError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::at("open", path)(error)),
    };
    let holder = told(&mut file).map_err(FileError::at("read", path))?;
    Ok(holder.filter(|holder| holder.liveness() != Liveness::Dead))
}

/// What the file tells; a text that is not whole tells nothing.
fn told(file: &mut File) -> io::Result<Option<Holder>> {
    let mut text = String::new();
    file.rewind()?;
    match file.take(4096).read_to_string(&mut text) {
        Ok(_) => Ok(serde_json::from_str(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

fn tell(file: &mut File, holder: Option<&Holder>) -> io::Result<()> {
    let text = match holder {
        Some(holder) => serde_json::to_string(holder)? + "\n",
        None => String::new(),
    };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}
