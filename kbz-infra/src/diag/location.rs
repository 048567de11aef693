//! Places in sources.

use std::fmt;
use std::ops::Range;
use std::panic::Location;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::ident::Place;

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceLocation {
    /// The file as the program or the compiler named it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters it covers; 0 where only the start is known, as for a Rust call:
    /// then the word (and its arguments) that starts there is meant.
    pub len: u32,
    /// Whether the text there must not be shown, as in a credentials file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

impl SourceLocation {
    /// A place of `len` characters.
    pub fn new(file: impl Into<String>, line: u32, column: u32, len: u32) -> Self {
        Self {
            file: file.into(),
            line,
            column,
            len,
            withheld: false,
        }
    }

    /// The place in the program that called the function which calls this one; that function
    /// and those between must be `#[track_caller]`.
    #[track_caller]
    pub fn caller() -> Self {
        Self::from(Location::caller())
    }

    /// The same place, whose text is never quoted.
    #[must_use]
    pub fn withhold(mut self) -> Self {
        self.withheld = true;
        self
    }
}

impl From<&Location<'_>> for SourceLocation {
    fn from(place: &Location<'_>) -> Self {
        Self::new(place.file(), place.line(), place.column(), 0)
    }
}

impl From<&Place> for SourceLocation {
    fn from(place: &Place) -> Self {
        Self::new(place.file.clone(), place.line, place.column, 0)
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The byte order mark that some editors put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text with its name, from which parsers take lines and locations.
#[derive(Debug, Clone)]
pub struct SourceText<'a> {
    name: String,
    text: &'a str,
}

impl<'a> SourceText<'a> {
    /// Names a text, which may begin with a byte order mark.
    pub fn new(name: impl Into<String>, text: &'a str) -> Self {
        Self {
            name: name.into(),
            text: text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name without its folders.
    pub fn short_name(&self) -> &str {
        Path::new(&self.name)
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or(&self.name)
    }

    /// The text without a byte order mark.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The lines with their numbers from 1, without line ends of either kind.
    pub fn lines(&self) -> impl Iterator<Item = (u32, &'a str)> + use<'a> {
        (1..).zip(self.text.lines())
    }

    /// The place of a range of bytes within one line.
    pub fn in_line(&self, number: u32, line: &str, bytes: Range<usize>) -> SourceLocation {
        let column = chars(&line[..bytes.start]) + 1;
        let len = chars(&line[bytes.start..bytes.end.max(bytes.start)]);
        SourceLocation::new(&self.name, number, column, len.max(1))
    }

    /// The place of a range of bytes in the whole text; what runs over a line's end is cut.
    pub fn at_bytes(&self, bytes: Range<usize>) -> SourceLocation {
        let start = self.text.floor_char_boundary(bytes.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let number = to_u32(before.matches('\n').count()) + 1;
        let within = |at: usize| line.floor_char_boundary(at.saturating_sub(line_start));
        self.in_line(number, line, within(start)..within(bytes.end))
    }
}

fn chars(text: &str) -> u32 {
    to_u32(text.chars().count())
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn declare() -> SourceLocation {
        SourceLocation::caller()
    }

    #[test]
    fn the_caller_is_the_line_of_the_program() {
        let place = declare();
        assert!(place.file.ends_with("location.rs"), "{place}");
        assert_eq!((place.line, place.column), (line!() - 2, 21));
    }

    #[test]
    fn columns_count_characters_and_no_byte_order_mark() {
        let text = SourceText::new("f", "\u{feff}é b\r\nc");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, [(1, "é b"), (2, "c")]);
        assert_eq!(text.in_line(1, "é b", 3..4).to_string(), "f:1:3");
        assert_eq!(text.at_bytes(6..7).to_string(), "f:2:1");
    }

    proptest! {
        #[test]
        fn any_range_has_a_place(text in any::<String>(), start in 0usize..40, len in 0usize..40) {
            let place = SourceText::new("f", &text).at_bytes(start..start + len);
            prop_assert!(place.line >= 1 && place.column >= 1 && place.len >= 1);
        }
    }
}
