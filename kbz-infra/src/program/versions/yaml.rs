//! Reads a flat YAML map with the place and the notation of each value.
//!
//! The events of the parser are used as they come, since a deserialiser forgets how a scalar
//! was written, and that is what decides whether others read it the same way.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::super::input::Faults;
use crate::diag::{Finding, SourceLocation, SourceText};

/// One line of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: String,
    /// Written without quotes, so that YAML guesses its type.
    pub(super) plain: bool,
    pub(super) value_place: SourceLocation,
}

/// All entries that can be read; the rest is told to `faults`.
pub(super) fn entries(source: &SourceText<'_>, faults: &mut Faults) -> Vec<Entry> {
    let mut reader = Reader {
        source,
        faults,
        depth: 0,
        next: Next::Key,
        seen: BTreeMap::new(),
        entries: Vec::new(),
    };
    for event in Parser::new_from_str(source.text()) {
        match event {
            Ok((event, span)) => reader.take(&event, span),
            Err(error) => {
                let place = place(source, &Span::empty(*error.marker()));
                let message = format!("{} is no YAML: {}", source.short_name(), error.info());
                reader.faults.push(
                    Finding::error("kbz::versions::no-yaml", message)
                        .label(place, "here")
                        .help(FORM),
                );
                break;
            }
        }
    }
    reader.entries
}

const FORM: &str = "one `name: version` per line";

fn place(source: &SourceText<'_>, span: &Span) -> SourceLocation {
    if let (Some(start), Some(end)) = (span.start.byte_offset(), span.end.byte_offset()) {
        return source.at_bytes(start..end);
    }
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (line, column) = (number(span.start.line()), number(span.start.col()) + 1);
    SourceLocation::new(source.name(), line.max(1), column, 1)
}

/// What comes next in the map.
#[derive(Debug)]
enum Next {
    Key,
    /// The value of this key.
    ValueOf(String, SourceLocation),
    /// The value of a key that was wrong.
    Ignored,
}

struct Reader<'a, 'f> {
    source: &'a SourceText<'a>,
    faults: &'f mut Faults,
    /// How many collections are open; 1 inside the map itself.
    depth: usize,
    next: Next,
    seen: BTreeMap<String, SourceLocation>,
    entries: Vec<Entry>,
}

impl Reader<'_, '_> {
    fn take(&mut self, event: &Event<'_>, span: Span) {
        let place = place(self.source, &span);
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let is_map = matches!(event, Event::MappingStart(..));
                match self.depth {
                    0 if is_map && self.seen.is_empty() => {}
                    0 | 1 => self.nested(place),
                    _ => {}
                }
                self.depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => self.depth = self.depth.saturating_sub(1),
            Event::Scalar(value, style, _, tag) => match self.depth {
                0 if matches!(value.as_ref(), "" | "~") => {}
                0 => self.refuse(
                    "kbz::versions::no-map",
                    "is no map of names to versions",
                    place,
                ),
                1 if tag.is_some() => self.tagged(place),
                1 => self.scalar(value, *style, place),
                _ => {}
            },
            Event::Alias(_) if self.depth == 1 => {
                self.after_refused();
                self.refuse(
                    "kbz::versions::alias",
                    "has an alias instead of a version",
                    place,
                );
            }
            _ => {}
        }
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, place: SourceLocation) {
        match std::mem::replace(&mut self.next, Next::Key) {
            Next::Key => self.next = self.value_of(value, place),
            Next::Ignored => {}
            Next::ValueOf(name, _) => self.entries.push(Entry {
                name,
                value: value.to_owned(),
                plain: style == ScalarStyle::Plain,
                value_place: place,
            }),
        }
    }

    /// What follows a key: its value, unless the key was there before.
    fn value_of(&mut self, name: &str, place: SourceLocation) -> Next {
        if let Some(first) = self.seen.get(name) {
            self.faults.push(
                Finding::error(
                    "kbz::versions::duplicate",
                    format!("`{name}` is pinned twice"),
                )
                .label(place, "again here")
                .label(first.clone(), "first here")
                .help("remove one of the lines"),
            );
            return Next::Ignored;
        }
        self.seen.insert(name.to_owned(), place.clone());
        Next::ValueOf(name.to_owned(), place)
    }

    /// What follows something in the map that is neither name nor version.
    fn after_refused(&mut self) -> Next {
        let after = match self.next {
            Next::Key => Next::Ignored,
            Next::ValueOf(..) | Next::Ignored => Next::Key,
        };
        std::mem::replace(&mut self.next, after)
    }

    fn nested(&mut self, place: SourceLocation) {
        let place = match self.after_refused() {
            Next::ValueOf(_, key) => key,
            Next::Key | Next::Ignored => place,
        };
        self.refuse(
            "kbz::versions::nested",
            "holds more than names and versions",
            place,
        );
    }

    fn tagged(&mut self, place: SourceLocation) {
        self.after_refused();
        self.refuse(
            "kbz::versions::tag",
            "has a YAML tag, which a version needs not",
            place,
        );
    }

    fn refuse(&mut self, code: &'static str, why: &str, place: SourceLocation) {
        let message = format!("{} {why}", self.source.short_name());
        self.faults
            .push(Finding::error(code, message).label(place, "").help(FORM));
    }
}
