//! The record of what a write has made.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::action::Effect;
use super::impact::Impact;
use crate::ident::Urn;
use crate::probe::{Entry, Probe};
use crate::secret::KeyedHash;

/// What is remembered of a managed object, in the operator's state and in the registry of the
/// host that holds it. Enough to take it away without the program that made it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The object.
    pub urn: Urn,
    /// What it was made to be.
    pub goal: KeyedHash,
    /// How it is taken away. Shared, because a record stands in many places at once.
    pub removal: Arc<Removal>,
    /// What it depended on; removals go the other way.
    pub depends_on: BTreeSet<Urn>,
    /// Whether it must never be deleted.
    pub protect: bool,
    /// Whether it stays when it is no longer managed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retain: bool,
    /// How it was read.
    #[serde(skip)]
    pub line: Line,
}

/// The line of JSON that a record was read from, where it was one. It belongs to that record alone:
/// a copy, which may be altered, has none, whoever alters the record itself takes it away, and it
/// counts in no comparison.
#[derive(Debug, Default)]
pub struct Line(Option<Box<str>>);

impl Clone for Line {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl PartialEq for Line {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// How an object is taken away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Removal {
    /// What tells whether it is there at all.
    #[serde(deserialize_with = "exact")]
    pub probes: Vec<Probe>,
    /// What takes it away; none for what goes with its surroundings.
    #[serde(deserialize_with = "exact")]
    pub effects: Vec<Effect>,
    /// What it does to the service when it goes.
    #[serde(default)]
    pub impact: Impact,
}

/// A list without room for more: it mostly has one element, is read for each object that is
/// remembered, and would have room for four.
fn exact<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::deserialize(from)?;
    list.shrink_to_fit();
    Ok(list)
}

impl Record {
    /// The record as a registry notes it: one line of JSON.
    pub(crate) fn noted(&self) -> String {
        serde_json::to_string(self).expect("a record is plain data")
    }

    /// Lets it depend on these too. It is no longer as it was read then.
    pub(crate) fn depend_also_on(&mut self, others: &BTreeSet<Urn>) {
        self.depends_on.extend(others.iter().cloned());
        self.line = Line::default();
    }

    /// Reads a record from a line.
    pub(crate) fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        let mut record: Self = serde_json::from_str(line)?;
        record.line = Line(Some(line.into()));
        Ok(record)
    }

    /// Whether this is how a registry notes it. If it is just what is `remembered`, and that was
    /// read from such a line, nothing has to be written to see so.
    pub(crate) fn is_noted_as(&self, line: &str, remembered: Option<&Self>) -> bool {
        let same = |known: &Self| known.line.0.as_deref() == Some(line) && known == self;
        remembered.is_some_and(same) || self.is_written_as(line)
    }

    fn is_written_as(&self, line: &str) -> bool {
        let mut rest = Awaited(line.as_bytes());
        serde_json::to_writer(&mut rest, self).is_ok() && rest.0.is_empty()
    }
}

/// Takes what is awaited, piece by piece, and refuses anything else.
struct Awaited<'a>(&'a [u8]);

impl std::io::Write for Awaited<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let rest = self.0.strip_prefix(piece);
        self.0 = rest.ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        Self {
            urn: record.urn.clone(),
            goal: record.goal.clone(),
            probes: record.removal.probes.clone(),
            record: record.noted(),
        }
    }
}

impl TryFrom<&Entry> for Record {
    type Error = serde_json::Error;

    fn try_from(entry: &Entry) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&entry.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Digest;
    use crate::secret::Vault;

    fn record(goal: &str) -> Record {
        Record {
            urn: Urn::global("role", "owner"),
            goal: Vault::new().keyed(&Digest::of(goal)),
            removal: Removal::default().into(),
            depends_on: BTreeSet::new(),
            protect: false,
            retain: false,
            line: Line::default(),
        }
    }

    #[test]
    fn a_record_is_noted_as_it_is_written_whatever_is_remembered() {
        let (old, new) = (record("old"), record("new"));
        let read = |record: &Record| Record::from_line(&record.noted()).unwrap();
        for remembered in [None, Some(&read(&old)), Some(&read(&new)), Some(&new)] {
            assert!(new.is_noted_as(&new.noted(), remembered));
            assert!(!new.is_noted_as(&old.noted(), remembered));
        }
        let altered = Record {
            goal: new.goal.clone(),
            ..read(&old).clone()
        };
        assert!(!new.is_noted_as(&old.noted(), Some(&altered)));
    }
}
