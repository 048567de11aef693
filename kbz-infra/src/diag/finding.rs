//! One thing that a person should know, as plain data.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::SourceLocation;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Advice,
    /// Something will likely go wrong, or surprise; the run goes on.
    Warning,
    /// The run stops before any host is touched.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a source and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    /// The place.
    pub location: SourceLocation,
    /// What is to be said about it; may be empty.
    pub text: String,
}

/// A fact below the snippet, such as `way: a → b → a`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Note {
    /// One word before the colon.
    pub title: String,
    /// The fact.
    pub text: String,
}

/// One mistake, warning or hint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[must_use = "a finding that nobody gathers is never shown"]
pub struct Finding {
    /// A stable name for machines and for searching: `kbz::inventory::duplicate-address`.
    pub code: Cow<'static, str>,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong: a lower-case fragment without a full stop.
    pub message: String,
    /// Where; the first label is the place that the finding is about.
    pub labels: Vec<Label>,
    /// Facts that explain it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// The cure.
    pub help: Option<String>,
}

impl Finding {
    /// A mistake.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message.into())
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message.into())
    }

    /// Something worth knowing.
    pub fn advice(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Advice, message.into())
    }

    fn new(code: &'static str, severity: Severity, message: String) -> Self {
        Self {
            code: Cow::Borrowed(code),
            severity,
            message,
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Points at a place; the first call names the place that the finding is about.
    pub fn label(mut self, location: SourceLocation, text: impl Into<String>) -> Self {
        let text = text.into();
        self.labels.push(Label { location, text });
        self
    }

    /// Adds an explaining fact: `title: text`.
    pub fn note(mut self, title: impl Into<String>, text: impl Into<String>) -> Self {
        let (title, text) = (title.into(), text.into());
        self.notes.push(Note { title, text });
        self
    }

    /// Says the cure.
    pub fn help(mut self, cure: impl Into<String>) -> Self {
        self.help = Some(cure.into());
        self
    }

    /// The place that the finding is about.
    pub fn location(&self) -> Option<&SourceLocation> {
        self.labels.first().map(|label| &label.location)
    }
}
