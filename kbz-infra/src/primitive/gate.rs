//! A gate in the graph: what depends on it waits until a condition holds.
//!
//! Read: what the condition is judged on. While the condition holds and nothing that the gate
//! watches changes, there is no step at all. Otherwise the plan has one step that reads again
//! and again until the condition holds or the deadline passes; a condition that holds now says
//! nothing about the time after the changes before it.
//!
//! Group gates, between the members of a rolling change, are the planner's own; they use the
//! same [`effect::Gate`](crate::effect::Gate).
//!
//! ```
//! use kbz_infra::effect::{Condition, Gate};
//! use kbz_infra::ident::Urn;
//! use kbz_infra::primitive::ClusterGate;
//! use kbz_infra::probe::{LoadBalancer, Probe, Site};
//!
//! let balancer = LoadBalancer { name: "lb-haproxy".to_owned() };
//! let gate = ClusterGate::new("lb-haproxy serves", Gate {
//!     probe: Probe::at(&Site::Hetzner, balancer),
//!     condition: Condition::LoadBalancerHealthy { min_targets: 2 },
//!     settle: 0,
//!     deadline: 120,
//! })
//! .watching([Urn::global("hetzner-lb", "lb-haproxy")]);
//! ```

use std::collections::BTreeSet;

use crate::effect::Removal;
use crate::effect::{Action, Effect, Gate};
use crate::ident::{Digest, Urn};
use crate::probe::Probe;
use crate::resource::{
    Change, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// A gate in the graph.
#[derive(Debug, Clone)]
pub struct ClusterGate {
    name: String,
    gate: Gate,
    watching: BTreeSet<Urn>,
}

impl ClusterGate {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "gate";

    /// A gate by a name that says what is waited for.
    pub fn new(name: impl Into<String>, gate: Gate) -> Self {
        Self {
            name: name.into(),
            gate,
            watching: BTreeSet::new(),
        }
    }

    /// Waits again whenever one of these resources changes. The gate must depend on them.
    pub fn watching(mut self, upstream: impl IntoIterator<Item = Urn>) -> Self {
        self.watching.extend(upstream);
        self
    }

    /// Why the gate has to be waited at, if it has to.
    fn reasons(&self, context: &Context<'_>) -> Result<Vec<Reason>, PlanError> {
        let upstream = context.upstream();
        let changing = self.watching.iter().filter(|urn| upstream.will_change(urn));
        let reasons: Vec<Reason> = changing
            .map(|urn| Reason::Stale {
                uses: urn.to_string(),
            })
            .collect();
        if !reasons.is_empty() {
            return Ok(reasons);
        }
        let waiting = match context.reading(&self.gate.probe)? {
            None => "what it asks to be made".to_owned(),
            Some(reading) => match self.gate.check(reading) {
                Ok(()) => return Ok(Vec::new()),
                Err(waiting) => waiting.0,
            },
        };
        Ok(vec![Reason::Unmet { waiting }])
    }
}

impl Resource for ClusterGate {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.name)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![self.gate.probe.clone()]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let reasons = self.reasons(context)?;
        let change = (!reasons.is_empty()).then(|| Change {
            op: Op::Run,
            reasons,
            impact: Impact::None,
            effects: vec![Effect::new(
                self.gate.probe.site.clone(),
                Action::Gate(self.gate.clone()),
            )],
            details: Vec::new(),
        });
        Ok(Planned {
            goal: context.keyed(&Digest::of(format!("{:?}", self.gate.condition))),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[]))
    }

    fn summary(&self) -> String {
        format!("at most {} s", self.gate.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Condition;
    use crate::primitive::testkit::{World, check};
    use crate::probe::{LoadBalancer, LoadBalancerReading, Site};

    fn gate() -> ClusterGate {
        let gate = Gate {
            probe: Probe::at(&Site::Hetzner, query()),
            condition: Condition::LoadBalancerHealthy { min_targets: 1 },
            settle: 0,
            deadline: 60,
        };
        ClusterGate::new("lb serves", gate).watching([upstream()])
    }

    fn query() -> LoadBalancer {
        LoadBalancer {
            name: "lb".to_owned(),
        }
    }

    fn upstream() -> Urn {
        Urn::global("hetzner-lb", "lb")
    }

    /// A balancer without services has none that lacks a target.
    fn open() -> World {
        let state = crate::model::load_balancer::LoadBalancerState {
            id: 1,
            name: "lb".to_owned(),
            load_balancer_type: "lb11".to_owned(),
            location: "fsn1".to_owned(),
            network: None,
            public_interface: false,
            algorithm: crate::model::load_balancer::Algorithm::RoundRobin,
            labels: std::collections::BTreeMap::new(),
            delete_protection: false,
            services: Vec::new(),
            targets: Vec::new(),
        };
        World::at(&Site::Hetzner, query(), LoadBalancerReading(Some(state)))
    }

    fn closed() -> World {
        World::at(&Site::Hetzner, query(), LoadBalancerReading(None))
    }

    #[test]
    fn every_transition() {
        check([
            (gate(), open(), "nothing"),
            (
                gate(),
                closed(),
                "Run (none) waits for the load balancer: Gate",
            ),
            (
                gate(),
                open().changing(&upstream()),
                "Run (none) hetzner-lb:lb has changed since: Gate",
            ),
            (
                gate(),
                World::without_parent(),
                "Run (none) waits for what it asks to be made: Gate",
            ),
            (gate(), World::silent(), "unreachable"),
            (
                gate(),
                World::silent().changing(&upstream()),
                "Run (none) hetzner-lb:lb has changed since: Gate",
            ),
        ]);
        assert!(gate().removal().effects.is_empty());
    }
}
