//! Lines of a screen: a mark, a text, a note beside it and a place at the right margin.
//!
//! Laid out for a width, so that a narrow terminal wraps well; colour only repeats what the
//! marks already say. What hosts said is drawn without what a terminal would obey.

use owo_colors::{OwoColorize as _, Style as Paint};

use crate::diag::cleaned;
use crate::resource::{Impact, Op};

/// How a screen is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// Whether colour may be used.
    pub color: bool,
}

/// The column at which notes start, where the text before leaves room.
fn note_column(style: Style) -> usize {
    if style.width < 100 { 52 } else { 56 }
}

/// One line of a screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    indent: usize,
    mark: Option<char>,
    text: String,
    note: String,
    place: String,
    tone: Tone,
}

/// What colour repeats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Tone {
    #[default]
    Plain,
    Good,
    Change,
    Danger,
    Faint,
}

impl Tone {
    fn of(op: Op) -> Self {
        match op {
            Op::Create | Op::Adopt => Tone::Good,
            Op::Forget => Tone::Faint,
            Op::Update | Op::Run | Op::Switchover => Tone::Change,
            Op::Replace | Op::Delete => Tone::Danger,
        }
    }

    fn paint(self) -> Paint {
        match self {
            Tone::Plain => Paint::new(),
            Tone::Good => Paint::new().green(),
            Tone::Change => Paint::new().yellow(),
            Tone::Danger => Paint::new().red(),
            Tone::Faint => Paint::new().dimmed(),
        }
    }
}

impl Row {
    /// A plain line.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A line of a change.
    pub fn change(op: Op, text: impl Into<String>) -> Self {
        Self {
            mark: Some(op.mark()),
            text: text.into(),
            tone: Tone::of(op),
            ..Self::default()
        }
    }

    /// A line of a check that went well or ill.
    pub fn check(well: bool, text: impl Into<String>) -> Self {
        Self {
            mark: Some(if well { '✓' } else { '×' }),
            text: text.into(),
            tone: if well { Tone::Good } else { Tone::Danger },
            ..Self::default()
        }
    }

    /// A line of a unified diff: its first character is its mark.
    pub fn diff(line: &str) -> Self {
        let tone = match line.chars().next() {
            Some('+') => Tone::Good,
            Some('-') => Tone::Danger,
            Some('@') => Tone::Faint,
            _ => Tone::Plain,
        };
        Self {
            text: line.to_owned(),
            tone,
            ..Self::default()
        }
    }

    /// The same line, coloured by how bad an impact is.
    pub fn impact(mut self, impact: Impact) -> Self {
        self.tone = match impact {
            Impact::None | Impact::Reload => Tone::Good,
            Impact::Restart | Impact::Switchover => Tone::Change,
            Impact::Recreate | Impact::ServiceEnds | Impact::DataLoss => Tone::Danger,
        };
        self
    }

    /// The same line, moved in by `steps` of two columns.
    pub fn indent(mut self, steps: usize) -> Self {
        self.indent = steps;
        self
    }

    /// The same line with a remark beside the text.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The same line with a place at the right margin.
    pub fn place(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    /// The line laid out for a screen; more than one where it is too narrow.
    pub fn draw(&self, style: Style) -> String {
        self.cleaned().laid_out(style)
    }

    /// The same line without control characters; what stands beside its text is one line.
    fn cleaned(&self) -> Self {
        let one_line = |text: &str| cleaned(text).replace('\n', " ");
        Self {
            text: cleaned(&self.text),
            note: one_line(&self.note),
            place: one_line(&self.place),
            ..self.clone()
        }
    }

    fn laid_out(&self, style: Style) -> String {
        let mut left = "  ".repeat(self.indent);
        if let Some(mark) = self.mark {
            left.push(mark);
            left.push(' ');
        }
        let further = " ".repeat(width(&left) + 2);
        let mut lines = wrapped(&self.text, style.width, &left, &further);
        let line = lines.pop().unwrap_or(left);
        let room = style.width.saturating_sub(width(&line));
        if taken(&self.note) + taken(&self.place) <= room {
            lines.push(self.beside(line, style));
        } else if !self.note.is_empty() && taken(&self.place) <= room {
            // The note moves below, the place stays.
            lines.push(at_the_margin(line, &self.place, style));
            lines.extend(wrapped(&self.note, style.width, &further, &further));
        } else {
            lines.push(line);
            let mut last = String::new();
            if !self.note.is_empty() {
                lines.extend(wrapped(&self.note, style.width, &further, &further));
                let noted = lines.last().map_or(0, |line| width(line));
                if noted + taken(&self.place) <= style.width {
                    last = lines.pop().unwrap_or_default();
                }
            }
            if !(last.is_empty() && self.place.is_empty()) {
                lines.push(at_the_margin(last, &self.place, style));
            }
        }
        self.painted_all(&lines, style)
    }

    /// A line with note and place beside it.
    fn beside(&self, mut line: String, style: Style) -> String {
        if !self.note.is_empty() {
            let last = style.width - taken(&self.place) - width(&self.note);
            pad(&mut line, last.min(note_column(style)));
            line.push_str(&self.note);
        }
        at_the_margin(line, &self.place, style)
    }

    fn painted_all(&self, lines: &[String], style: Style) -> String {
        let lines = lines.iter();
        let painted = lines.map(|line| self.painted(line.trim_end(), style));
        painted.collect::<Vec<_>>().join("\n")
    }

    fn painted(&self, line: &str, style: Style) -> String {
        if style.color && self.tone != Tone::Plain {
            line.style(self.tone.paint()).to_string()
        } else {
            line.to_owned()
        }
    }
}

/// Columns that a text beside another takes, with the gap before it.
fn taken(text: &str) -> usize {
    if text.is_empty() { 0 } else { width(text) + 2 }
}

/// A text in lines of a width; the first begins with `first`, those after it with `further`.
fn wrapped(text: &str, width: usize, first: &str, further: &str) -> Vec<String> {
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(further)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(text, options).into_iter();
    lines.map(std::borrow::Cow::into_owned).collect()
}

/// A line with a text at the right margin.
fn at_the_margin(mut line: String, text: &str, style: Style) -> String {
    if !text.is_empty() {
        pad(&mut line, style.width.saturating_sub(width(text)));
        line.push_str(text);
    }
    line
}

/// Fills a line up to a column, with two spaces at least.
fn pad(line: &mut String, column: usize) {
    let gap = column.saturating_sub(width(line)).max(2);
    line.push_str(&" ".repeat(gap));
}

/// Columns that a text takes. Every character of ours takes one.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// All rows of a screen.
pub(crate) fn screen(rows: &[Row], style: Style) -> String {
    let mut text = String::new();
    for row in rows {
        text.push_str(&row.draw(style));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(row: &Row, width: usize) -> Vec<String> {
        let style = Style {
            width,
            color: false,
        };
        row.draw(style).lines().map(str::to_owned).collect()
    }

    fn row() -> Row {
        let text = "patroni-node on db-master-01, db-slave-01, db-slave-02";
        Row::change(Op::Update, text)
            .note("3 alike, shown once")
            .place("stacks/keybuzz.rs:40")
    }

    #[test]
    fn a_note_and_a_place_move_below_only_where_they_must() {
        let one = drawn(&row(), 110);
        assert_eq!(one.len(), 1, "{one:#?}");
        assert!(
            one[0].contains("db-slave-02  3 alike, shown once  "),
            "{one:#?}"
        );
        assert!(one[0].ends_with("stacks/keybuzz.rs:40"), "{one:#?}");
        let two = drawn(&row(), 80);
        assert!(
            two[0].ends_with("db-slave-02    stacks/keybuzz.rs:40"),
            "{two:#?}"
        );
        assert_eq!(two[1..], ["    3 alike, shown once"]);
        let narrow = drawn(&row(), 50);
        assert_eq!(
            narrow,
            [
                "~ patroni-node on db-master-01, db-slave-01,",
                "    db-slave-02               stacks/keybuzz.rs:40",
                "    3 alike, shown once",
            ]
        );
    }

    #[test]
    fn nothing_is_wider_than_the_screen_and_nothing_is_lost() {
        let long = format!("-  {}", "shared_buffers: 128MB ".repeat(9));
        for width in 40..170 {
            for row in [row(), row().indent(3), Row::diff(&long).indent(4)] {
                let lines = drawn(&row, width);
                let widest = lines.iter().map(|line| line.chars().count()).max();
                assert!(widest <= Some(width), "{width}: {lines:#?}");
                let words = |text: &str| text.split_whitespace().count();
                let all = format!("{} {} {}", row.text, row.note, row.place);
                let mark = usize::from(row.mark.is_some());
                assert_eq!(words(&lines.join("\n")), words(&all) + mark, "{lines:#?}");
            }
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_drawn() {
        let hostile = "\u{1b}[2Ja\rb\u{7}\u{9b}31mc\td\u{1b}]0;title\u{7}";
        let rows = [
            Row::change(Op::Update, hostile)
                .note(format!("{hostile}\nbelow"))
                .place(hostile),
            Row::diff(&format!("+{hostile}")),
            Row::check(false, hostile).note(hostile),
        ];
        for row in &rows {
            for color in [false, true] {
                let drawn = row.draw(Style { width: 60, color });
                let plain = console::strip_ansi_codes(&drawn);
                let odd = plain.chars().find(|c| c.is_control() && *c != '\n');
                assert_eq!(odd, None, "{drawn:?}");
                assert!(plain.contains("abc d"), "{drawn:?}");
                assert!(color || plain == drawn, "{drawn:?}");
            }
        }
        let beside = rows[0].draw(Style {
            width: 160,
            color: false,
        });
        assert!(beside.contains("abc d below"), "{beside:?}");
    }

    #[test]
    fn colour_changes_no_text() {
        let style = |color| Style { width: 80, color };
        let plain = row().draw(style(false));
        let coloured = row().draw(style(true));
        assert_ne!(plain, coloured);
        assert_eq!(console::strip_ansi_codes(&coloured), plain);
    }
}
