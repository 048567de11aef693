//! The stack on real hosts, the lab's, under what goes wrong there: the operator's process killed
//! at every record of its journal, faults of hosts, network, bastion and load balancer during
//! `up`, two operators at once, and random changes of the program.
//!
//! `cargo run -p trials -- kills`, `faults`, `operators` or `changes` makes the lab, carries the
//! trials out and removes it; each ends with a table. What they share with the end-to-end test of
//! the stack is here: the [`Operator`], its [load of writes](Load) and what must hold
//! [on the hosts](hosts) afterwards.
//!
//! What does not hold panics, as in a test: a trial that goes on regardless would prove nothing.

#![allow(
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "a trial prepares its own world, and what does not hold panics"
)]

mod balancer;
mod load;
mod operator;
mod under;

pub mod hosts;
pub mod mortal;

pub use balancer::Balancer;
pub use load::{Load, Written};
pub use operator::{COLLEAGUE, DATABASES, HOSTS, Operator, PROXIES, Program, both};
pub use under::Under;
