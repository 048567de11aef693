//! What Hetzner Cloud tells of a load balancer.

use serde::{Deserialize, Serialize};

use crate::model::load_balancer::LoadBalancerState;

/// A load balancer; `None` while the project has none of that name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoadBalancerReading(pub Option<LoadBalancerState>);
