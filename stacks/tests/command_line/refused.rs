//! A mistake of the program is told before a lab is made, a host asked or a state written.

use crate::folder::{Folder, code, said};

/// What is right in `servers.tsv`, what it is replaced by, and what is said of that.
const MISTAKES: [(&str, &str, &str); 3] = [
    // A host takes the address of the load balancer.
    ("10.0.0.11\tlb", "10.0.0.10\tlb", "kbz::address::clash"),
    // A node is missing, and two voters cannot lose one.
    (
        "10.0.0.122\tdb",
        "10.0.0.122\tredis",
        "kbz::patroni::voters",
    ),
    // An address that cannot be.
    (
        "10.0.0.12\tlb",
        "10.0.0.300\tlb",
        "kbz::inventory::invalid-address",
    ),
];

#[test]
fn a_mistake_is_told_before_anything_is_asked_or_written() {
    for (right, wrong, mistake) in MISTAKES {
        for words in [
            ["preview", "--env", "sim"],
            ["up", "--env", "lab"],
            ["destroy", "--env", "lab"],
        ] {
            let folder = Folder::new();
            let hosts = folder.read("servers.tsv");
            assert!(hosts.contains(right), "{hosts}");
            folder.write("servers.tsv", hosts.replace(right, wrong));
            // Whoever asks for a lab here does not get one.
            let output = folder
                .program(&words)
                .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
                .output()
                .expect("the program starts");
            let told = said(&output);
            assert_eq!(code(&output), 1, "{words:?}: {told}");
            assert!(told.contains(mistake), "{words:?}: {told}");
            let placed = told.contains("stacks/keybuzz.rs:") || told.contains("servers.tsv:");
            assert!(placed, "{words:?}: {told}");
            assert!(!folder.path(".kbz").exists(), "{words:?}: {told}");
        }
    }
}
