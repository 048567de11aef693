//! A disk that kills its process: the operator's program dies at a record of its journal as if
//! `kill -9` had hit it there.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use kbz_infra::state::{Append, Disk, FileError, Held, Holder, LocalDisk, StoreError};
use rustix::process::{Signal, getpid, kill_process};

/// What stands in the record with which a run begins.
const RUN_BEGINS: &[u8] = br#""entry":"run-started""#;

/// The moment of death beside a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Moment {
    /// As soon as the record is on the disk: nothing that it announces has begun.
    AtOnce,
    /// When the next one would be written: what the record announces has happened, and nothing
    /// says so.
    BeforeNext,
}

/// From where records are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Since {
    /// From the first that the process writes.
    Process,
    /// From the one with which its run begins, that one included.
    Run,
}

/// A place in what a process writes. A file that is replaced counts as a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// The number of the record, from 1.
    pub after: usize,
    /// From where it is counted.
    pub since: Since,
    /// When it dies.
    pub moment: Moment,
}

/// The file system of this machine, on which a process dies as told.
#[derive(Debug)]
pub struct MortalDisk(Arc<Mutex<Clock>>);

/// How far a process is on its way to its death.
#[derive(Debug)]
struct Clock {
    death: Death,
    begun: bool,
    written: usize,
}

/// What is written of some lines, and whether the process dies then.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    DiesBefore,
    DiesAfter(usize),
}

impl Clock {
    fn new(death: Death) -> Self {
        Self {
            death,
            begun: death.since == Since::Process,
            written: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.begun && self.written >= self.death.after
    }

    /// What becomes of lines that are about to be written.
    fn lines(&mut self, bytes: &[u8]) -> Fate {
        if self.is_over() {
            return Fate::DiesBefore;
        }
        let mut end = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            self.count(
                line.windows(RUN_BEGINS.len())
                    .any(|part| part == RUN_BEGINS),
            );
            if self.is_over() && (self.death.moment == Moment::AtOnce || end < bytes.len()) {
                return Fate::DiesAfter(end);
            }
        }
        Fate::Lives
    }

    /// What becomes of a file that is about to be replaced.
    fn file(&mut self) -> Fate {
        if self.is_over() {
            return Fate::DiesBefore;
        }
        self.count(false);
        if self.is_over() && self.death.moment == Moment::AtOnce {
            return Fate::DiesAfter(0);
        }
        Fate::Lives
    }

    fn count(&mut self, run_begins: bool) {
        self.begun |= run_begins;
        self.written += usize::from(self.begun);
    }
}

impl MortalDisk {
    /// The disk of a process that dies there; one that writes less lives.
    pub fn new(death: Death) -> Self {
        Self(Arc::new(Mutex::new(Clock::new(death))))
    }
}

/// Ends this process as nothing else can.
fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

impl Disk for MortalDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        LocalDisk.read(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
        let fate = self.0.lock().unwrap_or_else(PoisonError::into_inner).file();
        if fate == Fate::DiesBefore {
            die();
        }
        LocalDisk.replace(path, bytes, mode)?;
        if fate != Fate::Lives {
            die();
        }
        Ok(())
    }

    fn append_to(&self, path: &Path, length: Option<u64>) -> Result<Box<dyn Append>, FileError> {
        Ok(Box::new(MortalFile {
            clock: Arc::clone(&self.0),
            file: LocalDisk.append_to(path, length)?,
        }))
    }

    fn lock(&self, directory: &Path) -> Result<Box<dyn Held>, StoreError> {
        LocalDisk.lock(directory)
    }

    fn holder(&self, directory: &Path) -> Result<Option<Holder>, FileError> {
        LocalDisk.holder(directory)
    }

    fn waits(&self) -> bool {
        LocalDisk.waits()
    }
}

#[derive(Debug)]
struct MortalFile {
    clock: Arc<Mutex<Clock>>,
    file: Box<dyn Append>,
}

impl Append for MortalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fate = self
            .clock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lines(bytes);
        match fate {
            Fate::Lives => self.file.write(bytes),
            Fate::DiesBefore => die(),
            Fate::DiesAfter(end) => {
                let written = self.file.write(&bytes[..end]);
                written.and_then(|()| self.file.sync())?;
                die()
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(after: usize, since: Since, moment: Moment) -> Clock {
        Clock::new(Death {
            after,
            since,
            moment,
        })
    }

    #[test]
    fn a_batch_is_cut_behind_its_record() {
        let mut clock = clock(3, Since::Process, Moment::AtOnce);
        assert_eq!(clock.file(), Fate::Lives);
        assert_eq!(clock.lines(b"one\n"), Fate::Lives);
        assert_eq!(clock.lines(b"two\nthree\n"), Fate::DiesAfter(4));
    }

    #[test]
    fn what_a_record_announces_happens_before_the_next() {
        let mut clock = clock(2, Since::Process, Moment::BeforeNext);
        assert_eq!(clock.lines(b"one\ntwo\n"), Fate::Lives);
        assert_eq!(clock.lines(b"three\n"), Fate::DiesBefore);
        assert_eq!(clock.file(), Fate::DiesBefore);
    }

    #[test]
    fn records_before_the_run_do_not_count_for_it() {
        let mut clock = clock(2, Since::Run, Moment::AtOnce);
        assert_eq!(clock.file(), Fate::Lives);
        assert_eq!(clock.lines(b"{\"entry\":\"recovered\"}\n"), Fate::Lives);
        let begins = b"{\"entry\":\"run-started\"}\nstep\nstep\n";
        assert_eq!(clock.lines(begins), Fate::DiesAfter(29));
    }
}
