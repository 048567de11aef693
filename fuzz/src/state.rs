//! What the program wrote itself, and others may have changed since.
//!
//! Checksums are made to fit, so that what they protect is reached.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kbz_infra::ident::{Digest, StackName};
use kbz_infra::probe::Observation;
use kbz_infra::secret::Vault;
use kbz_infra::state::{Append, Disk, FileError, Held, Holder, SavedPlan, Store, StoreError};
use tempfile::NamedTempFile;

use crate::{LARGEST, settle, text};

const SNAPSHOT: &str = "snapshot.json";
const JOURNAL: &str = "journal.jsonl";
const OPENED: &str = r#"{"entry":"opened","schema":1,"stack":"shop"}"#;

/// A snapshot, as it lies there and behind the head that fits it.
pub fn snapshot(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    read(bytes, &[(SNAPSHOT, bytes)]);
    let whole = format!("{}\n{text}", head("schema", "sha256", &Digest::of(&text)));
    read(bytes, &[(SNAPSHOT, whole.as_bytes())]);
    let journal = frame(1, OPENED);
    read(
        bytes,
        &[(SNAPSHOT, whole.as_bytes()), (JOURNAL, journal.as_bytes())],
    );
}

/// A journal, as it lies there, and its lines as entries behind a first one.
pub fn journal(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    read(bytes, &[(JOURNAL, bytes)]);
    let lines = std::iter::once(OPENED).chain(text.lines());
    let whole: String = (1..)
        .zip(lines)
        .map(|(seq, entry)| frame(seq, entry))
        .collect();
    read(bytes, &[(JOURNAL, whole.as_bytes())]);
}

/// A saved plan, as it lies there and behind the head that fits it.
///
/// # Panics
///
/// When no file can be written.
pub fn saved_plan(bytes: &[u8]) {
    if bytes.len() > LARGEST {
        return;
    }
    let vault = Vault::new();
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let hash = vault.keyed(&Digest::of(body));
    let mut whole = head("kbz-plan", "hash", &hash).into_bytes();
    whole.push(b'\n');
    whole.extend(body);
    for content in [bytes, &whole] {
        let mut file = NamedTempFile::new().expect("a file can be made");
        file.write_all(content).expect("it can be written");
        let read = SavedPlan::read(file.path(), &stack(), "lab", &vault);
        settle(bytes, &read);
        if let Ok(saved) = read {
            let _ = saved.probes(&vault);
            let _ = saved.since(&Observation::default(), &vault);
        }
    }
}

/// Reads the state in these files, without the lock and with it.
fn read(bytes: &[u8], files: &[(&str, &[u8])]) {
    let folder = Path::new("/state");
    let files = files.iter().map(|(name, content)| {
        let path = folder.join(stack().as_str()).join(name);
        (path, content.to_vec())
    });
    let disk = Memory(Arc::new(Mutex::new(files.collect())));
    let store = Store::on(Arc::new(disk), folder, stack());
    settle(bytes, &store.read());
    match store.lock() {
        Ok(mut locked) => {
            let _ = locked.next_run();
            settle(bytes, &locked.recover(BTreeMap::new()));
            settle(bytes, &locked.fold());
            settle(bytes, &store.read());
        }
        Err(error) => settle(bytes, &Err::<(), _>(error)),
    }
}

/// A first line: the version of the format, and a checksum.
fn head(version: &str, checksum: &str, sum: &impl serde::Serialize) -> String {
    let sum = serde_json::to_value(sum).unwrap_or_default();
    format!(r#"{{"{version}":1,"{checksum}":{sum}}}"#)
}

/// A line of a journal.
fn frame(seq: u64, entry: &str) -> String {
    let sum = Digest::of_parts([seq.to_string().as_str(), entry]).short();
    format!("{{\"seq\":{seq},\"sum\":\"{sum}\",\"entry\":{entry}}}\n")
}

fn stack() -> StackName {
    StackName::new("shop").expect("it is a name")
}

/// Files in memory.
#[derive(Debug, Clone)]
struct Memory(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl Memory {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<PathBuf, Vec<u8>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Disk for Memory {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        Ok(self.with(|files| files.get(path).cloned()))
    }

    fn replace(&self, path: &Path, bytes: &[u8], _mode: u32) -> Result<(), FileError> {
        self.with(|files| files.insert(path.to_owned(), bytes.to_vec()));
        Ok(())
    }

    fn append_to(&self, path: &Path, length: Option<u64>) -> Result<Box<dyn Append>, FileError> {
        let length = length.and_then(|length| usize::try_from(length).ok());
        self.with(|files| {
            let file = files.entry(path.to_owned()).or_default();
            file.truncate(length.unwrap_or(file.len()));
        });
        Ok(Box::new(Open(self.clone(), path.to_owned())))
    }

    fn lock(&self, _directory: &Path) -> Result<Box<dyn Held>, StoreError> {
        Ok(Box::new(Owner(Holder {
            host: "here".to_owned(),
            pid: 1,
            started: "2026-01-01T00:00:00Z".parse().expect("it is a moment"),
        })))
    }

    fn holder(&self, _directory: &Path) -> Result<Option<Holder>, FileError> {
        Ok(None)
    }

    fn waits(&self) -> bool {
        false
    }
}

/// A file in memory that is appended to.
#[derive(Debug)]
struct Open(Memory, PathBuf);

impl Append for Open {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0
            .with(|files| files.entry(self.1.clone()).or_default().extend(bytes));
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A lock that nobody else wants.
#[derive(Debug)]
struct Owner(Holder);

impl Held for Owner {
    fn holder(&self) -> &Holder {
        &self.0
    }

    fn predecessor(&self) -> Option<&Holder> {
        None
    }
}
