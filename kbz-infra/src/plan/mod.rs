//! From a graph and an observation to a plan. Pure and deterministic; knows no kinds.
//!
//! A [`Plan`] is data: the steps with their effects, what each waits for, and why. Executing it
//! makes no choices. What cannot be planned because a site does not answer is listed apart, with
//! all that depends on it, and is left alone.

mod alias;
mod by_mark;
mod drift;
mod fate;
mod forecast;
mod group;
mod index;
mod member;
mod memory;
mod options;
mod order;
mod planner;
mod reboot;
mod reduced;
mod removal;
mod selection;
mod step;

pub use crate::resource::{Group, Leadership};
pub use by_mark::by_mark;
pub use drift::NeededBy;
pub use forecast::{Cause, Forecast, Pause, Span, loss, searches};
pub use memory::remembered;
pub use planner::{Planner, Problem, probes};
pub use selection::{Pattern, Request, Selection, is_meant};
pub use step::{Outcome, Plan, Step, StepId, Stuck, StuckBy};
