//! The laws of the planner, tried on random programs in the model world.

#![cfg(feature = "sim")]

mod cluster;
mod drift;
mod generated;
mod groups;
mod programs;
mod random;
mod rig;
mod runs;
mod stories;
