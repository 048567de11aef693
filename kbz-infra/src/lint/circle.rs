//! Connections that run in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::facts::{Facts, Hop, Way};
use super::label::labelled;
use crate::diag::Finding;
use crate::ident::Place;

/// One finding for each circle; circles through the same declarations count as one.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut seen: BTreeSet<BTreeSet<Place>> = BTreeSet::new();
    let mut findings = Vec::new();
    for start in &facts.hops {
        let Some(circle) = shortest_circle(start, facts) else {
            continue;
        };
        // A balancer that leads to itself has the address of a target, which is told as that.
        if let [alone] = circle[..]
            && matches!(alone.way, Way::Balancer { .. })
        {
            continue;
        }
        let places = circle.iter().map(|hop| hop.by.place.clone()).collect();
        if seen.insert(places) {
            findings.push(finding(&from_the_outside(circle)));
        }
    }
    findings
}

/// The hops of the shortest way from a hop back to itself.
fn shortest_circle<'a>(start: &'a Hop, facts: &'a Facts) -> Option<Vec<&'a Hop>> {
    let mut before: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    let mut open = VecDeque::new();
    for (index, hop) in followers(start, facts) {
        before.insert(index, None);
        open.push_back((index, hop));
    }
    while let Some((index, hop)) = open.pop_front() {
        if std::ptr::eq(hop, start) {
            return Some(walked(index, &before, facts));
        }
        for (next, following) in followers(hop, facts) {
            before.entry(next).or_insert_with(|| {
                open.push_back((next, following));
                Some(index)
            });
        }
    }
    None
}

/// The hops that take up what `hop` hands on.
fn followers<'a>(hop: &'a Hop, facts: &'a Facts) -> impl Iterator<Item = (usize, &'a Hop)> {
    let all = facts.hops.iter().enumerate();
    all.filter(|(_, next)| hop.to.contains(&next.from))
}

/// The hops that led to `end`, in order; `end` is both the first and the last of the circle.
fn walked<'a>(
    end: usize,
    before: &BTreeMap<usize, Option<usize>>,
    facts: &'a Facts,
) -> Vec<&'a Hop> {
    let mut path = vec![&facts.hops[end]];
    let mut here = end;
    while let Some(Some(earlier)) = before.get(&here) {
        if *earlier == end {
            break;
        }
        path.push(&facts.hops[*earlier]);
        here = *earlier;
    }
    path[1..].reverse();
    path
}

/// The same circle from where clients come in: from a balancer, where there is one.
fn from_the_outside(mut circle: Vec<&Hop>) -> Vec<&Hop> {
    let entry = |hop: &&Hop| matches!(hop.way, Way::Balancer { .. });
    let first = circle.iter().position(entry).unwrap_or_default();
    circle.rotate_left(first);
    circle
}

fn finding(circle: &[&Hop]) -> Finding {
    let (first, last) = (circle[0], circle[circle.len() - 1]);
    let names = circle.iter().chain([&first]);
    let way: Vec<String> = names
        .map(|hop| format!("{}:{}", hop.name, hop.from.port))
        .collect();
    let closing = format!("{} connects to {} …", last.name, first.from);
    let leading = format!("… which leads back to {}", last.name);
    let between = circle.iter().skip(1).rev().skip(1);
    let labels = [(&last.by.place, closing), (&first.by.place, leading)]
        .into_iter()
        .chain(between.map(|hop| (&hop.by.place, format!("by way of {}", hop.name))));
    let finding = Finding::error(
        "kbz::topology::loop",
        format!("a connection to {} would run in a circle", first.from),
    );
    labelled(finding, labels)
        .note("way", way.join(" → "))
        .help(cure(last, first))
}

fn cure(last: &Hop, first: &Hop) -> String {
    if std::ptr::eq(last, first) {
        return format!("let {} connect to a server, not to itself", last.name);
    }
    format!(
        "let {} connect to something that does not lead back to it: a server, or a service \
         between it and the servers",
        last.name
    )
}
