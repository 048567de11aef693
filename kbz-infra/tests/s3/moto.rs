//! A real S3 API server on this machine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The bucket that every server begins with.
pub(crate) const BUCKET: &str = "kbz-state";

/// The version that the tests were written for.
const PACKAGE: &str = "moto[server]==5.2.5";

/// A server that ends when it is dropped.
pub(crate) struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts a server on a free port, with an empty bucket.
    pub(crate) fn start() -> Self {
        let program = installed();
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Self { child, address };
        server.wait();
        let made = server.ask("PUT", &format!("/{BUCKET}"));
        assert!(made.starts_with("HTTP/1.1 200"), "{made}");
        server
    }

    /// The address of its API.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn wait(&self) {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(
                begun.elapsed() < Duration::from_mins(2),
                "the server does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let host = self.address;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's program, installed if it is not there yet.
fn installed() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
        let program = folder.join("bin/moto_server");
        // The last thing that an installation does, so that one that broke off is done again.
        let whole = folder.join(format!("installed {PACKAGE}"));
        if !whole.exists() {
            eprintln!("installing {PACKAGE} into {}", folder.display());
            environment(&folder);
            run(
                &folder.join("bin/pip"),
                &["install", "--quiet", "--disable-pip-version-check", PACKAGE],
            );
            std::fs::write(&whole, "").expect("the folder can be written to");
        }
        program
    })
}

/// Makes a virtual environment of Python.
fn environment(folder: &Path) {
    let folder = folder.to_str().expect("a readable path");
    let venv = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear", folder]);
        command.output().is_ok_and(|made| made.status.success())
    };
    if venv() {
        return;
    }
    eprintln!("installing python3-venv: without it there is no S3 server to test against");
    run(Path::new("apt-get"), &["update", "--quiet", "--quiet"]);
    run(
        Path::new("apt-get"),
        &[
            "install",
            "--quiet",
            "--quiet",
            "--yes",
            "--no-install-recommends",
            "python3-venv",
        ],
    );
    assert!(
        venv(),
        "python3 -m venv fails: install Python 3 with its module venv"
    );
}

fn run(program: &Path, words: &[&str]) {
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(
        output.status.success(),
        "{} {words:?}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}
