//! PostgreSQL under Patroni with RAFT: image, configuration of the cluster and of its nodes.

pub mod dcs_config;
pub mod image;
pub mod memory;
pub mod node_config;
pub mod parameters;
