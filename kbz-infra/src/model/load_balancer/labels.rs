//! The labels that are ours.

/// Labels that begin so are ours; the declaration decides which of them exist.
pub const LABEL_PREFIX: &str = "kbz.";
/// The label that names the owning stack.
pub const LABEL_STACK: &str = "kbz.stack";
