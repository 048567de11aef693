//! A Patroni cluster, asked and changed through the REST APIs of all its members.
//!
//! Each member is asked on its own loopback address through its host, so that what is seen is
//! what that member believes, also when the members do not see each other. A member's view may
//! be old (`/cluster` shows its local copy): only agreement of several counts, which
//! [`ClusterReading`](crate::probe::ClusterReading) judges, and RAFT itself is asked by its own
//! protocol.

mod change;
mod member;
mod raft;
mod view;

pub(super) use change::run;
pub(super) use raft::RaftKeys;
pub(super) use view::read;
