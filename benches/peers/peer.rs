//! A peer: a command line that finds nothing to do, and how that is told.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use benches::desk::Failure;

/// A way to run a peer.
pub(crate) struct Peer {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// How many times slower than ours it is to be; none for what only must be slower.
    pub(crate) goal: f64,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Whether its output says that nothing changed and everything was looked at.
    pub(crate) unchanged: fn(&str) -> bool,
}

impl Peer {
    /// Runs it from start to end, and tells how many seconds that took. It has to find that
    /// nothing is to be done.
    pub(crate) fn run(&self) -> Result<f64, Failure> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        command.envs(self.environment.iter().cloned());
        let begun = Instant::now();
        let output = command.stdin(Stdio::null()).output()?;
        let elapsed = begun.elapsed().as_secs_f64();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if output.status.success() && (self.unchanged)(&said) {
            return Ok(elapsed);
        }
        let name = self.name;
        Err(format!("{name} did not find everything unchanged:\n{said}").into())
    }
}
