//! The same program against modelled hosts: no Docker, no network.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

#[test]
fn the_whole_program_comes_up_on_modelled_hosts_and_says_so() {
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
    let output = Command::new(env!("CARGO_BIN_EXE_keybuzz"))
        .arg("--stack-dir")
        .arg(folder.path())
        .args(["up", "--env", "sim"])
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the hosts are simulated"), "{said}");
}
