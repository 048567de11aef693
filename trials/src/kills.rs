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
    let mut deaths: Box<dyn Iterator<Item = Death>> = if every {
        Box::new(each_record())
    } else {
        Box::new(further_on())
    };
    let mut before = Before::default();
    for kills in 0..MOST {
        let mut death = deaths.next().expect("there is always another");
        if every {
            death.after += before.records;
        }
        if !is_killed(operator, death, every) {
            return kills;
        }
        before.take_in(&operator.journal());
    }
    panic!("no end after {MOST} kills")
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

/// At each of the records of a step in its turn, of one step after another: once something of a
/// step has happened, the next `up` goes on with the one after it. A run that does one step at a
/// time writes that it begins, that a step begins, the intents of what goes together in it (two,
/// most often), what became of each, that the step is done.
fn each_record() -> impl Iterator<Item = Death> {
    let step = [
        (2, Moment::AtOnce),
        (3, Moment::AtOnce),
        (4, Moment::AtOnce),
        (4, Moment::BeforeNext),
        (5, Moment::AtOnce),
        (6, Moment::AtOnce),
        (7, Moment::AtOnce),
    ];
    let step = step.map(|(after, moment)| Death {
        after,
        since: Since::Run,
        moment,
    });
    step.into_iter().cycle()
}

/// What runs of a chain did again: an image is taken from this machine as long as a host lacks it,
/// and a gate is asked whenever something waits for it.
#[derive(Default)]
struct Before {
    /// The steps that were done once.
    done: BTreeSet<String>,
    /// How many records the last run wrote of such steps, before anything else.
    records: usize,
}

impl Before {
    /// Takes in what the last run has written.
    fn take_in(&mut self, journal: &[Value]) {
        let begins = |entry: &Value| entry["entry"] == "run-started";
        let begun = journal.iter().rposition(begins).map_or(0, |at| at + 1);
        let mut names = BTreeMap::new();
        let mut fresh = BTreeSet::new();
        self.records = 0;
        let mut again = true;
        for entry in &journal[begun..] {
            let step = entry["step"].as_u64();
            match entry["entry"].as_str() {
                Some("step-started") => {
                    let urn = entry["urn"].as_str().unwrap_or_default();
                    again &= self.done.contains(urn);
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
fn is_killed(operator: &Operator, death: Death, one_at_a_time: bool) -> bool {
    let words: &[&str] = if one_at_a_time {
        &["--parallel", "1", "up"]
    } else {
        &["up"]
    };
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
