//! Findings: the one way in which a mistake, a warning or a hint reaches a person.
//!
//! A [`Finding`] is plain data: a stable code, a message, labels that point into sources, and a
//! cure. Every stage makes findings; a [`Report`] gathers them, so that all mistakes of a program
//! are shown at once. Rendering is the last step and apart from the data: [`Renderer`] draws a
//! report with source snippets, as plain lines, or as JSON.
//!
//! Limits: this module prints nothing and reads nothing but the sources that labels name, through
//! a [`SourceReader`] that the caller passes in. A location whose text must not be shown (a line
//! of a credentials file) is [withheld](SourceLocation::withheld): it is named, never quoted.
//! Text from foreign files and hosts may hold terminal escapes; no rendering lets them through.

mod chain;
mod clean;
mod finding;
mod location;
mod render;
mod report;
mod snippet;
mod source;
mod suggest;

pub use chain::error_chain;
pub use clean::cleaned;
pub use finding::{Finding, Label, Note, Severity};
pub use location::{SourceLocation, SourceText};
pub use render::{ColorChoice, Renderer, Symbols};
pub use report::Report;
pub use source::{FileSources, NoSources, SourceReader};
pub use suggest::{did_you_mean, listed};
