//! What a kind answers when it is asked to plan: nothing to do, or a change and why.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Impact};
use crate::ident::{Digest, HostName, Urn};
use crate::secret::KeyedHash;

/// The name of the field that is the content of a file.
const CONTENT: &str = "content";

/// The answer of [`Resource::plan`](super::Resource::plan).
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// A hash of the whole goal. Services that use the object are told apart by it whether
    /// they run with its present form.
    pub goal: KeyedHash,
    /// What to do; `None` when the object is as declared.
    pub change: Option<Change>,
}

/// One decided change of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What kind of change.
    pub op: Op,
    /// Why, each with old and new value.
    pub reasons: Vec<Reason>,
    /// What it does to the service.
    pub impact: Impact,
    /// What is done, in order.
    pub effects: Vec<Effect>,
    /// What a person wants to see of it, besides the reasons.
    pub details: Vec<Detail>,
}

/// The kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// There is nothing yet.
    Create,
    /// It is there and becomes different.
    Update,
    /// It is there and is made anew.
    Replace,
    /// It is taken away.
    Delete,
    /// It stays, and is no longer ours.
    Forget,
    /// It is there as declared, and becomes ours.
    Adopt,
    /// Nothing about it changes, but something has to be done again.
    Run,
    /// The leader of a group moves.
    Switchover,
}

impl Op {
    /// The mark before a change; colour only repeats it.
    pub fn mark(self) -> char {
        match self {
            Op::Create => '+',
            Op::Update => '~',
            Op::Replace => '±',
            Op::Delete => '-',
            Op::Forget => '/',
            Op::Adopt => '=',
            Op::Run => '!',
            Op::Switchover => '⇄',
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Op::Create => "create",
            Op::Update => "update",
            Op::Replace => "replace",
            Op::Delete => "delete",
            Op::Forget => "forget",
            Op::Adopt => "adopt",
            Op::Run => "run again",
            Op::Switchover => "switchover",
        })
    }
}

/// Why something changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The world has no such object.
    Missing,
    /// A field differs.
    Field {
        /// Which.
        name: String,
        /// What the world has.
        old: String,
        /// What is declared.
        new: String,
    },
    /// A field that holds a secret differs; neither value is shown.
    SecretField {
        /// Which.
        name: String,
    },
    /// The content of a file differs; the details hold the diff.
    Content,
    /// The object is as declared but bears no mark of this stack.
    Unmarked,
    /// It was known by another address.
    Renamed {
        /// The one before.
        from: Urn,
    },
    /// Something that a service uses has changed since the service read it.
    Stale {
        /// What it uses.
        uses: String,
    },
    /// What should run does not, and is brought up.
    NotRunning {
        /// The state that it is in; empty when it was never there.
        state: String,
    },
    /// A host lacks it.
    LackingOn {
        /// Which.
        host: HostName,
    },
    /// A condition does not hold.
    Unmet {
        /// What is waited for.
        waiting: String,
    },
    /// The program no longer declares it.
    Undeclared,
    /// The stack is being destroyed.
    Destroy,
}

/// What of a change somebody could say to stay as it is found: fields with their values, the
/// content of a file by its digest. What holds a secret, or is not there at all, is not among it.
/// Several values of one field are one: found with one more, it is found otherwise.
pub fn found(reasons: &[Reason], details: &[Detail]) -> BTreeMap<String, String> {
    let text = details.iter().find_map(|detail| match detail {
        Detail::Text { old, .. } => Some(format!("sha256:{}", Digest::of(old))),
        Detail::Note(_) => None,
    });
    let fields = reasons.iter().filter_map(|reason| match reason {
        Reason::Content => Some((CONTENT.to_owned(), text.clone()?)),
        reason => {
            let (name, old, _) = reason.as_field()?;
            Some((name.to_owned(), old.to_owned()))
        }
    });
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in fields {
        all.entry(name)
            .and_modify(|known| *known = format!("{known}, {value}"))
            .or_insert(value);
    }
    all
}

impl Reason {
    /// The name of the field that says whether something runs, for which
    /// [`NotRunning`](Self::NotRunning) is the reason.
    pub const STATE: &'static str = "state";

    /// Whether something should run and does not.
    pub fn is_of_a_stop(&self) -> bool {
        matches!(self, Reason::NotRunning { .. })
    }

    /// The field that differs, with what the world has of it and what is declared.
    pub fn as_field(&self) -> Option<(&str, &str, &str)> {
        match self {
            Reason::Field { name, old, new } => Some((name, old, new)),
            Reason::NotRunning { state } if !state.is_empty() => {
                Some((Self::STATE, state, "running"))
            }
            Reason::Missing
            | Reason::SecretField { .. }
            | Reason::Content
            | Reason::Unmarked
            | Reason::Renamed { .. }
            | Reason::Stale { .. }
            | Reason::NotRunning { .. }
            | Reason::LackingOn { .. }
            | Reason::Unmet { .. }
            | Reason::Undeclared
            | Reason::Destroy => None,
        }
    }

    /// A field that differs.
    pub fn field(name: impl Into<String>, old: impl fmt::Display, new: impl fmt::Display) -> Self {
        Self::Field {
            name: name.into(),
            old: old.to_string(),
            new: new.to_string(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing => f.write_str("is not there"),
            Reason::Field { name, old, new } => write!(f, "{name}  {old} → {new}"),
            Reason::SecretField { name } => write!(f, "{name}  (secret) changes"),
            Reason::Content => f.write_str("its content differs"),
            Reason::Unmarked => f.write_str("bears no mark of this stack"),
            Reason::Renamed { from } => write!(f, "was {from} before"),
            Reason::Stale { uses } => write!(f, "{uses} has changed since"),
            Reason::NotRunning { state } if state.is_empty() => f.write_str("does not run"),
            Reason::NotRunning { state } => write!(f, "does not run ({state})"),
            Reason::LackingOn { host } => write!(f, "missing on {host}"),
            Reason::Unmet { waiting } => write!(f, "waits for {waiting}"),
            Reason::Undeclared => f.write_str("is no longer declared"),
            Reason::Destroy => f.write_str("the stack is destroyed"),
        }
    }
}

/// What a person wants to see of a change. Secrets are taken out where it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// The old and the new text of a file, from which a diff is drawn.
    Text {
        /// What the host has; empty for a new file.
        old: String,
        /// What is declared.
        new: String,
    },
    /// A remark.
    Note(String),
}
