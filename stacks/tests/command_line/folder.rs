//! The real program in a folder of its own, on simulated hosts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The inputs of the program, in a folder that a test may spoil.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A copy of the inputs.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::create_dir(folder.path().join("lab")).expect("a folder");
        for file in [
            "kbz.toml",
            "servers.tsv",
            "versions.yaml",
            "lab/versions.yaml",
        ] {
            std::fs::copy(source.join(file), folder.path().join(file)).expect(file);
        }
        Self(folder)
    }

    /// A path below the folder.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// What a file holds.
    pub(crate) fn read(&self, below: &str) -> String {
        std::fs::read_to_string(self.path(below)).expect(below)
    }

    /// Gives a file another content.
    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(below), content).expect(below);
    }

    /// The program, started in the folder, with nothing of the caller's surroundings.
    pub(crate) fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybuzz"));
        command.current_dir(self.0.path()).args(words);
        for name in ["KBZ_ENV", "NO_COLOR", "DOCKER_HOST", "SSH_AUTH_SOCK"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.program(words).output().expect("the program starts")
    }

    /// Makes the environment `sim` slow, so that a test can step in.
    pub(crate) fn slow_down(&self) {
        let settings = self.read("kbz.toml");
        let slow = settings.replace("kind = \"sim\"\n", "kind = \"sim\"\npace = \"150ms\"\n");
        assert_ne!(
            settings, slow,
            "kbz.toml has an environment of the kind sim"
        );
        self.write("kbz.toml", slow);
    }
}

/// What a program wrote to standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a program wrote to standard output.
pub(crate) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How a program ended.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

/// A command in the environment `sim`, which has to end so; everything that it wrote.
pub(crate) fn run(folder: &Folder, words: &[&str], expected: i32) -> String {
    let output = folder.run(&[words, &["--env", "sim"]].concat());
    let all = told(&output) + &said(&output);
    assert_eq!(code(&output), expected, "{words:?}: {all}");
    all
}
