//! What an operator declares, and how it is written down: a folder per component, with its
//! templates beside the code. Pure: no async, no IO.

pub mod haproxy;
pub mod patroni;
pub mod pgbouncer;
pub mod unit;

mod context;
mod marked;

pub use context::{BuildContext, InvalidContext};
pub use marked::{Login, RenderError};
