//! Production on one machine.

pub mod balancer;
