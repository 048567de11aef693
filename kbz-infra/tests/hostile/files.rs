//! Whatever stands in a file that is read, reading it ends in a value or an error: never in a
//! panic, never in an error that is out of proportion to the file.
//!
//! Each target is a function of bytes. It gets arbitrary bytes, and good files that were cut
//! short, bent, doubled and mixed with each other.

use std::path::Path;

use kbz_infra::ident::StackName;
use kbz_infra::plan::Plan;
use kbz_infra::program::{Credentials, Environments, Inventory, Versions};
use kbz_infra::sim::World;
use kbz_infra::state::Store;
use proptest::prelude::*;

use crate::bend::{bend, bent};

/// No error says more than this for each byte of its file, besides what it says in any case: a
/// finding shows the line that it is about.
const SAID_PER_BYTE: usize = 400;
const SAID_IN_ANY_CASE: usize = 100_000;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn inventory(bytes: &[u8]) -> usize {
    said(Inventory::parse("servers.tsv", &text(bytes)))
}

fn versions(bytes: &[u8]) -> usize {
    said(Versions::parse("versions.yaml", &text(bytes)))
}

fn credentials(bytes: &[u8]) -> usize {
    match Credentials::parse("postgres.env", &text(bytes)) {
        Ok(_) => 0,
        Err(error) => format!("{error:?}").len(),
    }
}

fn environments(bytes: &[u8]) -> usize {
    let folder = Path::new("/etc/kbz");
    said(Environments::parse(
        "kbz.toml",
        &text(bytes),
        folder,
        Some(folder),
    ))
}

fn plan(bytes: &[u8]) -> usize {
    said(serde_json::from_slice::<Plan>(bytes))
}

fn world(bytes: &[u8]) -> usize {
    let value = serde_json::from_slice(bytes).unwrap_or_default();
    said(World::from_value(value))
}

/// State as it lies in its folder, with one of its files replaced.
fn state(file: &str, bytes: &[u8]) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let stack = StackName::new("shop").unwrap();
    let store = Store::open(folder.path(), stack);
    std::fs::create_dir_all(store.directory()).unwrap();
    std::fs::write(store.directory().join(file), bytes).unwrap();
    said(store.read()) + said(store.world())
}

fn snapshot(bytes: &[u8]) -> usize {
    state("snapshot.json", bytes)
}

fn journal(bytes: &[u8]) -> usize {
    state("journal.jsonl", bytes)
}

fn world_file(bytes: &[u8]) -> usize {
    state("world.json", bytes)
}

/// How much an outcome says.
fn said<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: Result<T, E>) -> usize {
    match outcome {
        Ok(value) => format!("{value:?}").len(),
        Err(error) => format!("{error:?}").len(),
    }
}

type Target = fn(&[u8]) -> usize;

const TARGETS: [(&str, Target); 9] = [
    ("inventory", inventory),
    ("versions", versions),
    ("credentials", credentials),
    ("environments", environments),
    ("plan", plan),
    ("world", world),
    ("snapshot", snapshot),
    ("journal", journal),
    ("world file", world_file),
];

/// Good files of every kind.
fn samples() -> Vec<Vec<u8>> {
    let stacks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stacks");
    let shipped = [
        "servers.tsv",
        "versions.yaml",
        "kbz.toml",
        "lab/versions.yaml",
    ];
    let shipped = shipped.map(|name| std::fs::read(stacks.join(name)).unwrap());
    let env =
        b"POSTGRES_SUPER_PASSWORD='abc def'\nPOSTGRES_APP_PASSWORD=\"x\\\"y\" # why\n".to_vec();
    let stack = StackName::new("shop").unwrap();
    let host = kbz_infra::ident::HostName::new("db-1").unwrap();
    let world = World::empty(stack.clone(), [(host, [10, 0, 0, 1].into())]);
    let world = world.to_value().unwrap();
    let kept = serde_json::json!({"schema": 1, "stack": "shop", "world": world});
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), stack);
    let mut locked = store.lock().unwrap();
    let gone = kbz_infra::ident::Urn::global("thing", "a");
    let started = kbz_infra::state::Entry::Forget { urn: gone };
    let durability = kbz_infra::state::Durability::Later;
    locked
        .append(std::slice::from_ref(&started), durability)
        .unwrap();
    let journal = std::fs::read(store.directory().join("journal.jsonl")).unwrap();
    locked.fold().unwrap();
    let snapshot = std::fs::read(store.directory().join("snapshot.json")).unwrap();
    let plan = br#"{"stack":"shop","steps":[],"kept":{},"stuck":[],"forgotten":["thing:a"]}"#;
    let made = [
        env,
        serde_json::to_vec(&world).unwrap(),
        serde_json::to_vec(&kept).unwrap(),
        journal,
        snapshot,
        plan.to_vec(),
    ];
    shipped.into_iter().chain(made).collect()
}

fn foreign() -> impl Strategy<Value = Vec<u8>> {
    let files = prop::sample::select(samples());
    let files = (files, prop::collection::vec(bend(), 0..6));
    prop_oneof![
        8 => files.prop_map(|(file, bends)| bent(file, &bends)),
        1 => prop::collection::vec(any::<u8>(), 0..600),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_file_makes_its_reader_panic_or_talk_without_end(bytes in foreign()) {
        for (name, target) in TARGETS {
            let said = target(&bytes);
            let bound = SAID_IN_ANY_CASE + SAID_PER_BYTE * bytes.len();
            prop_assert!(said <= bound, "{} says {} bytes of {}", name, said, bytes.len());
        }
    }
}

#[test]
fn good_files_are_read() {
    let all = samples();
    assert!(Inventory::parse("servers.tsv", &text(&all[0])).is_ok());
    assert!(Versions::parse("versions.yaml", &text(&all[1])).is_ok());
    let folder = Path::new("/etc/kbz");
    assert!(Environments::parse("kbz.toml", &text(&all[2]), folder, Some(folder)).is_ok());
    assert!(World::from_value(serde_json::from_slice(&all[5]).unwrap()).is_ok());
    assert!(serde_json::from_slice::<Plan>(all.last().unwrap()).is_ok());
}
