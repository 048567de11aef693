//! The names that all programs share.

use kbz_infra::ident::{HostName, StackName};

/// The stack of all programs.
///
/// # Panics
/// Never: the name is a good one.
pub fn stack() -> StackName {
    StackName::new("shop").expect("a good name")
}

/// A host by its name.
///
/// # Panics
/// When it is no name of a host: a defect of a test.
pub fn host(name: &str) -> HostName {
    HostName::new(name).expect("a good name")
}
