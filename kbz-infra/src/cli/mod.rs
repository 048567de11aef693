//! The command line: the only room that prints.

pub mod preview;
mod row;

pub use row::{Row, Style};
