//! PostgreSQL under Patroni with RAFT: image, configuration of the cluster and of its nodes.

pub mod dcs_config;
pub mod image;
pub mod memory;
pub mod node_config;
pub mod parameters;

mod cluster;
mod expand;
mod members;
mod node;
mod patroni_image;

pub use cluster::{Decide, PatroniCluster, Raft, Voters};
pub use dcs_config::Synchronous;
pub use node::PatroniNode;
pub use patroni_image::{PatroniImage, PgVector};
