//! A Hetzner load balancer ([`HetznerLb`]), and which steps lead from what was read to what is
//! declared ([`changes`]). Its terms are those of [`model::load_balancer`](crate::model::load_balancer).
//!
//! The declaration is the truth for services, targets, algorithm, network and type. Labels
//! are shared with others: only those that begin with [`LABEL_PREFIX`] are ours to remove. The
//! label `kbz.stack` is the owner's mark; a balancer that bears another stack's is refused, one
//! that bears none until it is adopted.
//!
//! Its fields are `type`, `location`, `network`, `public`, `algorithm`, `delete protection`,
//! `targets`, `services` and `labels`. A target by its address, a service by its port and a label by
//! its name are fields too: `targets.10.0.0.12`, `services.5432`, `labels.kbz.tier`. What is ignored
//! or adopted of a balancer that is there stays as it is found.

mod changes;
mod fields;
mod resource;
#[cfg(test)]
mod resource_tests;
#[cfg(test)]
mod tests;

pub use changes::changes;
pub use resource::HetznerLb;

pub use crate::model::load_balancer::{
    Algorithm, CheckProtocol, Disturbance, Health, HealthCheck, HttpCheck, LABEL_PREFIX,
    LABEL_STACK, LoadBalancerChange, LoadBalancerSpec, LoadBalancerState, NetworkSpec,
    NetworkState, Protocol, Service, SpecFault, Standing, TargetRef, TargetState, apply,
};
