//! The real program as a person meets it, on simulated hosts: no Docker, no network.

#![allow(clippy::disallowed_methods, reason = "a test prepares its own world")]

mod drift;
mod folder;
mod forecast;
mod index;
mod lab;
mod marks;
mod mistakes;
mod refused;
mod saved;
mod sealed;
mod simulated;
