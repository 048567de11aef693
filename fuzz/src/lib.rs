//! What the fuzz targets do with their bytes.
//!
//! Each function reads bytes as what others wrote: it ends in a value or in an error, soon, and
//! neither is out of proportion to the bytes. Anything else is a panic here, which libFuzzer
//! keeps.

use std::fmt::{Debug, Display};

pub mod files;
pub mod hetzner;
pub mod hosts;
pub mod state;

/// Nothing larger is tried: what goes wrong goes wrong in less.
const LARGEST: usize = 16 << 10;

/// No outcome says more than this for each byte, besides what it says in any case.
const SAID_PER_BYTE: usize = 400;
const SAID_IN_ANY_CASE: usize = 100_000;

/// The value of every secret.
const CANARY: &str = "canary";

/// Bytes as text, if they are few enough.
fn text(bytes: &[u8]) -> Option<String> {
    (bytes.len() <= LARGEST).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// Looks at an outcome as a person would.
fn settle<T: Debug, E: Debug + Display>(bytes: &[u8], outcome: &Result<T, E>) {
    let said = match outcome {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error}{error:?}"),
    };
    let bound = SAID_IN_ANY_CASE + SAID_PER_BYTE * bytes.len();
    assert!(said.len() <= bound, "it says {} bytes", said.len());
    let told = said.contains(CANARY) && !String::from_utf8_lossy(bytes).contains(CANARY);
    assert!(!told, "a secret: {said}");
}
