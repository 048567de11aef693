//! What a host answers with: frames, each a name, a length and as many bytes.
//!
//! ```text
//! @NAME LENGTH\n
//! LENGTH bytes\n
//! ```
//!
//! Lengths, not separators: nothing that stands in a file, a name or a rule can end a frame
//! early or make up another one. The parser is total: whatever a host sends is either frames
//! up to the final one, or an error.

/// The frame that ends an answer; without it the answer was cut short.
const END: &str = "end";
const LAST: &[u8] = b"@end 0\n\n";

/// The frames of one answer, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frames(Vec<Frame>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    name: String,
    text: String,
    /// The payload, where it is no text.
    binary: Option<Vec<u8>>,
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its answer cannot be read: {0}")]
pub(super) struct Garbled(&'static str);

impl Frames {
    /// Reads an answer.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, Garbled> {
        let mut frames = Vec::new();
        loop {
            let (name, payload, rest) = frame(bytes)?;
            if name == END {
                return Ok(Self(frames));
            }
            let text = String::from_utf8_lossy(payload);
            let binary = (text.as_bytes() != payload).then(|| payload.to_vec());
            let text = text.into_owned();
            frames.push(Frame {
                name: name.to_owned(),
                text,
                binary,
            });
            bytes = rest;
        }
    }

    /// Whether an answer has arrived as a whole. Only what ends as one is read for that, since it
    /// grows piece by piece.
    pub(super) fn are_whole(bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while rest.len() >= LAST.len() && bytes.ends_with(LAST) {
            match frame(rest) {
                Ok((END, ..)) => return true,
                Ok((.., after)) => rest = after,
                Err(_) => return false,
            }
        }
        false
    }

    /// The first frame of that name, as text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        Some(self.first(name)?.text.as_str())
    }

    /// The first frame of that name, as it came.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let frame = self.first(name)?;
        Some(frame.binary.as_deref().unwrap_or(frame.text.as_bytes()))
    }

    /// All frames of that name, as text.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |frame| frame.name == name);
        named.map(|frame| frame.text.as_str())
    }

    fn first(&self, name: &str) -> Option<&Frame> {
        self.0.iter().find(|frame| frame.name == name)
    }
}

/// The first frame, and what follows it.
fn frame(bytes: &[u8]) -> Result<(&str, &[u8], &[u8]), Garbled> {
    let rest = bytes.strip_prefix(b"@").ok_or(Garbled("no frame begins"))?;
    let line = rest.iter().position(|byte| *byte == b'\n');
    let line = line.ok_or(Garbled("it ends inside a frame"))?;
    let (head, rest) = (&rest[..line], &rest[line + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| Garbled("a frame's name is no text"))?;
    let (name, length) = head
        .split_once(' ')
        .ok_or(Garbled("a frame has no length"))?;
    let length: usize = length
        .parse()
        .map_err(|_| Garbled("a frame's length is no number"))?;
    let payload = rest
        .get(..length)
        .ok_or(Garbled("it ends inside a frame"))?;
    match rest.get(length) {
        Some(b'\n') => Ok((name, payload, &rest[length + 1..])),
        _ => Err(Garbled("a frame does not end where it says")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_cannot_make_up_a_frame() {
        let bytes = b"@a 12\nx\n@end 0\n\n\ny\n@a 0\n\n@end 0\n\nanything";
        let frames = Frames::parse(bytes).unwrap();
        assert_eq!(
            frames.all("a").collect::<Vec<_>>(),
            ["x\n@end 0\n\n\ny", ""]
        );
        assert_eq!(frames.get("b"), None);
        let frames = Frames::parse(b"@a 3\n\xffx\n\n@b 1\nb\n@end 0\n\n").unwrap();
        assert_eq!(frames.bytes("a"), Some(&b"\xffx\n"[..]));
        assert_eq!(frames.bytes("b"), Some(&b"b"[..]));
    }

    #[test]
    fn what_is_cut_short_is_refused_at_every_length() {
        let whole = b"@a 3\nabc\n@end 0\n\n";
        for length in 0..whole.len() {
            assert!(Frames::parse(&whole[..length]).is_err(), "{length}");
            assert!(!Frames::are_whole(&whole[..length]), "{length}");
        }
        assert!(Frames::parse(whole).is_ok() && Frames::are_whole(whole));
        let inside = b"@a 20\nx\n@end 0\n\n";
        assert!(
            !Frames::are_whole(inside),
            "a file that ends like an answer"
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frames::parse(&bytes);
        }

        #[test]
        fn nothing_like_an_answer_makes_it_panic(text in "(@[a-z]{0,3} ?[0-9]{0,20}\n[a-z\n]{0,6}){0,6}") {
            let _ = Frames::parse(text.as_bytes());
        }
    }
}
