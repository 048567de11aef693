//! Faults on demand, for tests of clients: `POST /lab/faults`.
//!
//! Each order hits the next `count` matching requests (or actions) and is then spent.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    #[serde(flatten)]
    pub(super) kind: Kind,
    /// How many requests are hit.
    #[serde(default = "one")]
    pub(super) count: u32,
    /// Only requests with this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<String>,
    /// Only requests whose path contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Kind {
    /// Answer with this status and do nothing; 429 says when to come back.
    Status {
        status: u16,
        #[serde(default = "one")]
        reset_seconds: u32,
    },
    /// Do what was asked, then answer with this status: the answer is lost.
    LostAnswer { status: u16 },
    /// Wait before the request is handled.
    Delay { milliseconds: u64 },
    /// Accept the request; its action ends in an error.
    ActionError { code: String, message: String },
    /// Accept the request; its action runs this long.
    SlowAction { milliseconds: u64 },
}

fn one() -> u32 {
    1
}

/// The orders that are not yet spent.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// The next fault for a request, counted as spent once.
    pub(super) fn take(
        &mut self,
        method: &str,
        path: &str,
        wanted: impl Fn(&Kind) -> bool,
    ) -> Option<Kind> {
        let fault = self.0.iter_mut().find(|fault| {
            fault.count > 0
                && wanted(&fault.kind)
                && fault
                    .method
                    .as_deref()
                    .is_none_or(|m| m.eq_ignore_ascii_case(method))
                && fault.path.as_deref().is_none_or(|part| path.contains(part))
        })?;
        fault.count -= 1;
        let kind = fault.kind.clone();
        self.0.retain(|fault| fault.count > 0);
        Some(kind)
    }
}
