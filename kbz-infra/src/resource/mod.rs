//! What is declared: values, goals and options. Knows no hosts, no graph, no async.

mod text;

pub use text::{Segment, Text};
