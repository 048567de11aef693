//! HAProxy: the way to whichever node Patroni says is the right one.

pub mod config;
pub mod image;

mod check;
mod expand;
mod frontend;
mod host;

pub use frontend::{FrontendDraft, HaproxyFrontend};
pub use host::Haproxy;
pub(crate) use host::{DRAIN_PORT, HEALTH_PORT};
