//! The writer of files, killed: after each command that it runs, within the one that receives
//! the content, and at moments that nobody chose.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::tests::{Folder, fed, me, no_leftovers};
use super::*;

const OLD: (&str, u32) = ("the old content\n", 0o600);
const NEW: (&str, u32) = ("the new content, which is longer\n", 0o640);

/// The commands of the script that are no part of the shell.
const COMMANDS: [&str; 11] = [
    "cat",
    "chattr",
    "chmod",
    "chown",
    "flock",
    "grep",
    "mkdir",
    "mv",
    "rm",
    "sha256sum",
    "sync",
];

/// Stands before a command, counts, and kills the shell of `$VICTIM` once the command of the
/// number `$KILL_AT` is done; or half done, where that is asked for and the command is `cat`.
const SHIM: &str = r#"#!/bin/sh
count=$(($(/bin/cat "$COUNT") + 1)); echo "$count" >"$COUNT"
real() { PATH=$REAL_PATH NAME "$@"; }
[ "$count" = "$KILL_AT" ] || { real "$@"; exit; }
case $KILL_WITHIN in NAME) head -c 7 ;; *) real "$@" ;; esac
kill -9 "$VICTIM"
"#;

/// A host with a file of the old content, and the change of it.
struct Scene {
    folder: Folder,
    path: String,
}

impl Scene {
    fn new() -> Self {
        let folder = Folder::new();
        let path = folder.path("service.conf");
        std::fs::write(&path, OLD.0).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(OLD.1)).unwrap();
        let shims = folder.path("shims");
        std::fs::create_dir(&shims).unwrap();
        for name in COMMANDS {
            let shim = format!("{shims}/{name}");
            std::fs::write(&shim, SHIM.replace("NAME", name)).unwrap();
            std::fs::set_permissions(&shim, Permissions::from_mode(0o755)).unwrap();
        }
        Self { folder, path }
    }

    fn change(&self) -> Change {
        let validate = ["grep", "-q", "longer", "{}"].map(str::to_owned);
        let write = Write {
            path: &self.path,
            content: &Text::plain(NEW.0),
            mode: NEW.1,
            owner: &Owner::root(),
            expect: PreImage::Content(Digest::of(OLD.0)),
            validate: Some(&validate),
            immutable: false,
        };
        let script = write.script(&me(&self.folder), &Digest::of(NEW.0)).unwrap();
        Change::new("file", script).stdin(NEW.0.as_bytes().to_vec())
    }

    /// Runs the change, killed after the command of this number; says how many there were, and
    /// whether the shell was killed.
    fn killed_after(&self, command: usize, within: &str) -> (usize, bool) {
        let count = self.folder.path("count");
        std::fs::write(&count, "0").unwrap();
        let change = self.change();
        let text = self.folder.text(&change, 1);
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("export VICTIM=$$\n{text}")])
            .env("PATH", format!("{}:{path}", self.folder.path("shims")))
            .env("REAL_PATH", path)
            .env("COUNT", &count)
            .env("KILL_AT", command.to_string())
            .env("KILL_WITHIN", within);
        // Its pipes end when the last process that holds them does.
        let output = fed(&mut shell, &change.stdin).wait_with_output().unwrap();
        let counted = std::fs::read_to_string(&count).unwrap();
        let killed = output.status.signal() == Some(9);
        assert!(killed || output.status.success(), "{output:?}");
        (counted.trim().parse().unwrap(), killed)
    }

    /// The old file or the new one, and nothing in between; whether it is the new one.
    fn is_new(&self) -> bool {
        let content = std::fs::read_to_string(&self.path).unwrap();
        let mode = std::fs::metadata(&self.path).unwrap().permissions().mode() & 0o7777;
        let found = (content.as_str(), mode);
        assert!(found == OLD || found == NEW, "{found:?}");
        found == NEW
    }

    /// What the next run leaves, which changes nothing where it finds the new file.
    fn settle(&self) {
        if !self.is_new() {
            let mut shell = Command::new("/bin/sh");
            let change = self.change();
            shell.args(["-c", &self.folder.text(&change, 2)]);
            let output = fed(&mut shell, &change.stdin).wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert!(self.is_new());
        }
        no_leftovers(&self.folder);
    }
}

#[test]
fn killed_after_any_command_it_leaves_the_old_file_or_the_new_one() {
    let (all, killed) = Scene::new().killed_after(usize::MAX, "");
    assert!(all > 10 && !killed, "{all} commands");
    let mut new = Vec::new();
    for command in 1..=all {
        let scene = Scene::new();
        assert!(scene.killed_after(command, "").1);
        new.push(scene.is_new());
        scene.settle();
    }
    // The old one up to a command, and the new one from there on.
    assert!(new.is_sorted() && !new[0] && new[all - 1], "{new:?}");
}

#[test]
fn killed_while_the_content_arrives_it_leaves_the_old_file() {
    let (all, _) = Scene::new().killed_after(usize::MAX, "");
    for command in 1..=all {
        let scene = Scene::new();
        scene.killed_after(command, "cat");
        let partly =
            std::fs::read_to_string(scene.folder.path(".kbz-new.service.conf~/service.conf"));
        if partly.is_ok_and(|content| content == NEW.0[..7]) {
            assert!(!scene.is_new());
            return scene.settle();
        }
    }
    panic!("the content never arrived in part");
}

#[test]
fn killed_at_moments_that_nobody_chose_it_leaves_the_old_file_or_the_new_one() {
    for moment in 0..30 {
        let scene = Scene::new();
        let change = scene.change();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &scene.folder.text(&change, 1)]);
        let shell = fed(shell.process_group(0), &change.stdin);
        std::thread::sleep(Duration::from_micros(1000 * moment));
        let group = Pid::from_raw(i32::try_from(shell.id()).unwrap()).unwrap();
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
        shell.wait_with_output().unwrap();
        scene.settle();
    }
}
