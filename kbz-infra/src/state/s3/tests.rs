use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;

use super::super::{Durability, Entry, LockError, Store, StoreError};
use super::*;
use crate::ident::{StackName, Urn};

fn bucket() -> Arc<InMemory> {
    Arc::new(InMemory::new())
}

/// The disk of one operator.
fn disk(bucket: &Arc<InMemory>) -> S3Disk {
    let store: Arc<dyn ObjectStore> = Arc::clone(bucket) as _;
    S3Disk::on(store, "team/kbz", "s3://bucket/team/kbz".to_owned())
}

fn store(bucket: &Arc<InMemory>) -> Store {
    let stack = StackName::new("shop").unwrap();
    Store::on(Arc::new(disk(bucket)), "", stack)
}

fn forget(name: &str) -> Entry {
    Entry::Forget {
        urn: Urn::global("thing", name),
    }
}

#[test]
fn what_one_operator_writes_the_next_one_reads() {
    let bucket = bucket();
    let mut ours = store(&bucket).lock().unwrap();
    for round in 0..3 {
        ours.append(&[forget("a"), forget("b")], Durability::Now)
            .unwrap();
        assert_eq!(store(&bucket).read().unwrap().records.len(), 0, "{round}");
        ours.fold().unwrap();
    }
    assert_eq!(
        store(&bucket).read().unwrap().held_by.as_ref(),
        Some(ours.holder())
    );
    drop(ours);
    assert_eq!(store(&bucket).read().unwrap().held_by, None);
    let theirs = store(&bucket).lock().unwrap();
    assert_eq!(theirs.predecessor(), None);
}

#[test]
fn one_run_at_a_time_has_the_lock() {
    let bucket = bucket();
    let ours = store(&bucket).lock().unwrap();
    let refused = store(&bucket).lock().unwrap_err();
    let StoreError::Lock(LockError::Held { holder }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(holder.as_ref(), Some(ours.holder()));
    drop(ours);
    drop(store(&bucket).lock().unwrap());
}

#[test]
fn of_many_who_ask_at_once_one_gets_it() {
    let bucket = bucket();
    // So that all of them find it free, and none has to make it.
    drop(store(&bucket).lock().unwrap());
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let store = store(&bucket);
            std::thread::spawn(move || store.lock().ok())
        })
        .collect();
    let held: Vec<_> = racers
        .into_iter()
        .filter_map(|racer| racer.join().unwrap())
        .collect();
    assert_eq!(held.len(), 1);
}

#[test]
fn a_lock_of_another_machine_stays_until_it_is_taken_away() {
    let bucket = bucket();
    let elsewhere = br#"{"host":"elsewhere","pid":1,"started":"2026-11-21T09:14:00Z"}"#;
    let key = Key::of(Path::new("shop/lock"));
    disk(&bucket).objects.create(&key, elsewhere).unwrap();
    let refused = store(&bucket).lock().unwrap_err().to_string();
    assert!(refused.contains("on elsewhere"), "{refused}");
    let taken = store(&bucket).unlock().unwrap().unwrap();
    assert_eq!(taken.host, "elsewhere");
    drop(store(&bucket).lock().unwrap());
}

#[test]
fn a_lock_of_a_dead_process_is_taken_over_and_that_is_told() {
    let bucket = bucket();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let holder = Holder {
        pid,
        ..Holder::this()
    };
    let key = Key::of(Path::new("shop/lock"));
    let text = serde_json::to_vec(&holder).unwrap();
    disk(&bucket).objects.create(&key, &text).unwrap();
    let ours = store(&bucket).lock().unwrap();
    assert_eq!(ours.predecessor(), Some(&holder));
}

#[test]
fn whoever_lost_the_lock_writes_nothing_any_more() {
    let bucket = bucket();
    let mut stalled = store(&bucket).lock().unwrap();
    stalled.append(&[forget("a")], Durability::Now).unwrap();
    store(&bucket).unlock().unwrap();
    let mut next = store(&bucket).lock().unwrap();
    next.append(&[forget("b")], Durability::Now).unwrap();
    let refused = stalled.append(&[forget("c")], Durability::Now);
    assert!(refused.is_err());
    assert!(stalled.fold().is_err());
    drop(stalled);
    next.append(&[forget("d")], Durability::Now).unwrap();
    next.fold().unwrap();
    assert!(
        store(&bucket).lock().is_err(),
        "it did not free what is not its own"
    );
}

#[test]
fn a_torn_end_is_cut_and_parts_of_an_earlier_journal_are_not_read() {
    let bucket = bucket();
    let journal = Path::new("shop/journal.jsonl");
    let mut ours = store(&bucket).lock().unwrap();
    ours.append(&[forget("a")], Durability::Now).unwrap();
    drop(ours);
    let disk = disk(&bucket);
    let mut torn = disk.append_to(journal, None).unwrap();
    torn.write(b"half a li").unwrap();
    torn.sync().unwrap();
    drop(torn);
    assert!(store(&bucket).read().unwrap().cut.is_some());
    let mut ours = store(&bucket).lock().unwrap();
    ours.append(&[forget("b")], Durability::Now).unwrap();
    assert!(store(&bucket).read().unwrap().cut.is_none());
    ours.fold().unwrap();
    let parts = disk.objects.list(&Key::of(Path::new("shop"))).unwrap();
    assert_eq!(parts.len(), 3, "snapshot, journal, lock: {parts:?}");
}

#[test]
fn a_missing_object_is_none_and_a_name_says_where_it_is() {
    let bucket = bucket();
    let disk = disk(&bucket);
    assert_eq!(disk.read(Path::new("shop/snapshot.json")).unwrap(), None);
    assert!(
        disk.append_to(Path::new("shop/journal.jsonl"), None)
            .is_err()
    );
    assert_eq!(disk.name(Path::new("shop")), "s3://bucket/team/kbz/shop");
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    assert!(is_loopback("http://127.0.0.1:9000"));
    assert!(is_loopback("http://[::1]:9000/"));
    assert!(!is_loopback("http://10.0.0.1:9000"));
    assert!(!is_loopback("https://127.0.0.1:9000"));
    assert!(!is_loopback("http://127.0.0.1.example:9000"));
}
