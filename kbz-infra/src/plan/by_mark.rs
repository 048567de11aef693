//! What is remembered of objects that are found by their mark alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::effect::{Line, Record};
use crate::graph::Graph;
use crate::ident::{Digest, Urn};
use crate::secret::Vault;

/// Of objects that bear the stack's mark, what is declared, as it is to be remembered, and the rest.
pub fn by_mark(
    graph: &Graph,
    vault: &Vault,
    found: impl IntoIterator<Item = Urn>,
) -> (BTreeMap<Urn, Record>, BTreeSet<Urn>) {
    let mut declared = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for urn in found {
        let Some(node) = graph.node(&urn) else {
            unknown.insert(urn);
            continue;
        };
        let record = Record {
            // What it was made to be is forgotten.
            goal: vault.keyed(&Digest::of("")),
            removal: node.resource.removal().into(),
            depends_on: all_dependencies(graph, &urn),
            protect: node.options.protect,
            retain: node.options.retain_on_delete,
            line: Line::default(),
            urn: urn.clone(),
        };
        declared.insert(urn, record);
    }
    (declared, unknown)
}

/// What an object depends on, near and far: what stands between may be remembered by nobody.
fn all_dependencies(graph: &Graph, urn: &Urn) -> BTreeSet<Urn> {
    let mut all = BTreeSet::new();
    let mut near = vec![urn];
    while let Some(urn) = near.pop() {
        let fresh = graph.dependencies(urn).iter();
        near.extend(fresh.filter(|urn| all.insert(Urn::clone(urn))));
    }
    all
}
