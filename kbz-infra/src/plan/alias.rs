//! Addresses that objects had before.

use std::collections::BTreeMap;

use crate::graph::Graph;
use crate::ident::Urn;

/// The addresses that declared objects had before, with those that they have.
pub(super) fn renamed(graph: &Graph) -> BTreeMap<Urn, Urn> {
    let all = graph.in_order();
    let aliases = all.flat_map(|(urn, node)| {
        let aliases = node.options.aliases.iter();
        aliases.map(|alias| (alias.clone(), urn.clone()))
    });
    aliases.collect()
}
