//! A Hetzner load balancer in the terms of a declaration.
//!
//! What is wanted ([`LoadBalancerSpec`]), what is read ([`LoadBalancerState`]) and the single
//! changes between them ([`LoadBalancerChange`]). Each change knows whether it already holds,
//! may be done, or meets a world that the plan did not see
//! ([`LoadBalancerChange::standing`]), so carrying it out twice is the same as once; [`apply`]
//! is what a change does to a state, for simulations and proofs.
//!
//! Targets are private addresses, because that is what an inventory knows. Hetzner itself
//! tells cloud servers (by id) from dedicated ones (by address) and refuses one for the
//! other; the interpreter finds out which an address is.

pub mod apply;
mod change;
mod labels;
mod open;
mod service;
mod spec;
mod state;

pub use change::{Disturbance, LoadBalancerChange, Standing};
pub use labels::{LABEL_PREFIX, LABEL_STACK};
pub use service::{CheckProtocol, HealthCheck, HttpCheck, Protocol, Service};
pub(crate) use spec::capacity;
pub use spec::{LoadBalancerSpec, NetworkSpec, SpecFault};
pub use state::{Algorithm, Health, LoadBalancerState, NetworkState, TargetRef, TargetState};
