//! Carries a plan out, exactly as it is.
//!
//! One dispatcher owns all state of the run: what is ready, which slots are free, the journal.
//! Workers carry out one step each, its effects in order, and send reports; before each effect a
//! worker waits until the dispatcher has the intent on disk. Intents of many workers share one
//! sync. A failure skips exactly what depends on it. Nothing here prints: whoever wants to know
//! listens to [`Event`]s.

mod cancel;
mod dispatcher;
mod emitter;
mod event;
mod failure;
mod lease;
mod limits;
mod outcome;
mod progress;
mod queue;
mod run;
mod worker;

pub use cancel::Cancel;
pub use event::{Because, Event, SCHEMA, What};
pub use failure::{Failure, FailureKind};
pub use lease::Lease;
pub use limits::Limits;
pub use outcome::{InvalidPlan, RunError, RunOutcome};
pub use run::Run;

#[cfg(test)]
mod tests;
