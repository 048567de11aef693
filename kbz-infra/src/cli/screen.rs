//! Where the command line writes: results to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write as _};

use super::args::Color;
use super::row::Style;
use crate::diag::{FileSources, Renderer, Report};

/// Columns of a screen that does not say how wide it is.
const DEFAULT_WIDTH: usize = 100;
/// Below this nothing can be laid out.
const NARROWEST: usize = 40;

/// Where and how a command writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// How remarks and progress are drawn, on stderr.
    pub(super) style: Style,
    /// How results are drawn, on stdout.
    pub(super) result_style: Style,
    /// Whether a person watches: a terminal that can be drawn upon, and no `--json`.
    pub(super) live: bool,
    pub(super) json: bool,
}

impl Screen {
    /// The screen of this process.
    pub(super) fn of_process(color: Color, json: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let style = |term: &console::Term, terminal: bool| Style {
            width: terminal
                .then(|| term.size_checked())
                .flatten()
                .map_or(DEFAULT_WIDTH, |(_, columns)| usize::from(columns))
                .max(NARROWEST),
            color: match color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => terminal && !dumb && !set("NO_COLOR"),
            },
        };
        let terminal = std::io::stderr().is_terminal();
        Self {
            style: style(&console::Term::stderr(), terminal),
            result_style: style(&console::Term::stdout(), std::io::stdout().is_terminal()),
            live: terminal && !dumb && !json,
            json,
        }
    }

    /// Writes a result, for people and scripts alike.
    pub(super) fn result(text: &str) {
        // A reader that went away (`| head`) is no failure.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    /// Tells a person something; a newline is added.
    pub(super) fn say(self, text: &str) {
        if !self.json {
            Self::remark(text);
        }
    }

    /// Tells a person something beside a result for machines; a newline is added.
    pub(super) fn remark(text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Shows findings.
    pub(super) fn findings(self, report: &Report) {
        if report.is_empty() {
            return;
        }
        if self.json {
            Self::result(&Renderer::json(report));
            return;
        }
        let here = std::env::current_dir().unwrap_or_default();
        let sources = FileSources::below(here);
        let renderer = Renderer::new(self.style.width).color(self.style.color);
        let _ = write!(std::io::stderr(), "{}", renderer.fancy(report, &sources));
    }
}
