//! Good bytes made worse.

use proptest::prelude::*;

/// One thing that happens to a file.
#[derive(Debug, Clone)]
pub(crate) enum Bend {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Put(prop::sample::Index, Vec<u8>),
    Double(prop::sample::Index, prop::sample::Index),
}

pub(crate) fn bend() -> impl Strategy<Value = Bend> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Bend::Cut),
        (index(), any::<u8>()).prop_map(|(at, byte)| Bend::Flip(at, byte)),
        (index(), telling()).prop_map(|(at, bytes)| Bend::Put(at, bytes)),
        (index(), index()).prop_map(|(from, to)| Bend::Double(from, to)),
    ]
}

/// What parsers trip over.
fn telling() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"\0",
        b"\n",
        b"\r\n",
        b"\t",
        b"\"",
        b"'",
        b"\\",
        b"{",
        b"[",
        b"[[",
        b"&a [*a, *a]",
        b": ",
        b"- ",
        b"!!",
        b"99999999999999999999",
        b"-1",
        b"1e999",
        b"null",
        b"\xff\xfe",
        "é⟦".as_bytes(),
        b"\x1b[2J",
        b"=",
        b"#",
        b"..",
        b"/",
    ];
    prop_oneof![
        prop::sample::select(words).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..12),
        (any::<u8>(), 1_usize..2000).prop_map(|(byte, times)| vec![byte; times]),
    ]
}

pub(crate) fn bent(mut bytes: Vec<u8>, bends: &[Bend]) -> Vec<u8> {
    for bend in bends {
        let length = bytes.len().max(1);
        match bend {
            Bend::Cut(at) => bytes.truncate(at.index(length)),
            Bend::Flip(at, byte) => {
                if let Some(old) = bytes.get_mut(at.index(length)) {
                    *old ^= byte;
                }
            }
            Bend::Put(at, put) => {
                let at = at.index(length).min(bytes.len());
                bytes.splice(at..at, put.iter().copied());
            }
            Bend::Double(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let part = bytes.get(from.min(to)..from.max(to)).unwrap_or_default();
                bytes.extend(part.to_vec());
            }
        }
    }
    bytes
}
