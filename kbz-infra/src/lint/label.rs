//! Putting labels on findings, and names into sentences.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::diag::{Finding, SourceLocation};
use crate::ident::Place;

/// Labels at places, each place once: the first text said of a place stands.
pub(super) fn labelled<'a>(
    finding: Finding,
    labels: impl IntoIterator<Item = (&'a Place, String)>,
) -> Finding {
    let mut seen = BTreeSet::new();
    labels.into_iter().fold(finding, |finding, (place, text)| {
        if seen.insert(place.clone()) {
            finding.label(SourceLocation::from(place), text)
        } else {
            finding
        }
    })
}

/// `a`, `a and b`, `a, b and c`; each once, in the order given.
pub(super) fn and<T: Display>(words: impl IntoIterator<Item = T>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for word in words {
        let word = word.to_string();
        if !distinct.contains(&word) {
            distinct.push(word);
        }
    }
    match distinct.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}
