//! What is remembered of a stack: in the operator's snapshot, and by the marks on the hosts.
//!
//! A mark counts more than the snapshot. It is compared in the form in which it was noted; only
//! one that is not as declared is read, and nothing of the snapshot is copied: a plan costs what
//! changes, beside a look at all.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet};

use crate::effect::Record;
use crate::graph::Graph;
use crate::ident::Urn;
use crate::probe::{Entry, Observation, Reading, Seen};

/// What is remembered of a stack.
pub(super) struct Memory<'a> {
    snapshot: &'a BTreeMap<Urn, Record>,
    marks: BTreeMap<&'a Urn, Mark<'a>>,
}

/// What is remembered of one object.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    mark: Option<&'a Mark<'a>>,
    remembered: Option<&'a Record>,
}

impl Known<'_> {
    /// Whether anything is.
    pub(super) fn is_any(self) -> bool {
        self.is_marked() || self.remembered.is_some()
    }

    /// Whether the object bears a mark.
    pub(super) fn is_marked(self) -> bool {
        self.mark.is_some()
    }

    /// Whether its mark is just this record.
    pub(super) fn is_marked_as(self, record: &Record) -> bool {
        let Some(mark) = self.mark else {
            return false;
        };
        let same = record.is_noted_as(&mark.entry.record, self.remembered);
        mark.as_declared.set(same);
        same
    }
}

/// An object in the registry of its host.
struct Mark<'a> {
    entry: &'a Entry,
    /// Whether it was found to be noted as it is declared.
    as_declared: Cell<bool>,
    read: OnceCell<Option<Record>>,
}

impl Mark<'_> {
    /// The record, if it can be read.
    fn record(&self) -> Option<&Record> {
        let read = || Record::try_from(self.entry).ok();
        self.read.get_or_init(read).as_ref()
    }
}

impl<'a> Memory<'a> {
    /// What the operator remembers, and what the hosts' registries do.
    pub(super) fn new(snapshot: &'a BTreeMap<Urn, Record>, observation: &'a Observation) -> Self {
        let registries = observation.iter().filter_map(|(_, seen)| match seen {
            Seen::Read(Reading::Registry(registry)) => Some(registry),
            Seen::Read(_) | Seen::Unreachable(_) => None,
        });
        let mark = |entry: &'a Entry| Mark {
            entry,
            as_declared: Cell::new(false),
            read: OnceCell::new(),
        };
        let entries = registries.flat_map(|registry| &registry.0);
        Self {
            snapshot,
            marks: entries.map(|entry| (&entry.urn, mark(entry))).collect(),
        }
    }

    /// What is remembered of an object.
    pub(super) fn of(&self, urn: &Urn) -> Known<'_> {
        Known {
            mark: self.marks.get(urn),
            remembered: self.snapshot.get(urn),
        }
    }

    /// Whether an object is remembered at all.
    pub(super) fn knows(&self, urn: &Urn) -> bool {
        self.of(urn).is_any()
    }

    /// Whether an object bears a mark.
    pub(super) fn is_marked(&self, urn: &Urn) -> bool {
        self.marks.contains_key(urn)
    }

    /// What is remembered of an object; `None` also where its mark cannot be read.
    pub(super) fn get(&self, urn: &Urn) -> Option<&Record> {
        match self.marks.get(urn) {
            Some(mark) => mark.record(),
            None => self.snapshot.get(urn),
        }
    }

    /// The addresses of all that is remembered, in their order.
    pub(super) fn urns(&self) -> BTreeSet<&Urn> {
        let marked = self.marks.keys().copied();
        self.snapshot.keys().chain(marked).collect()
    }

    /// What an object was recorded to depend on: what is declared, where its mark says the same.
    pub(super) fn depends_on<'b>(
        &'b self,
        graph: &'b Graph,
        urn: &Urn,
    ) -> Option<&'b BTreeSet<Urn>> {
        let mark = self.marks.get(urn);
        if mark.is_some_and(|mark| mark.as_declared.get()) {
            return Some(graph.dependencies(urn));
        }
        self.get(urn).map(|record| &record.depends_on)
    }

    /// The marks that nobody can read, each with why.
    pub(super) fn unreadable(&self) -> Vec<(&'a Urn, serde_json::Error)> {
        let doubtful = self
            .marks
            .iter()
            .filter(|(_, mark)| !mark.as_declared.get());
        let failed = doubtful.filter(|(_, mark)| mark.record().is_none());
        let why = |entry: &Entry| Record::try_from(entry).err();
        failed
            .filter_map(|(urn, mark)| Some((*urn, why(mark.entry)?)))
            .collect()
    }
}

/// What is remembered: what the operator's own memory and the hosts' registries hold, and where
/// both know an object, what its host says.
pub fn remembered(
    snapshot: &BTreeMap<Urn, Record>,
    observation: &Observation,
) -> BTreeMap<Urn, Record> {
    let memory = Memory::new(snapshot, observation);
    let known = memory.urns().into_iter().filter_map(|urn| memory.get(urn));
    known
        .map(|record| (record.urn.clone(), record.clone()))
        .collect()
}
