//! What the operator's side remembers of a stack: an index, not the truth.
//!
//! `.kbz/STACK/` holds a snapshot of what exists, an append-only journal of the run that goes
//! on, and a lock. The world is always observed, so all of it can be lost: the marks on the hosts
//! rebuild it. What it adds is speed, the removal of objects that carry no mark, and the answer
//! to what a killed run had still done. Only this module writes local files, atomically and
//! synced; nothing in them is a secret.

mod ahead;
mod anew;
mod atomic;
mod disk;
mod entry;
mod error;
mod frame;
mod ground;
mod lifecycle;
mod lock;
mod log;
mod proof;
mod recovery;
#[cfg(feature = "s3")]
pub mod s3;
mod saved;
mod snapshot;
mod store;
mod world;

pub use ahead::ReadAhead;
pub use atomic::{FileError, make_directory, write_atomically};
pub use disk::{Append, Disk, Held, LocalDisk};
pub use entry::{Ended, Entry, Intent, InvalidOpId, OpId, Tally};
pub use error::StoreError;
pub use frame::{Broken, Cut};
pub use lifecycle::{IllegalTransition, RunEvent, RunStatus, StepEvent, StepStatus};
pub use lock::{Holder, Liveness, LockError};
pub use log::Misfit;
pub use proof::{Fate, Image, Proof};
pub use recovery::{Left, OpenEffect, Recovery};
pub use saved::{SavedPlan, SavedPlanError, Since};
pub use snapshot::{FormatError, SCHEMA};
pub use store::{Durability, LockedStore, Snapshot, Store};
pub use world::WorldFile;

#[cfg(test)]
mod tests;
