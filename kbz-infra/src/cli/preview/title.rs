//! Names of objects for people.

use crate::ident::Urn;

/// An object as a person calls it.
pub(in crate::cli) fn title(urn: &Urn) -> String {
    match urn.host() {
        Some(host) if urn.name() == host.as_str() => format!("{} on {host}", urn.kind()),
        Some(host) => format!("{} {} on {host}", urn.kind(), urn.name()),
        None => format!("{} {}", urn.kind(), urn.name()),
    }
}
