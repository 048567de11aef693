//! HAProxy: the way to whichever node Patroni says is the right one.

pub mod config;
pub mod image;

mod check;
mod expand;
mod frontend;
mod host;

pub use frontend::{FrontendDraft, HaproxyFrontend};
pub(crate) use host::HEALTH_PORT;
pub use host::Haproxy;
