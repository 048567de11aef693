//! Redis with Sentinel, as a module of another team: built from the public parts of `kbz-infra`
//! alone.
//!
//! Three nodes, each with a Redis and a Sentinel. Two Sentinels have to agree that the master is
//! gone, and then elect another; HAProxy asks every Redis for its part and leads to the one that
//! says `master`. Every configuration is a pure function of plain data ([`config`]).
//!
//! Both programs rewrite their configuration while they run, so none of them is started on the
//! declared file. A start script ([`image`]) puts two things together: what is declared, and what
//! the Sentinels found out. A Redis that comes back asks the Sentinels first, so that a former
//! master never serves as one; an empty one that is still called the master waits until another
//! is elected, because a replica of an empty master forgets everything.
//!
//! Limits: the vocabulary has no probe for Redis. A change that restarts the nodes does so one
//! after another, without a gate between them and with no regard to who leads; Sentinel moves the
//! master when its turn comes, which stops writes for some seconds.

pub mod config;
pub mod image;

mod cluster;
mod node;

pub use cluster::RedisCluster;
pub use node::RedisNode;
