//! Input from others: files, hosts that mean ill, an API that is another. Reading it ends in a
//! value or in an error, and nothing of it reaches the screen as more than text.

#![allow(clippy::disallowed_methods, reason = "a test prepares its own world")]

mod bend;
mod files;
mod hetzner;
mod hosts;
mod json;
