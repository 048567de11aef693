//! Images that may be other ones tomorrow.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::label::labelled;
use crate::diag::Finding;
use crate::ident::Place;

/// One finding for each image that is not pinned.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    for (by, reference) in &facts.images {
        found.entry(reference).or_default().push(&by.place);
    }
    found
        .into_iter()
        .filter_map(|(reference, places)| finding(reference, &places))
        .collect()
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
