//! What an operator declares, and how it is written down: a folder per component, with its
//! templates beside the code. Pure: no async, no IO.
//!
//! What the components here are made with is public, so that a component of another crate is
//! written the same way: [`ServiceImage`] and [`BuildContext`] for its image, [`template`] for its
//! files, [`data_directory`] for its data, [`Supervise`] and [`unit::Unit`] for its container,
//! [`BaseOs::of`] for its order, and [`BaseOs::checked`] for that of its ports.
//! `examples/src/redis` in the repository is such a component.

pub mod haproxy;
pub mod hetzner_lb;
pub mod patroni;
pub mod pgbouncer;
pub mod unit;

mod base_os;
mod context;
mod data;
mod marked;
mod postgres;
mod service_image;
mod supervise;

pub use crate::diag::error_chain;
pub use crate::secret::Login;
pub use base_os::BaseOs;
pub use context::{BuildContext, InvalidContext};
pub use data::data_directory;
pub use hetzner_lb::HetznerLb;
pub use marked::{RenderError, template};
pub use postgres::PgTenant;
pub use service_image::ServiceImage;
pub use supervise::Supervise;
