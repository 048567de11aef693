//! The state directory of a stack: snapshot, journal and lock.
//!
//! Anybody may [read](Store::read); writing needs a [`LockedStore`], of which there is one at a
//! time. The journal is appended to and synced; at the end of a run it is folded into the
//! snapshot, which is replaced as a whole, and begun anew. The numbers of its lines rise for
//! ever and the snapshot tells up to which it goes, so a kill between the two files is harmless.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::atomic::FileError;
use super::disk::{Append, Disk, Held, LocalDisk};
use super::entry::{self, Entry, OpId};
use super::error::StoreError;
use super::frame::{self, Broken, Cut};
use super::lifecycle::StepStatus;
use super::lock::Holder;
use super::log::Log;
use super::proof::Fate;
use super::recovery::Recovery;
use super::snapshot::{self, FormatError, Stored};
use super::world::WorldFile;
use crate::effect::Record;
use crate::ident::{StackName, Urn};
use crate::plan::StepId;

pub(super) const SNAPSHOT: &str = "snapshot.json";
pub(super) const JOURNAL: &str = "journal.jsonl";

/// Only the operator reads the state.
pub(super) const PRIVATE: u32 = 0o600;

/// How often a reader without the lock looks again when a run replaces the files meanwhile.
const LOOKS: usize = 5;

/// What is remembered of a stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The stack.
    pub stack: StackName,
    /// The number of the last run; 0 before the first.
    pub run: u64,
    /// What exists, or may exist because its making was begun.
    pub records: BTreeMap<Urn, Record>,
    /// What the last run left open, when it did not end. While somebody holds the lock, this
    /// is the run that goes on.
    pub unfinished: Option<Recovery>,
    /// Who says to hold the lock and is not known to be dead; always `None` for who holds it.
    pub held_by: Option<Holder>,
    /// The remains of an unfinished write at the journal's end, which are left out.
    pub cut: Option<Cut>,
}

/// The state directory of one stack.
#[derive(Debug, Clone)]
pub struct Store {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    stack: StackName,
}

impl Store {
    /// The state of `stack` under `base`, such as `.kbz`. Creates nothing.
    pub fn open(base: impl AsRef<Path>, stack: StackName) -> Self {
        Self::on(Arc::new(LocalDisk), base, stack)
    }

    /// The same on another disk than this machine's.
    pub fn on(disk: Arc<dyn Disk>, base: impl AsRef<Path>, stack: StackName) -> Self {
        Self {
            disk,
            directory: base.as_ref().join(stack.as_str()),
            stack,
        }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is remembered, without the lock. A directory that does not exist remembers nothing.
    pub fn read(&self) -> Result<Snapshot, StoreError> {
        let mut look = self.look();
        for _ in 1..LOOKS {
            // A run may fold its journal between the two reads; then they do not fit.
            if look.is_ok() {
                break;
            }
            look = self.look();
        }
        let replayed = look?;
        let held_by = self.disk.holder(&self.directory)?;
        Ok(Snapshot {
            held_by,
            ..replayed.into_snapshot(&self.stack)
        })
    }

    /// The modelled world that is kept here; `None` when there is none.
    pub fn world(&self) -> Result<Option<serde_json::Value>, StoreError> {
        WorldFile::of(&self.disk, &self.directory, &self.stack).read()
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(super) fn stack(&self) -> &StackName {
        &self.stack
    }

    /// Takes the lock, and with it the right to write.
    pub fn lock(&self) -> Result<LockedStore, StoreError> {
        self.under(self.disk.lock(&self.directory)?)
    }

    /// Takes the lock from whoever says to hold it, where locks do not end with their process; who
    /// that was.
    pub fn unlock(&self) -> Result<Option<Holder>, StoreError> {
        Ok(self.disk.unlock(&self.directory)?)
    }

    /// The right to write that a lock gives.
    pub(super) fn under(&self, lock: Box<dyn Held>) -> Result<LockedStore, StoreError> {
        let mut replayed = self.look()?;
        let journal = self.journal_for(&mut replayed)?;
        Ok(LockedStore {
            store: self.clone(),
            lock,
            journal,
            log: replayed.log,
            seq: replayed.seq,
            cut: replayed.cut,
            unfolded: replayed.unfolded,
            earlier: replayed.earlier,
        })
    }

    fn look(&self) -> Result<Replayed, StoreError> {
        let path = self.directory.join(SNAPSHOT);
        let stored = match self.disk.read(&path)? {
            Some(bytes) => {
                Some(snapshot::decode(&bytes).map_err(|why| StoreError::Snapshot { path, why })?)
            }
            None => None,
        };
        let (stored, format) = stored.unzip();
        if let Some(stored) = &stored {
            self.is_ours(&stored.stack)?;
        }
        let path = self.directory.join(JOURNAL);
        let bytes = self.disk.read(&path)?;
        let replayed = Replayed::new(self, stored, bytes.as_deref());
        let replayed = replayed.map_err(|failed| match failed {
            ReplayError::Format(why) => StoreError::Journal { path, why },
            ReplayError::Store(error) => error,
        })?;
        Ok(Replayed {
            earlier: format.filter(|format| *format < snapshot::SCHEMA),
            ..replayed
        })
    }

    fn is_ours(&self, found: &StackName) -> Result<(), StoreError> {
        if *found == self.stack {
            return Ok(());
        }
        Err(StoreError::OtherStack {
            path: self.directory.clone(),
            found: found.clone(),
        })
    }

    /// Keeps a snapshot of an earlier format beside, under the name of its format.
    fn keep_earlier(&self, format: u32) -> Result<(), StoreError> {
        let snapshot = self.directory.join(SNAPSHOT);
        let kept = self
            .directory
            .join(format!("snapshot.format-{format}.json"));
        if let Some(bytes) = self.disk.read(&snapshot)? {
            self.disk.replace(&kept, &bytes, PRIVATE)?;
        }
        Ok(())
    }

    /// Opens the journal for appending, without what must be cut.
    fn journal_for(&self, replayed: &mut Replayed) -> Result<Journal, StoreError> {
        let path = self.directory.join(JOURNAL);
        if replayed.is_new {
            replayed.seq += 1;
            return self.begin_journal(replayed.seq);
        }
        let remain = replayed.cut.map(|cut| cut.remain);
        let file = self.disk.append_to(&path, remain)?;
        Ok(Journal::new(file, path))
    }

    /// Puts a journal in place that has its first line only, with the number `seq`.
    pub(super) fn begin_journal(&self, seq: u64) -> Result<Journal, StoreError> {
        let path = self.directory.join(JOURNAL);
        let opened = Entry::Opened {
            schema: entry::SCHEMA,
            stack: self.stack.clone(),
        };
        let line = frame::encode(seq, &serde_json::to_string(&opened)?);
        self.disk.replace(&path, line.as_bytes(), PRIVATE)?;
        let file = self.disk.append_to(&path, None)?;
        Ok(Journal::new(file, path))
    }
}

/// What the two files amount to.
struct Replayed {
    log: Log,
    /// The number of the last line.
    seq: u64,
    cut: Option<Cut>,
    /// Whether there is no journal to append to.
    is_new: bool,
    /// Whether the journal holds anything that the snapshot does not.
    unfolded: bool,
    /// The format of the snapshot, where this program writes a later one.
    earlier: Option<u32>,
}

enum ReplayError {
    Format(FormatError),
    Store(StoreError),
}

impl Replayed {
    fn new(
        store: &Store,
        stored: Option<Stored>,
        journal: Option<&[u8]>,
    ) -> Result<Self, ReplayError> {
        let (frames, cut) = frame::decode(journal.unwrap_or_default())
            .map_err(|broken| ReplayError::Format(snapshot::damaged(&broken)))?;
        // A journal is put in place with its first line, so that one is never torn.
        if journal.is_some() && frames.is_empty() {
            return Err(ReplayError::Format(no_first_line()));
        }
        let (folded, run) = stored
            .as_ref()
            .map_or((0, 0), |stored| (stored.seq, stored.run));
        let records = stored.into_iter().flat_map(|stored| stored.records);
        let records = records.map(|record| (record.urn.clone(), record));
        let mut log = Log::new(run, records.collect());
        if let Some(first) = frames.first() {
            check_first(store, first)?;
            if first.seq > folded + 1 {
                let what = format!(
                    "it begins at {}, and the snapshot that should go before ends at {folded}",
                    first.seq
                );
                return Err(ReplayError::Format(snapshot::damaged(&what)));
            }
        }
        for (index, frame) in frames.iter().enumerate().skip(1) {
            if frame.seq <= folded {
                continue;
            }
            let damaged = |what: String| {
                let line = index + 1;
                ReplayError::Format(snapshot::damaged(&Broken { line, what }))
            };
            let entry: Entry = serde_json::from_str(frame.entry)
                .map_err(|error| damaged(format!("cannot be read: {error}")))?;
            log.apply(&entry)
                .map_err(|misfit| damaged(format!("does not fit: {misfit}")))?;
        }
        Ok(Self {
            log,
            seq: frames.last().map_or(folded, |last| last.seq.max(folded)),
            cut,
            is_new: journal.is_none(),
            unfolded: frames.iter().skip(1).any(|frame| frame.seq > folded),
            earlier: None,
        })
    }

    fn into_snapshot(self, stack: &StackName) -> Snapshot {
        Snapshot {
            stack: stack.clone(),
            run: self.log.run(),
            unfinished: self.log.recovery(),
            records: self.log.into_records(),
            held_by: None,
            cut: self.cut,
        }
    }
}

/// The first line tells the format, before anything else is taken for what it seems to be.
fn check_first(store: &Store, first: &frame::Frame<'_>) -> Result<(), ReplayError> {
    match serde_json::from_str(first.entry) {
        Ok(Entry::Opened { schema, stack }) => {
            if schema > entry::SCHEMA {
                return Err(ReplayError::Format(FormatError::newer(
                    schema,
                    entry::SCHEMA,
                )));
            }
            store.is_ours(&stack).map_err(ReplayError::Store)
        }
        Ok(_) => Err(ReplayError::Format(no_first_line())),
        Err(error) => Err(ReplayError::Format(snapshot::damaged(&error))),
    }
}

fn no_first_line() -> FormatError {
    snapshot::damaged(&"its first line is missing")
}

/// The journal's file. A write that failed may have left half a line, so it is the last.
#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn Append>,
    path: PathBuf,
    poisoned: bool,
}

impl Journal {
    fn new(file: Box<dyn Append>, path: PathBuf) -> Self {
        Self {
            file,
            path,
            poisoned: false,
        }
    }

    fn write(&mut self, lines: &str, sync: bool) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let written = self.file.write(lines.as_bytes());
        let written = written.and_then(|()| if sync { self.file.sync() } else { Ok(()) });
        self.poisoned = written.is_err();
        Ok(written.map_err(FileError::at("write", &self.path))?)
    }
}

/// Whether entries must be on the disk before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Yes: something is about to be done that must not be forgotten.
    Now,
    /// With the next ones that must.
    Later,
}

/// The state directory of one stack, and the right to write to it.
#[derive(Debug)]
#[must_use = "the lock ends when it is dropped"]
pub struct LockedStore {
    store: Store,
    lock: Box<dyn Held>,
    journal: Journal,
    log: Log,
    seq: u64,
    cut: Option<Cut>,
    unfolded: bool,
    /// The format of the snapshot, where this program writes a later one.
    earlier: Option<u32>,
}

impl LockedStore {
    /// What is remembered.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            stack: self.store.stack.clone(),
            run: self.log.run(),
            records: self.log.records().clone(),
            unfinished: self.log.recovery(),
            held_by: None,
            cut: self.cut,
        }
    }

    /// What exists, or may exist because its making was begun.
    pub fn records(&self) -> &BTreeMap<Urn, Record> {
        self.log.records()
    }

    /// The stack.
    pub fn stack(&self) -> &StackName {
        &self.store.stack
    }

    /// Where a modelled world is kept.
    pub fn world(&self) -> WorldFile {
        WorldFile::of(&self.store.disk, &self.store.directory, &self.store.stack)
    }

    /// The lowest number that the next run may have.
    pub fn next_run(&self) -> u64 {
        self.log.run() + 1
    }

    /// Who holds the lock: this process.
    pub fn holder(&self) -> &Holder {
        self.lock.holder()
    }

    /// Who changes the hosts from here, in words: this state, of which one run at a time has the
    /// lock.
    pub fn operator(&self) -> String {
        self.store.disk.name(&self.store.directory)
    }

    /// Who held the lock before and died with it.
    pub fn predecessor(&self) -> Option<&Holder> {
        self.lock.predecessor()
    }

    /// The remains of an unfinished write that were cut from the journal's end.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Where a step of the current run is; `None` before it begins.
    pub fn step_status(&self, step: StepId) -> Option<StepStatus> {
        self.log.step_status(step)
    }

    /// What the last run left open, when it did not end.
    pub fn recovery(&self) -> Option<Recovery> {
        self.log.recovery()
    }

    /// Records what became of what the last run left open; the next run can then begin. Without
    /// an unfinished run there is nothing to record.
    pub fn recover(&mut self, fates: BTreeMap<OpId, Fate>) -> Result<(), StoreError> {
        let Some(recovery) = self.recovery() else {
            return Ok(());
        };
        let run = recovery.run;
        self.append(&[Entry::Recovered { run, fates }], Durability::Now)
    }

    /// Brings the records in line with what was found without any step: adopts what is there as
    /// declared, forgets what is nowhere. Writes nothing when they are in line already.
    pub fn settle<'a>(
        &mut self,
        present: impl IntoIterator<Item = &'a Record>,
        gone: impl IntoIterator<Item = &'a Urn>,
    ) -> Result<(), StoreError> {
        let known = self.log.records();
        let remember = present
            .into_iter()
            .filter(|record| known.get(&record.urn) != Some(record))
            .map(|record| Entry::Remember {
                record: Box::new(record.clone()),
            });
        let forget = gone
            .into_iter()
            .filter(|urn| known.contains_key(urn))
            .map(|urn| Entry::Forget { urn: urn.clone() });
        let entries: Vec<Entry> = remember.chain(forget).collect();
        self.append(&entries, Durability::Later)
    }

    /// Appends entries, all of them or none, each checked against what was before.
    pub fn append(&mut self, entries: &[Entry], durability: Durability) -> Result<(), StoreError> {
        if entries.is_empty() && durability == Durability::Later {
            return Ok(());
        }
        let mut lines = String::new();
        for (number, entry) in (self.seq + 1..).zip(entries) {
            lines.push_str(&frame::encode(number, &serde_json::to_string(entry)?));
        }
        for entry in entries {
            self.log.apply(entry)?;
        }
        self.journal.write(&lines, durability == Durability::Now)?;
        self.seq += entries.len() as u64;
        self.unfolded |= !entries.is_empty();
        Ok(())
    }

    /// Folds the journal into the snapshot. What a run left open stays in the journal.
    pub fn fold(&mut self) -> Result<(), StoreError> {
        if self.journal.poisoned {
            return Err(StoreError::Poisoned);
        }
        if self.log.recovery().is_some() || !self.unfolded {
            return Ok(());
        }
        let stored = Stored {
            stack: self.store.stack.clone(),
            run: self.log.run(),
            seq: self.seq,
            records: self.log.records().values().collect(),
        };
        let bytes = snapshot::encode(&stored)?;
        if let Some(format) = self.earlier.take() {
            self.store.keep_earlier(format)?;
        }
        let path = self.store.directory.join(SNAPSHOT);
        self.store.disk.replace(&path, &bytes, PRIVATE)?;
        self.seq += 1;
        self.journal = self.store.begin_journal(self.seq)?;
        self.unfolded = false;
        Ok(())
    }

    /// Whether a write may take so long that it must not be waited for among other work.
    pub fn waits(&self) -> bool {
        self.store.disk.waits()
    }

    /// From now on every write finds the disk full.
    #[cfg(test)]
    pub(crate) fn fill_disk(&mut self) {
        let full = LocalDisk.append_to(Path::new("/dev/full"), None);
        self.journal.file = full.expect("Linux has a device that is always full");
    }
}
