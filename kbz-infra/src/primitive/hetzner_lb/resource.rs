//! The load balancer as a resource.

use super::changes;
use crate::effect::load_balancer::{
    Disturbance, LABEL_STACK, LoadBalancerChange, LoadBalancerSpec, LoadBalancerState,
};
use crate::effect::{Action, Effect};
use crate::ident::{Digest, Urn};
use crate::probe::{LoadBalancer, Probe, Site};
use crate::resource::{
    Change, Claim, Context, Impact, Op, PlanError, Planned, Reason, Removal, Resource,
};

/// A load balancer of the Hetzner Cloud project of the environment.
///
/// Read: services, targets, network, algorithm, type, labels and protection. Drift seen: any of
/// them changed by hand, a target or service added or taken away. A balancer that bears another
/// stack's label is refused, never taken over. Removed with everything in it.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
/// use kbz_infra::primitive::HetznerLb;
/// use kbz_infra::primitive::hetzner_lb::{
///     Algorithm, HealthCheck, LoadBalancerSpec, NetworkSpec, Service,
/// };
///
/// let entry = HetznerLb::of(LoadBalancerSpec {
///     name: "lb-haproxy".to_owned(),
///     load_balancer_type: "lb11".to_owned(),
///     location: "fsn1".to_owned(),
///     network: NetworkSpec { name: "keybuzz".to_owned(), ip: [10, 0, 0, 10].into() },
///     public_interface: false,
///     algorithm: Algorithm::RoundRobin,
///     labels: BTreeMap::new(),
///     delete_protection: false,
///     services: vec![Service::tcp(5432, 5432).checked_by(HealthCheck::http(8404, "/healthz"))],
///     targets: BTreeSet::from([[10, 0, 0, 11].into(), [10, 0, 0, 12].into()]),
/// });
/// ```
#[derive(Debug, Clone)]
pub struct HetznerLb {
    spec: LoadBalancerSpec,
}

impl HetznerLb {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "hetzner-lb";

    /// A load balancer as specified; the mark of the stack is added to its labels.
    pub fn of(spec: LoadBalancerSpec) -> Self {
        Self { spec }
    }

    fn query(&self) -> LoadBalancer {
        LoadBalancer {
            name: self.spec.name.clone(),
        }
    }

    /// The specification with the owner's mark.
    fn goal(&self, stack: &str) -> LoadBalancerSpec {
        let mut goal = self.spec.clone();
        goal.labels.insert(LABEL_STACK.to_owned(), stack.to_owned());
        goal
    }

    fn refuse_foreign(&self, stack: &str, found: &LoadBalancerState) -> Result<(), PlanError> {
        match found.owner() {
            Some(owner) if owner != stack => Err(PlanError::Refused {
                what: format!(
                    "the load balancer `{}` belongs to the stack `{owner}`",
                    found.name
                ),
                help: format!("choose another name, or take the label {LABEL_STACK} away"),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn change(
        &self,
        changes: Vec<LoadBalancerChange>,
        found: Option<&LoadBalancerState>,
    ) -> Change {
        let impact = changes.iter().map(LoadBalancerChange::disturbance).max();
        let reasons = match found {
            None => vec![Reason::Missing],
            Some(_) => changes.iter().map(reason).collect(),
        };
        let effects = changes.into_iter().map(|change| {
            let action = Action::ChangeLoadBalancer {
                name: self.spec.name.clone(),
                change: Box::new(change),
            };
            Effect::new(Site::Hetzner, action)
        });
        Change {
            op: if found.is_none() {
                Op::Create
            } else {
                Op::Update
            },
            reasons,
            impact: match (found, impact) {
                (None, _) | (_, None | Some(Disturbance::None)) => Impact::None,
                (_, Some(Disturbance::Connections)) => Impact::Restart,
                (_, Some(Disturbance::Outage)) => Impact::Recreate,
            },
            effects: effects.collect(),
            details: Vec::new(),
        }
    }
}

/// One change as a person reads it.
fn reason(change: &LoadBalancerChange) -> Reason {
    use LoadBalancerChange as Lb;
    match change {
        Lb::AddService { service } => Reason::field("service", "none", service.listen_port),
        Lb::UpdateService { listen_port, .. } => {
            Reason::field("service", listen_port, "as declared")
        }
        Lb::DeleteService { listen_port, .. } => Reason::field("service", listen_port, "none"),
        Lb::AddTarget { ip } => Reason::field("target", "none", ip),
        Lb::RemoveTarget { target, .. } => Reason::field("target", format!("{target:?}"), "none"),
        other => Reason::field("settings", "as found", format!("{other:?}")),
    }
}

impl Resource for HetznerLb {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.spec.name)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::at(&Site::Hetzner, self.query())]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        if let Some(fault) = self.spec.faults().first() {
            return Err(PlanError::Refused {
                what: fault.to_string(),
                help: "change the declaration of the load balancer".to_owned(),
            });
        }
        let goal = self.goal(context.stack());
        let found = context.ask(&Site::Hetzner, &self.query())?.0.as_ref();
        if let Some(found) = found {
            self.refuse_foreign(context.stack(), found)?;
        }
        let changes = changes(&goal, found);
        let digest = Digest::of(format!("{goal:?}"));
        Ok(Planned {
            goal: context.keyed(&digest),
            change: (!changes.is_empty()).then(|| self.change(changes, found)),
        })
    }

    fn removal(&self) -> Removal {
        Removal {
            probes: self.probes(),
            effects: vec![Effect::new(
                Site::Hetzner,
                Action::DeleteLoadBalancer {
                    name: self.spec.name.clone(),
                },
            )],
            data_loss: false,
        }
    }

    fn summary(&self) -> String {
        let count = self.spec.targets.len();
        format!(
            "{} at {}, {count} targets",
            self.spec.load_balancer_type, self.spec.network.ip
        )
    }

    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}
