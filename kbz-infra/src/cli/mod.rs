//! The command line: the only room that prints.
//!
//! [`Cli`] makes a program out of a function that declares a stack. Progress and remarks go to
//! stderr, results to stdout, so that `outputs database_url` can stand in a script.

#![expect(
    clippy::disallowed_methods,
    reason = "the command line reads the environment and the clock for all others"
)]

#[cfg(feature = "mimalloc")]
mod allocator;
mod app;
mod args;
mod checked;
mod command;
mod doctor;
mod drift;
mod error;
mod live;
mod looked;
mod marks;
mod memory;
pub mod preview;
mod recovery;
mod rehearsal;
mod row;
mod screen;
mod session;
mod signal;
mod simulated;
mod ssh;
mod timings;
mod way;
mod why;

pub use app::{Cli, main};
pub use checked::{Checked, checked};
pub use rehearsal::{LabWay, NoLab, Rehearsal, Rehearsed, RehearsedBalancer, RehearsedHost};
pub use row::{Row, Style};
pub use session::Declare;
