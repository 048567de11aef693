//! The lines of a journal: each one JSON object with a sequence number and a checksum.
//!
//! `{"seq":7,"sum":"…","entry":{…}}` and a line feed. The checksum covers the sequence number
//! and the entry's exact bytes. What a kill leaves is a last line that does not end; a power
//! failure may leave more, because many lines are written at once and not all are synced. Either
//! is cut, and that is told, with whether a kill explains it. Anything wrong *before* a good line
//! cannot come from that, and is an error: a journal is never taken for shorter than it is.

use serde::Serialize;

use crate::ident::Digest;

const SEQ: &str = "{\"seq\":";
const SUM: &str = ",\"sum\":\"";
const ENTRY: &str = "\",\"entry\":";
const END: &str = "}";

/// Writes one line.
pub(super) fn encode(seq: u64, entry: &str) -> String {
    let sum = checksum(seq, entry);
    format!("{SEQ}{seq}{SUM}{sum}{ENTRY}{entry}{END}\n")
}

fn checksum(seq: u64, entry: &str) -> String {
    Digest::of_parts([seq.to_string().as_str(), entry]).short()
}

/// A whole line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Its sequence number.
    pub(super) seq: u64,
    /// The entry, as JSON.
    pub(super) entry: &'a str,
}

/// What was cut from the end of a journal: the remains of a write that did not finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// How many bytes were cut.
    pub bytes: u64,
    /// How many bytes remain.
    pub remain: u64,
    /// How many lines among them had an end. A kill leaves none: the power failed, or the disk is
    /// damaged.
    pub lines: usize,
}

/// A journal that is broken elsewhere than at its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {what}")]
pub struct Broken {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Reads all whole lines, and what must be cut after them.
pub(super) fn decode(bytes: &[u8]) -> Result<(Vec<Frame<'_>>, Option<Cut>), Broken> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut good = 0;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    for (index, line) in lines.by_ref() {
        let Some(frame) = whole(line) else {
            if lines.any(|(_, later)| whole(later).is_some()) {
                return Err(Broken {
                    line: index + 1,
                    what: "is damaged, and good lines follow it".to_owned(),
                });
            }
            break;
        };
        if let Some(last) = frames.last()
            && last.seq.checked_add(1) != Some(frame.seq)
        {
            return Err(Broken {
                line: index + 1,
                what: format!("has number {} after {}", frame.seq, last.seq),
            });
        }
        good += line.len();
        frames.push(frame);
    }
    let rest = &bytes[good..];
    let cut = (!rest.is_empty()).then(|| Cut {
        bytes: rest.len() as u64,
        remain: good as u64,
        lines: rest.split(|byte| *byte == b'\n').skip(1).count(),
    });
    Ok((frames, cut))
}

/// The frame of a line that is whole, line feed included.
fn whole(line: &[u8]) -> Option<Frame<'_>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (seq, rest) = line.strip_prefix(SEQ)?.split_once(SUM)?;
    let (sum, rest) = rest.split_once(ENTRY)?;
    let entry = rest.strip_suffix(END)?;
    let seq = seq.parse().ok()?;
    (checksum(seq, entry) == sum).then_some(Frame { seq, entry })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn journal(entries: &[&str]) -> Vec<u8> {
        let lines = (1..).zip(entries).map(|(seq, entry)| encode(seq, entry));
        lines.collect::<String>().into_bytes()
    }

    fn entries(bytes: &[u8]) -> Vec<&str> {
        let (frames, _) = decode(bytes).unwrap();
        frames.into_iter().map(|frame| frame.entry).collect()
    }

    #[test]
    fn a_journal_cut_anywhere_is_its_whole_lines() {
        let bytes = journal(&[r#"{"a":1}"#, r#"{"b":"two"}"#, r#"{"c":[3]}"#]);
        let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        for length in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end < length).count();
            let (frames, cut) = decode(&bytes[..length]).unwrap();
            assert_eq!(frames.len(), whole);
            let remain = ends[..whole].last().map_or(0, |end| end + 1);
            assert_eq!(cut.is_some(), remain != length, "at {length}");
        }
    }

    #[test]
    fn damage_before_a_good_line_is_an_error() {
        let bytes = journal(&[r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 20;
        let mut damaged = bytes.clone();
        damaged[second] ^= 1;
        assert_eq!(
            decode(&damaged).unwrap_err().to_string(),
            "line 2 is damaged, and good lines follow it"
        );
    }

    #[test]
    fn a_cut_tells_whether_a_kill_explains_it() {
        let first = encode(1, "{}");
        let torn = format!("{first}{}", encode(2, "{}"));
        let (_, cut) = decode(&torn.as_bytes()[..torn.len() - 1]).unwrap();
        assert_eq!(cut.map(|cut| cut.lines), Some(0));
        let damaged = format!("{first}{}{}", encode(2, "{}"), encode(3, "{}"));
        let damaged = damaged.replace("\"entry\":{}}\n{\"seq\":2", "\"entry\":{}}\n{\"sqe\":2");
        let damaged = damaged.replace("{\"seq\":3", "{\"sqe\":3");
        let (frames, cut) = decode(damaged.as_bytes()).unwrap();
        assert_eq!(frames.len(), 1);
        let cut = cut.unwrap();
        assert_eq!((cut.remain, cut.lines), (first.len() as u64, 2));
    }

    #[test]
    fn a_missing_line_is_an_error() {
        let bytes = format!("{}{}", encode(1, "{}"), encode(3, "{}"));
        assert_eq!(
            decode(bytes.as_bytes()).unwrap_err().to_string(),
            "line 2 has number 3 after 1"
        );
    }

    #[test]
    fn nothing_follows_the_largest_number() {
        let bytes = format!("{}{}", encode(u64::MAX, "{}"), encode(0, "{}"));
        assert_eq!(
            decode(bytes.as_bytes()).unwrap_err().to_string(),
            format!("line 2 has number 0 after {}", u64::MAX)
        );
    }

    #[test]
    fn an_empty_journal_has_no_lines_and_nothing_to_cut() {
        assert_eq!(decode(b"").unwrap(), (Vec::new(), None));
    }

    proptest! {
        #[test]
        fn any_entry_reads_back(values in proptest::collection::vec(any::<String>(), 0..6)) {
            let written: Vec<String> =
                values.iter().map(|value| serde_json::json!({ "v": value }).to_string()).collect();
            let refs: Vec<&str> = written.iter().map(String::as_str).collect();
            let bytes = journal(&refs);
            prop_assert_eq!(entries(&bytes), refs);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
        }
    }
}
