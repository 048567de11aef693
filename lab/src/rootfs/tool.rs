//! `mmdebstrap`, and the cure where it is missing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use thiserror::Error;
use tokio::process::Command;

use crate::event::{Events, LabEvent};
use crate::filelock::{FileLock, LockError};

const PACKAGES: [&str; 2] = ["mmdebstrap", "debian-archive-keyring"];

/// How long apt-get waits for others that install: a fresh machine updates itself.
const PATIENCE: &str = "DPkg::Lock::Timeout=300";

/// The tool that makes images is not to be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToolError {
    /// It is missing, and only the user can install it.
    #[error("mmdebstrap is not installed; install it with `{cure}`")]
    Missing {
        /// The command that installs it.
        cure: String,
    },
    /// Installing it failed.
    #[error("`{command}` failed: {output}")]
    Install {
        /// The command.
        command: String,
        /// The end of what it wrote.
        output: String,
    },
    /// Another installation could not be waited for.
    #[error("could not wait for another installation")]
    Lock(#[from] LockError),
    /// A command could not be started.
    #[error("could not run `{command}`")]
    Spawn {
        /// The command.
        command: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Finds `mmdebstrap`; as root on a machine with apt, installs it when missing.
pub async fn ensure_mmdebstrap(events: &Events) -> Result<PathBuf, ToolError> {
    if let Some(path) = find("mmdebstrap") {
        return Ok(path);
    }
    let cure = || format!("sudo apt-get install {}", PACKAGES.join(" "));
    if find("apt-get").is_none() || !is_root() {
        return Err(ToolError::Missing { cure: cure() });
    }
    // Images are made side by side, and apt-get refuses to run twice at once.
    let _lock = FileLock::acquire("mmdebstrap", events).await?;
    if let Some(path) = find("mmdebstrap") {
        return Ok(path);
    }
    events.send(LabEvent::Installing {
        packages: PACKAGES.map(str::to_owned).to_vec(),
    });
    apt_get(&["update", "-q"]).await?;
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(PACKAGES);
    apt_get(&install).await?;
    find("mmdebstrap").ok_or_else(|| ToolError::Missing { cure: cure() })
}

async fn apt_get(args: &[&str]) -> Result<(), ToolError> {
    let command = format!("apt-get {}", args.join(" "));
    let output = Command::new("apt-get")
        .args(["-o", PATIENCE])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|source| ToolError::Spawn {
            command: command.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let output = lines[lines.len().saturating_sub(4)..].join("; ");
    Err(ToolError::Install { command, output })
}

/// The first executable of this name on `PATH` or in the system's own directories.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// Whether this process runs as root: what it creates in /proc/self belongs to its user.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|metadata| metadata.uid() == 0)
}
