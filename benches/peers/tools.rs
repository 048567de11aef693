//! Where the peers come from: a virtual environment of Python with packages of PyPI, and a crate that
//! cargo installs. Both lie in the folder of builds and are made once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use benches::desk::Failure;

/// What is installed from PyPI.
const PACKAGES: [&str; 3] = ["ansible-core==2.18.*", "mitogen==0.3.*", "pyinfra==3.*"];
/// What is installed from crates.io.
const CRATE: &str = "forjar";

/// The installed peers.
pub(crate) struct Tools {
    root: PathBuf,
    /// Whether forjar, whose build takes the longest by far, is among them.
    pub(crate) with_forjar: bool,
}

impl Tools {
    /// Installs what is not there yet, and says so.
    pub(crate) fn installed(with_forjar: bool) -> Result<Self, Failure> {
        let here = std::env::current_exe()?;
        let builds = here.ancestors().nth(3).ok_or("no folder of builds")?;
        let tools = Self {
            root: builds.join("peers"),
            with_forjar,
        };
        tools.packages()?;
        if with_forjar {
            tools.forjar()?;
        }
        Ok(tools)
    }

    /// A program of the virtual environment.
    pub(crate) fn python(&self, program: &str) -> PathBuf {
        self.venv().join("bin").join(program)
    }

    /// A program that cargo installed.
    pub(crate) fn cargo(&self, program: &str) -> PathBuf {
        self.root.join("bin").join(program)
    }

    /// A folder of a package of the virtual environment.
    pub(crate) fn package(&self, path: &str) -> Result<PathBuf, Failure> {
        let libraries = std::fs::read_dir(self.venv().join("lib"))?;
        let versions = libraries.flatten().map(|entry| entry.path());
        let mut found = versions.map(|python| python.join("site-packages").join(path));
        found
            .find(|path| path.exists())
            .ok_or_else(|| format!("no {path} is installed").into())
    }

    /// What is installed, with its versions.
    pub(crate) fn versions(&self) -> Result<String, Failure> {
        let mut freeze = Command::new(self.python("pip"));
        let output = freeze.args(["list", "--format", "freeze"]).output()?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let ours = |line: &&str| {
            let mut names = PACKAGES.iter().filter_map(|name| name.split("==").next());
            names.any(|name| line.starts_with(&format!("{name}==")))
        };
        let mut lines: Vec<String> = listed.lines().filter(ours).map(str::to_owned).collect();
        if self.with_forjar {
            let output = Command::new(self.cargo(CRATE)).arg("--version").output()?;
            lines.push(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Ok(lines.join(", "))
    }

    fn venv(&self) -> PathBuf {
        self.root.join("venv")
    }

    fn packages(&self) -> Result<(), Failure> {
        if self.python("pyinfra").exists() && self.python("ansible-playbook").exists() {
            return Ok(());
        }
        let venv = self.venv();
        eprintln!(
            "installing {} from PyPI into {}",
            PACKAGES.join(", "),
            venv.display()
        );
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let mut install = Command::new(self.python("pip"));
        succeed(install.args(["install", "--quiet"]).args(PACKAGES))
    }

    fn forjar(&self) -> Result<(), Failure> {
        if self.cargo(CRATE).exists() {
            return Ok(());
        }
        eprintln!(
            "installing {CRATE} from crates.io into {}",
            self.root.display()
        );
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut install = Command::new(cargo);
        install.args(["install", "--quiet", "--locked", CRATE, "--root"]);
        install.arg(&self.root).arg("--target-dir");
        succeed(install.arg(self.root.join("build")))
    }
}

/// Runs a program that has to succeed; what it complains about is shown.
pub(crate) fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {status}").into())
}

/// Writes a file below a folder.
pub(crate) fn write(folder: &Path, name: &str, content: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    std::fs::write(&path, content)?;
    Ok(path)
}
