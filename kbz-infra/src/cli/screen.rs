//! Where the command line writes: results to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write as _};

use super::args::Color;
use super::row::Style;
use crate::diag::{FileSources, Renderer, Report};

/// Columns of a screen that does not say how wide it is.
const DEFAULT_WIDTH: usize = 100;

/// Where and how a command writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    pub(super) style: Style,
    /// Whether a person watches: both a terminal, and no `--json`.
    pub(super) live: bool,
    pub(super) json: bool,
}

impl Screen {
    /// The screen of this process.
    pub(super) fn of_process(color: Color, json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let width = terminal
            .then(|| console::Term::stderr().size_checked())
            .flatten()
            .map_or(DEFAULT_WIDTH, |(_, columns)| usize::from(columns));
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                terminal && !no_color
            }
        };
        Self {
            style: Style { width, color },
            live: terminal && !json,
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
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Shows findings.
    pub(super) fn findings(self, report: &Report) {
        if report.is_empty() {
            return;
        }
        if self.json {
            Self::result(&format!("{}\n", Renderer::json(report)));
            return;
        }
        let here = std::env::current_dir().unwrap_or_default();
        let sources = FileSources::below(here);
        let renderer = Renderer::new(self.style.width).color(self.style.color);
        let _ = write!(std::io::stderr(), "{}", renderer.fancy(report, &sources));
    }
}
