//! Prepares a source for being quoted: offsets of labels, lines cut to the width, nothing that a
//! terminal would obey.

use std::collections::BTreeMap;

use super::{Label, SourceReader};

/// A source and the labels that point into it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snippet {
    pub(super) file: String,
    pub(super) text: String,
    pub(super) marks: Vec<Mark>,
}

/// A label as a range of bytes of [`Snippet::text`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) text: String,
}

/// Parts labels into snippets, one per file in the order of their first label, and the labels
/// that cannot or must not be quoted.
pub(super) fn snippets<'a>(
    labels: &'a [Label],
    sources: &dyn SourceReader,
    width: usize,
) -> (Vec<Snippet>, Vec<&'a Label>) {
    let mut texts: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut files: Vec<(&str, Vec<&Label>)> = Vec::new();
    let mut unquoted = Vec::new();
    for label in labels {
        let place = &label.location;
        let file = place.file.as_str();
        let text = if place.withheld {
            &None
        } else {
            texts.entry(file).or_insert_with(|| sources.read(file))
        };
        if !text.as_deref().is_some_and(|text| has_place(text, label)) {
            unquoted.push(label);
        } else if let Some((_, of_file)) = files.iter_mut().find(|(name, _)| *name == file) {
            of_file.push(label);
        } else {
            files.push((file, vec![label]));
        }
    }
    let quote = |(file, labels): (&str, Vec<&Label>)| {
        let text = texts.get(file)?.as_deref()?;
        Some(snippet(file, text, &labels, width))
    };
    (files.into_iter().filter_map(quote).collect(), unquoted)
}

/// Whether the source has the line and column: it may have changed since the label was made.
fn has_place(text: &str, label: &Label) -> bool {
    let place = &label.location;
    let line = place.line.checked_sub(1);
    let line = line.and_then(|at| without_mark(text).lines().nth(at as usize));
    line.is_some_and(|line| place.column >= 1 && line.chars().count() + 1 >= place.column as usize)
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn snippet(file: &str, text: &str, labels: &[&Label], width: usize) -> Snippet {
    let mut quoted = String::with_capacity(text.len());
    let mut marks: Vec<(usize, Mark)> = Vec::new();
    for (number, line) in (1..).zip(without_mark(text).lines()) {
        let here = labels.iter().enumerate();
        let here: Vec<_> = here
            .filter(|(_, label)| label.location.line == number)
            .collect();
        let reach = here.iter().map(|(_, label)| end_column(line, label)).max();
        let line_start = quoted.len();
        push_line(&mut quoted, line, width.max(reach.unwrap_or(0)));
        for (order, label) in here {
            marks.push((order, mark(&quoted, line_start, line, label, width)));
        }
    }
    marks.sort_by_key(|(order, _)| *order);
    Snippet {
        file: file.to_owned(),
        text: quoted,
        marks: marks.into_iter().map(|(_, mark)| mark).collect(),
    }
}

/// Adds a line, cut after `width` characters. One character stays one character, so that columns
/// stay true.
fn push_line(quoted: &mut String, line: &str, width: usize) {
    let shown = |c: char| match c {
        '\t' => '\t',
        c if c.is_control() || super::clean::is_invisible(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    quoted.extend(line.chars().take(width).map(shown));
    if line.chars().nth(width).is_some() {
        quoted.push('…');
    }
    quoted.push('\n');
}

fn end_column(line: &str, label: &Label) -> usize {
    label.location.column as usize - 1 + length(line, label)
}

/// The characters that a label covers, at most to the end of its line.
fn length(line: &str, label: &Label) -> usize {
    let from_start = line.chars().skip(label.location.column as usize - 1);
    match label.location.len {
        0 => call_length(&from_start.collect::<String>()),
        len => from_start.count().min(len as usize),
    }
}

fn mark(quoted: &str, line_start: usize, line: &str, label: &Label, width: usize) -> Mark {
    let column = label.location.column as usize - 1;
    let after = |count: usize, from: usize| {
        let bytes = quoted[from..].char_indices().map(|(at, _)| at);
        from + bytes.chain([quoted.len() - from]).nth(count).unwrap_or(0)
    };
    let start = after(column, line_start);
    let end = after(length(line, label), start);
    // Room for the gutter and the arm that leads to the text.
    let arm = column + (length(line, label) / 2) + 4;
    let room = width.saturating_sub(arm).max(width / 3).max(16);
    Mark {
        offset: start,
        len: end - start,
        text: wrapped(&super::cleaned(&label.text), room).join("\n"),
    }
}

/// The length of the call that starts a text: a path and its arguments where they end on the
/// same line, else the path alone.
fn call_length(text: &str) -> usize {
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '!');
    let path = text.chars().take_while(|c| is_path(*c)).count();
    let mut depth = 0_usize;
    for (at, c) in text.chars().enumerate().skip(path) {
        match c {
            '(' => depth += 1,
            ')' if depth <= 1 => return at + usize::from(depth == 1),
            ')' => depth -= 1,
            _ if depth == 0 => break,
            _ => {}
        }
    }
    path.max(1)
}

/// Breaks a text at spaces into lines of at most `width` characters, words being kept whole.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let fits = line.chars().count() + 1 + word.chars().count() <= width;
            if !line.is_empty() && !fits {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diag::SourceLocation;

    #[test]
    fn a_call_is_its_path_and_arguments() {
        for (text, call) in [
            ("add(x).then()", "add(x)"),
            ("PgBouncer::on(host(1)).port(2)", "PgBouncer::on(host(1))"),
            ("add(|host| {", "add"),
            ("add)", "add"),
            ("add", "add"),
            ("&x", "&"),
        ] {
            assert_eq!(call_length(text), call.chars().count(), "{text}");
        }
    }

    struct One(String);
    impl SourceReader for One {
        fn read(&self, _file: &str) -> Option<String> {
            Some(self.0.clone())
        }
    }

    #[test]
    fn a_long_line_is_cut_behind_its_label() {
        let text = format!("{}\nb", "a".repeat(200));
        let label = Label {
            location: SourceLocation::new("f", 1, 3, 2),
            text: String::new(),
        };
        let (snippets, _) = snippets(std::slice::from_ref(&label), &One(text), 40);
        assert_eq!(snippets[0].text, format!("{}…\nb\n", "a".repeat(40)));
        assert_eq!(
            (snippets[0].marks[0].offset, snippets[0].marks[0].len),
            (2, 2)
        );
    }

    proptest! {
        #[test]
        fn no_label_breaks_a_snippet(
            text in any::<String>(), line in 0u32..5, column in 0u32..20, len in 0u32..20,
        ) {
            let label = Label { location: SourceLocation::new("f", line, column, len), text: text.clone() };
            let labels = [label];
            let (quoted, unquoted) = snippets(&labels, &One(text), 20);
            prop_assert_eq!(quoted.len() + unquoted.len(), 1);
            for snippet in &quoted {
                let mark = &snippet.marks[0];
                prop_assert!(snippet.text.get(mark.offset..mark.offset + mark.len).is_some());
            }
        }

        #[test]
        fn wrapping_loses_no_word(text in "[a-z ]{0,80}", width in 1usize..30) {
            let words: Vec<_> = text.split_whitespace().collect();
            prop_assert_eq!(wrapped(&text, width).join(" "), words.join(" "));
        }
    }
}
