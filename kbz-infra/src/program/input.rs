//! What all readers of inputs share: their error, and reading a file.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::diag::{Finding, Report, SourceLocation, SourceText};

/// Everything that is wrong with an input, or with what the program asks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputErrors {
    report: Report,
}

impl InputErrors {
    /// The findings, in the order of the file.
    pub fn findings(&self) -> &[Finding] {
        self.report.findings()
    }
}

impl fmt::Display for InputErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.findings() {
            [] => f.write_str("an input is wrong"),
            [one] => f.write_str(&one.message),
            [first, rest @ ..] => write!(f, "{}, and {} more", first.message, rest.len()),
        }
    }
}

impl std::error::Error for InputErrors {}

impl From<InputErrors> for Report {
    fn from(errors: InputErrors) -> Self {
        errors.report
    }
}

impl From<Finding> for InputErrors {
    fn from(finding: Finding) -> Self {
        Self {
            report: Report::from(finding),
        }
    }
}

/// Gathers what is wrong with one input while it is read.
#[derive(Debug, Default)]
pub(super) struct Faults {
    report: Report,
}

impl Faults {
    pub(super) fn push(&mut self, finding: Finding) {
        self.report.push(finding);
    }

    /// `value`, unless something was wrong.
    pub(super) fn unless_any<T>(self, value: T) -> Result<T, InputErrors> {
        if self.report.has_errors() {
            Err(self.into_errors())
        } else {
            Ok(value)
        }
    }

    pub(super) fn into_errors(self) -> InputErrors {
        InputErrors {
            report: self.report.by_place(),
        }
    }
}

/// Reads a text file that the program asked for at `asked`.
pub(super) fn read(path: &Path, what: &str, asked: SourceLocation) -> Result<String, InputErrors> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, what, &error, asked))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        let source = SourceText::new(path.display().to_string(), &text);
        Finding::error(
            "kbz::input::not-utf8",
            format!("{} is no UTF-8 text", path.display()),
        )
        .label(
            source.at_bytes(valid..valid + 1),
            "the first byte that is not",
        )
        .help("save the file as UTF-8")
        .into()
    })
}

fn unreadable(
    path: &Path,
    what: &str,
    error: &std::io::Error,
    asked: SourceLocation,
) -> InputErrors {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Finding::error(
        "kbz::input::unreadable",
        format!("{what} {} {why}", path.display()),
    )
    .label(asked, "asked for here")
    .help("kbz.toml says for each environment where its inputs are")
    .into()
}

/// The path of an input as its locations name it.
pub(super) fn name_of(path: &Path) -> String {
    let plain: PathBuf = path
        .components()
        .filter(|part| !matches!(part, std::path::Component::CurDir))
        .collect();
    plain.display().to_string()
}
