//! From declarations to resources: every component is opened, and the components in it.

use std::sync::Arc;

use super::scope::{Component, Declared, Entry, Scope};
use super::settings::Settings;
use crate::diag::Finding;
use crate::graph::{ComponentNode, Node};
use crate::ident::Urn;
use crate::resource::{Group, Resource};

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
        options: next.options.clone(),
        place: next.place.clone(),
        added: Vec::new(),
        claims: Vec::new(),
        groups: Vec::new(),
    };
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
