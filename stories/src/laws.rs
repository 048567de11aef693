//! The laws that are checked by looking at one run.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use kbz_infra::effect::Record;
use kbz_infra::exec::{Because, Event, RunError, RunOutcome};
use kbz_infra::graph::{Declarations, Graph};
use kbz_infra::ident::Urn;
use kbz_infra::plan::{Plan, Problem, StepId};
use kbz_infra::primitive::{PgDatabase, PgRole};
use kbz_infra::resource::Op;
use kbz_infra::secret::{Form, SecretRef};
use kbz_infra::state::{Fate, OpId, Recovery};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::breach::{Breach, Law};
use crate::disk::MemoryDisk;
use crate::secrets::{CANARIES, vault};
use crate::stage::Seen;

/// A plan as it would be kept.
pub(crate) fn bytes(plan: &Plan) -> String {
    serde_json::to_string(plan).expect("a plan is plain data")
}

/// An error with all that led to it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn check(law: Law, holds: bool, what: impl FnOnce() -> String) -> Result<(), Breach> {
    if holds {
        return Ok(());
    }
    Err(Breach { law, what: what() })
}

/// All steps that wait for one of some, directly or not, worked out the slow way.
fn descendants(plan: &Plan, of: &BTreeSet<StepId>) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    for step in &plan.steps {
        if !step.after.is_disjoint(of) || !step.after.is_disjoint(&found) {
            found.insert(step.id);
        }
    }
    found
}

/// Law 5.
pub(crate) fn a_failure_skips_exactly_its_descendants(
    plan: &Plan,
    outcome: &RunOutcome,
) -> Result<(), Breach> {
    // A site that fell silent is spared everything else, too.
    let silent = outcome.skipped.iter();
    let silent = silent.filter(|(_, because)| matches!(because, Because::Silent { .. }));
    let silent: BTreeSet<StepId> = silent.map(|(id, _)| *id).collect();
    let roots: BTreeSet<StepId> = outcome.failed.keys().chain(&silent).copied().collect();
    let mut wanted = descendants(plan, &roots);
    wanted.extend(&silent);
    let skipped: BTreeSet<StepId> = outcome.skipped.keys().copied().collect();
    check(Law::AFailureSkipsWhatWaitsForIt, skipped == wanted, || {
        format!("skipped {skipped:?}, and what waits is {wanted:?}")
    })?;
    let told = outcome.done.len() + outcome.failed.len() + skipped.len();
    check(
        Law::AFailureSkipsWhatWaitsForIt,
        told == plan.steps.len(),
        || format!("{told} steps are accounted for of {}", plan.steps.len()),
    )
}

/// The roles that PostgreSQL does not drop, each with the forgotten database that it owns.
///
/// The memory was lost, and since then a program named the owner, but none the database: only
/// PostgreSQL knows that there is one. So the owner is removed without it, and the refusal is
/// true. A database that the memory knows excuses nothing: it had to go first.
pub(crate) fn kept_by_the_forgotten(
    plan: &Plan,
    outcome: &RunOutcome,
    forgotten: &BTreeSet<Urn>,
) -> BTreeMap<StepId, Urn> {
    let failed = outcome.failed.iter();
    let kept = failed.filter_map(|(id, failure)| {
        let step = &plan.steps[id.0 as usize];
        let is_owner = step.op == Op::Delete && step.urn.kind().as_str() == PgRole::KIND;
        let owns = "depend on it: owner of database ";
        let (_, owned) = failure.error.split_once(owns)?;
        let database = Urn::global(PgDatabase::KIND, owned);
        (is_owner && forgotten.contains(&database)).then_some((*id, database))
    });
    kept.collect()
}

/// Law 3, of one run: what fails was made to fail, but for so many that are excused.
pub(crate) fn nothing_fails_by_itself(
    plan: &Plan,
    outcome: &RunOutcome,
    seen: &Seen,
    excused: usize,
) -> Result<(), Breach> {
    let failed = outcome.failed.len() - excused;
    let explained = failed == seen.fired || (seen.hands > 0 && failed >= seen.fired);
    check(Law::TheNextRunConverges, explained, || {
        let failures = outcome.failed.iter().map(|(id, failure)| {
            let urn = &plan.steps[id.0 as usize].urn;
            format!("{urn}: {}", failure.error)
        });
        let failures: Vec<String> = failures.collect();
        format!(
            "{} faults, and failed are: {}",
            seen.fired,
            failures.join("; ")
        )
    })
}

/// Law 6, of a plan that was refused: nothing but protection stands against a plan here.
pub(crate) fn only_protection_refuses(problems: &[Problem]) -> Result<(), Breach> {
    let other = problems
        .iter()
        .find(|problem| !problem.to_string().contains("it is protected"));
    check(Law::TheNextRunConverges, other.is_none(), || {
        other.map(ToString::to_string).unwrap_or_default()
    })
}

/// Law 6, of a plan that was made.
pub(crate) fn protection_holds(
    plan: &Plan,
    graph: &Graph,
    remembered: &BTreeMap<Urn, Record>,
) -> Result<(), Breach> {
    let takes = |op: Op| matches!(op, Op::Delete | Op::Replace);
    let gone = plan.steps.iter().filter(|step| takes(step.op));
    let gone = gone.map(|step| &step.urn).chain(&plan.forgotten);
    for urn in gone {
        let declared = graph.node(urn).is_some_and(|node| node.options.protect);
        let recorded = remembered.get(urn).is_some_and(|record| record.protect);
        let goes_whole = graph.node(urn).is_none();
        let broken = declared || (recorded && goes_whole);
        check(Law::ProtectionHolds, !broken, || {
            format!("{urn} is protected and would go")
        })?;
    }
    Ok(())
}

/// Law 4, of a plan: what was made and not touched since is not made again.
pub(crate) fn nothing_is_made_twice(plan: &Plan, made: &BTreeSet<Urn>) -> Result<(), Breach> {
    let mut creates = plan.steps.iter().filter(|step| step.op == Op::Create);
    let twice = creates.find(|step| made.contains(&step.urn));
    check(Law::NothingIsLostOrMadeTwice, twice.is_none(), || {
        let twice = twice.map(|step| format!("{} because {:?}", step.urn, step.reasons));
        format!("made again: {}", twice.unwrap_or_default())
    })
}

/// Law 9.
pub(crate) fn secrets_stay_secret(
    plan: &str,
    events: Option<UnboundedReceiver<Event>>,
    outcome: Option<&Result<RunOutcome, RunError>>,
    disk: &MemoryDisk,
) -> Result<(), Breach> {
    let mut heard = String::new();
    if let Some(mut events) = events {
        while let Ok(event) = events.try_recv() {
            heard += &serde_json::to_string(&event).expect("an event is plain data");
        }
    }
    let said = match outcome {
        Some(Ok(outcome)) => format!("{:?}", outcome.failed),
        Some(Err(error)) => chain(error),
        None => String::new(),
    };
    let written = disk.ever();
    let places = [
        ("plan", plan),
        ("events", &heard),
        ("errors", &said),
        ("state", &written),
    ];
    for (place, text) in places {
        let found = canaries()
            .iter()
            .find(|canary| text.contains(canary.as_str()));
        check(Law::SecretsStaySecret, found.is_none(), || {
            format!("a secret stands in the {place}")
        })?;
    }
    Ok(())
}

/// Every secret as it is, and as PostgreSQL stores it.
fn canaries() -> &'static [String] {
    static CANARY: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    CANARY.get_or_init(|| {
        let vault = vault();
        let forms = CANARIES.iter().flat_map(|(name, value)| {
            let verifier = SecretRef::new(*name).form(Form::ScramVerifier);
            let verifier = vault.resolve(&verifier).expect("the vault holds it");
            [(*value).to_owned(), verifier.to_string()]
        });
        forms.collect()
    })
}

/// Law 12: the graph against its declarations, read the slow way.
pub(crate) fn graph_equals_its_declarations(declared: &Declarations) -> Result<(), Breach> {
    let law = Law::TheGraphIsTheDeclarations;
    let graph =
        Graph::new(declared.clone()).map_err(|errors| Breach::of(law, format!("{errors:?}")))?;
    let order: Vec<&Urn> = graph.in_order().map(|(urn, _)| urn).collect();
    let place: BTreeMap<&Urn, usize> = order
        .iter()
        .enumerate()
        .map(|(at, urn)| (*urn, at))
        .collect();
    check(
        law,
        place.len() == order.len() && order.len() == declared.resources.len(),
        || "its order is not of every resource once".to_owned(),
    )?;
    for (urn, node) in &declared.resources {
        let named = node.options.depends_on.iter().chain(&node.options.within);
        let mut wanted = BTreeSet::new();
        for name in named {
            let resources = declared.resources.iter().map(|(other, _)| other);
            wanted.extend(
                resources.filter(|other| *other == name || is_under(other, name, declared)),
            );
        }
        let found: BTreeSet<&Urn> = graph.dependencies(urn).iter().collect();
        check(law, found == wanted, || {
            format!("{urn} depends on {found:?}, declared is {wanted:?}")
        })?;
        let first = wanted.iter().all(|other| place.get(other) < place.get(urn));
        check(law, first, || {
            format!("{urn} comes before what it depends on")
        })?;
    }
    Ok(())
}

/// Whether a resource is part of a component.
fn is_under(urn: &Urn, component: &Urn, declared: &Declarations) -> bool {
    let of_resource = declared.resources.iter().find(|(other, _)| other == urn);
    let mut above = of_resource.and_then(|(_, node)| node.parent.clone());
    while let Some(parent) = above {
        if parent == *component {
            return true;
        }
        let node = declared
            .components
            .iter()
            .find(|(other, _)| *other == parent);
        above = node.and_then(|(_, node)| node.parent.clone());
    }
    false
}

/// What a person is told of the effects that were open against what the world knows.
pub(crate) fn what_is_told_is_true(
    recovery: &Recovery,
    fates: &BTreeMap<OpId, Fate>,
    happened: &BTreeSet<(u32, u32)>,
) -> Result<(), Breach> {
    for open in &recovery.open {
        let op = open.intent.op;
        let truly = happened.contains(&(op.step.0, op.effect));
        let fate = fates.get(&op);
        let lie = truly && fate == Some(&Fate::NotHappened);
        let nobody = matches!(fate, None | Some(Fate::Unknown { .. }));
        check(Law::WhatIsToldIsTrue, !lie && !nobody, || {
            let deed = &open.intent.deed;
            format!(
                "{deed} is told as {fate:?}, and it {}",
                if truly { "has happened" } else { "has not" }
            )
        })?;
    }
    Ok(())
}
