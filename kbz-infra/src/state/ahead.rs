//! A read of what is remembered, beside other work.

use std::panic::resume_unwind;
use std::thread::{JoinHandle, spawn};

use super::error::StoreError;
use super::store::{Snapshot, Store};

/// A read of what is remembered that is under way while the program is run and checked: of a large
/// stack it takes as long as that does.
#[derive(Debug)]
pub struct ReadAhead(JoinHandle<Result<Snapshot, StoreError>>);

impl ReadAhead {
    /// Begins to read.
    pub fn begin(store: Store) -> Self {
        Self(spawn(move || store.read()))
    }

    /// What was read.
    pub fn finish(self) -> Result<Snapshot, StoreError> {
        self.0.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}
