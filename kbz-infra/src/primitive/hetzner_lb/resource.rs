//! The load balancer as a resource.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{changes, fields};
use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, Urn};
use crate::model::load_balancer::{
    Algorithm, Disturbance, LABEL_STACK, LoadBalancerChange, LoadBalancerSpec, LoadBalancerState,
    NetworkSpec, Service,
};
use crate::probe::{LoadBalancer, Probe, Site};
use crate::resource::{
    Change, Claim, Context, Endpoint, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// A Hetzner load balancer.
///
/// ```
/// use kbz_infra::primitive::HetznerLb;
/// use kbz_infra::primitive::hetzner_lb::{HealthCheck, Service};
///
/// let entry = HetznerLb::new("lb-haproxy", "keybuzz", "10.0.0.10".parse()?)
///     .service(Service::tcp(5432, 5432).checked_by(HealthCheck::http(8404, "/healthz")))
///     .targets(["10.0.0.11".parse()?, "10.0.0.12".parse()?]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HetznerLb {
    spec: LoadBalancerSpec,
    states_topology: bool,
}

impl HetznerLb {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "hetzner-lb";

    /// A load balancer of the smallest type in Falkenstein, reached only at an address of a
    /// private network.
    pub fn new(name: impl Into<String>, network: impl Into<String>, private_ip: IpAddr) -> Self {
        Self::of(LoadBalancerSpec {
            name: name.into(),
            load_balancer_type: "lb11".to_owned(),
            location: "fsn1".to_owned(),
            network: NetworkSpec {
                name: network.into(),
                ip: private_ip,
            },
            public_interface: false,
            algorithm: Algorithm::RoundRobin,
            labels: BTreeMap::new(),
            delete_protection: false,
            services: Vec::new(),
            targets: BTreeSet::new(),
        })
    }

    /// A load balancer as specified; the owner's mark is added to its labels.
    pub fn of(spec: LoadBalancerSpec) -> Self {
        Self {
            spec,
            states_topology: true,
        }
    }

    /// The same for a component, which states the topology itself.
    pub(crate) fn of_component(spec: LoadBalancerSpec) -> Self {
        Self {
            states_topology: false,
            ..Self::of(spec)
        }
    }

    /// Its size: `lb11`, `lb21` or `lb31`.
    pub fn of_type(mut self, load_balancer_type: impl Into<String>) -> Self {
        self.spec.load_balancer_type = load_balancer_type.into();
        self
    }

    /// Where it stands, such as `nbg1`. Another place means another balancer.
    pub fn in_location(mut self, location: impl Into<String>) -> Self {
        self.spec.location = location.into();
        self
    }

    /// Listens on a port.
    pub fn service(mut self, service: Service) -> Self {
        self.spec.services.push(service);
        self
    }

    /// Forwards to private addresses.
    pub fn targets(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.spec.targets.extend(addresses);
        self
    }

    /// Gives the next connection to the target that has the fewest, not to each in turn.
    pub fn least_connections(mut self) -> Self {
        self.spec.algorithm = Algorithm::LeastConnections;
        self
    }

    /// Answers on a public address too.
    pub fn public(mut self) -> Self {
        self.spec.public_interface = true;
        self
    }

    /// Lets Hetzner refuse its deletion by others.
    pub fn protected_from_deletion(mut self) -> Self {
        self.spec.delete_protection = true;
        self
    }

    /// Adds a label.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.labels.insert(name.into(), value.into());
        self
    }

    /// What is declared.
    pub fn spec(&self) -> &LoadBalancerSpec {
        &self.spec
    }

    pub(super) fn query(&self) -> LoadBalancer {
        LoadBalancer {
            name: self.spec.name.clone(),
        }
    }

    fn refuse_faults(&self) -> Result<(), PlanError> {
        let faults = self.spec.faults();
        if faults.is_empty() {
            return Ok(());
        }
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Err(PlanError::Refused {
            what: faults.join("; "),
            help: "correct the declaration of the load balancer".to_owned(),
        })
    }

    fn refuse_others(
        &self,
        context: &Context<'_>,
        found: Option<&LoadBalancerState>,
    ) -> Result<(), PlanError> {
        let Some(found) = found else {
            return Ok(());
        };
        match found.owner() {
            None if !context.is_owned() => {
                let what = format!(
                    "load balancer {} is there and bears no mark of this stack; its services and \
                     targets would become those declared",
                    self.spec.name
                );
                Err(PlanError::foreign(&self.urn(), what))
            }
            Some(owner) if owner != context.stack() => Err(PlanError::Refused {
                what: format!("load balancer {} belongs to stack {owner}", self.spec.name),
                help: "give this one another name, or remove that one by its own stack".to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// What is declared with the owner's mark, and as it is found what is ignored and no single
    /// change can leave out: where it stands, and each label.
    fn goal(&self, context: &Context<'_>, found: Option<&LoadBalancerState>) -> LoadBalancerSpec {
        let mut goal = self.spec.clone();
        if let Some(found) = found {
            if context.ignores("location") {
                goal.location.clone_from(&found.location);
            }
            // One that is made anew is made as declared.
            if goal.location == found.location {
                fields::leave_labels(context, &found.labels, &mut goal.labels);
            }
        }
        goal.labels
            .insert(LABEL_STACK.to_owned(), context.stack().to_owned());
        goal
    }

    fn change(&self, context: &Context<'_>, found: Option<&LoadBalancerState>) -> Option<Change> {
        let mut changes = changes(&self.goal(context, found), found);
        let made_anew = changes.iter().any(is_deletion);
        if found.is_some() && !made_anew {
            changes.retain(|change| !fields::is_left(context, change));
        }
        let op = operation(found, &changes)?;
        let disturbance = changes.iter().map(LoadBalancerChange::disturbance).max();
        let effect = |change: &LoadBalancerChange| {
            let action = Action::ChangeLoadBalancer {
                name: self.spec.name.clone(),
                change: Box::new(change.clone()),
            };
            Effect::new(Site::Hetzner, action)
        };
        Some(Change {
            op,
            reasons: reasons(op, found, &changes),
            impact: impact(disturbance),
            effects: changes.iter().map(effect).collect(),
            details: Vec::new(),
        })
    }

    fn endpoint(&self, service: &Service) -> Endpoint {
        Endpoint {
            address: self.spec.network.ip,
            port: service.listen_port,
        }
    }

    fn claims_of(&self, service: &Service) -> [Claim; 2] {
        let to = self.spec.targets.iter().map(|address| Endpoint {
            address: *address,
            port: service.destination_port,
        });
        let entry = self.endpoint(service);
        [
            Claim::Balances {
                balancer: self.spec.name.clone(),
                entry: entry.clone(),
                to: to.collect(),
                public: self.spec.public_interface,
            },
            Claim::Advertises {
                name: format!("{} port {}", self.spec.name, service.listen_port),
                endpoint: entry,
            },
        ]
    }
}

fn is_deletion(change: &LoadBalancerChange) -> bool {
    matches!(change, LoadBalancerChange::Delete { .. })
}

fn operation(found: Option<&LoadBalancerState>, changes: &[LoadBalancerChange]) -> Option<Op> {
    if changes.is_empty() {
        return None;
    }
    Some(match found {
        None => Op::Create,
        Some(_) if changes.iter().any(is_deletion) => Op::Replace,
        Some(state) if state.owner().is_none() && changes.len() == 1 => Op::Adopt,
        Some(_) => Op::Update,
    })
}

fn impact(disturbance: Option<Disturbance>) -> Impact {
    match disturbance {
        None | Some(Disturbance::None) => Impact::None,
        Some(Disturbance::Connections) => Impact::Restart,
        Some(Disturbance::Outage) => Impact::Recreate,
    }
}

fn reasons(
    op: Op,
    found: Option<&LoadBalancerState>,
    changes: &[LoadBalancerChange],
) -> Vec<Reason> {
    if op == Op::Create {
        return vec![Reason::Missing];
    }
    if op == Op::Replace {
        // Everything else follows from its standing elsewhere.
        let old = found.map_or("", |state| state.location.as_str());
        let new = changes.iter().find_map(|change| match change {
            LoadBalancerChange::Create { location, .. } => Some(location.as_str()),
            _ => None,
        });
        return vec![Reason::field("location", old, new.unwrap_or_default())];
    }
    let unmarked = found.is_some_and(|state| state.owner().is_none());
    let unmarked = unmarked.then_some(Reason::Unmarked);
    unmarked
        .into_iter()
        .chain(fields::reasons(changes))
        .collect()
}

impl Resource for HetznerLb {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.spec.name)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::at(&Site::Hetzner, self.query())]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        self.refuse_faults()?;
        let found = context.ask(&Site::Hetzner, &self.query())?.0.as_ref();
        self.refuse_others(context, found)?;
        Ok(Planned {
            goal: context.keyed(&Digest::of(format!("{:?}", self.spec))),
            change: self.change(context, found),
        })
    }

    fn removal(&self) -> Removal {
        let delete = Action::DeleteLoadBalancer {
            name: self.spec.name.clone(),
        };
        Removal {
            probes: self.probes(),
            effects: vec![Effect::new(Site::Hetzner, delete)],
            impact: Impact::ServiceEnds,
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[
            "type",
            "location",
            "network",
            "public",
            "algorithm",
            "delete protection",
            "targets.*",
            "services.*",
            "labels.*",
        ]))
    }

    fn summary(&self) -> String {
        let ports = self.spec.services.iter();
        let ports: Vec<String> = ports.map(|s| s.listen_port.to_string()).collect();
        format!(
            "{} at {}, ports {}, {} targets",
            self.spec.load_balancer_type,
            self.spec.network.ip,
            ports.join(" "),
            self.spec.targets.len()
        )
    }

    fn claims(&self) -> Vec<Claim> {
        if !self.states_topology {
            return Vec::new();
        }
        let services = self.spec.services.iter();
        services
            .flat_map(|service| self.claims_of(service))
            .collect()
    }
}
