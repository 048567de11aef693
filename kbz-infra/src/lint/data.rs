//! Data that two objects keep in one place, and places for data that nobody uses.

use std::collections::BTreeMap;

use super::facts::{Facts, Store};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::Place;

/// Data directories inside each other, data that two services write, and data directories that
/// nothing writes to.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let data: Vec<End<'_>> = facts.stores.iter().map(|store| ("", store)).collect();
    let written = facts
        .writers
        .iter()
        .filter(|(_, store)| holds_data(store, facts));
    let written: Vec<End<'_>> = written.map(|(who, store)| (who.as_str(), store)).collect();
    let mut findings = folded(&data, nested);
    findings.extend(folded(&written, shared));
    findings.extend(unused(facts));
    findings
}

/// Data directories that are prepared and checked, while the data lies elsewhere.
fn unused(facts: &Facts) -> Vec<Finding> {
    let is_written = |data: &Store| facts.writers.iter().any(|(_, to)| overlap(data, to));
    let (written, idle): (Vec<&Store>, Vec<&Store>) =
        facts.stores.iter().partition(|data| is_written(data));
    let mut found: BTreeMap<(&Place, &str), Vec<&Store>> = BTreeMap::new();
    for data in idle {
        let key = (&data.by.place, data.path.as_str());
        found.entry(key).or_default().push(data);
    }
    found
        .into_iter()
        .map(|((place, path), stores)| {
            let hosts = and(stores.iter().map(|store| &store.host));
            let finding = Finding::warning(
                "kbz::data::unused",
                format!("nothing of this stack writes to the data directory {path} of {hosts}"),
            );
            let beside = written.iter();
            let beside = beside.filter(|data| stores.iter().any(|idle| idle.host == data.host));
            let beside = beside.map(|data| (&data.by.place, format!("data goes to {}", data.path)));
            let own = (place, "prepared here, and used by nobody".to_owned());
            labelled(finding, [own].into_iter().chain(beside))
                .help("take it away, or let the service keep its data there")
        })
        .collect()
}

pub(super) fn overlap(a: &Store, b: &Store) -> bool {
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

/// Somebody, where that counts, and where the data is.
type End<'a> = (&'a str, &'a Store);

/// One finding for each two declarations with data in one place, on however many hosts.
fn folded(ends: &[End<'_>], finding: fn(End<'_>, End<'_>, &str) -> Finding) -> Vec<Finding> {
    let mut found: BTreeMap<_, Vec<(End<'_>, End<'_>)>> = BTreeMap::new();
    for (index, first) in ends.iter().enumerate() {
        for second in &ends[index + 1..] {
            if overlap(first.1, second.1) && first.1.by.urn != second.1.by.urn {
                let key = [first, second].map(|(who, at)| (&at.by.place, *who, &at.path));
                found.entry(key).or_default().push((*first, *second));
            }
        }
    }
    found
        .into_values()
        .map(|pairs| {
            let hosts = and(pairs.iter().map(|(first, _)| &first.1.host));
            finding(pairs[0].0, pairs[0].1, &hosts)
        })
        .collect()
}

fn nested((_, a): End<'_>, (_, b): End<'_>, hosts: &str) -> Finding {
    let message = format!(
        "the data directories {} and {} of {hosts} are inside each other",
        a.path, b.path
    );
    let labels = [
        (&b.by.place, format!("keeps data in {}", b.path)),
        (&a.by.place, format!("keeps data in {}", a.path)),
    ];
    labelled(Finding::error("kbz::data::shared", message), labels)
        .help("give each its own directory")
}

fn shared((who, first): End<'_>, (other, second): End<'_>, hosts: &str) -> Finding {
    let message = format!("{who} and {other} write the same data on {hosts}");
    let labels = [
        (
            &second.by.place,
            format!("{other} writes to {}", second.path),
        ),
        (&first.by.place, format!("{who} writes to {}", first.path)),
    ];
    labelled(Finding::error("kbz::data::shared", message), labels)
        .help("give each its own directory, or mount it read-only in one of them")
}
