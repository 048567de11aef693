//! What a picture shows: components with their parts, and the arrows between resources.

use std::collections::{BTreeMap, BTreeSet};

use super::reduce::{Arrows, reduced};
use crate::graph::Graph;
use crate::ident::{HostName, Urn};

/// A component or, at the top, the whole stack.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// Components in it, each with its own parts.
    pub(super) components: Vec<(Urn, Cluster)>,
    /// Resources right in it, in the order of `up`.
    pub(super) resources: Vec<Urn>,
}

/// The parts of the whole stack.
pub(super) fn outline(graph: &Graph) -> Cluster {
    let mut children: BTreeMap<Option<&Urn>, Vec<&Urn>> = BTreeMap::new();
    for (urn, component) in graph.components() {
        let parent = component.parent.as_ref();
        children.entry(parent).or_default().push(urn);
    }
    let mut resources: BTreeMap<Option<&Urn>, Vec<&Urn>> = BTreeMap::new();
    for (urn, node) in graph.in_order() {
        let parent = node.parent.as_ref();
        resources.entry(parent).or_default().push(urn);
    }
    cluster(None, &children, &resources)
}

type Parts<'a> = BTreeMap<Option<&'a Urn>, Vec<&'a Urn>>;

fn cluster(of: Option<&Urn>, children: &Parts<'_>, resources: &Parts<'_>) -> Cluster {
    let owned = |parts: Option<&Vec<&Urn>>| -> Vec<Urn> {
        parts.into_iter().flatten().copied().cloned().collect()
    };
    let components = owned(children.get(&of)).into_iter();
    Cluster {
        components: components
            .map(|urn| {
                let inner = cluster(Some(&urn), children, resources);
                (urn, inner)
            })
            .collect(),
        resources: owned(resources.get(&of)),
    }
}

impl Cluster {
    /// Every resource in it, those of inner components included.
    pub(super) fn all_resources(&self) -> Vec<&Urn> {
        let inner = self.components.iter();
        let inner = inner.flat_map(|(_, cluster)| cluster.all_resources());
        self.resources.iter().chain(inner).collect()
    }
}

/// The arrows between resources, from what is done first to what waits for it.
pub(super) fn arrows(graph: &Graph) -> Arrows<Urn> {
    let mut arrows: Arrows<Urn> = BTreeMap::new();
    for (urn, _) in graph.in_order() {
        for earlier in graph.dependencies(urn) {
            let next = arrows.entry(earlier.clone()).or_default();
            next.insert(urn.clone());
        }
    }
    reduced(&arrows)
}

/// The arrows between outermost components and resources of no component.
pub(super) fn outer_arrows(graph: &Graph, top: &Cluster) -> Arrows<Urn> {
    let mut owners: BTreeMap<&Urn, &Urn> = BTreeMap::new();
    owners.extend(top.resources.iter().map(|urn| (urn, urn)));
    for (owner, cluster) in &top.components {
        owners.extend(cluster.all_resources().into_iter().map(|urn| (urn, owner)));
    }
    let mut arrows: Arrows<Urn> = BTreeMap::new();
    for (urn, _) in graph.in_order() {
        for earlier in graph.dependencies(urn) {
            let (from, to) = (owners[earlier], owners[urn]);
            if from != to {
                let next: &mut BTreeSet<Urn> = arrows.entry(from.clone()).or_default();
                next.insert(to.clone());
            }
        }
    }
    reduced(&arrows)
}

/// A component in a few words: its kind, its name, and its host where the name is another.
pub(super) fn title(urn: &Urn) -> String {
    match urn.host() {
        Some(host) if host.as_str() == urn.name() => format!("{} {host}", urn.kind()),
        Some(host) => format!("{} {} on {host}", urn.kind(), urn.name()),
        None => format!("{} {}", urn.kind(), urn.name()),
    }
}

/// A resource in two pieces: its kind, with its host where the component around it is not of
/// that host, and its name.
pub(super) fn pieces(urn: &Urn, around: Option<&HostName>) -> (String, String) {
    let kind = match urn.host() {
        Some(host) if Some(host) != around => format!("{} on {host}", urn.kind()),
        Some(_) | None => urn.kind().to_string(),
    };
    (kind, urn.name().to_owned())
}
