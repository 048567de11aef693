//! How long writes stop: a forecast from settings, not from a guess.
//!
//! A planned switchover: the leader stops, another member is promoted, and each way in finds it.
//! The leader writes a checkpoint before it stops, while it still takes writes, so its stop is
//! short. A way in asks a server that is down every `downinter`, and takes it for up after
//! `rise` good checks, the others `fastinter` apart; a pooler connects again after `retry`.
//!
//! | part | least | usual | most |
//! |---|---|---|---|
//! | stop | 0.2 s | 0.4 s | 1 s |
//! | promotion | 0.1 s | 0.4 s | 2 s |
//! | found | `(rise - 1) * fastinter` | the mean | `downinter + (rise - 1) * fastinter + retry` |
//!
//! A leader that restarts where it stands stops, starts (0.5 s, 2 s, at most its
//! `start_timeout`) and is found again. While a synchronous standby restarts, commits wait until
//! the leader's next round chooses another: up to `loop_wait`.
//!
//! The loss of a leader's host: the lease runs out, between `ttl - loop_wait` and `ttl` after the
//! loss; another member notices at once or a `loop_wait` later; then promotion and search as
//! above.
//!
//! Limits: times of stop and promotion are estimates for a database that keeps up with its
//! writes; one that does not stops for longer. The settings of the ways in are those declared.

use serde::Serialize;
use std::fmt;

use super::step::{Plan, Step, StepId};
use crate::graph::Graph;
use crate::ident::HostName;
use crate::probe::{MemberRole, Observation, Reading, Seen};
use crate::resource::{Claim, Group, Impact, LeaderSearch, LeaderTiming, Op};

/// From the request to stop to the last process of the old leader.
const STOP: Span = Span::new(200, 400, 1_000);
/// From the decision to the first write that the new leader accepts; two seconds bound it in the
/// failover arithmetic of Patroni's own lease.
const PROMOTION: Span = Span::new(100, 400, 2_000);
/// The same for a noticed loss, where it is part of the round that noticed.
const PROMOTION_AFTER_LOSS: Span = Span::new(0, 1_000, 2_000);
/// The start of a server that stopped cleanly; the upper bound is the cluster's own.
const START: Span = Span::new(500, 2_000, 2_000);

/// A time with its bounds, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Span {
    /// At least.
    pub least_ms: u64,
    /// Usually.
    pub usual_ms: u64,
    /// At most.
    pub most_ms: u64,
}

impl Span {
    const fn new(least_ms: u64, usual_ms: u64, most_ms: u64) -> Self {
        Self {
            least_ms,
            usual_ms,
            most_ms,
        }
    }

    /// Anything between two bounds, the mean usually.
    const fn between(least_ms: u64, most_ms: u64) -> Self {
        Self::new(least_ms, u64::midpoint(least_ms, most_ms), most_ms)
    }

    /// One after the other.
    fn then(self, next: Self) -> Self {
        Self::new(
            self.least_ms + next.least_ms,
            self.usual_ms + next.usual_ms,
            self.most_ms + next.most_ms,
        )
    }

    /// The upper bound, such as `5.0 s`.
    pub fn at_most(self) -> String {
        format!("{} s", seconds(self.most_ms))
    }

    /// Whether it is no time at all.
    pub fn is_none(self) -> bool {
        self.most_ms == 0
    }
}

/// Milliseconds as seconds, such as `1.8`.
fn seconds(ms: u64) -> String {
    let tenths = (ms + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, usual, most] = [self.least_ms, self.usual_ms, self.most_ms].map(seconds);
        write!(f, "about {usual} s ({least} to {most})")
    }
}

/// Why writes stop or wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The leader moves.
    Switchover,
    /// The leader restarts where it stands.
    LeaderRestarts,
    /// A standby that commits may wait for restarts.
    StandbyRestarts,
}

/// What one step does to writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// The step.
    pub step: StepId,
    /// Why.
    pub cause: Cause,
    /// For how long.
    pub span: Span,
}

/// What a plan does to writes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Forecast {
    /// How often a leader moves.
    pub switchovers: usize,
    /// How long no leader takes writes, in all.
    pub writes_stop: Span,
    /// How long commits wait for a standby, in all.
    pub commits_wait: Span,
    /// What each step adds.
    pub pauses: Vec<Pause>,
    /// Whether members of a group with a leader are disturbed.
    pub rolls: bool,
}

impl Forecast {
    /// The forecast for a plan. `searches` are the ways in to the leaders.
    pub fn of(
        plan: &Plan,
        groups: &[Group],
        searches: &[LeaderSearch],
        observation: &Observation,
    ) -> Self {
        let mut forecast = Self {
            switchovers: plan.count(Op::Switchover),
            ..Self::default()
        };
        for group in groups {
            let leadership = group.leadership.as_ref();
            let Some(timing) = leadership.and_then(|leadership| leadership.timing.as_ref()) else {
                continue;
            };
            let roll = Roll {
                plan,
                group,
                timing: timing.in_force(observation),
                found: found(group, searches),
                observation,
            };
            forecast.pauses.extend(roll.pauses());
            forecast.rolls |= roll.turns().next().is_some();
        }
        for pause in &forecast.pauses {
            let total = match pause.cause {
                Cause::Switchover | Cause::LeaderRestarts => &mut forecast.writes_stop,
                Cause::StandbyRestarts => &mut forecast.commits_wait,
            };
            *total = total.then(pause.span);
        }
        forecast
    }

    /// What a step does to writes, if it does anything.
    pub fn pause(&self, step: StepId) -> Option<&Pause> {
        self.pauses.iter().find(|pause| pause.step == step)
    }
}

/// How long writes stop when the host of a group's leader is lost.
pub fn loss(group: &Group, searches: &[LeaderSearch], observation: &Observation) -> Option<Span> {
    let timing = group.leadership.as_ref()?.timing.as_ref()?;
    let timing = timing.in_force(observation);
    let lease = Span::between(timing.ttl.saturating_sub(timing.loop_wait), timing.ttl);
    let noticed = Span::between(0, timing.loop_wait);
    let promoted = lease.then(noticed).then(PROMOTION_AFTER_LOSS);
    Some(promoted.then(found(group, searches)))
}

/// The ways in to leaders that a program declares.
pub fn searches(graph: &Graph) -> Vec<LeaderSearch> {
    let claims = graph.claims().into_iter();
    let searches = claims.filter_map(|(_, _, claim)| match claim {
        Claim::FindsLeader(search) => Some(search),
        _ => None,
    });
    searches.collect()
}

/// How long the slowest way in takes to find a new leader.
fn found(group: &Group, searches: &[LeaderSearch]) -> Span {
    let own = searches.iter().filter(|search| search.group == group.name);
    let spans = own.map(|search| {
        let confirmed = search.rise.saturating_sub(1) * search.fastinter;
        Span::between(confirmed, confirmed + search.downinter + search.retry)
    });
    spans.max_by_key(|span| span.most_ms).unwrap_or_default()
}

/// What a plan does to one group.
struct Roll<'a> {
    plan: &'a Plan,
    group: &'a Group,
    timing: LeaderTiming,
    found: Span,
    observation: &'a Observation,
}

impl<'a> Roll<'a> {
    fn pauses(&self) -> Vec<Pause> {
        let leader = self.group.leader(self.observation);
        let mut pauses = Vec::new();
        let mut moved = false;
        for step in &self.plan.steps {
            let site = self.group.leadership.as_ref().map(|leader| &leader.site);
            let hands_over = step.op == Op::Switchover
                && step.effects.iter().any(|effect| Some(&effect.site) == site);
            if hands_over {
                moved = true;
                let span = STOP.then(PROMOTION).then(self.found);
                pauses.push(pause(step, Cause::Switchover, span));
            } else if let Some((number, (member, _))) = self.turn_of(step) {
                if Some(member) == leader.as_ref() && !moved {
                    pauses.push(pause(step, Cause::LeaderRestarts, self.restart()));
                } else if self.timing.synchronous {
                    let span = self.standby(member, number);
                    pauses.push(pause(step, Cause::StandbyRestarts, span));
                }
            }
        }
        pauses
    }

    /// The members that are disturbed, each with its last step, in the order of the plan.
    fn turns(&self) -> impl Iterator<Item = (&'a HostName, StepId)> {
        let steps = self.plan.steps.iter();
        let mut turns: Vec<(&HostName, StepId)> = Vec::new();
        for step in steps.filter(|step| step.impact >= Impact::Restart) {
            let Some((name, member)) = &step.disturbs else {
                continue;
            };
            if *name == self.group.name {
                turns.retain(|(known, _)| *known != member);
                turns.push((member, step.id));
            }
        }
        turns.into_iter()
    }

    fn turn_of(&self, step: &Step) -> Option<(usize, (&'a HostName, StepId))> {
        self.turns().enumerate().find(|(_, (_, id))| *id == step.id)
    }

    fn restart(&self) -> Span {
        let start = Span {
            most_ms: START.most_ms.max(self.timing.start_timeout),
            ..START
        };
        STOP.then(start).then(self.found)
    }

    /// A standby that restarts. The one that commits wait for is known before the roll; after
    /// the first turn it is one of those that are still to come.
    fn standby(&self, member: &HostName, number: usize) -> Span {
        let most = self.timing.loop_wait;
        if number == 0 && !self.confirms(member) {
            return Span::new(0, 0, most);
        }
        Span::between(0, most)
    }

    /// Whether commits wait for a member, as far as the observation tells.
    fn confirms(&self, member: &HostName) -> bool {
        let leadership = self.group.leadership.as_ref();
        let seen = leadership.and_then(|leader| self.observation.get(&leader.probe));
        let Some(Seen::Read(Reading::Cluster(cluster))) = seen else {
            return true;
        };
        let mut members = cluster.members.iter();
        members.any(|one| one.name == member.as_str() && one.role == MemberRole::SyncStandby)
    }
}

fn pause(step: &Step, cause: Cause, span: Span) -> Pause {
    Pause {
        step: step.id,
        cause,
        span,
    }
}

#[cfg(test)]
mod tests;
