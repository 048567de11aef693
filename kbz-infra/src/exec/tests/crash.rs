//! Runs that do not end, and the runs after them.

use super::*;
use crate::state::{Fate, Left};

/// A small plan with two sites and an order.
fn small() -> Plan {
    plan(&[
        short(&[0, 1], &[]),
        short(&[1], &[0]),
        short(&[0], &[0]),
        short(&[0], &[1, 2]),
    ])
}

fn slow() -> World {
    World {
        pace: Duration::from_secs(1),
        ..World::default()
    }
}

async fn pressed(times: usize, after: Duration, base: &Path) -> (RunOutcome, Arc<World>) {
    let (world, interpreter) = shared(slow());
    let (sender, _events) = unbounded_channel();
    let cancel = Cancel::new();
    let run = run(small(), interpreter, locked(base), Limits::default());
    let going = tokio::spawn(run.start(sender, cancel.clone()));
    tokio::time::sleep(after).await;
    for _ in 0..times {
        cancel.press();
    }
    (going.await.unwrap().unwrap(), world)
}

#[tokio::test(start_paused = true)]
async fn asked_once_it_finishes_what_runs_and_starts_nothing() {
    let base = tempfile::tempdir().unwrap();
    let (outcome, world) = pressed(1, Duration::from_millis(500), base.path()).await;
    assert_eq!(outcome.ended, Ended::Stopped);
    assert_eq!(world.happened(), ["s0e0", "s0e1"]);
    assert_eq!(ids(outcome.done), [0]);
    assert_eq!(ids(outcome.skipped.keys().copied()), [1, 2, 3]);
    assert!(outcome.skipped.values().all(|why| *why == Because::Stopped));
    assert_eq!(outcome.store.recovery(), None);
}

#[tokio::test(start_paused = true)]
async fn asked_twice_it_leaves_at_once_and_the_next_run_knows() {
    let base = tempfile::tempdir().unwrap();
    let (outcome, world) = pressed(2, Duration::from_millis(2500), base.path()).await;
    assert_eq!(outcome.ended, Ended::Abandoned);
    assert_eq!(outcome.elapsed, Duration::from_millis(2500));
    assert_eq!(ids(outcome.failed.keys().copied()), [1, 2]);
    assert_eq!(world.happened(), ["s0e0", "s0e1"]);
    drop(outcome);

    let left = locked(base.path()).recovery().unwrap();
    assert_eq!(left.left, Left::OnPurpose);
    let open: Vec<String> = left
        .open
        .iter()
        .map(|o| o.intent.deed.to_string())
        .collect();
    assert_eq!(open, ["container s1e0 started", "container s2e0 started"]);

    let (outcome, ..) = carried_out(small(), slow(), base.path(), Limits::default()).await;
    assert!(outcome.is_success());
    assert_eq!(outcome.store.next_run(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_is_one_that_was_killed() {
    let base = tempfile::tempdir().unwrap();
    let (_, interpreter) = shared(slow());
    let (sender, _events) = unbounded_channel();
    let run = run(small(), interpreter, locked(base.path()), Limits::default());
    let killed = tokio::time::timeout(
        Duration::from_millis(1500),
        run.start(sender, Cancel::new()),
    );
    assert!(killed.await.is_err());

    let mut store = locked(base.path());
    let left = store.recovery().unwrap();
    assert_eq!((left.run, left.left), (1, Left::Silently));
    assert_eq!(left.open.len(), 1);
    assert_eq!(left.open[0].intent.site, "db-1");
    assert_eq!(left.probes().len(), 1);
    let nobody_looked = left.judge(&crate::probe::Observation::default(), &vault());
    assert!(matches!(
        nobody_looked[&left.open[0].intent.op],
        Fate::Unknown { .. }
    ));
    store.recover(nobody_looked).unwrap();
    assert_eq!(store.recovery(), None);
}

/// The journal as it stands when the last effect is about to begin.
async fn journal_of_a_run() -> Vec<u8> {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("shop/journal.jsonl");
    let copy = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&copy);
    let world = World {
        watch: Some(Box::new(move |name| {
            if name == "s3e0" {
                *seen.lock().unwrap() = std::fs::read(&path).unwrap();
            }
        })),
        ..World::default()
    };
    let (outcome, ..) = carried_out(small(), world, base.path(), Limits::default()).await;
    assert!(outcome.is_success());
    let journal = copy.lock().unwrap().clone();
    assert!(!journal.is_empty());
    journal
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_byte_of_the_journal_the_next_run_goes_on() {
    let journal = journal_of_a_run().await;
    let first = journal.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join("shop");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("journal.jsonl");
    for length in first..=journal.len() {
        std::fs::write(&path, &journal[..length]).unwrap();
        let read = Store::open(base.path(), stack()).read().unwrap();
        let whole = journal[..length].ends_with(b"\n");
        assert_eq!(read.cut.is_none(), whole, "at {length}");
        let beside_an_end = whole || journal.get(length) == Some(&b'\n');
        if !beside_an_end {
            continue;
        }
        let (outcome, ..) =
            carried_out(small(), World::default(), base.path(), Limits::default()).await;
        assert!(outcome.is_success(), "at {length}");
        assert_eq!(outcome.records.len(), 4);
        drop(outcome);
        std::fs::remove_file(directory.join("snapshot.json")).unwrap();
    }
}
