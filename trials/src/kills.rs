//! The operator's process is killed at the records of its journal, each time further on, until an
//! `up` comes to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;

use serde_json::Value;
use trials::mortal::{Death, Moment, Since};
use trials::{DATABASES, Load, Operator, both, hosts};

use crate::program;
use crate::report::{Outcome, Report};

/// More kills than any chain needs: one that makes no progress is an error.
const MOST: usize = 2000;

/// What SIGKILL is called.
const KILL: i32 = 9;

/// Carries out both chains, from a lab without anything of the stack.
pub(crate) fn carry_out(operator: &Operator, every: bool, report: &mut Report) {
    report.trial("kills of a deployment", || deployment(operator, every));
    Load::prepare(operator);
    report.trial("kills of a rolling change", || roll(operator, every));
}

fn deployment(operator: &Operator, every: bool) -> Outcome {
    let times = chain(operator, every);
    operator.settled();
    whole(operator);
    converged(times, None)
}

fn roll(operator: &Operator, every: bool) -> Outcome {
    operator.set_parameters(&[("max_connections", "220")]);
    let load = Load::begin(operator, 20);
    let times = chain(operator, every);
    for host in DATABASES {
        assert_eq!(operator.superuser(host, "SHOW max_connections"), "220");
    }
    operator.settled();
    let written = load.end(operator);
    whole(operator);
    converged(times, Some(written))
}

fn whole(operator: &Operator) {
    operator.unchanged();
    hosts::have_each_container_once(operator);
    hosts::agree_with_the_operator(operator);
}

fn converged(times: usize, written: Option<trials::Written>) -> Outcome {
    Outcome {
        times,
        ended: "converged".to_owned(),
        written,
    }
}

/// Kills one `up` after another, until one comes to its end. How many were killed.
fn chain(operator: &Operator, every: bool) -> usize {
    if every {
        return at_each_record(operator);
    }
    let mut deaths = further_on().take(MOST);
    let end = deaths.position(|death| !is_killed(operator, death, &["up"]));
    end.unwrap_or_else(|| panic!("no end after {MOST} kills"))
}

/// After one record, after two, after three; each time at once, and with what the record announces
/// done.
fn further_on() -> impl Iterator<Item = Death> {
    let moments = |after| {
        [Moment::AtOnce, Moment::BeforeNext].map(|moment| Death {
            after,
            since: Since::Process,
            moment,
        })
    };
    (1..).flat_map(moments)
}

/// At the records of each step in its turn, one step at a time: as it begins, and at the intent of
/// each effect; then at one of those that are written when something has happened, for the next `up`
/// goes on with the next step. That one is another in each step.
fn at_each_record(operator: &Operator) -> usize {
    let (mut before, mut kills) = (Before::default(), 0);
    let mut kill = |offset: usize, moment, before: &mut Before| {
        let death = Death {
            after: before.records + offset,
            since: Since::Run,
            moment,
        };
        assert!(kills < MOST, "no end after {MOST} kills");
        let is_killed = is_killed(operator, death, &["--parallel", "1", "up"]);
        before.take_in(&operator.journal());
        kills += usize::from(is_killed);
        is_killed
    };
    for turn in 0.. {
        if !kill(BEGINS, Moment::AtOnce, &mut before) {
            break;
        }
        let effects = before.effects;
        let intents = BEGINS + effects;
        let announced = (BEGINS + 1..=intents).map(|record| (record, Moment::AtOnce));
        let happened = match turn % (effects + 2) {
            0 => (intents, Moment::BeforeNext),
            done => (intents + done, Moment::AtOnce),
        };
        let mut deaths = announced.chain([happened]);
        if !deaths.all(|(offset, moment)| kill(offset, moment, &mut before)) {
            break;
        }
    }
    kills
}

/// The record of a run in which its first step begins.
const BEGINS: usize = 2;

/// What runs of a chain did again: an image is taken from this machine as long as a host lacks it,
/// and a gate is asked whenever something waits for it.
#[derive(Default)]
struct Before {
    /// The steps that were done once.
    done: BTreeSet<String>,
    /// How many records the last run wrote of such steps, before anything else.
    records: usize,
    /// How many effects the first other step has.
    effects: usize,
}

impl Before {
    /// Takes in what the last run has written.
    fn take_in(&mut self, journal: &[Value]) {
        let begins = |entry: &Value| entry["entry"] == "run-started";
        let begun = journal.iter().rposition(begins).map_or(0, |at| at + 1);
        let mut names = BTreeMap::new();
        let mut fresh = BTreeSet::new();
        (self.records, self.effects) = (0, 1);
        let mut again = true;
        for entry in &journal[begun..] {
            let step = entry["step"].as_u64();
            match entry["entry"].as_str() {
                Some("step-started") => {
                    let urn = entry["urn"].as_str().unwrap_or_default();
                    if again && !self.done.contains(urn) {
                        again = false;
                        let effects = entry["effects"].as_u64().unwrap_or(1);
                        self.effects = usize::try_from(effects).unwrap_or(1);
                    }
                    names.insert(step, urn);
                }
                Some("step-done") => fresh.extend(names.get(&step).map(|urn| (*urn).to_owned())),
                _ => {}
            }
            self.records += usize::from(again);
        }
        self.done.extend(fresh);
    }
}

/// Whether an `up` dies there; one that does not must succeed.
#[expect(clippy::disallowed_macros, reason = "this program is for the terminal")]
fn is_killed(operator: &Operator, death: Death, words: &[&str]) -> bool {
    let mut command = operator.command_of(&program::mortal(death), words);
    let output = command.output().expect("the program starts");
    let said = both(&output);
    let is_killed = output.status.signal() == Some(KILL);
    assert!(is_killed || output.status.success(), "{death:?}:\n{said}");
    let last = said.lines().last().unwrap_or_default();
    println!(
        "  {} {:?} {:?}: {last}",
        death.after, death.since, death.moment
    );
    is_killed
}
