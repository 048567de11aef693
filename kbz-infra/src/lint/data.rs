//! Data that two objects keep in one place.

use super::facts::{Facts, Store};
use super::label::labelled;
use crate::diag::Finding;

/// Data directories inside each other, and data that two services write.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, first) in facts.stores.iter().enumerate() {
        for second in &facts.stores[index + 1..] {
            if overlap(first, second) && first.by.urn != second.by.urn {
                findings.push(nested(first, second));
            }
        }
    }
    for (index, first) in facts.writers.iter().enumerate() {
        for second in &facts.writers[index + 1..] {
            let different = first.1.by.urn != second.1.by.urn;
            if different && overlap(&first.1, &second.1) && holds_data(&first.1, facts) {
                findings.push(shared(first, second));
            }
        }
    }
    findings
}

fn overlap(a: &Store, b: &Store) -> bool {
    a.host == b.host && (below(&a.path, &b.path) || below(&b.path, &a.path))
}

/// Whether `path` is `folder` or inside it.
fn below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Sockets and logs are shared on purpose; what is declared as data is not.
fn holds_data(store: &Store, facts: &Facts) -> bool {
    facts.stores.iter().any(|data| overlap(data, store))
}

fn nested(a: &Store, b: &Store) -> Finding {
    let message = format!(
        "the data directories {} and {} of {} are inside each other",
        a.path, b.path, a.host
    );
    let labels = [
        (&b.by.place, format!("keeps data in {}", b.path)),
        (&a.by.place, format!("keeps data in {}", a.path)),
    ];
    labelled(Finding::error("kbz::data::shared", message), labels)
        .help("give each its own directory")
}

fn shared(a: &(String, Store), b: &(String, Store)) -> Finding {
    let (first, second) = (&a.1, &b.1);
    let message = format!("{} and {} write the same data on {}", a.0, b.0, first.host);
    let labels = [
        (
            &second.by.place,
            format!("{} writes to {}", b.0, second.path),
        ),
        (&first.by.place, format!("{} writes to {}", a.0, first.path)),
    ];
    labelled(Finding::error("kbz::data::shared", message), labels)
        .help("give each its own directory, or mount it read-only in one of them")
}
