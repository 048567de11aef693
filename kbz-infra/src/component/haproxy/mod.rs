//! HAProxy: the way to whichever node Patroni says is the right one.

pub mod config;
pub mod image;
