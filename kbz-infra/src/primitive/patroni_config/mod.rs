//! The dynamic configuration of a Patroni cluster: what its members agree on.
//!
//! Read: `GET /config`. Drift seen: every declared key, each with old and new value. Keys that
//! nobody declared, Patroni's own among them, are left alone. What was declared once and no
//! longer is gets taken away: the configuration itself carries the owner's mark, a key `kbz`
//! with the stack, the declared keys, and what waits for a restart of which member, which Patroni
//! keeps and ignores. So this knowledge outlives the operator's state.
//!
//! The patch is minimal, so an unchanged parameter is never written again. A change is a reload,
//! and what takes effect only at the start of a server ([`RestartParameters`]) waits for one. Which
//! parameters these are is read from a server ([`PatroniConfig::asking`]).
//! Patroni never restarts a server by itself; [`MemberRestart`] does that, member by member.
//!
//! Removal takes nothing away: a running cluster needs its configuration to the end.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::{MemberRestart, PatroniConfig};
//! use kbz_infra::probe::{PatroniAccess, RaftAccess};
//! use kbz_infra::secret::SecretRef;
//!
//! let members = vec![HostName::new("db-1")?, HostName::new("db-2")?, HostName::new("db-3")?];
//! let cluster = PatroniAccess {
//!     scope: "keybuzz-pg".to_owned(),
//!     members: members.clone(),
//!     port: 8008,
//!     user: "patroni".to_owned(),
//!     password: SecretRef::new("PATRONI_RESTAPI_PASS"),
//!     raft: RaftAccess {
//!         addresses: ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| ip.parse().unwrap()).to_vec(),
//!         port: 7000,
//!         password: SecretRef::new("PATRONI_RAFT_PASS"),
//!     },
//! };
//! let config = PatroniConfig::of(&cluster, serde_json::json!({
//!     "ttl": 20,
//!     "postgresql": {"parameters": {"max_connections": 200}},
//! }))
//! .for_postgres(17);
//! let restarts: Vec<MemberRestart> =
//!     members.iter().map(|member| MemberRestart::of(&config, member)).collect();
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

mod config;
mod merge;
mod parameters;
mod restart;
#[cfg(test)]
mod tests;

pub use config::PatroniConfig;
pub use parameters::{ImpactClass, RestartParameters};
pub use restart::MemberRestart;
