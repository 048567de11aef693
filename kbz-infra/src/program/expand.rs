//! From declarations to resources: every component is opened, and the components in it.

use std::sync::Arc;

use super::scope::{Component, Declared, Entry, Scope};
use super::settings::Settings;
use crate::diag::{Finding, SourceLocation};
use crate::graph::{ComponentNode, Node};
use crate::ident::Urn;
use crate::resource::{Group, Options, Resource};

/// What all declarations of a program expand to.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) resources: Vec<(Urn, Node)>,
    pub(super) components: Vec<(Urn, ComponentNode)>,
    pub(super) groups: Vec<Group>,
    pub(super) findings: Vec<Finding>,
}

/// Expands every component, and the components in them.
pub(super) fn expand(settings: &Settings, declared: &[Declared]) -> Expanded {
    let mut expanded = Expanded::default();
    let mut waiting: std::collections::VecDeque<Declared> = declared.iter().cloned().collect();
    while let Some(next) = waiting.pop_front() {
        match &next.entry {
            Entry::Resource(resource) => {
                let resource: Arc<dyn Resource> = Arc::clone(resource);
                expanded.resources.push((
                    next.urn,
                    Node {
                        resource,
                        options: next.options,
                        parent: next.parent,
                        declared: next.place,
                    },
                ));
            }
            Entry::Component(component) => {
                let component: Arc<dyn Component> = Arc::clone(component);
                let inner = open(settings, declared, &next, &*component, &mut expanded);
                for part in inner.into_iter().rev() {
                    waiting.push_front(part);
                }
            }
        }
    }
    expanded
}

/// Options that belong to one resource and not to all parts of a component.
fn misplaced(component: &Declared) -> Vec<Finding> {
    let options = &component.options;
    let named = [
        (!options.aliases.is_empty(), "an alias"),
        (!options.postconditions.is_empty(), "a postcondition"),
    ];
    let named = named.into_iter().filter(|(given, _)| *given);
    named
        .map(|(_, what)| {
            let message = format!(
                "{what} belongs to a resource, and `{}` is a component",
                component.urn
            );
            Finding::error("kbz::options::component", message)
                .label(SourceLocation::from(&component.place), "declared here")
                .help("give it to the resource that is meant; a condition of the whole is a Gate")
        })
        .collect()
}

fn open(
    settings: &Settings,
    declared: &[Declared],
    next: &Declared,
    component: &dyn Component,
    expanded: &mut Expanded,
) -> Vec<Declared> {
    let mut scope = Scope {
        settings,
        declared,
        owner: next.urn.clone(),
        options: Options::clone(&next.options),
        place: next.place.clone(),
        added: Vec::new(),
        claims: Vec::new(),
        groups: Vec::new(),
    };
    expanded.findings.extend(misplaced(next));
    scope.options.aliases.clear();
    scope.options.postconditions.clear();
    if let Err(error) = component.expand(&mut scope) {
        expanded.findings.extend(error.0.findings().iter().cloned());
    }
    expanded.groups.extend(scope.groups);
    expanded.components.push((
        next.urn.clone(),
        ComponentNode {
            parent: next.parent.clone(),
            declared: next.place.clone(),
            claims: scope.claims,
            summary: component.summary(),
        },
    ));
    scope.added
}
