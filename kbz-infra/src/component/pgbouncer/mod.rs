//! PgBouncer: many clients on few server connections.

pub mod config;
pub mod image;
