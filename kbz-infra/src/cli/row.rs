//! Lines of a screen: a mark, a text, a note beside it and a place at the right margin.
//!
//! Laid out for a width, so that a narrow terminal wraps well; colour only repeats what the
//! marks already say.

use owo_colors::{OwoColorize as _, Style as Paint};

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
const NOTE_COLUMN: usize = 52;

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
            Impact::Recreate | Impact::DataLoss => Tone::Danger,
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
        let mut left = "  ".repeat(self.indent);
        if let Some(mark) = self.mark {
            left.push(mark);
            left.push(' ');
        }
        let hanging = width(&left);
        left.push_str(&self.text);
        let mut plain = left;
        let mut lines = Vec::new();
        if !self.note.is_empty() {
            let start = NOTE_COLUMN.max(width(&plain) + 2);
            if start + width(&self.note) <= style.width {
                plain.push_str(&" ".repeat(start - width(&plain)));
                plain.push_str(&self.note);
            } else {
                lines.push(std::mem::take(&mut plain));
                plain = format!("{}{}", " ".repeat(hanging + 2), self.note);
            }
        }
        if !self.place.is_empty() {
            let taken = width(&plain) + 2 + width(&self.place);
            if taken <= style.width {
                let gap = style.width - width(&plain) - width(&self.place);
                plain.push_str(&" ".repeat(gap));
                plain.push_str(&self.place);
            } else {
                lines.push(std::mem::take(&mut plain));
                plain = format!("{}{}", " ".repeat(hanging + 2), self.place);
            }
        }
        lines.push(plain);
        let painted = lines
            .iter()
            .map(|line| self.painted(line.trim_end(), style));
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
