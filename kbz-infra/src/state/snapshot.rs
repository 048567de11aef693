//! The snapshot: everything that the journal up to a point amounts to.
//!
//! Lines of JSON: which format and what checksum; what it is about; then a record each, so that two
//! snapshots can be compared line by line. Read back it must match its checksum; a damaged snapshot
//! is an error that tells the way out, never an empty one. A format of a later version is refused,
//! not guessed at; an earlier one is read, and kept beside when the first snapshot in this format
//! takes its place.

use serde::{Deserialize, Serialize};

use crate::effect::Record;
use crate::ident::{Digest, StackName};

/// The version of the format of snapshots that this program writes. Format 1 had one JSON value
/// behind the first line, and did not say who wrote it.
pub const SCHEMA: u32 = 2;

/// No run and no line has a larger number, so that there is always a next one.
pub(super) const LAST: u64 = u64::MAX / 2;

/// What a snapshot holds; `R` is a record, or a reference to one while it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Stored<R = Record> {
    /// The stack.
    pub(super) stack: StackName,
    /// The number of the last run.
    pub(super) run: u64,
    /// The number of the last line of the journal that went in.
    pub(super) seq: u64,
    /// What exists, in the order of its addresses.
    pub(super) records: Vec<R>,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    schema: u32,
    sha256: Digest,
}

/// The second line.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    stack: StackName,
    run: u64,
    seq: u64,
    /// The version of the program that wrote it, for a person who reads it.
    writer: String,
}

/// Why a snapshot or journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Written by a later version of this program.
    #[error("has format {found}, and this program reads formats up to {read}; use the newer one")]
    Newer {
        /// The version found.
        found: u32,
        /// The latest version that is read.
        read: u32,
    },
    /// Not what was written.
    #[error("is damaged: {what}")]
    Damaged {
        /// In which way.
        what: String,
    },
}

impl FormatError {
    /// A format later than those that are read.
    pub(super) fn newer(found: u32, read: u32) -> Self {
        Self::Newer { found, read }
    }
}

pub(super) fn damaged(what: &dyn std::fmt::Display) -> FormatError {
    FormatError::Damaged {
        what: format!("{what}"),
    }
}

pub(super) fn encode<R: Serialize>(stored: &Stored<R>) -> Result<Vec<u8>, serde_json::Error> {
    // The body is as large as the stack: it is written once, behind a head of the right length.
    let mut bytes = head(Digest::of(""))?;
    let length = bytes.len();
    let about = About {
        stack: stored.stack.clone(),
        run: stored.run,
        seq: stored.seq,
        writer: env!("CARGO_PKG_VERSION").to_owned(),
    };
    serde_json::to_writer(&mut bytes, &about)?;
    bytes.push(b'\n');
    for record in &stored.records {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    let right = head(Digest::of(&bytes[length..]))?;
    bytes[..length].copy_from_slice(&right);
    Ok(bytes)
}

/// The first line; a digest is always of the same length.
fn head(sha256: Digest) -> Result<Vec<u8>, serde_json::Error> {
    let schema = SCHEMA;
    let mut line = serde_json::to_vec(&Head { schema, sha256 })?;
    line.push(b'\n');
    Ok(line)
}

/// What a snapshot holds, and the format that it is written in.
pub(super) fn decode(bytes: &[u8]) -> Result<(Stored, u32), FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|error| damaged(&error))?;
    let (head, body) = text
        .split_once('\n')
        .ok_or_else(|| damaged(&"its first line does not end"))?;
    let head: Head = serde_json::from_str(head).map_err(|error| damaged(&error))?;
    if head.schema > SCHEMA {
        return Err(FormatError::newer(head.schema, SCHEMA));
    }
    if head.schema < 1 || Digest::of(body) != head.sha256 {
        return Err(damaged(&"its checksum does not match its content"));
    }
    let stored: Stored = match head.schema {
        1 => serde_json::from_str(body).map_err(|error| damaged(&error))?,
        _ => lines(body)?,
    };
    if stored.run.max(stored.seq) > LAST {
        return Err(damaged(&"a number in it is larger than any that is given"));
    }
    Ok((stored, head.schema))
}

/// What stands behind the first line.
fn lines(body: &str) -> Result<Stored, FormatError> {
    let mut lines = body.lines();
    let about = lines.next().ok_or_else(|| damaged(&"it ends too early"))?;
    let about: About = serde_json::from_str(about).map_err(|error| damaged(&error))?;
    let records: Result<Vec<Record>, _> = lines.map(Record::from_line).collect();
    Ok(Stored {
        stack: about.stack,
        run: about.run,
        seq: about.seq,
        records: records.map_err(|error| damaged(&error))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_next_one_is_refused() {
        let stored = |run, seq| Stored::<Record> {
            stack: StackName::new("shop").unwrap(),
            run,
            seq,
            records: Vec::new(),
        };
        let read = |run, seq| decode(&encode(&stored(run, seq)).unwrap());
        assert_eq!(read(LAST, LAST), Ok((stored(LAST, LAST), SCHEMA)));
        for (run, seq) in [(LAST + 1, 1), (1, LAST + 1), (u64::MAX, u64::MAX)] {
            assert!(matches!(read(run, seq), Err(FormatError::Damaged { .. })));
        }
    }
}
