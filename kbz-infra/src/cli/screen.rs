//! Where the command line writes: results to stdout, everything else to stderr.

use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::sync::OnceLock;

use super::args::Color;
use super::row::Style;
use crate::diag::{FileSources, Renderer, Report};

/// Columns of a screen that does not say how wide it is.
const DEFAULT_WIDTH: usize = 100;
/// Below this nothing can be laid out.
const NARROWEST: usize = 40;

/// Why the first result that could not be written could not.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Writes to where results go, at once. A reader that went away (`| head`) is no failure.
fn written(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

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
        let terminal = io::stderr().is_terminal();
        Self {
            style: style(&console::Term::stderr(), terminal),
            result_style: style(&console::Term::stdout(), io::stdout().is_terminal()),
            live: terminal && !dumb && !json,
            json,
        }
    }

    /// Writes a result, for people and scripts alike. What cannot be written stops nothing that
    /// is under way: [`unwritten`](Self::unwritten) tells it at the end.
    pub(super) fn result(text: &str) {
        if let Err(error) = written(&mut io::stdout().lock(), text) {
            // The first one tells what the others do.
            let _ = UNWRITTEN.set(error);
        }
    }

    /// Why a result of this process could not be written, if one could not.
    pub(super) fn unwritten() -> Option<&'static io::Error> {
        UNWRITTEN.get()
    }

    /// Tells a person something; a newline is added.
    pub(super) fn say(self, text: &str) {
        if !self.json {
            Self::remark(text);
        }
    }

    /// Tells a person something beside a result for machines; a newline is added.
    pub(super) fn remark(text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Shows findings beside a result that scripts take as it is: on stderr, to machines too.
    pub(super) fn findings_beside(self, report: &Report) {
        if self.json {
            let _ = io::stderr().write_all(Renderer::json(report).as_bytes());
        } else {
            self.findings(report);
        }
    }

    /// Shows findings; to machines as lines of the result.
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
        let _ = write!(io::stderr(), "{}", renderer.fancy(report, &sources));
    }
}
