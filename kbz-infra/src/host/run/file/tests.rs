//! The scripts, run by the local shell in a folder of its own.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::*;
use crate::host::registry::Registry;

/// A host in a folder.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, change: &Change) -> Output {
        self.run_as(change, 1)
    }

    fn run_as(&self, change: &Change, run: u64) -> Output {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &self.text(change, run)]);
        fed(&mut shell, &change.stdin).wait_with_output().unwrap()
    }

    /// What the host's shell would read, with the registry in the folder.
    pub(super) fn text(&self, change: &Change, run: u64) -> String {
        let registry = Registry::below(&self.path("registry"));
        let text = change.text(&registry, run);
        text.replace("/var/lib/kbz ", &format!("{} ", self.path("kbz")))
    }
}

/// Starts a command that is given its input.
pub(super) fn fed(command: &mut Command, input: &[u8]) -> Child {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A script that refuses does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    child
}

pub(super) fn me(folder: &Folder) -> String {
    let meta = std::fs::metadata(folder.0.path()).unwrap();
    format!("{}:{}", meta.uid(), meta.gid())
}

fn write(
    folder: &Folder,
    path: &str,
    content: &str,
    expect: PreImage,
    validate: Option<&[String]>,
) -> Output {
    let text = Text::plain(content);
    let owner = Owner::root();
    let write = Write {
        path,
        content: &text,
        mode: 0o640,
        owner: &owner,
        expect,
        validate,
        immutable: false,
    };
    let script = write.script(&me(folder), &Digest::of(content)).unwrap();
    folder.run(&Change::new(path, script).stdin(content.as_bytes().to_vec()))
}

fn check(output: &Output, code: i32, complaint: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(complaint), "{said}");
}

pub(super) fn no_leftovers(folder: &Folder) {
    let names = std::fs::read_dir(folder.0.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name.contains(".kbz")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_file_is_written_and_written_again() {
    let folder = Folder::new();
    let path = folder.path("it's a file");
    for _ in 0..2 {
        check(
            &write(&folder, &path, "one\n", PreImage::Absent, None),
            0,
            "",
        );
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    let old = PreImage::Content(Digest::of("one\n"));
    for _ in 0..2 {
        check(&write(&folder, &path, "two\n", old, None), 0, "");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    no_leftovers(&folder);
}

#[test]
fn what_is_not_as_planned_is_not_touched() {
    let folder = Folder::new();
    let path = folder.path("file");
    std::fs::write(&path, "by hand").unwrap();
    check(
        &write(&folder, &path, "new", PreImage::Absent, None),
        76,
        "a file is there",
    );
    let other = PreImage::Content(Digest::of("other"));
    check(
        &write(&folder, &path, "new", other, None),
        76,
        "its content is another",
    );
    let gone = folder.path("gone");
    check(&write(&folder, &gone, "new", other, None), 76, "it is gone");
    let link = folder.path("link");
    symlink(&path, &link).unwrap();
    check(
        &write(&folder, &link, "new", PreImage::Any, None),
        76,
        "symbolic link",
    );
    check(
        &write(&folder, &link, "new", other, None),
        76,
        "symbolic link",
    );
    check(
        &write(&folder, &path, "new", PreImage::Link, None),
        76,
        "another",
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "by hand");
    no_leftovers(&folder);
}

#[test]
fn a_link_gives_way_where_the_plan_has_seen_it() {
    let folder = Folder::new();
    let (path, link) = (folder.path("file"), folder.path("link"));
    std::fs::write(&path, "behind the link").unwrap();
    symlink(&path, &link).unwrap();
    for _ in 0..2 {
        check(&write(&folder, &link, "new", PreImage::Link, None), 0, "");
    }
    assert!(std::fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "new");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "behind the link");
}

#[test]
fn a_refused_content_leaves_the_old_one() {
    let folder = Folder::new();
    let path = folder.path("x.cfg");
    std::fs::write(&path, "old").unwrap();
    let validate = [
        "sh",
        "-c",
        "case $1 in */x.cfg) ;; *) exit 9 ;; esac; cat \"$1\"; grep -q good \"$1\"",
        "sh",
        "{}",
    ];
    let validate = validate.map(str::to_owned);
    let old = PreImage::Content(Digest::of("old"));
    let refused = write(&folder, &path, "bad line", old, Some(&validate));
    check(&refused, 1, "not accepted:\nbad line");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    check(&write(&folder, &path, "good", old, Some(&validate)), 0, "");
    no_leftovers(&folder);
}

#[test]
fn content_that_did_not_arrive_whole_is_not_written() {
    let folder = Folder::new();
    let path = folder.path("file");
    let owner = Owner::root();
    let text = Text::plain("whole");
    let write = Write {
        path: &path,
        content: &text,
        mode: 0o600,
        owner: &owner,
        expect: PreImage::Any,
        validate: None,
        immutable: false,
    };
    let script = write.script(&me(&folder), &Digest::of("whole")).unwrap();
    let output = folder.run(&Change::new("file", script).stdin(b"who".to_vec()));
    check(&output, 1, "did not arrive whole");
    assert!(!Path::new(&path).exists());
    no_leftovers(&folder);
}

#[test]
fn files_and_directories_go() {
    let folder = Folder::new();
    let (file, inner) = (folder.path("dir/file"), folder.path("dir"));
    let make = || {
        Change::new(
            "dir",
            directory_script(&inner, 0o750, &me(&folder)).unwrap(),
        )
    };
    for _ in 0..2 {
        check(&folder.run(&make()), 0, "");
    }
    assert_eq!(
        std::fs::metadata(&inner).unwrap().permissions().mode() & 0o777,
        0o750
    );
    check(&write(&folder, &file, "x", PreImage::Absent, None), 0, "");
    check(
        &folder.run(&remove_directory(&inner, false).unwrap()),
        0,
        "",
    );
    assert!(
        Path::new(&file).exists(),
        "a directory that is not empty stays"
    );
    let wrong = remove_file(&file, PreImage::Content(Digest::of("y"))).unwrap();
    check(&folder.run(&wrong), 76, "another");
    for _ in 0..2 {
        check(
            &folder.run(&remove_file(&file, PreImage::Any).unwrap()),
            0,
            "",
        );
    }
    check(&write(&folder, &file, "x", PreImage::Absent, None), 0, "");
    for _ in 0..2 {
        check(&folder.run(&remove_directory(&inner, true).unwrap()), 0, "");
    }
    assert!(!Path::new(&inner).exists());
    assert!(remove_directory("/etc", true).is_err());
    assert!(remove_directory("/var/../etc", true).is_err());
}

#[test]
fn an_older_run_is_refused() {
    let folder = Folder::new();
    let path = folder.path("file");
    let change = |content: &str| {
        let text = Text::plain(content);
        let owner = Owner::root();
        let write = Write {
            path: &path,
            content: &text,
            mode: 0o600,
            owner: &owner,
            expect: PreImage::Any,
            validate: None,
            immutable: false,
        };
        let script = write.script(&me(&folder), &Digest::of(content)).unwrap();
        Change::new("file", script).stdin(content.as_bytes().to_vec())
    };
    check(&folder.run_as(&change("seven"), 7), 0, "");
    check(&folder.run_as(&change("six"), 6), 77, "run 7");
    check(&folder.run_as(&change("still seven"), 7), 0, "");
    check(&folder.run_as(&change("eight"), 8), 0, "");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "eight");
}
