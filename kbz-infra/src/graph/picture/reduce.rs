//! Transitive reduction: arrows that follow from others are left out.

use std::collections::{BTreeMap, BTreeSet};

/// For each thing, what comes right after it.
pub(super) type Arrows<T> = BTreeMap<T, BTreeSet<T>>;

/// The same order with as few arrows as possible. Things that wait for each other, which
/// components may, keep the arrows between them.
pub(super) fn reduced<T: Ord + Clone>(arrows: &Arrows<T>) -> Arrows<T> {
    let reach: BTreeMap<&T, BTreeSet<&T>> = arrows
        .keys()
        .map(|start| (start, reached(start, arrows)))
        .collect();
    let leads = |from: &T, to: &T| reach.get(from).is_some_and(|all| all.contains(to));
    let told = |from: &T, to: &T, others: &BTreeSet<T>| {
        let by_way_of = |other: &T| other != to && leads(other, to) && !leads(to, other);
        !leads(to, from) && others.iter().any(by_way_of)
    };
    arrows
        .iter()
        .map(|(from, next)| {
            let kept = next.iter().filter(|to| !told(from, to, next));
            (from.clone(), kept.cloned().collect())
        })
        .collect()
}

/// Everything that comes after `start`; `start` itself only when it waits for itself.
fn reached<'a, T: Ord>(start: &T, arrows: &'a Arrows<T>) -> BTreeSet<&'a T> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&T> = arrows.get(start).into_iter().flatten().collect();
    while let Some(here) = open.pop() {
        if reached.insert(here) {
            open.extend(arrows.get(here).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(text: &str) -> Arrows<char> {
        let mut arrows = Arrows::new();
        for pair in text.split_whitespace() {
            let mut ends = pair.chars();
            let (from, to) = (ends.next().unwrap(), ends.next().unwrap());
            arrows.entry(from).or_insert_with(BTreeSet::new).insert(to);
        }
        arrows
    }

    #[test]
    fn what_follows_is_left_out() {
        for (given, wanted) in [
            ("ab bc ac", "ab bc"),
            ("ab bc cd ad ac bd", "ab bc cd"),
            ("ab ac bd cd ad", "ab ac bd cd"),
            // A circle keeps its own arrows, and one way in is enough.
            ("ab ba", "ab ba"),
            ("xa xb ab bc", "xa ab bc"),
        ] {
            assert_eq!(reduced(&arrows(given)), arrows(wanted), "{given}");
        }
    }
}
