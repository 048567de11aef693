//! A Hetzner load balancer as data.
//!
//! Purpose: say what is wanted ([`LoadBalancerSpec`]), what was read
//! ([`LoadBalancerState`]), and which steps lead from one to the other ([`changes`]).
//! Each [`LoadBalancerChange`] knows whether it already holds, may be done, or meets a world
//! that the plan did not see ([`LoadBalancerChange::standing`]), so carrying it out twice is
//! the same as once; [`model`] is what a change does to a state, for simulations and proofs.
//!
//! Targets are private addresses, because that is what an inventory knows. Hetzner itself
//! tells cloud servers (by id) from dedicated ones (by address) and refuses one for the
//! other; the interpreter finds out which an address is.
//!
//! The declaration is the truth for services, targets, algorithm, network and type. Labels
//! are shared with others: only those that begin with [`LABEL_PREFIX`] are ours to remove.

mod change;
mod changes;
pub mod model;
mod open;
mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use change::{Disturbance, LoadBalancerChange, Standing};
pub use changes::changes;
pub use spec::{
    HealthCheck, HttpCheck, LABEL_PREFIX, LABEL_STACK, LoadBalancerSpec, NetworkSpec, Service,
    SpecFault,
};
pub use state::{
    Algorithm, CheckProtocol, Health, LoadBalancerState, NetworkState, Protocol, TargetRef,
    TargetState,
};
