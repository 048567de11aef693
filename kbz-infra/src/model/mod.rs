//! What things are made of, in the terms of a declaration.
//!
//! The same type is the goal of a declaration, the reading of what is there and the content of
//! an effect, so all three can be compared. Plain data: nothing here reads or changes anything.

mod container;
mod firewall;
mod image;
pub mod load_balancer;

pub use container::{ContainerSpec, LogLimits, Mount, RestartPolicy, Ulimit};
pub use firewall::{FirewallRule, Protocol};
pub use image::{BuildContext, ContextFile};
