//! Runs of plans in a world in memory.

mod crash;
mod laws;
mod lease;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::effect::{Action, Effect, Interpreter, Progress, RunContext};
use crate::effect::{Line, Record, Removal};
use crate::ident::{Digest, HostName, StackName, Urn};
use crate::plan::{Outcome, Plan, Step, StepId};
use crate::probe::Site;
use crate::resource::{Impact, Op};
use crate::secret::Vault;
use crate::state::{Ended, LockedStore, Store};
use world::{Fault, World, shared};

const CANARY: &str = "canary-5up3r-s3cret";

fn stack() -> StackName {
    StackName::new("shop").unwrap()
}

fn host(number: usize) -> Site {
    Site::Host(HostName::new(format!("db-{number}")).unwrap())
}

fn locked(base: &Path) -> LockedStore {
    Store::open(base, stack()).lock().unwrap()
}

fn vault() -> Vault {
    let mut vault = Vault::new();
    vault.insert("PASS", SecretString::from(CANARY));
    vault
}

fn context(run: u64) -> RunContext {
    RunContext {
        stack: stack(),
        run,
        vault: Arc::new(vault()),
        progress: Progress::none(),
        cancel: CancellationToken::new(),
    }
}

/// A step in short: where its effects happen, and what it waits for.
#[derive(Debug, Clone)]
struct Short {
    sites: Vec<usize>,
    after: BTreeSet<u32>,
}

fn short(sites: &[usize], after: &[u32]) -> Short {
    Short {
        sites: sites.to_vec(),
        after: after.iter().copied().collect(),
    }
}

fn urn(step: u32) -> Urn {
    Urn::global("thing", format!("s{step}"))
}

fn record(step: u32) -> Record {
    Record {
        urn: urn(step),
        goal: Vault::new().keyed(&Digest::of("goal")),
        removal: Removal::default().into(),
        depends_on: BTreeSet::new(),
        protect: false,
        retain: false,
        line: Line::default(),
    }
}

fn step(id: u32, short: &Short) -> Step {
    let effects = short.sites.iter().enumerate().map(|(number, site)| {
        let name = format!("s{id}e{number}");
        Effect::new(host(*site), Action::StartContainer { name })
    });
    Step {
        id: StepId(id),
        urn: urn(id),
        op: Op::Create,
        reasons: Vec::new(),
        impact: Impact::None,
        details: Vec::new(),
        summary: String::new(),
        effects: effects.collect(),
        after: short.after.iter().copied().map(StepId).collect(),
        outcome: Outcome::Remember(Box::new(record(id))),
        parent: None,
        declared: None,
        disturbs: None,
        timeout: None,
        retries: 0,
    }
}

fn plan(shorts: &[Short]) -> Plan {
    Plan {
        stack: stack(),
        steps: (0..)
            .zip(shorts)
            .map(|(id, short)| step(id, short))
            .collect(),
        kept: BTreeMap::new(),
        stuck: Vec::new(),
        forgotten: BTreeSet::new(),
        left_out: BTreeSet::new(),
    }
}

fn run(plan: Plan, world: Arc<dyn Interpreter>, store: LockedStore, limits: Limits) -> Run {
    let number = store.next_run();
    Run::new(plan, world, store, context(number), limits)
}

fn drained(mut events: UnboundedReceiver<Event>) -> Vec<Event> {
    let mut all = Vec::new();
    while let Ok(event) = events.try_recv() {
        all.push(event);
    }
    all
}

/// Runs a plan to its end.
async fn carried_out(
    plan: Plan,
    world: World,
    base: &Path,
    limits: Limits,
) -> (RunOutcome, Arc<World>, Vec<Event>) {
    let (world, interpreter) = shared(world);
    let (sender, events) = unbounded_channel();
    let run = run(plan, interpreter, locked(base), limits);
    let outcome = run.start(sender, Cancel::new()).await.unwrap();
    (outcome, world, drained(events))
}

fn ids(steps: impl IntoIterator<Item = StepId>) -> Vec<u32> {
    steps.into_iter().map(|step| step.0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failure_skips_what_depends_on_it_and_the_rest_goes_on() {
    let base = tempfile::tempdir().unwrap();
    let plan = plan(&[
        short(&[0], &[]),
        short(&[1], &[]),
        short(&[0], &[0]),
        short(&[1], &[1, 2]),
        short(&[1, 0], &[1]),
    ]);
    let world = World::with_fault("s0e0", Fault::Before);
    let (outcome, world, events) = carried_out(plan, world, base.path(), Limits::default()).await;
    assert_eq!(ids(outcome.done), [1, 4]);
    assert_eq!(ids(outcome.failed.keys().copied()), [0]);
    assert_eq!(ids(outcome.skipped.keys().copied()), [2, 3]);
    let root = Because::Dependency {
        step: StepId(0),
        urn: urn(0),
    };
    assert!(outcome.skipped.values().all(|because| *because == root));
    assert_eq!(world.happened(), ["s1e0", "s4e0", "s4e1"]);
    assert!(matches!(
        events.last().unwrap().what,
        What::RunFinished {
            ended: Ended::Complete,
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_stops_everything_when_asked_to() {
    let base = tempfile::tempdir().unwrap();
    let plan = plan(&vec![short(&[0], &[]); 9]);
    let limits = Limits {
        parallel: 1,
        fail_fast: true,
        ..Limits::default()
    };
    let world = World::with_fault("s2e0", Fault::Before);
    let (outcome, ..) = carried_out(plan, world, base.path(), limits).await;
    assert_eq!(ids(outcome.done), [0, 1]);
    assert_eq!(outcome.skipped.len(), 6);
    assert_eq!(
        outcome.skipped[&StepId(8)],
        Because::FailFast { step: StepId(2) }
    );
}

#[tokio::test(start_paused = true)]
async fn a_hanging_effect_is_given_up_in_time_and_stays_in_doubt() {
    let base = tempfile::tempdir().unwrap();
    let mut plan = plan(&[short(&[0], &[]), short(&[1], &[])]);
    plan.steps[0].timeout = Some(5);
    let world = World::with_fault("s0e0", Fault::Hang);
    let (outcome, ..) = carried_out(plan, world, base.path(), Limits::default()).await;
    let failure = &outcome.failed[&StepId(0)];
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert_eq!(failure.error, "took longer than 5 s");
    assert!(outcome.elapsed < Duration::from_secs(6));
    assert_eq!(ids(outcome.done), [1]);
    // The object may exist, so it is not lost sight of.
    assert!(outcome.records.contains_key(&urn(0)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_site_is_waited_for_once() {
    let base = tempfile::tempdir().unwrap();
    let mut shorts = vec![short(&[0], &[]); 20];
    shorts.push(short(&[1], &[]));
    let limits = Limits {
        per_site: 1,
        ..Limits::default()
    };
    let world = World::with_fault("s0e0", Fault::DropAnswer);
    let (outcome, world, _) = carried_out(plan(&shorts), world, base.path(), limits).await;
    assert_eq!(world.tried(), 2);
    assert_eq!(ids(outcome.done), [20]);
    assert_eq!(outcome.skipped.len(), 19);
    let because = Because::Silent {
        site: "db-0".to_owned(),
    };
    assert!(outcome.skipped.values().all(|other| *other == because));
}

#[tokio::test(start_paused = true)]
async fn who_was_not_even_asked_is_asked_again_for_a_while() {
    let base = tempfile::tempdir().unwrap();
    let one = || plan(&[short(&[0], &[])]);
    let world = World::with_fault("s0e0", Fault::TurnedAway(10));
    let (outcome, ..) = carried_out(one(), world, base.path(), Limits::default()).await;
    assert_eq!(ids(outcome.done), [0]);
    let base = tempfile::tempdir().unwrap();
    let world = World::with_fault("s0e0", Fault::TurnedAway(100));
    let (outcome, world, _) = carried_out(one(), world, base.path(), Limits::default()).await;
    assert_eq!(outcome.failed[&StepId(0)].kind, FailureKind::Unreachable);
    assert!((14..=17).contains(&world.tried()), "{}", world.tried());
}

#[tokio::test(start_paused = true)]
async fn a_broken_interpreter_fails_one_step() {
    let base = tempfile::tempdir().unwrap();
    let plan = plan(&[short(&[0, 0], &[]), short(&[1], &[])]);
    let world = World::with_fault("s0e1", Fault::Panic);
    let (outcome, ..) = carried_out(plan, world, base.path(), Limits::default()).await;
    assert_eq!(outcome.failed[&StepId(0)].kind, FailureKind::Defect);
    assert_eq!(ids(outcome.done), [1]);
}

#[tokio::test(start_paused = true)]
async fn no_secret_leaves_the_run() {
    let base = tempfile::tempdir().unwrap();
    let journal = base.path().join("shop/journal.jsonl");
    let seen = Arc::new(std::sync::Mutex::new(String::new()));
    let copy = Arc::clone(&seen);
    let mut world = World::with_fault("s0e0", Fault::Before);
    world.says = format!("role: password {CANARY} refused");
    world.watch = Some(Box::new(move |_| {
        *copy.lock().unwrap() += &std::fs::read_to_string(&journal).unwrap();
    }));
    let mut plan = plan(&[short(&[0], &[]), short(&[0], &[])]);
    plan.steps[1].effects.push(Effect::new(
        host(0),
        Action::WriteFile {
            path: "/etc/secret".to_owned(),
            content: crate::secret::Text::secret(crate::secret::SecretRef::new("PASS")),
            mode: 0o600,
            owner: crate::effect::Owner::root(),
            expect: crate::effect::PreImage::Content(Digest::of(CANARY)),
            validate: None,
            immutable: false,
        },
    ));
    let (outcome, _, events) = carried_out(plan, world, base.path(), Limits::default()).await;
    assert_eq!(
        outcome.failed[&StepId(0)].error,
        "cannot: role: password (secret PASS) refused"
    );
    let events = serde_json::to_string(&events).unwrap();
    let journal = seen.lock().unwrap().clone();
    let snapshot = std::fs::read_to_string(base.path().join("shop/snapshot.json")).unwrap();
    assert!(journal.contains("/etc/secret"));
    for text in [&journal, &snapshot, &events, &format!("{outcome:?}")] {
        assert!(!text.contains(CANARY));
        assert!(!text.contains(&Digest::of(CANARY).to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_nothing_more_begins() {
    let base = tempfile::tempdir().unwrap();
    let (world, interpreter) = shared(World::default());
    let (sender, _events) = unbounded_channel();
    let mut store = locked(base.path());
    store.fill_disk();
    let run = run(
        plan(&[short(&[0], &[])]),
        interpreter,
        store,
        Limits::default(),
    );
    let error = run.start(sender, Cancel::new()).await.unwrap_err();
    assert!(matches!(error, RunError::Store(_)), "{error}");
    assert_eq!(world.tried(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tampered_plan_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let (_, interpreter) = shared(World::default());
    let (sender, _events) = unbounded_channel();
    let tampered = plan(&[short(&[0], &[1]), short(&[0], &[])]);
    let run = run(
        tampered,
        interpreter,
        locked(base.path()),
        Limits::default(),
    );
    let error = run.start(sender, Cancel::new()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plan is not one that this program has made: \
         step 0 waits for 1, which does not come before it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_steps_writes_only_what_is_new() {
    let base = tempfile::tempdir().unwrap();
    let mut plan = plan(&[]);
    plan.kept.insert(urn(7), record(7));
    for _ in 0..2 {
        let world = World::default();
        let (outcome, ..) = carried_out(plan.clone(), world, base.path(), Limits::default()).await;
        assert!(outcome.is_success());
        assert_eq!(outcome.records.len(), 1);
        assert_eq!(outcome.store.next_run(), 1);
    }
    let journal = std::fs::read_to_string(base.path().join("shop/journal.jsonl")).unwrap();
    assert!(journal.starts_with("{\"seq\":3,"), "{journal}");
}
