//! The load-balancer part of the Hetzner Cloud API.
//!
//! Purpose: read a [`LoadBalancerState`] and carry out a [`LoadBalancerChange`], as the pure
//! side ([`crate::model::load_balancer`]) describes them.
//!
//! Mechanism: [`HetznerClient::apply`] reads before each attempt and asks the change where it
//! stands. So a change that already holds is not asked for, an attempt whose answer was lost
//! is not repeated blindly, and a world that the plan did not see is an error instead of an
//! overwrite. The answer to a change is an action, which is polled to its end. What is busy
//! (`locked`, `conflict`) or broken (5xx, timeouts) is tried again with growing pauses until
//! one overall deadline; 429 waits until the API says that it will answer.
//!
//! The inventory knows private addresses, Hetzner knows cloud servers by number and dedicated
//! ones by address, and refuses one as the other; a target's kind is looked up when it is
//! added.
//!
//! Words and fields that this version does not know never fail a read. The token is sent to
//! `https` and to this machine's own lab only, follows no redirect, and is never printed.
//!
//! [`LoadBalancerState`]: crate::model::load_balancer::LoadBalancerState
//! [`LoadBalancerChange`]: crate::model::load_balancer::LoadBalancerChange

mod apply;
mod attempt;
mod call;
mod client;
mod error;
mod patience;
mod read;
mod wire;

pub use apply::Applied;
pub use client::{HetznerClient, PRODUCTION};
pub use error::{ClientError, HetznerError};
pub use patience::Patience;
