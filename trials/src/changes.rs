//! Random changes of the program, each previewed and carried out: what was planned is done and
//! nothing else, what is disturbed was foretold, and nothing is left to do.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use stories::chance::Chance;
use trials::{HOSTS, Load, Operator, both};

use crate::extras::{self, Extra, FORMS, KINDS};
use crate::pulse::Pulse;
use crate::report::{Outcome, Report};

/// How many things a program has in addition at most.
const MANY: usize = 12;

/// A program: what it has in addition, and its parameters of PostgreSQL.
#[derive(Debug, Clone)]
struct Random {
    chance: Chance,
    extras: Vec<Extra>,
    work_mem: usize,
    log_statements: usize,
    max_connections: usize,
}

/// What the changes came to so far.
#[derive(Debug, Default)]
struct Sum {
    steps: usize,
    disturbing: usize,
    switchovers: u64,
    /// How often the cluster was not whole for a moment just after a change.
    blinks: usize,
    /// Of each change with a switchover, the longest time without a write, and what was foretold
    /// at most.
    silences: Vec<(Duration, Duration)>,
}

/// Carries out so many.
pub(crate) fn carry_out(operator: &Operator, count: usize, seed: u64, report: &mut Report) {
    let kind = format!("random changes, seed {seed}");
    report.trial(&kind, || many(operator, count, seed));
}

#[expect(clippy::disallowed_macros, reason = "this program is for the terminal")]
fn many(operator: &Operator, count: usize, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut sum = Sum::default();
    let load = Load::begin(operator, 20);
    let mut before = Pulse::of(operator);
    let mut changes = 0;
    while changes < count {
        random.change();
        random.write(operator);
        let plan = planned(operator);
        if steps(&plan).is_empty() {
            continue;
        }
        changes += 1;
        let said = sum.carry_out(operator, &plan, &load);
        let after = Pulse::of(operator);
        foretold(&plan, &before, &after);
        println!("  {changes} of {count}: {said}");
        before = after;
    }
    operator.settled();
    Outcome {
        times: changes,
        ended: sum.to_string(),
        written: Some(load.end(operator)),
    }
}

impl Random {
    fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            extras: Vec::new(),
            work_mem: 4,
            log_statements: 0,
            max_connections: 0,
        }
    }

    /// Makes another program of it.
    fn change(&mut self) {
        for _ in 0..=self.chance.below(3) {
            match self.chance.below(10) {
                0 | 1 if !self.extras.is_empty() => {
                    let place = self.chance.below(self.extras.len());
                    self.extras.remove(place);
                }
                2 | 3 if !self.extras.is_empty() => {
                    let place = self.chance.below(self.extras.len());
                    self.extras[place].variant = self.chance.below(FORMS);
                }
                4 => self.work_mem = 4 + self.chance.below(4),
                5 => self.log_statements = self.chance.below(FORMS),
                _ => self.add(),
            }
        }
        if self.chance.percent(12) {
            self.max_connections = self.chance.below(FORMS);
        }
    }

    fn add(&mut self) {
        let extra = Extra {
            kind: self.chance.below(KINDS),
            host: self.chance.below(HOSTS.len()),
            slot: self.chance.below(FORMS),
            variant: self.chance.below(FORMS),
        };
        let known = |other: &Extra| other.identity() == extra.identity();
        if self.extras.len() < MANY && !self.extras.iter().any(known) {
            self.extras.push(extra);
        }
    }

    fn write(&self, operator: &Operator) {
        extras::write(operator.folder(), &self.extras);
        let work_mem = format!("{}MB", self.work_mem);
        operator.set_parameters(&[
            ("work_mem", &work_mem),
            (
                "log_min_duration_statement",
                ["-1", "1000", "5000"][self.log_statements],
            ),
            (
                "max_connections",
                ["200", "210", "220"][self.max_connections],
            ),
        ]);
    }
}

impl Sum {
    /// Carries a plan out; what is done is what was planned. A line of what was done.
    fn carry_out(&mut self, operator: &Operator, plan: &Value, load: &Load) -> String {
        load.listen_anew();
        let failed = load.now().failed;
        let done = done(operator);
        assert_eq!(done, steps(plan), "what is done is what was planned");
        self.blinks += usize::from(nothing_pending(operator));
        let disturbing = disturbing(plan);
        let now = load.now();
        if disturbing.is_empty() {
            assert_eq!(
                now.failed, failed,
                "writes fail, and no step disturbs anything"
            );
        }
        let switchovers = plan["forecast"]["switchovers"].as_u64().unwrap_or_default();
        let most: u64 = ["writes_stop", "commits_wait"]
            .iter()
            .filter_map(|part| plan["forecast"][part]["most_ms"].as_u64())
            .sum();
        let most = Duration::from_millis(most);
        if switchovers > 0 {
            self.silences.push((now.silence, most));
        }
        self.steps += done.len();
        self.disturbing += disturbing.len();
        self.switchovers += switchovers;
        format!(
            "{} steps, {} disturb, {switchovers} switchovers, silence {:.1} s, foretold {:.1} s",
            done.len(),
            disturbing.len(),
            now.silence.as_secs_f64(),
            most.as_secs_f64()
        )
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let silences = &self.silences;
        let (silence, most) = silences.iter().max().copied().unwrap_or_default();
        let within = silences.iter().filter(|(silence, most)| silence <= most);
        write!(
            f,
            "{} steps as planned, {} times the cluster was not whole for a moment after; {} disturb, \
             {} switchovers ({} of {} without writes for no longer than foretold; at worst {:.1} s, \
             foretold at most {:.1} s)",
            self.steps,
            self.blinks,
            self.disturbing,
            self.switchovers,
            within.count(),
            silences.len(),
            silence.as_secs_f64(),
            most.as_secs_f64()
        )
    }
}

/// Nothing is to be done after a change. Where many programs share few processors, RAFT loses sight
/// of a member now and then, and a replica falls behind: a gate then waits again, which is so, and
/// no change. Whether that was so.
fn nothing_pending(operator: &Operator) -> bool {
    let again = planned(operator);
    let again = again["plan"]["steps"].as_array().expect("a list");
    assert!(again.iter().all(|step| step["op"] == "run"), "{again:?}");
    let blinked = !again.is_empty();
    if blinked {
        operator.settled();
    }
    operator.nothing_pending();
    blinked
}

/// What `preview` says is to be done.
fn planned(operator: &Operator) -> Value {
    let preview = operator.run(&["--json", "preview"]);
    assert!(preview.status.success(), "{}", both(&preview));
    let said = String::from_utf8_lossy(&preview.stdout);
    let plan = said.lines().find(|line| line.contains("\"previewed\""));
    serde_json::from_str(plan.expect("a plan")).expect("JSON")
}

/// The objects of a plan's steps.
fn steps(plan: &Value) -> Vec<String> {
    let steps = plan["plan"]["steps"].as_array().expect("a list");
    let mut urns: Vec<String> = steps.iter().map(urn).collect();
    urns.sort_unstable();
    urns
}

fn urn(step: &Value) -> String {
    step["urn"].as_str().expect("an address").to_owned()
}

/// Runs `up`, which must succeed; the objects of the steps that it has done.
fn done(operator: &Operator) -> Vec<String> {
    let up = operator.run(&["--json", "up"]);
    assert!(up.status.success(), "{}", both(&up));
    let said = String::from_utf8_lossy(&up.stdout);
    let events = said
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).expect(line) });
    let mut urns: Vec<String> = events
        .filter(|event| event["event"] == "step-done")
        .map(|event| urn(&event))
        .collect();
    urns.sort_unstable();
    urns
}

/// The hosts on which a plan says that something is started anew or ends.
fn disturbing(plan: &Value) -> BTreeSet<String> {
    const HARMLESS: [&str; 2] = ["none", "reload"];
    let steps = plan["plan"]["steps"].as_array().expect("a list");
    let disturbing = steps.iter().filter(|step| {
        let impact = step["impact"].as_str().expect("an impact");
        !HARMLESS.contains(&impact)
    });
    disturbing.flat_map(hosts_of).collect()
}

/// The hosts that a step is for.
fn hosts_of(step: &Value) -> Vec<String> {
    let urn = urn(step);
    let named = HOSTS
        .into_iter()
        .filter(|host| urn.contains(&format!("@{host}:")));
    let member = step["disturbs"][1].as_str();
    named.chain(member).map(str::to_owned).collect()
}

/// Nothing was started anew and nobody else leads, unless the plan says so.
fn foretold(plan: &Value, before: &Pulse, after: &Pulse) {
    let said = disturbing(plan);
    for host in after.disturbed(before) {
        assert!(
            said.contains(host),
            "something on {host} was disturbed, foretold was {said:?}\n{before:?}\n{after:?}"
        );
    }
    if after.leads_elsewhere(before) {
        let switchovers = plan["forecast"]["switchovers"].as_u64();
        assert_ne!(
            switchovers,
            Some(0),
            "the leader moved, which nobody foretold"
        );
    }
}
