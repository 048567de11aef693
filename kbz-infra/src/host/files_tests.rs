//! The script against the local shell, with files of its own user.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::host::transport::Status;

fn spec(path: &Path, content: &[u8]) -> WriteFile {
    let own = fs::metadata(path.parent().unwrap()).unwrap();
    WriteFile {
        path: path.to_str().unwrap().to_owned(),
        mode: 0o640,
        owner: own.uid().to_string(),
        group: own.gid().to_string(),
        content: Digest::of(content),
        expect: PreImage::Any,
        validate: None,
        backup: None,
    }
}

fn start(file: &WriteFile) -> Child {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(write_script(file).unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn write(file: &WriteFile, content: &[u8]) -> Result<Found, WriteFileError> {
    let mut child = start(file);
    // A script that refuses at once does not read.
    let _ = child.stdin.take().unwrap().write_all(content);
    let output = child.wait_with_output().unwrap();
    let code = output.status.code().unwrap();
    let output = Output {
        status: Status::Exited(code.try_into().unwrap()),
        stdout: output.stdout,
        stderr: output.stderr,
    };
    written(&file.path, &output)
}

/// The names in a directory; nothing temporary may stay.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_new_file_gets_its_content_and_mode() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["plain.conf", "it's a $(name)\n*", "-n", "é"] {
        let path = dir.path().join(name);
        let mut file = spec(&path, b"a\0b\n");
        file.expect = PreImage::Absent;
        assert_eq!(write(&file, b"a\0b\n"), Ok(None), "{name}");
        assert_eq!(fs::read(&path).unwrap(), b"a\0b\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
    }
    assert_eq!(names(dir.path()).len(), 4);
}

#[test]
fn only_the_planned_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "old").unwrap();
    let old = Digest::of("old");
    let mut file = spec(&path, b"new");
    for (expect, right) in [
        (PreImage::Absent, false),
        (PreImage::Content(Digest::of("other")), false),
        (PreImage::Content(old), true),
    ] {
        file.expect = expect;
        let changed = WriteFileError::Changed {
            path: file.path.clone(),
            found: Some(old),
        };
        let expected = if right { Ok(Some(old)) } else { Err(changed) };
        assert_eq!(write(&file, b"new"), expected);
    }
    assert_eq!(fs::read(&path).unwrap(), b"new");
    file.expect = PreImage::Content(old);
    assert_eq!(write(&file, b"new"), Ok(Some(Digest::of("new"))), "again");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn what_is_no_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let file = spec(&path, b"new");
    let what = |what: &str| WriteFileError::InTheWay {
        path: file.path.clone(),
        what: what.to_owned(),
    };
    assert_eq!(write(&file, b"new"), Err(what("a symbolic link")));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(write(&file, b"new"), Err(what("a directory")));
    let mut nowhere = spec(&path, b"new");
    nowhere.path = format!("{}/no/f", dir.path().display());
    let path = nowhere.path.clone();
    let error = WriteFileError::NoDirectory { path };
    assert_eq!(write(&nowhere, b"new"), Err(error));
}

#[test]
fn a_validator_decides_before_anything_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b.service");
    fs::write(&path, "old").unwrap();
    let mut file = spec(&path, b"new");
    let argv = |script: &str| {
        let words = ["sh", "-c", script, "sh", "--file={}"];
        Some(words.map(str::to_owned).to_vec())
    };
    file.validate = argv("echo 'line 1: no' >&2; exit 1");
    let error = write(&file, b"new").unwrap_err();
    let WriteFileError::Invalid { said, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(said, "line 1: no");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    file.validate =
        argv(r#"f=${1#--file=}; [ "$(cat "$f")" = new ] && [ "${f##*/}" = "a b.service" ]"#);
    file.backup = Some(dir.path().join("kept").to_str().unwrap().to_owned());
    write(&file, b"new").unwrap();
    assert_eq!(fs::read(dir.path().join("kept")).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["a b.service", "kept"]);
}

#[test]
fn a_content_that_is_cut_short_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let file = spec(&path, b"whole content");
    let error = write(&file, b"whole").unwrap_err();
    assert!(matches!(error, WriteFileError::CutShort { .. }), "{error}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn an_owner_that_does_not_exist_fails_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = spec(&dir.path().join("f"), b"x");
    file.owner = "no-such-user".to_owned();
    let error = write(&file, b"x").unwrap_err();
    assert!(error.to_string().contains("no-such-user"), "{error}");
    assert!(names(dir.path()).is_empty());
}

/// Whatever the moment of a kill, there is the old file or the new one, whole; and the next
/// write clears away what the killed one left.
#[test]
fn a_kill_leaves_the_old_file_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let (old, new) = (vec![b'o'; 1 << 20], vec![b'n'; 1 << 20]);
    let file = spec(&path, &new);
    for round in 0..40_usize {
        fs::write(&path, &old).unwrap();
        let mut child = start(&file);
        let mut stdin = child.stdin.take().unwrap();
        // A part of the content, or all of it, and then a moment that differs each time.
        let part = if round % 2 == 0 {
            round << 14
        } else {
            new.len()
        };
        let _ = stdin.write_all(&new[..part]);
        if round % 2 == 1 {
            drop(stdin);
        }
        std::thread::sleep(std::time::Duration::from_millis(round as u64 / 2));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = fs::read(&path).unwrap();
        assert!(now == old || now == new, "round {round}");
    }
    write(&file, &new).unwrap();
    assert_eq!(names(dir.path()), ["f"]);
}
