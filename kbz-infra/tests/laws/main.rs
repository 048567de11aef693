//! The laws of the planner, tried on random programs in the model world.

#![cfg(feature = "sim")]

pub(crate) use ::stories::cluster;

mod adoption;
mod drift;
mod drifted;
mod groups;
mod index;
mod keybuzz;
mod lease;
mod mutations;
mod options;
mod pairs;
mod parameters;
mod programs;
mod random;
mod rig;
mod runs;
mod saved;
mod selection;
mod stories;
#[path = "../mistakes/system.rs"]
#[allow(dead_code, reason = "the program here takes a part of it")]
mod system;
mod voters;
