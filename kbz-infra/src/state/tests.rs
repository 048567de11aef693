//! The store as its users see it.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::effect::Deed;
use crate::effect::{Line, Record, Removal};
use crate::ident::{Digest, StackName, Urn};
use crate::plan::{Outcome, StepId};
use crate::secret::{KeyedHash, Vault};

fn stack() -> StackName {
    StackName::new("shop").unwrap()
}

fn store(base: &Path) -> Store {
    Store::open(base, stack())
}

fn hash(of: &str) -> KeyedHash {
    Vault::new().keyed(&Digest::of(of))
}

fn record(name: &str, goal: &str) -> Record {
    Record {
        urn: Urn::global("thing", name),
        goal: hash(goal),
        removal: Removal::default().into(),
        depends_on: std::collections::BTreeSet::new(),
        protect: false,
        retain: false,
        line: Line::default(),
    }
}

fn run_started(store: &LockedStore, run: u64) -> Entry {
    Entry::RunStarted {
        run,
        plan: hash("plan"),
        steps: 1,
        holder: store.holder().clone(),
    }
}

fn step_started(name: &str, effects: u32) -> Entry {
    Entry::StepStarted {
        step: StepId(0),
        urn: Urn::global("thing", name),
        effects,
        outcome: Outcome::Remember(Box::new(record(name, "new"))),
    }
}

fn op(run: u64, effect: u32) -> OpId {
    OpId {
        run,
        step: StepId(0),
        effect,
    }
}

fn intent(run: u64, effect: u32) -> Entry {
    Entry::Intent(Box::new(Intent {
        op: op(run, effect),
        urn: Urn::global("thing", "a"),
        site: "db-1".to_owned(),
        deed: Deed {
            object: "thing a".to_owned(),
            done: "made".to_owned(),
        },
        proof: None,
    }))
}

fn finished(run: u64) -> Entry {
    Entry::RunFinished {
        run,
        ended: Ended::Complete,
        tally: Tally {
            done: 1,
            failed: 0,
            skipped: 0,
        },
    }
}

/// A run of one step with one effect.
fn whole_run(store: &LockedStore, run: u64) -> Vec<Entry> {
    vec![
        run_started(store, run),
        step_started("a", 1),
        intent(run, 0),
        Entry::Completed { op: op(run, 0) },
        Entry::StepDone { step: StepId(0) },
        finished(run),
    ]
}

#[test]
fn nothing_is_remembered_before_the_first_run_and_reading_creates_nothing() {
    let base = tempfile::tempdir().unwrap();
    let snapshot = store(base.path()).read().unwrap();
    assert_eq!((snapshot.run, snapshot.records.len()), (0, 0));
    assert!(!store(base.path()).directory().exists());
}

#[test]
fn a_run_is_remembered_with_and_without_folding() {
    for fold in [false, true] {
        let base = tempfile::tempdir().unwrap();
        let mut locked = store(base.path()).lock().unwrap();
        let entries = whole_run(&locked, 1);
        locked.append(&entries, Durability::Now).unwrap();
        if fold {
            locked.fold().unwrap();
        }
        let live = locked.snapshot();
        drop(locked);
        let read = store(base.path()).read().unwrap();
        assert_eq!(read, live);
        assert_eq!(read.run, 1);
        assert_eq!(read.records.len(), 1);
        assert_eq!(store(base.path()).lock().unwrap().next_run(), 2);
    }
}

#[test]
fn of_effects_that_go_together_those_after_one_that_failed_are_not_open() {
    let base = tempfile::tempdir().unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    let begun = [
        vec![run_started(&locked, 1), step_started("a", 4)],
        (0..4).map(|effect| intent(1, effect)).collect(),
        vec![Entry::Completed { op: op(1, 0) }],
    ];
    locked.append(&begun.concat(), Durability::Now).unwrap();
    let open = |locked: &LockedStore| {
        let open = locked.recovery().unwrap().open.into_iter();
        let numbers: Vec<u32> = open.map(|open| open.intent.op.effect).collect();
        numbers
    };
    assert_eq!(open(&locked), [1, 2, 3]);
    let failed = |effect| Entry::Failed {
        op: op(1, effect),
        error: "no".to_owned(),
    };
    let out_of_order = locked.append(&[failed(2)], Durability::Now);
    assert!(out_of_order.is_err(), "the first that is open comes first");
    drop(locked);
    let mut locked = store(base.path()).lock().unwrap();
    locked.append(&[failed(1)], Durability::Now).unwrap();
    assert_eq!(open(&locked), Vec::<u32>::new());
}

#[test]
fn a_killed_run_leaves_its_open_effect_and_the_object_that_it_began() {
    let base = tempfile::tempdir().unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    let entries = &whole_run(&locked, 1)[..3];
    locked.append(entries, Durability::Now).unwrap();
    drop(locked);

    let mut locked = store(base.path()).lock().unwrap();
    let left = locked.recovery().unwrap();
    assert_eq!((left.run, left.left), (1, Left::Silently));
    assert_eq!(left.open[0].intent.op, op(1, 0));
    assert!(locked.records().contains_key(&Urn::global("thing", "a")));

    let early = locked.append(&[run_started(&locked, 2)], Durability::Now);
    assert_eq!(
        early.unwrap_err().to_string(),
        "the journal refuses an entry: run 1: Start cannot follow Running"
    );
    locked
        .recover(BTreeMap::from([(op(1, 0), Fate::Happened)]))
        .unwrap();
    locked
        .append(&whole_run(&locked, 2), Durability::Now)
        .unwrap();
    locked.fold().unwrap();
    assert!(locked.recovery().is_none());
}

#[test]
fn no_run_has_a_number_without_a_next_one() {
    let base = tempfile::tempdir().unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    let refused = locked.append(&[run_started(&locked, u64::MAX)], Durability::Now);
    assert!(matches!(
        refused,
        Err(StoreError::Misfit(Misfit::TooLarge(u64::MAX)))
    ));
    assert_eq!(locked.next_run(), 1);
}

#[test]
fn a_second_holder_is_told_who_the_first_is() {
    let base = tempfile::tempdir().unwrap();
    let first = store(base.path()).lock().unwrap();
    let refused = store(base.path()).lock().unwrap_err().to_string();
    let pid = std::process::id();
    assert!(
        refused.starts_with(&format!("another run holds the state: pid {pid} on ")),
        "{refused}"
    );
    assert_eq!(
        store(base.path()).read().unwrap().held_by.as_ref(),
        Some(first.holder())
    );
    drop(first);
    let second = store(base.path()).lock().unwrap();
    assert_eq!(second.predecessor(), None);
}

#[test]
fn a_dead_holder_is_recognised_and_taken_over() {
    let base = tempfile::tempdir().unwrap();
    let directory = store(base.path()).directory().to_owned();
    std::fs::create_dir_all(&directory).unwrap();
    let dead = r#"{"host":"elsewhere","pid":4121,"started":"2026-11-21T09:14:00Z"}"#;
    std::fs::write(directory.join("lock"), dead).unwrap();
    let locked = store(base.path()).lock().unwrap();
    assert_eq!(locked.predecessor().unwrap().pid, 4121);
    let refused = store(base.path()).lock().unwrap_err().to_string();
    assert!(!refused.contains("elsewhere"), "{refused}");
}

#[test]
fn a_torn_tail_is_cut_and_reported() {
    let base = tempfile::tempdir().unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    let entries = &whole_run(&locked, 1)[..3];
    locked.append(entries, Durability::Now).unwrap();
    let journal = store(base.path()).directory().join("journal.jsonl");
    drop(locked);
    let whole = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &whole[..whole.len() - 7]).unwrap();

    let cut = store(base.path()).read().unwrap().cut.unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    assert_eq!(locked.snapshot().cut, Some(cut));
    assert_eq!(std::fs::metadata(&journal).unwrap().len(), cut.remain);
    assert_eq!(locked.recovery().unwrap().open.len(), 0);
    locked.append(&[intent(1, 0)], Durability::Now).unwrap();
    drop(locked);
    assert_eq!(store(base.path()).read().unwrap().cut, None);
}

#[test]
fn damage_is_an_error_with_the_way_out_and_never_empty() {
    let base = tempfile::tempdir().unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    locked
        .append(&whole_run(&locked, 1), Durability::Now)
        .unwrap();
    locked.fold().unwrap();
    drop(locked);
    for (name, at) in [("snapshot.json", 150), ("journal.jsonl", 3)] {
        let path = store(base.path()).directory().join(name);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let error = store(base.path()).lock().unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        assert!(error.contains("`state rebuild`"), "{error}");
        std::fs::write(&path, good).unwrap();
    }
    assert!(store(base.path()).lock().is_ok());
}

#[test]
fn what_is_damaged_is_kept_beside_and_begun_anew() {
    let base = tempfile::tempdir().unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    locked
        .append(&whole_run(&locked, 1), Durability::Now)
        .unwrap();
    locked.fold().unwrap();
    drop(locked);
    let path = store(base.path()).directory().join("snapshot.json");
    std::fs::write(&path, "torn").unwrap();
    for number in 1..=2 {
        assert!(store(base.path()).lock().unwrap_err().is_damage());
        let (anew, aside) = store(base.path()).begin_anew().unwrap();
        assert!(anew.records().is_empty());
        drop(anew);
        let beside = path.with_file_name(format!("snapshot.json.damaged-{number}"));
        assert!(aside.contains(&beside), "{aside:?}");
        assert_eq!(std::fs::read_to_string(beside).unwrap(), "torn");
        assert_eq!(store(base.path()).read().unwrap().records.len(), 0);
        std::fs::write(&path, "torn").unwrap();
    }
}

/// The same snapshot in format 1.
fn in_format_1(records: &[Record]) -> String {
    let body = serde_json::json!({"stack": "shop", "run": 7, "seq": 21, "records": records});
    let body = serde_json::to_string_pretty(&body).unwrap();
    let head = serde_json::json!({"schema": 1, "sha256": Digest::of(&body)});
    format!("{head}\n{body}")
}

#[test]
fn a_snapshot_of_an_earlier_format_is_read_and_kept_when_a_new_one_takes_its_place() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("shop");
    std::fs::create_dir_all(&folder).unwrap();
    let old = in_format_1(&[record("a", "old")]);
    std::fs::write(folder.join("snapshot.json"), &old).unwrap();
    let read = store(base.path()).read().unwrap();
    assert_eq!(read.run, 7);
    assert_eq!(read.records[&Urn::global("thing", "a")], record("a", "old"));

    let kept = folder.join("snapshot.format-1.json");
    let mut locked = store(base.path()).lock().unwrap();
    locked.fold().unwrap();
    assert!(!kept.exists(), "nothing has changed, nothing is written");
    locked.settle([&record("b", "new")], []).unwrap();
    locked.fold().unwrap();
    drop(locked);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), old);
    let now = store(base.path()).read().unwrap();
    assert_eq!((now.run, now.records.len()), (7, 2));

    // The journal that went on from the old one leads on from the new one.
    let mut locked = store(base.path()).lock().unwrap();
    locked.settle([&record("c", "new")], []).unwrap();
    locked.fold().unwrap();
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), old);
    assert_eq!(locked.records().len(), 3);
}

#[test]
fn a_snapshot_is_compared_line_by_line() {
    let base = tempfile::tempdir().unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    let records = [record("a", "one"), record("b", "two")];
    locked.settle(&records, []).unwrap();
    locked.fold().unwrap();
    let path = store(base.path()).directory().join("snapshot.json");
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("{\"schema\":2,"), "{text}");
    assert!(lines[1].contains("\"writer\":"), "{text}");
    for (line, record) in lines[2..].iter().zip(&records) {
        assert_eq!(*line, record.noted());
    }
}

#[test]
fn an_object_whose_change_was_begun_goes_before_whatever_either_form_depends_on() {
    let base = tempfile::tempdir().unwrap();
    let mut locked = store(base.path()).lock().unwrap();
    let owned_by = |owner: &str, goal: &str| Record {
        depends_on: [Urn::global("role", owner)].into(),
        ..record("a", goal)
    };
    locked.settle([&owned_by("first", "old")], []).unwrap();
    let begun = [
        run_started(&locked, 1),
        Entry::StepStarted {
            step: StepId(0),
            urn: Urn::global("thing", "a"),
            effects: 1,
            outcome: Outcome::Remember(Box::new(owned_by("second", "new"))),
        },
        intent(1, 0),
    ];
    locked.append(&begun, Durability::Now).unwrap();
    drop(locked);
    let read = store(base.path()).read().unwrap();
    let known = &read.records[&Urn::global("thing", "a")];
    assert_eq!(known.goal, hash("old"));
    let owners = ["first", "second"].map(|owner| Urn::global("role", owner));
    assert_eq!(known.depends_on, owners.into());
}
