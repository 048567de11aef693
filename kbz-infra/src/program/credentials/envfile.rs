//! Reads lines of `KEY=VALUE`.
//!
//! Shells, Docker and systemd read such files, each by its own rules. Only what all of them read
//! alike is accepted; the rest is refused with the notation that they agree on. No message holds
//! a piece of the file except the names of variables.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::super::input::Faults;
use crate::diag::{Finding, SourceLocation, SourceText};

/// One line of the file.
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: Zeroizing<String>,
    pub(super) place: SourceLocation,
}

/// What a file says.
#[derive(Default)]
pub(super) struct Content {
    pub(super) assignments: Vec<Assignment>,
    /// The variables whose values cannot be read.
    pub(super) unreadable: Vec<String>,
}

/// Why a line cannot be read.
struct Wrong {
    name: Option<String>,
    code: &'static str,
    message: String,
    help: &'static str,
    /// Bytes from the start of the line.
    at: usize,
}

const QUOTE: &str = "put the value between single quotes";

/// All that can be read; the rest is told to `faults`.
pub(super) fn content(source: &SourceText<'_>, faults: &mut Faults) -> Content {
    let mut first: BTreeMap<String, SourceLocation> = BTreeMap::new();
    let mut found = Content::default();
    for (number, line) in source.lines() {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let place = |at| source.in_line(number, line, at..at).withhold();
        match assignment(line) {
            Ok((name, value)) => {
                let place = place(line.len() - text.len());
                if let Some(first) = first.get(&name) {
                    faults.push(twice(&name, place, first.clone()));
                    continue;
                }
                first.insert(name.clone(), place.clone());
                found.assignments.push(Assignment { name, value, place });
            }
            Err(wrong) => {
                found.unreadable.extend(wrong.name);
                faults.push(
                    Finding::error(wrong.code, wrong.message)
                        .label(place(wrong.at), "")
                        .help(wrong.help),
                );
            }
        }
    }
    found
}

fn twice(name: &str, place: SourceLocation, first: SourceLocation) -> Finding {
    Finding::error(
        "kbz::credentials::duplicate",
        format!("{name} is given twice"),
    )
    .label(place, "again here")
    .label(first, "first here")
    .help("remove one of the lines; readers disagree which of them counts")
}

fn assignment(line: &str) -> Result<(String, Zeroizing<String>), Wrong> {
    let indent = line.len() - line.trim_start().len();
    let rest = &line[indent..];
    let start = match rest.strip_prefix("export") {
        Some(after) if after.starts_with([' ', '\t']) => line.len() - after.trim_start().len(),
        _ => indent,
    };
    let Some(equals) = line[start..].find('=').map(|at| start + at) else {
        return Err(Wrong {
            name: None,
            code: "kbz::credentials::no-assignment",
            message: "a line is neither KEY=VALUE nor a comment".to_owned(),
            help: "a value has one line; a comment starts with `#`",
            at: start,
        });
    };
    let name = &line[start..equals];
    if !is_name(name.trim_end()) {
        return Err(Wrong {
            name: None,
            code: "kbz::credentials::no-name",
            message: "what stands before `=` is no name of a variable".to_owned(),
            help: "letters, digits and `_` make a name, such as POSTGRES_APP_PASS",
            at: start,
        });
    }
    let value = &line[equals + 1..];
    let is_spaced = value.starts_with([' ', '\t']) && !is_blank_or_comment(value);
    if name.ends_with([' ', '\t']) || is_spaced {
        return Err(Wrong {
            name: Some(name.trim_end().to_owned()),
            code: "kbz::credentials::spaces",
            message: format!("{} has spaces around its `=`", name.trim_end()),
            help: "write KEY=VALUE",
            at: equals,
        });
    }
    let value = unquoted(value).map_err(|wrong| Wrong {
        name: Some(name.to_owned()),
        code: wrong.code,
        message: format!("the value of {name} {}", wrong.message),
        help: wrong.help,
        at: equals + 1 + wrong.at,
    })?;
    Ok((name.to_owned(), value))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether nothing but a comment follows a value.
fn is_blank_or_comment(rest: &str) -> bool {
    let text = rest.trim_start();
    text.is_empty() || (text.starts_with('#') && text.len() < rest.len())
}

fn wrong(code: &'static str, message: &str, help: &'static str, at: usize) -> Wrong {
    Wrong {
        name: None,
        code,
        message: message.to_owned(),
        help,
        at,
    }
}

/// The value behind `=` without its quotes.
fn unquoted(text: &str) -> Result<Zeroizing<String>, Wrong> {
    let (value, rest) = match text.chars().next() {
        Some('\'') => single_quoted(text)?,
        Some('"') => double_quoted(text)?,
        _ => bare(text)?,
    };
    if is_blank_or_comment(rest) {
        return Ok(value);
    }
    let at = text.len() - rest.len();
    Err(wrong(
        "kbz::credentials::ambiguous",
        "goes on behind its end",
        QUOTE,
        at,
    ))
}

type ValueAndRest<'a> = (Zeroizing<String>, &'a str);

fn single_quoted(text: &str) -> Result<ValueAndRest<'_>, Wrong> {
    let inner = &text[1..];
    let Some((value, rest)) = inner.split_once('\'') else {
        return Err(unclosed());
    };
    Ok((Zeroizing::new(value.to_owned()), rest))
}

fn unclosed() -> Wrong {
    let help = "a value has one line and ends with the quote it starts with";
    wrong(
        "kbz::credentials::unclosed",
        "has a quote that is never closed",
        help,
        0,
    )
}

fn double_quoted(text: &str) -> Result<ValueAndRest<'_>, Wrong> {
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text.char_indices().skip(1);
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match rest.next() {
                Some((_, escaped @ ('"' | '\\' | '$' | '`'))) => value.push(escaped),
                _ => return Err(ambiguous(at)),
            },
            '$' | '`' => return Err(ambiguous(at)),
            c => value.push(c),
        }
    }
    Err(unclosed())
}

fn ambiguous(at: usize) -> Wrong {
    let message = "has a character that readers of such files treat differently";
    wrong("kbz::credentials::ambiguous", message, QUOTE, at)
}

/// A value without quotes ends at the first space.
fn bare(text: &str) -> Result<ValueAndRest<'_>, Wrong> {
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let value = &text[..end];
    // `<…>` stands for a value that is still to be written; the rules say so in their own words.
    let is_placeholder = value.starts_with('<') && value.ends_with('>');
    let special = ['\\', '$', '"', '\'', '`', ';', '&', '|', '<', '>', '(', ')'];
    match value.find(special) {
        Some(at) if !is_placeholder => Err(ambiguous(at)),
        _ => Ok((Zeroizing::new(value.to_owned()), &text[end..])),
    }
}
