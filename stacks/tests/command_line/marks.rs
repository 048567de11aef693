//! The operator's memory is lost, and with it what only a mark tells.

use serde_json::Value;

use crate::folder::{Folder, run, told};

const WORLD: &str = ".kbz/sim/keybuzz/world.json";
const CLUSTER: &str = "keybuzz-pg";

/// The modelled hosts, as they are kept.
struct Kept(Value);

impl Kept {
    fn read(folder: &Folder) -> Self {
        let text = folder.read(WORLD);
        Self(serde_json::from_str(&text).expect("a world"))
    }

    fn write(&self, folder: &Folder) {
        folder.write(WORLD, self.0.to_string());
    }

    fn part(&mut self, path: &str) -> &mut Value {
        let part = self.0.pointer_mut(&format!("/world/world/{path}"));
        part.unwrap_or_else(|| panic!("the world has {path}"))
    }

    fn roles(&mut self) -> &mut Value {
        self.part(&format!("clusters/{CLUSTER}/sql/roles"))
    }

    fn databases(&mut self) -> &mut Value {
        self.part(&format!("clusters/{CLUSTER}/sql/databases"))
    }
}

/// Everything is made, then something that bears the mark is no longer declared, and the memory is
/// lost: as when both happened on a machine that is gone.
fn forgotten() -> Folder {
    let folder = Folder::new();
    run(&folder, &["up"], 0);
    let mut world = Kept::read(&folder);
    let role = world.roles()["kb_app"].clone();
    world.roles()["former"] = role;
    let mut database = world.databases()["keybuzz"].clone();
    database["owner"] = "former".into();
    world.databases()["archive"] = database;
    let balancers = world.part("balancers");
    let mut second = balancers["lb-haproxy"].clone();
    second["name"] = "lb-former".into();
    balancers["lb-former"] = second;
    world.write(&folder);
    for memory in ["snapshot.json", "journal.jsonl"] {
        let path = folder.path(".kbz/sim/keybuzz").join(memory);
        std::fs::remove_file(path).expect(memory);
    }
    folder
}

const UNKNOWN: [&str; 3] = [
    "pg-role:former",
    "pg-database:archive",
    "hetzner-lb:lb-former",
];

#[test]
fn what_only_bears_a_mark_is_told_and_left_as_it_is() {
    let folder = forgotten();
    let before = Kept::read(&folder).0;
    let json = told(&folder.run(&["preview", "--env", "sim", "--json"]));
    let json: Value = serde_json::from_str(&json).expect("one value");
    let warnings = json["warnings"].as_array().expect("a list");
    assert_eq!(warnings.len(), UNKNOWN.len(), "{warnings:?}");
    let preview = run(&folder, &["preview", "--detailed-exitcode"], 0);
    let up = run(&folder, &["up"], 0);
    for unknown in UNKNOWN {
        let told = format!("{unknown} bears the mark of this stack");
        assert!(preview.contains(&told), "{unknown}: {preview}");
        assert!(up.contains(&told), "{unknown}: {up}");
    }
    assert!(up.contains("✓ no changes"), "{up}");
    let mut after = Kept::read(&folder);
    assert!(after.roles().get("former").is_some());
    assert!(after.databases().get("archive").is_some());
    assert_eq!(
        after.part("balancers"),
        &before["world"]["world"]["balancers"]
    );

    // What is remembered needs no marks; a memory that is made anew does.
    let again = run(&folder, &["preview"], 0);
    assert!(!again.contains("bears the mark"), "{again}");
    let rebuilt = run(&folder, &["state", "rebuild"], 0);
    assert!(rebuilt.contains(UNKNOWN[0]), "{rebuilt}");
}

#[test]
fn destroy_takes_away_what_is_declared_although_nobody_remembers_it() {
    let folder = forgotten();
    let destroyed = run(&folder, &["destroy"], 0);
    assert!(destroyed.contains("pg-role:kb_app"), "{destroyed}");
    assert!(destroyed.contains("hetzner-lb:lb-haproxy"), "{destroyed}");
    let mut after = Kept::read(&folder);
    let balancers = after.part("balancers");
    assert!(balancers.get("lb-haproxy").is_none(), "{balancers}");
    assert!(balancers.get("lb-former").is_some(), "{balancers}");
}
