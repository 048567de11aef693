//! The script, run by the local shell against a tree of files, and its answer.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use proptest::prelude::*;

use super::answers::Answers;
use super::frames::Frames;
use super::script::Script;
use crate::host::registry::Registry;
use crate::ident::{Digest, HostName, StackName};
use crate::probe::{self, ClaimsReading, Node, PathReading, Query, Reading};

fn host() -> HostName {
    HostName::new("db-master-01").unwrap()
}

/// What the local machine answers.
fn ask(queries: &[Query], registry: &Registry) -> Vec<Result<Reading, String>> {
    let script = Script::of(queries, registry);
    let output = Command::new("/bin/sh")
        .args(["-c", &script.text().unwrap()])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let frames = Frames::parse(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let host = host();
    let answers = Answers::new(&host, registry, &script, &frames, SystemTime::now());
    let readings = queries.iter();
    readings
        .map(|query| answers.reading(query).unwrap())
        .collect()
}

fn path(path: &Path) -> Query {
    let path = path.to_str().unwrap().to_owned();
    probe::Path {
        path,
        content: true,
    }
    .into()
}

fn read_path(path_: &Path) -> PathReading {
    let registry = Registry::below("/nonexistent");
    match ask(&[path(path_)], &registry).remove(0).unwrap() {
        Reading::Path(reading) => reading,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_at_paths() {
    let root = tempfile::tempdir().unwrap();
    let name = root.path().join("with 'quotes' and $(date) é\\n");
    let content = "line\n⟦no frame⟧\n@end 0\n\n";
    std::fs::write(&name, content).unwrap();
    std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o4640)).unwrap();
    let PathReading::File(file) = read_path(&name) else {
        panic!("no file")
    };
    assert_eq!(file.content.as_deref(), Some(content));
    assert_eq!(file.digest, Digest::of(content));
    assert_eq!(
        (file.size, file.ownership.mode),
        (content.len() as u64, 0o4640)
    );
    assert!(!file.immutable);

    let link = root.path().join("link");
    symlink(&name, &link).unwrap();
    assert_eq!(read_path(&link), PathReading::Other(Node::Symlink));
    assert!(matches!(read_path(root.path()), PathReading::Directory(_)));
    assert_eq!(read_path(&name.join("below a file")), PathReading::Absent);
    assert_eq!(read_path(&root.path().join("nothing")), PathReading::Absent);
    assert_eq!(
        read_path(Path::new("/dev/null")),
        PathReading::Other(Node::Special)
    );
}

#[test]
fn content_that_is_large_or_no_text_is_hashed_only() {
    let root = tempfile::tempdir().unwrap();
    let large = root.path().join("large");
    std::fs::write(&large, vec![b'x'; (256 << 10) + 1]).unwrap();
    let binary = root.path().join("binary");
    std::fs::write(&binary, [0, 255, 10, 0]).unwrap();
    let empty = root.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    for (name, expected) in [(&large, None), (&binary, None), (&empty, Some(""))] {
        let PathReading::File(file) = read_path(name) else {
            panic!("no file")
        };
        assert_eq!(file.content.as_deref(), expected, "{name:?}");
        assert_eq!(file.digest, Digest::of(std::fs::read(name).unwrap()));
    }
}

#[test]
fn many_questions_have_one_answer_each() {
    let root = tempfile::tempdir().unwrap();
    let below = |name: &str| root.path().join(name);
    let registry = Registry::below(below("registry").to_str().unwrap());
    std::fs::create_dir_all(below("registry/stamps")).unwrap();
    std::fs::write(registry.stamp("a.service"), "c0ffee\n").unwrap();
    let filesystem = |path: &Path| -> Query {
        let path = path.to_str().unwrap().to_owned();
        probe::Filesystem { path }.into()
    };
    let stamp = |name: &str| -> Query {
        probe::Stamp {
            name: name.to_owned(),
        }
        .into()
    };
    let sysctl = |key: &str| -> Query {
        probe::SysctlValue {
            key: key.to_owned(),
        }
        .into()
    };
    let queries = [
        filesystem(root.path()),
        filesystem(&below("not/yet/there")),
        stamp("a.service"),
        stamp("b.service"),
        sysctl("kernel.pid_max"),
        sysctl("no.such_key"),
        probe::Registry {}.into(),
        probe::Swap {}.into(),
        probe::Module {
            name: "no-such-module".to_owned(),
        }
        .into(),
        path(&below("registry")),
        probe::Firewall {}.into(),
    ];
    let readings = ask(&queries, &registry);
    let text: Vec<String> = readings
        .iter()
        .map(|reading| format!("{reading:?}"))
        .collect();
    let all = text.join("\n");
    assert!(readings.iter().all(Result::is_ok), "{all}");
    let (Ok(Reading::Filesystem(one)), Ok(Reading::Filesystem(two))) = (&readings[0], &readings[1])
    else {
        panic!("{all}")
    };
    assert_eq!(
        (&one.kind, one.size),
        (&two.kind, two.size),
        "the nearest ancestor's"
    );
    assert!(
        text[2].contains("c0ffee") && text[3].contains("None"),
        "{all}"
    );
    assert!(!readings[4].as_ref().unwrap().is_absent(), "{all}");
    assert!(readings[5].as_ref().unwrap().is_absent(), "{all}");
    assert!(readings[6].as_ref().unwrap().is_absent(), "{all}");
    assert!(readings[8].as_ref().unwrap().is_absent(), "{all}");
}

#[test]
fn what_other_stacks_have_noted_is_told_by_its_name() {
    let root = tempfile::tempdir().unwrap();
    let registry = Registry::below(root.path().join("shop").to_str().unwrap());
    let claims = || {
        ask(&[probe::Claims {}.into()], &registry)
            .remove(0)
            .unwrap()
    };
    assert_eq!(
        claims(),
        ClaimsReading::default().into(),
        "there is no folder"
    );
    let digest = Digest::of("file@db-1:/etc/a");
    for stack in ["shop", "other"] {
        let objects = root.path().join(stack).join("objects");
        std::fs::create_dir_all(&objects).unwrap();
        std::fs::write(objects.join(format!("{digest}.json")), "{}").unwrap();
    }
    let other = StackName::new("other").unwrap();
    assert_eq!(claims(), ClaimsReading([(digest, other)].into()).into());
}

#[test]
fn contents_come_as_they_are_where_the_shell_can_hold_them() {
    let root = tempfile::tempdir().unwrap();
    let registry = Registry::below("/nonexistent");
    let below = |name: &str| root.path().join(name);
    let frame = |contents: &[&[u8]]| {
        let mut queries = Vec::new();
        for (place, content) in contents.iter().enumerate() {
            std::fs::write(below(&place.to_string()), content).unwrap();
            queries.push(path(&below(&place.to_string())));
        }
        let readings = ask(&queries, &registry);
        for (reading, content) in readings.into_iter().zip(contents) {
            let Ok(Reading::Path(PathReading::File(file))) = reading else {
                panic!("no file")
            };
            assert_eq!(file.digest, Digest::of(content));
        }
        let script = Script::of(&queries, &registry).text().unwrap();
        let output = Command::new("/bin/sh")
            .args(["-c", &script])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let frames = Frames::parse(&output.stdout).unwrap();
        (
            frames.get("contents").is_some(),
            frames.get("contents-base64").is_some(),
        )
    };
    assert_eq!(frame(&[b"one\n"]), (true, false));
    assert_eq!(
        frame(&[b"one\n\n\n", b"", b"no end", b"\xff\xfe\n\n"]),
        (true, false)
    );
    assert_eq!(frame(&[b"one\n", b"a\0b"]), (false, true));
}

#[test]
fn facts_of_this_machine() {
    let registry = Registry::below("/nonexistent");
    let readings = ask(&[probe::Facts { clock_keeper: true }.into()], &registry);
    let Ok(Reading::Facts(facts)) = &readings[0] else {
        panic!("{readings:?}")
    };
    assert!(facts.memory > 1 << 20 && facts.cpus > 0, "{facts:?}");
    assert!(facts.clock_offset.abs() < 5.0, "{facts:?}");
    assert!(facts.os.contains(char::is_alphabetic) && !facts.kernel.is_empty());
}

#[test]
fn a_path_that_is_not_one_line_is_refused() {
    let registry = Registry::below("/nonexistent");
    for bad in ["relative", "/two\nlines", "/nul\0"] {
        let query = path(Path::new(bad));
        assert!(Script::of([&query], &registry).text().is_err(), "{bad:?}");
    }
}

/// Every question there is, of a host.
fn every_query() -> Vec<Query> {
    let text = || "x".to_owned();
    vec![
        path(Path::new("/etc/a")),
        probe::SysctlValue { key: text() }.into(),
        probe::Swap {}.into(),
        probe::Firewall {}.into(),
        probe::Facts { clock_keeper: true }.into(),
        probe::Filesystem {
            path: "/".to_owned(),
        }
        .into(),
        probe::Module { name: text() }.into(),
        probe::Stamp { name: text() }.into(),
        probe::Registry {}.into(),
    ]
}

proptest! {
    #[test]
    fn no_answer_makes_a_reading_panic(
        payloads in prop::collection::vec(
            ("stat|hashes|attributes|contents|contents-base64|files|filesystems|modules|objects|now|ufw|synchronized",
             "([0-9a-f]{0,6}[ |:=/\\\\]{0,2}(/etc/a|/proc/meminfo:MemTotal: |/sys/devices/system/cpu/online:)?[0-9,kB -]{0,9}\n?){0,6}"),
            0..12,
        )
    ) {
        let mut bytes = Vec::new();
        for (name, payload) in &payloads {
            bytes.extend(format!("@{name} {}\n{payload}\n", payload.len()).into_bytes());
        }
        bytes.extend(b"@end 0\n\n");
        let frames = Frames::parse(&bytes).unwrap();
        let (host, registry) = (host(), Registry::below("/nonexistent"));
        let queries = every_query();
        let script = Script::of(&queries, &registry);
        let answers = Answers::new(&host, &registry, &script, &frames, SystemTime::now());
        for query in &queries {
            let _ = answers.reading(query);
        }
    }
}
