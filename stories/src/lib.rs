//! The engine under random programs, faults and crashes: one seed, one story.
//!
//! A [`Story`](story::Story) is a sequence of programs and of what goes wrong meanwhile: an effect
//! that fails before or after it has happened, hangs, or whose answer is lost; the operator's
//! process killed at any write of its journal and any byte of it, before or after an effect, or by
//! a failure of the power that takes what was not synced; a full disk; hands on the hosts. It is
//! told to the real planner, executor, journal and state store; only the hosts are modelled
//! (`kbz_infra::sim`), the operator's disk is in memory (`kbz_infra::state::Disk`), and time
//! stands still while there is work. So a seed always tells the same story.
//!
//! The same programs are carried out by a second operator whom nothing befalls. The two must end
//! in the same world, and at every step the [laws](breach::Law) hold.
//!
//! `cargo test -p stories` tells some hundred; `cargo run --release -p stories -- --seeds 100000`
//! tells many. A seed that breaks a law is told again by `--seed N`, which prints the smallest
//! story that breaks it too.

mod disk;
mod hand;
mod laws;
mod operator;
mod secrets;
mod shrink;
mod stage;

pub mod breach;
pub mod chance;
pub mod cluster;
pub mod invent;
pub mod items;
pub mod many;
pub mod names;
pub mod story;
pub mod tell;

pub use shrink::shrink;
