//! Images that may be other ones tomorrow.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::label::labelled;
use crate::diag::Finding;
use crate::ident::Place;

/// One finding for each image that is not pinned, and for each build that cannot work.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    for (by, reference) in &facts.images {
        found.entry(reference).or_default().push(&by.place);
    }
    for (by, _, text) in &facts.dockerfiles {
        for base in bases(text) {
            found.entry(base).or_default().push(&by.place);
        }
    }
    let builds = facts.dockerfiles.iter();
    let builds = builds.filter_map(|(by, image, text)| without_apt(&by.place, image, text));
    found
        .into_iter()
        .filter_map(|(reference, places)| finding(reference, &places))
        .chain(builds)
        .collect()
}

/// The images that a Dockerfile starts from; its own stages and build arguments are none.
fn bases(text: &str) -> Vec<&str> {
    let mut stages = BTreeSet::from(["scratch"]);
    let mut bases = Vec::new();
    for line in text.lines() {
        let mut words = line
            .split_whitespace()
            .filter(|word| !word.starts_with("--"));
        if !words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("FROM"))
        {
            continue;
        }
        let base = words.next().unwrap_or_default();
        if !stages.contains(base) && !base.contains('$') {
            bases.push(base);
        }
        stages.extend(words.nth(1));
    }
    bases
}

/// A Dockerfile that calls Debian's package manager where there is none.
fn without_apt(place: &Place, image: &str, text: &str) -> Option<Finding> {
    let alpine = bases(text).into_iter().find(|base| is_alpine(base))?;
    let calls = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || c == ';');
        words.any(|word| word == "apt-get" || word == "apt")
    };
    let (number, _) = (1..).zip(text.lines()).find(|(_, line)| calls(line))?;
    let finding = Finding::error(
        "kbz::image::no-apt",
        format!("{image} cannot be built: {alpine} has no apt"),
    );
    let label = format!("calls apt in line {number} of its Dockerfile");
    Some(
        labelled(finding, [(place, label)]).help(
            "start from the Debian variant of the same version, such as postgres:16.4-bookworm",
        ),
    )
}

fn is_alpine(base: &str) -> bool {
    base.rsplit('/')
        .next()
        .is_some_and(|name| name.contains("alpine"))
}

fn finding(reference: &str, places: &[&Place]) -> Option<Finding> {
    let finding = match tag(reference) {
        Tag::Digest => return None,
        Tag::Missing => Finding::error(
            "kbz::image::latest",
            format!("the image `{reference}` has no tag, so it is whatever is newest"),
        ),
        Tag::Named("latest") => Finding::error(
            "kbz::image::latest",
            format!("the image `{reference}` is whatever is newest"),
        ),
        Tag::Named(tag) if tag.contains(|c: char| c.is_ascii_digit()) => return None,
        Tag::Named(tag) => Finding::warning(
            "kbz::image::moving",
            format!("the tag `{tag}` of `{reference}` has no version, so it may move"),
        ),
    };
    let labels = places.iter().map(|place| (*place, "used here".to_owned()));
    Some(labelled(finding, labels).help("pin an exact version in versions.yaml and use that"))
}

/// What follows the name of an image.
enum Tag<'a> {
    Digest,
    Named(&'a str),
    Missing,
}

fn tag(reference: &str) -> Tag<'_> {
    if reference.contains("@sha256:") {
        return Tag::Digest;
    }
    // What stands before the last slash may hold a colon: the port of a registry.
    let name = reference.rsplit('/').next().unwrap_or(reference);
    match name.split_once(':') {
        Some((_, tag)) if !tag.is_empty() => Tag::Named(tag),
        _ => Tag::Missing,
    }
}
