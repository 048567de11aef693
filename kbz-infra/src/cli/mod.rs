//! The command line: the only room that prints.
//!
//! [`Cli`] makes a program out of a function that declares a stack. Progress and remarks go to
//! stderr, results to stdout, so that `outputs database_url` can stand in a script.

mod app;
mod args;
mod doctor;
mod error;
mod live;
pub mod preview;
mod recovery;
mod rehearsal;
mod row;
mod screen;
mod session;
mod way;

pub use app::{Cli, main};
pub use rehearsal::{LabWay, NoLab, Rehearsal, Rehearsed, RehearsedBalancer, RehearsedHost};
pub use row::{Row, Style};
pub use session::Declare;
