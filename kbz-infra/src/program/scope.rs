//! Where a component declares what it is made of.

use std::any::Any;
use std::sync::Arc;

use super::Handle;
use super::declare::{Declarable, Entry, Parts, merged};
use super::stack::Settings;
use crate::diag::Finding;
use crate::graph::{ComponentNode, Node};
use crate::ident::{Place, Urn};
use crate::resource::{Claim, Group, Options, Resource};

use super::Component;

/// One declaration with its surroundings.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) urn: Urn,
    pub(super) any: Arc<dyn AnyDebug>,
    pub(super) entry: Entry,
    pub(super) options: Options,
    pub(super) parent: Option<Urn>,
    pub(super) place: Place,
}

/// `Any` that can be printed while debugging.
pub(super) trait AnyDebug: std::fmt::Debug + Send + Sync {
    fn any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<T: std::fmt::Debug + Send + Sync + 'static> AnyDebug for T {
    fn any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl Declared {
    pub(super) fn new<T>(parts: &Parts<T>, parent: Option<Urn>, place: Place) -> Self
    where
        T: std::fmt::Debug + Send + Sync + 'static,
    {
        Self {
            urn: parts.urn.clone(),
            any: Arc::clone(&parts.declared) as Arc<dyn AnyDebug>,
            entry: parts.entry.clone(),
            options: parts.options.clone(),
            parent,
            place,
        }
    }
}

/// Where a component declares what it is made of.
#[derive(Debug)]
pub struct Scope<'a> {
    settings: &'a Settings,
    declared: &'a [Declared],
    owner: Urn,
    options: Options,
    place: Place,
    added: Vec<Declared>,
    claims: Vec<Claim>,
    groups: Vec<Group>,
}

impl Scope<'_> {
    /// Declares a resource or a further component as part of this one.
    pub fn add<S, D>(&mut self, declaration: D) -> Handle<D::Declared>
    where
        D: Declarable<S>,
        D::Declared: std::fmt::Debug + Send + Sync + 'static,
    {
        let mut parts = declaration.into_parts();
        parts.options = merged(self.options.clone(), parts.options);
        let owner = Some(self.owner.clone());
        self.added
            .push(Declared::new(&parts, owner, self.place.clone()));
        Handle::new(parts.urn, parts.declared)
    }

    /// Every declaration of a type that the program made, in its order.
    pub fn all<T: Send + Sync + 'static>(&self) -> Vec<Handle<T>> {
        self.declared
            .iter()
            .filter_map(|declared| {
                let any = Arc::clone(&declared.any).any().downcast::<T>().ok()?;
                Some(Handle::new(declared.urn.clone(), any))
            })
            .collect()
    }

    /// States something about the topology.
    pub fn claim(&mut self, claim: Claim) {
        self.claims.push(claim);
    }

    /// Declares a group whose members must not be disturbed together.
    pub fn group(&mut self, group: Group) {
        self.groups.push(group);
    }

    /// What the environment says of all hosts.
    pub fn settings(&self) -> &Settings {
        self.settings
    }

    /// Where the component was declared.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The component's own address.
    pub fn owner(&self) -> &Urn {
        &self.owner
    }
}

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
