//! `lab ...` finds the program's folder, and says why where it does not.

use crate::folder::{Folder, code, said};

/// Runs a command from a folder below, with no engine; what it says. It fails.
fn refused(folder: &Folder, below: &str, words: &[&str]) -> String {
    std::fs::create_dir_all(folder.path(below)).expect("a folder");
    let mut program = folder.program(words);
    program.current_dir(folder.path(below));
    program.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let output = program.output().expect("the program starts");
    assert_eq!(code(&output), 1, "{words:?}: {}", said(&output));
    assert!(!folder.path(below).join(".kbz").exists(), "{words:?}");
    // A report is broken into lines.
    let said = said(&output).replace("│", " ");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_lab_is_found_where_the_program_is_broken() {
    for (file, text) in [("servers.tsv", "nonsense"), ("kbz.toml", "= nonsense")] {
        let folder = Folder::new();
        folder.write(file, text);
        let ssh = refused(&folder, "below", &["lab", "ssh", "db-master-01"]);
        let state = folder.path(".kbz").display().to_string();
        assert!(ssh.contains("there is no lab kbz in"), "{ssh}");
        assert!(ssh.replace(' ', "").contains(&state), "{ssh}");
        let down = refused(&folder, "below", &["lab", "down"]);
        assert!(down.contains("there is no Docker Engine"), "{down}");
    }
}

#[test]
fn what_was_typed_wrongly_is_told_as_everywhere() {
    let folder = Folder::new();
    for command in ["up", "down", "status"] {
        let nowhere = refused(
            &folder,
            "below",
            &["--stack-dir", "/nowhere", "lab", command],
        );
        assert!(
            nowhere.contains("there is no /nowhere/kbz.toml"),
            "{nowhere}"
        );
        let typo = refused(&folder, "below", &["--env", "typo", "lab", command]);
        assert!(typo.contains("typo"), "{typo}");
        assert!(!typo.contains("Docker Engine"), "{typo}");
    }
    let json = refused(&folder, "below", &["--json", "lab", "ssh", "db-master-01"]);
    assert!(json.contains("--json has no meaning"), "{json}");
}

#[test]
fn no_second_lab_is_made_where_there_is_no_program() {
    let folder = Folder::new();
    std::fs::remove_file(folder.path("kbz.toml")).expect("a file");
    for words in [&["lab", "up"][..], &["lab", "ssh", "db-master-01"]] {
        let none = refused(&folder, "below", words);
        assert!(none.contains("there is no kbz.toml here"), "{none}");
    }
}
