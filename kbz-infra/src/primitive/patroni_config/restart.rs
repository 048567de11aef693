//! A member of a Patroni cluster whose parameters are all in effect.
//!
//! Read: whether a parameter waits for a restart on the member, and the cluster's dynamic
//! configuration. A step is needed when one waits, or when the change that is planned for the
//! configuration will make one wait. Its impact is a restart, so in a group the planner orders
//! the members: one at a time, a gate between, the leader last after a switchover.
//!
//! A cluster that is still to be made starts with its parameters in effect.

use super::PatroniConfig;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Cluster, Probe};
use crate::resource::{Change, Context, Impact, Op, PlanError, Planned, Reason, Removal, Resource};

/// A member of a Patroni cluster whose parameters are all in effect.
#[derive(Debug, Clone)]
pub struct MemberRestart {
    config: PatroniConfig,
    member: HostName,
}

impl MemberRestart {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "member-restart";

    /// A member of the cluster that `config` configures. It has to come after the configuration.
    pub fn of(config: &PatroniConfig, member: &HostName) -> Self {
        Self {
            config: config.clone(),
            member: member.clone(),
        }
    }

    fn reasons(&self, context: &Context<'_>) -> Result<Vec<Reason>, PlanError> {
        let Some(cluster) = context.read(&self.config.site(), &Cluster {})? else {
            return Ok(Vec::new());
        };
        let planned = self.config.plan(context)?.change;
        let restarts = planned.filter(|change| change.impact == Impact::Restart);
        if let Some(change) = restarts {
            return Ok(change.reasons);
        }
        let name = self.member.as_str();
        let waits = cluster
            .members
            .iter()
            .any(|member| member.name == name && member.pending_restart);
        let reason = || Reason::field("pending restart", "yes", "no");
        Ok(waits.then(reason).into_iter().collect())
    }
}

impl Resource for MemberRestart {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, self.member.as_str())
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = self.config.probes();
        probes.push(Probe::at(&self.config.site(), Cluster {}));
        probes
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let reasons = self.reasons(context)?;
        let restart = Action::RestartMember {
            member: self.member.to_string(),
        };
        let change = (!reasons.is_empty()).then(|| Change {
            op: Op::Run,
            reasons,
            impact: Impact::Restart,
            effects: vec![Effect::new(self.config.site(), restart)],
            details: Vec::new(),
        });
        Ok(Planned {
            goal: context.keyed(&Digest::of(self.member.as_str())),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn summary(&self) -> String {
        "all parameters in effect".to_owned()
    }
}
