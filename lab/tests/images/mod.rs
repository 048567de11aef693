//! Images for tests, built here from a Debian base of the lab's own, and containers of them
//! without a network; nothing is pulled.

#![allow(clippy::disallowed_methods, reason = "a test prepares its own world")]
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by several test binaries, each of which uses a part of it"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use kbz_infra::component::BuildContext;
use kbz_lab::{Engine, Events, rootfs};

/// The Debian that service images are built on, and a host of the lab.
pub static BASES: LazyLock<Bases> = LazyLock::new(Bases::ensure);

pub struct Bases {
    pub debian: String,
    pub host: String,
}

impl Bases {
    fn ensure() -> Self {
        let (debian, host) = tokio::runtime::Runtime::new().unwrap().block_on(async {
            let engine = Engine::connect().expect(
                "these tests need Docker: start dockerd, or point DOCKER_HOST at its socket",
            );
            let bundle = std::fs::read("/etc/ssl/certs/ca-certificates.crt").ok();
            let events = Events::silent();
            let debian = rootfs::ensure(&engine, &rootfs::debian_base(bundle), &events).await;
            let host = rootfs::ensure(&engine, &rootfs::host(), &events).await;
            (debian.unwrap(), host.unwrap())
        });
        Self { debian, host }
    }
}

/// Builds an image unless the engine has it: its name follows its content.
pub fn build(context: &BuildContext) -> String {
    let reference = context.reference();
    let known = Command::new("docker")
        .args(["image", "inspect", &reference])
        .output()
        .expect("these tests need the docker command");
    if !known.status.success() {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in context.files() {
            std::fs::write(folder.path().join(path), content).unwrap();
        }
        // The builder that every engine has.
        let built = Command::new("docker")
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "-q", "-t", &reference])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(built.status.success(), "{reference}: {}", shown(&built));
    }
    reference
}

/// A container without a network that gets `files` in `/tmp/files` and runs `script` there.
pub fn consume(image: &str, files: &[(&str, &str)], script: &str) -> Output {
    let script = format!("mkdir /tmp/files && cd /tmp/files && tar -x || exit 9\n{script}");
    run(image, &["--entrypoint", "bash"], &["-c", &script], files)
}

pub fn run(image: &str, options: &[&str], command: &[&str], files: &[(&str, &str)]) -> Output {
    let mut child = Command::new("docker")
        .args([
            "run",
            "--rm",
            "-i",
            "--network",
            "none",
            "--cap-drop",
            "ALL",
        ])
        .args(options)
        .arg(image)
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need the docker command");
    // What does not read its input may be gone before all of it is written.
    let _ = child.stdin.take().unwrap().write_all(&archive(files));
    child.wait_with_output().unwrap()
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        archive
            .append_data(&mut header, Path::new(path), content.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

pub fn shown(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{}\n{out}{err}", output.status)
}

pub fn accepted(output: &Output) -> String {
    let shown = shown(output);
    assert!(output.status.success(), "{shown}");
    shown
}
