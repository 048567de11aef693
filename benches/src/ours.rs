//! The stack's own program on the lab's hosts, and the floor below any program that asks them.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement starts programs and says what it is at"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::desk::Failure;
use kbz_infra::cli::{Rehearsal as _, Rehearsed};
use kbz_infra::host::pool::Hosts;

/// The release build of the stack's program, and the folder of the stack.
pub struct Ours {
    program: PathBuf,
    /// The folder of the stack.
    pub folder: PathBuf,
}

impl Ours {
    /// Builds the program, and brings the lab up to date with it.
    ///
    /// # Errors
    /// When the program cannot be built, or `up` fails.
    pub fn ready() -> Result<Self, Failure> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stacks");
        let folder = folder.canonicalize()?;
        let ours = Self {
            program: built(&folder)?,
            folder,
        };
        eprintln!("bringing the lab up to date; without one this takes some minutes");
        ours.settle()?;
        Ok(ours)
    }

    /// Runs `up` until it finds nothing to do.
    ///
    /// # Errors
    /// When it fails.
    pub fn settle(&self) -> Result<(), Failure> {
        while !is_unchanged(&self.call(&["up"])?) {}
        Ok(())
    }

    /// Runs the program as an operator does; it has to succeed.
    ///
    /// # Errors
    /// When it does not.
    pub fn call(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--env", "lab"]);
        command.args(["--color", "never", "--stack-dir"]);
        let output = command.arg(&self.folder).output()?;
        if output.status.success() {
            return Ok(output);
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }

    /// An `up` with nothing to do: how long it took from start to end, and what it said.
    ///
    /// # Errors
    /// When it fails, or changes something.
    pub fn unchanged(&self, arguments: &[&str]) -> Result<(Duration, String), Failure> {
        let begun = Instant::now();
        let output = self.call(&[&["up"], arguments].concat())?;
        let elapsed = begun.elapsed();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !is_unchanged(&output) {
            return Err(format!("something changed meanwhile:\n{said}").into());
        }
        Ok((elapsed, said))
    }

    /// The lab's hosts, not connected yet.
    ///
    /// # Errors
    /// When there is no lab.
    pub async fn hosts(&self) -> Result<Hosts, Failure> {
        let wanted = Rehearsed {
            folder: self.folder.clone(),
            hosts: Vec::new(),
            balancers: Vec::new(),
        };
        let way = kbz_lab::Rehearsal.find(&wanted).await?;
        let way = way.ok_or("the lab is gone")?;
        Ok(Hosts::over_ssh(way.hosts))
    }

    /// Connects to every host through the bastion and runs one command on each, all at once.
    ///
    /// # Errors
    /// When a host cannot be reached.
    pub async fn floor(&self) -> Result<Duration, Failure> {
        crate::floor(self.hosts().await?).await
    }
}

/// The release build of the stack's program, which lies beside this one.
fn built(stack: &Path) -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--package", "stacks"]);
    if !build.current_dir(stack).status()?.success() {
        return Err("the program cannot be built".into());
    }
    Ok(release()?.join("keybuzz"))
}

/// The folder of release builds: this program is one of them.
fn release() -> Result<PathBuf, Failure> {
    let here = std::env::current_exe()?;
    let release = here.ancestors().nth(2).ok_or("no folder of builds")?;
    Ok(release.to_owned())
}

fn is_unchanged(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("no changes")
}
