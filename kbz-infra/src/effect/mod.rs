//! The vocabulary of writes: everything that can be done to the world.
//!
//! An [`Effect`] is plain data: a [`Site`](crate::probe::Site) and an [`Action`], idempotent, with
//! the pre-image that it expects where one is worth refusing over. Only the two interpreters carry
//! effects out. What cannot be said here is added here, and to both interpreters; it is never gone
//! round.

mod action;
mod bundle;
mod deed;
mod error;
mod file;
mod gate;
mod goal;
mod impact;
mod interpreter;
mod unit;

pub use action::{Action, Effect, LEASE_LASTS, Line, Record, Removal};
pub use bundle::bundle;
pub use deed::Deed;
pub use error::EffectError;
pub use file::{Owner, PreImage};
pub use gate::{Condition, Gate, Waiting};
pub use goal::{DatabaseGoal, RoleGoal};
pub use impact::Impact;
pub use interpreter::{Halt, Interpreter, Progress, RunContext, SiteReadings};
pub use unit::UnitVerb;
