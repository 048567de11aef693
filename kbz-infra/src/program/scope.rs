//! What a program can declare, and where a component declares what it is made of.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::declare::{With, merged};
use super::error::Result;
use super::handle::Handle;
use super::settings::Settings;
use crate::diag::{Finding, SourceLocation};
use crate::ident::{Place, Urn};
use crate::resource::{Claim, Group, Options, Resource};

/// A part of a system that expands into resources. Pure: it declares, and does nothing.
pub trait Component: fmt::Debug + Send + Sync + 'static {
    /// The component's address, unique in the stack.
    fn urn(&self) -> Urn;

    /// The component in a few words, for the right-hand side of a preview.
    fn summary(&self) -> String {
        String::new()
    }

    /// Declares what it is made of. Called once, when the whole program has run, so that it may
    /// ask for everything else that was declared ([`Scope::all`]).
    fn expand(&self, scope: &mut Scope<'_>) -> Result<()>;
}

/// What can be given to [`Stack::add`](super::Stack::add). The parameter only tells the two
/// implementations apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be declared",
    label = "neither a resource nor a component",
    note = "a builder that is not finished, such as a frontend without a backend, is none yet"
)]
pub trait Declarable<Sort>: Sized {
    /// What the handle points to.
    type Declared;

    #[doc(hidden)]
    fn into_parts(self) -> Parts<Self::Declared>;
}

/// A declaration taken apart.
#[doc(hidden)]
#[derive(Debug)]
pub struct Parts<T> {
    pub(super) urn: Urn,
    pub(super) declared: Arc<T>,
    pub(super) entry: Entry,
    pub(super) options: Options,
}

/// Tells resources apart for [`Declarable`].
#[derive(Debug)]
pub struct ResourceSort;
/// Tells components apart for [`Declarable`].
#[derive(Debug)]
pub struct ComponentSort;
/// Tells declarations with options apart for [`Declarable`].
#[derive(Debug)]
pub struct WithSort<S>(std::marker::PhantomData<S>);

impl<R: Resource> Declarable<ResourceSort> for R {
    type Declared = R;

    fn into_parts(self) -> Parts<R> {
        let declared = Arc::new(self);
        Parts {
            urn: declared.urn(),
            entry: Entry::Resource(Arc::clone(&declared) as Arc<dyn Resource>),
            declared,
            options: Options::default(),
        }
    }
}

impl<C: Component> Declarable<ComponentSort> for C {
    type Declared = C;

    fn into_parts(self) -> Parts<C> {
        let declared = Arc::new(self);
        Parts {
            urn: declared.urn(),
            entry: Entry::Component(Arc::clone(&declared) as Arc<dyn Component>),
            declared,
            options: Options::default(),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<S, D: Declarable<S>> Declarable<WithSort<S>> for With<D> {
    type Declared = D::Declared;

    fn into_parts(self) -> Parts<D::Declared> {
        let mut parts = self.inner.into_parts();
        parts.options = merged(parts.options, self.options);
        parts
    }
}

/// A declaration as the stack keeps it until the program has run.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Resource(Arc<dyn Resource>),
    Component(Arc<dyn Component>),
}

/// One declaration with its surroundings.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) urn: Urn,
    pub(super) any: Arc<dyn AnyDebug>,
    pub(super) entry: Entry,
    pub(super) options: Arc<Options>,
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
            options: Arc::new(parts.options.clone()),
            parent,
            place,
        }
    }
}

/// Where a component declares what it is made of.
#[derive(Debug)]
pub struct Scope<'a> {
    pub(super) settings: &'a Settings,
    pub(super) declared: &'a [Declared],
    pub(super) owner: Urn,
    pub(super) options: Options,
    pub(super) place: Place,
    pub(super) added: Vec<Declared>,
    pub(super) claims: Vec<Claim>,
    pub(super) groups: Vec<Group>,
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

    /// Where the program declared something.
    pub fn place_of<T>(&self, handle: &Handle<T>) -> &Place {
        let declared = self.declared.iter();
        let mut named = declared.filter(|declared| declared.urn == *handle.urn());
        named.next().map_or(&self.place, |declared| &declared.place)
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

    /// A mistake of the declaration, pointing at its line.
    pub fn finding(&self, code: &'static str, message: impl Into<String>) -> Finding {
        Finding::error(code, message).label(SourceLocation::from(&self.place), "declared here")
    }

    /// The component's own address.
    pub fn owner(&self) -> &Urn {
        &self.owner
    }
}
