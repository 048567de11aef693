//! PgBouncer: many clients on few server connections.

pub mod config;
pub mod image;

mod expand;
mod pooler;

pub use pooler::{PgBouncer, PoolUpstream};
