//! Draws a report: with snippets for people, as lines for logs and editors, as JSON for machines.

use std::ffi::OsStr;
use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan};
use miette::{ThemeCharacters, ThemeStyles};
use owo_colors::{OwoColorize as _, Style};

use super::snippet::{Mark, Snippet, snippets, wrapped};
use super::{Finding, Label, Report, Severity, SourceReader, cleaned};

/// Which characters frame a snippet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symbols {
    /// Box drawing.
    #[default]
    Unicode,
    /// For terminals and logs that know nothing else.
    Ascii,
}

/// Whether colour is wanted. It only repeats what the symbols say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// The decision for one output, given the value of `NO_COLOR` (which counts unless empty).
    pub fn decide(self, no_color: Option<&OsStr>, is_terminal: bool) -> bool {
        match self {
            Self::Auto => is_terminal && no_color.is_none_or(OsStr::is_empty),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// How reports are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renderer {
    width: usize,
    color: bool,
    symbols: Symbols,
}

/// Narrower than this nothing can be framed any more.
const NARROWEST: usize = 40;

/// What the gutter of a snippet takes: a line number of four digits and its border.
const GUTTER: usize = 8;

impl Renderer {
    /// Draws for a terminal of `width` columns, without colour, in Unicode.
    pub fn new(width: usize) -> Self {
        Self {
            width: width.max(NARROWEST),
            color: false,
            symbols: Symbols::Unicode,
        }
    }

    /// With colour or without.
    #[must_use]
    pub fn color(self, color: bool) -> Self {
        Self { color, ..self }
    }

    /// With other characters for the frames.
    #[must_use]
    pub fn symbols(self, symbols: Symbols) -> Self {
        Self { symbols, ..self }
    }

    /// The findings with snippets of the sources that they point into, an empty line between.
    pub fn fancy(&self, report: &Report, sources: &dyn SourceReader) -> String {
        let drawn: Vec<_> = report
            .findings()
            .iter()
            .map(|finding| self.draw(finding, sources))
            .collect();
        drawn.join("\n")
    }

    /// One finding per line, in the form that editors and logs know:
    /// `file:line:column: error: message [code] help: cure`.
    pub fn plain(report: &Report) -> String {
        report.findings().iter().map(plain_line).collect()
    }

    /// One finding per line as a JSON object.
    pub fn json(report: &Report) -> String {
        // Strings and numbers: there is always a JSON text of them.
        let line = |finding| serde_json::to_string(finding).unwrap_or_default() + "\n";
        report.findings().iter().map(line).collect()
    }

    fn draw(&self, finding: &Finding, sources: &dyn SourceReader) -> String {
        let (snippets, unquoted) = snippets(&finding.labels, sources, self.width - GUTTER);
        let mut drawn = self.draw_part(&Part {
            code: Some(&finding.code),
            severity: finding.severity,
            message: cleaned(&finding.message),
            snippet: snippets.first(),
        });
        for snippet in snippets.iter().skip(1) {
            let more = self.draw_part(&Part {
                code: None,
                severity: finding.severity,
                message: String::new(),
                snippet: Some(snippet),
            });
            // The first line would hold the message.
            drawn.extend(more.split_inclusive('\n').skip(1));
        }
        for label in unquoted {
            self.push_entry(&mut drawn, "at", &place_and_text(label));
        }
        for note in &finding.notes {
            self.push_entry(&mut drawn, &cleaned(&note.title), &note.text);
        }
        if let Some(help) = &finding.help {
            self.push_entry(&mut drawn, "help", help);
        }
        drawn
    }

    fn draw_part(&self, part: &Part<'_>) -> String {
        let drawable = Drawable::from(part);
        let mut drawn = String::new();
        self.handler()
            .render_report(&mut drawn, &drawable)
            .expect("writing to a String cannot fail");
        // miette pads lines that end before their frame does.
        drawn
            .lines()
            .flat_map(|line| [line.trim_end(), "\n"])
            .collect()
    }

    fn handler(&self) -> GraphicalReportHandler {
        let characters = match self.symbols {
            Symbols::Unicode => ThemeCharacters::unicode(),
            Symbols::Ascii => ThemeCharacters::ascii(),
        };
        let styles = if self.color {
            ThemeStyles::ansi()
        } else {
            ThemeStyles::none()
        };
        GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
            .with_width(self.width)
            .with_links(false)
            .without_syntax_highlighting()
    }

    /// Adds `  title: text`, wrapped below the text.
    fn push_entry(&self, drawn: &mut String, title: &str, text: &str) {
        let indent = title.chars().count() + 4;
        let room = self.width.saturating_sub(indent).max(NARROWEST / 2);
        let style = if self.color {
            Style::new().cyan()
        } else {
            Style::new()
        };
        for (number, line) in wrapped(&cleaned(text), room).iter().enumerate() {
            let head = match number {
                0 => format!("  {}", format_args!("{title}:").style(style)),
                _ => " ".repeat(indent - 1),
            };
            drawn.push_str(format!("{head} {line}").trim_end());
            drawn.push('\n');
        }
    }
}

fn place_and_text(label: &Label) -> String {
    match label.text.as_str() {
        "" => label.location.to_string(),
        text => format!("{} {text}", label.location),
    }
}

fn plain_line(finding: &Finding) -> String {
    let Finding {
        code,
        severity,
        message,
        ..
    } = finding;
    let place = finding.location().map(|place| format!("{place}: "));
    let head = format!(
        "{}{}: {message} [{code}]",
        place.unwrap_or_default(),
        severity.as_str()
    );
    let labels = finding.labels.iter().filter(|label| !label.text.is_empty());
    let labels = labels.map(|label| format!("{}: {}", label.location, label.text));
    let notes = finding
        .notes
        .iter()
        .map(|note| format!("{}: {}", note.title, note.text));
    let help = finding.help.iter().map(|help| format!("help: {help}"));
    let parts: Vec<_> = labels.chain(notes).chain(help).collect();
    let line = cleaned(&format!("{head} {}", parts.join("; "))).replace('\n', " ");
    format!("{}\n", line.trim_end())
}

struct Part<'a> {
    code: Option<&'a str>,
    severity: Severity,
    message: String,
    snippet: Option<&'a Snippet>,
}

/// A part of a finding in the terms of miette.
#[derive(Debug)]
struct Drawable {
    code: Option<String>,
    severity: miette::Severity,
    message: String,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
}

impl From<&Part<'_>> for Drawable {
    fn from(part: &Part<'_>) -> Self {
        let source =
            |snippet: &Snippet| NamedSource::new(cleaned(&snippet.file), snippet.text.clone());
        let marks = part.snippet.map_or(&[][..], |snippet| &snippet.marks);
        Self {
            code: part.code.map(cleaned),
            severity: match part.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
                Severity::Advice => miette::Severity::Advice,
            },
            message: part.message.clone(),
            source: part.snippet.map(source),
            labels: marks.iter().enumerate().map(span).collect(),
        }
    }
}

fn span((order, mark): (usize, &Mark)) -> LabeledSpan {
    let text = (!mark.text.is_empty()).then(|| mark.text.clone());
    let place = SourceSpan::new(mark.offset.into(), mark.len);
    match order {
        0 => LabeledSpan::new_primary_with_span(text, place),
        _ => LabeledSpan::new_with_span(text, place),
    }
}

impl fmt::Display for Drawable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Drawable {}

impl miette::Diagnostic for Drawable {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code
            .as_ref()
            .map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source
            .as_ref()
            .map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

#[cfg(test)]
mod tests;
