//! What a program declares, as a graph of resources.
//!
//! Wraps petgraph entirely: no node index leaves this module. A dependency on a component is a
//! dependency on every resource under it. A cycle is an error that names its whole path.

pub mod picture;
#[cfg(test)]
pub(crate) mod testkit;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::DfsPostOrder;

use crate::ident::{Place, StackName, Urn};
use crate::resource::{Claim, Group, Options, Resource};

/// One resource of a program.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it should be.
    pub resource: Arc<dyn Resource>,
    /// What the program said of it besides. Shared: it is the larger part of a node, and a program
    /// and its graph hold the same.
    pub options: Arc<Options>,
    /// The component that it is part of.
    pub parent: Option<Urn>,
    /// Where it, or its component, was declared.
    pub declared: Place,
}

/// One component of a program.
#[derive(Debug, Clone)]
pub struct ComponentNode {
    /// The component that it is part of.
    pub parent: Option<Urn>,
    /// Where it was declared.
    pub declared: Place,
    /// What it means for the topology.
    pub claims: Vec<Claim>,
    /// What it says to people, such as a version.
    pub summary: String,
}

/// Everything that a program declares, before it is checked.
#[derive(Debug, Clone)]
pub struct Declarations {
    /// The stack.
    pub stack: StackName,
    /// Resources in the order of their declaration.
    pub resources: Vec<(Urn, Node)>,
    /// Components in the order of their declaration.
    pub components: Vec<(Urn, ComponentNode)>,
    /// Groups whose members must not be disturbed together.
    pub groups: Vec<Group>,
    /// What the program states besides its resources, such as what it exports.
    pub statements: Vec<(Urn, Place, Claim)>,
}

impl Declarations {
    /// What [`Graph::claims`] says, also where the declarations are no graph.
    pub fn claims(&self) -> Vec<(Urn, Place, Claim)> {
        let components = self.components.iter().map(|(urn, node)| (urn, node));
        let resources = self.resources.iter().map(|(urn, node)| (urn, node));
        claims(components, resources, &self.statements)
    }
}

/// Why declarations are no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two declarations have the same address.
    #[error("`{urn}` is declared twice")]
    Duplicate {
        /// The address.
        urn: Urn,
        /// The first declaration.
        first: Place,
        /// The second declaration.
        second: Place,
    },
    /// A dependency on something that nobody declares.
    #[error("`{from}` depends on `{to}`, which nobody declares")]
    Unknown {
        /// Who depends.
        from: Urn,
        /// On what.
        to: Urn,
        /// Where that was declared.
        declared: Place,
    },
    /// Resources that wait for each other.
    #[error("these wait for each other: {}", path_text(path))]
    Cycle {
        /// The whole circle; the last waits for the first.
        path: Vec<(Urn, Place)>,
    },
}

fn path_text(path: &[(Urn, Place)]) -> String {
    let mut names: Vec<String> = path.iter().map(|(urn, _)| urn.to_string()).collect();
    names.extend(names.first().cloned());
    names.join(" → ")
}

/// Checked declarations: addresses are unique, dependencies known and free of circles.
#[derive(Debug, Clone)]
pub struct Graph {
    stack: StackName,
    /// The resources, each after all that it depends on.
    resources: Vec<Placed>,
    /// Where each stands among them.
    places: BTreeMap<Urn, usize>,
    components: BTreeMap<Urn, ComponentNode>,
    groups: Vec<Group>,
    statements: Vec<(Urn, Place, Claim)>,
}

/// A resource in its place.
#[derive(Debug, Clone)]
struct Placed {
    urn: Urn,
    node: Node,
    dependencies: BTreeSet<Urn>,
}

impl Graph {
    /// Checks declarations; all errors at once.
    pub fn new(declarations: Declarations) -> Result<Self, Vec<GraphError>> {
        let Declarations {
            stack,
            resources,
            components,
            groups,
            statements,
        } = declarations;
        let mut errors = duplicates(&resources, &components);
        let components: BTreeMap<Urn, ComponentNode> = components.into_iter().collect();
        let leaves = leaves_of(&resources, &components);
        let mut places = places_of(resources.iter().map(|(urn, _)| urn));
        let mut dependencies = Vec::with_capacity(resources.len());
        for (urn, node) in &resources {
            let mut direct = BTreeSet::new();
            for wanted in node.options.depends_on.iter().chain(&node.options.within) {
                if places.contains_key(wanted) {
                    direct.insert(wanted.clone());
                } else if components.contains_key(wanted) {
                    direct.extend(leaves.get(wanted).into_iter().flatten().cloned());
                } else {
                    errors.push(GraphError::Unknown {
                        from: urn.clone(),
                        to: wanted.clone(),
                        declared: node.declared.clone(),
                    });
                }
            }
            dependencies.push(direct);
        }
        let order = match sorted(&resources, &places, &dependencies) {
            Ok(order) => order,
            Err(cycles) => {
                errors.extend(cycles);
                Vec::new()
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let all = resources.into_iter().zip(dependencies);
        let one = |((urn, node), dependencies)| Placed {
            urn,
            node,
            dependencies,
        };
        let resources = in_this_order(&order, all.map(one));
        for (place, resource) in resources.iter().enumerate() {
            places.insert(resource.urn.clone(), place);
        }
        Ok(Self {
            stack,
            resources,
            places,
            components,
            groups,
            statements,
        })
    }

    fn placed(&self, urn: &Urn) -> Option<&Placed> {
        self.places.get(urn).map(|place| &self.resources[*place])
    }

    /// The same, in which these objects keep fields as they are found to be.
    pub fn adopting(mut self, adopted: BTreeMap<Urn, BTreeMap<String, String>>) -> Self {
        for (urn, fields) in adopted {
            if let Some(place) = self.places.get(&urn) {
                let node = &mut self.resources[*place].node;
                Arc::make_mut(&mut node.options).adopted.extend(fields);
            }
        }
        self
    }

    /// The stack.
    pub fn stack(&self) -> &StackName {
        &self.stack
    }

    /// A resource by its address.
    pub fn node(&self, urn: &Urn) -> Option<&Node> {
        self.placed(urn).map(|placed| &placed.node)
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// The resources, each after all that it depends on; otherwise in the order of the program.
    pub fn in_order(&self) -> impl DoubleEndedIterator<Item = (&Urn, &Node)> {
        self.resources
            .iter()
            .map(|placed| (&placed.urn, &placed.node))
    }

    /// The components by address.
    pub fn components(&self) -> impl Iterator<Item = (&Urn, &ComponentNode)> {
        self.components.iter()
    }

    /// A component by its address.
    pub fn component(&self, urn: &Urn) -> Option<&ComponentNode> {
        self.components.get(urn)
    }

    /// The groups in the order of the program.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What a resource depends on directly.
    pub fn dependencies(&self, urn: &Urn) -> &BTreeSet<Urn> {
        static NONE: BTreeSet<Urn> = BTreeSet::new();
        self.placed(urn)
            .map_or(&NONE, |placed| &placed.dependencies)
    }

    /// Everything that resources, components and the program itself state about the topology,
    /// with who states it and where that was declared.
    pub fn claims(&self) -> Vec<(Urn, Place, Claim)> {
        claims(self.components.iter(), self.in_order(), &self.statements)
    }
}

fn claims<'a>(
    components: impl Iterator<Item = (&'a Urn, &'a ComponentNode)>,
    resources: impl Iterator<Item = (&'a Urn, &'a Node)>,
    statements: &[(Urn, Place, Claim)],
) -> Vec<(Urn, Place, Claim)> {
    let components = components.flat_map(|(urn, component)| {
        let claims = component.claims.iter().cloned();
        claims.map(move |claim| (urn.clone(), component.declared.clone(), claim))
    });
    let resources = resources.flat_map(|(urn, node)| {
        let claims = node.resource.claims().into_iter();
        claims.map(move |claim| (urn.clone(), node.declared.clone(), claim))
    });
    components
        .chain(resources)
        .chain(statements.iter().cloned())
        .collect()
}

fn duplicates(resources: &[(Urn, Node)], components: &[(Urn, ComponentNode)]) -> Vec<GraphError> {
    let resources = resources.iter().map(|(urn, node)| (urn, &node.declared));
    let components = components
        .iter()
        .map(|(urn, component)| (urn, &component.declared));
    let mut seen: BTreeMap<&Urn, &Place> = BTreeMap::new();
    let mut errors = Vec::new();
    for (urn, declared) in resources.chain(components) {
        match seen.entry(urn) {
            Entry::Vacant(entry) => drop(entry.insert(declared)),
            Entry::Occupied(entry) => errors.push(GraphError::Duplicate {
                urn: urn.clone(),
                first: (*entry.get()).clone(),
                second: declared.clone(),
            }),
        }
    }
    errors
}

/// For each component, the resources under it.
fn leaves_of(
    resources: &[(Urn, Node)],
    components: &BTreeMap<Urn, ComponentNode>,
) -> BTreeMap<Urn, Vec<Urn>> {
    let mut leaves: BTreeMap<Urn, Vec<Urn>> = BTreeMap::new();
    for (urn, node) in resources {
        let mut above = node.parent.as_ref();
        while let Some(component) = above {
            leaves
                .entry(component.clone())
                .or_default()
                .push(urn.clone());
            above = components
                .get(component)
                .and_then(|node| node.parent.as_ref());
        }
    }
    leaves
}

/// Where each address stands in a row.
fn places_of<'a>(urns: impl Iterator<Item = &'a Urn>) -> BTreeMap<Urn, usize> {
    let places = urns.enumerate();
    places.map(|(place, urn)| (urn.clone(), place)).collect()
}

/// The places of the resources, each after those of all that it depends on.
fn sorted(
    resources: &[(Urn, Node)],
    places: &BTreeMap<Urn, usize>,
    dependencies: &[BTreeSet<Urn>],
) -> Result<Vec<usize>, Vec<GraphError>> {
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(resources.len(), resources.len());
    for _ in resources {
        graph.add_node(());
    }
    for (user, wanted) in dependencies.iter().enumerate() {
        for used in wanted {
            graph.add_edge(NodeIndex::new(user), NodeIndex::new(places[used]), ());
        }
    }
    if let Some(order) = dependencies_first(&graph) {
        return Ok(order.into_iter().map(NodeIndex::index).collect());
    }
    let is_circle =
        |members: &Vec<NodeIndex>| members.len() > 1 || graph.contains_edge(members[0], members[0]);
    Err(kosaraju_scc(&graph)
        .iter()
        .filter(|members| is_circle(members))
        .map(|members| cycle(members, &graph, resources))
        .collect())
}

/// All of `items`, in the order of these places of theirs.
fn in_this_order<T>(places: &[usize], items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<Option<T>> = items.map(Some).collect();
    let taken = places.iter().filter_map(|place| items[*place].take());
    taken.collect()
}

/// Each node after all that it points to, otherwise in the order of their making; `None` when
/// some point to each other. Walks without recursion, however long a chain is.
fn dependencies_first(graph: &DiGraph<(), ()>) -> Option<Vec<NodeIndex>> {
    let mut order = Vec::with_capacity(graph.node_count());
    let mut walk = DfsPostOrder::empty(graph);
    for node in graph.node_indices() {
        walk.move_to(node);
        while let Some(next) = walk.next(graph) {
            order.push(next);
        }
    }
    let mut places = vec![0; graph.node_count()];
    for (place, node) in order.iter().enumerate() {
        places[node.index()] = place;
    }
    let follows = |edge: EdgeIndex| {
        let ends = graph.edge_endpoints(edge);
        ends.is_some_and(|(user, used)| places[used.index()] < places[user.index()])
    };
    graph.edge_indices().all(follows).then_some(order)
}

/// One circle through the members of a strongly connected component.
fn cycle(members: &[NodeIndex], graph: &DiGraph<(), ()>, resources: &[(Urn, Node)]) -> GraphError {
    let inside: BTreeSet<NodeIndex> = members.iter().copied().collect();
    let mut walked = vec![members[0]];
    loop {
        let here = walked[walked.len() - 1];
        let Some(next) = graph.neighbors(here).find(|next| inside.contains(next)) else {
            break;
        };
        if let Some(start) = walked.iter().position(|seen| *seen == next) {
            walked.drain(..start);
            break;
        }
        walked.push(next);
    }
    let member = |index: NodeIndex| {
        let (urn, node) = &resources[index.index()];
        (urn.clone(), node.declared.clone())
    };
    let path = walked.into_iter().map(member).collect();
    GraphError::Cycle { path }
}
