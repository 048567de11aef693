//! Options of a declaration, resource or component.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::handle::Handle;
use crate::effect::Gate;
use crate::ident::{HostName, Urn};
use crate::resource::{GroupName, Options};

/// A declaration with options.
#[derive(Debug, Clone)]
pub struct With<D> {
    pub(super) inner: D,
    pub(super) options: Options,
}

/// What can be said of any declaration, resource or component. What is said of a component
/// holds for every resource in it.
///
/// ```
/// use kbz_infra::prelude::*;
///
/// let host = HostName::new("haproxy-01")?;
/// let motd = File::on(&host, "/etc/motd").content("hello\n").protect().ignore_changes(["mode"]);
/// # Ok::<(), kbz_infra::ident::InvalidName>(())
/// ```
pub trait DeclareExt: Sized {
    /// Adds options.
    fn with(self, change: impl FnOnce(&mut Options)) -> With<Self>;

    /// Never deletes or replaces it: a plan that would is refused.
    fn protect(self) -> With<Self> {
        self.with(|options| options.protect = true)
    }

    /// When it goes, forgets it and takes its mark away, and leaves it as it is. What it lies in
    /// must be retained too.
    fn retain_on_delete(self) -> With<Self> {
        self.with(|options| options.retain_on_delete = true)
    }

    /// Makes it anew when one of these fields changes, where it could be changed in place.
    fn replace_on_changes<F: Into<String>>(
        self,
        fields: impl IntoIterator<Item = F>,
    ) -> With<Self> {
        let fields: BTreeSet<String> = fields.into_iter().map(Into::into).collect();
        self.with(|options| options.replace_on_changes.extend(fields))
    }

    /// Says under which addresses it was declared before: what is remembered and marked under
    /// them becomes its own, and it is not made anew. Of a resource, not of a component.
    fn aliases(self, urns: impl IntoIterator<Item = Urn>) -> With<Self> {
        self.with(|options| options.aliases.extend(urns))
    }

    /// Tries an effect of it that failed again, so many times, with growing pauses.
    fn retries(self, times: u32) -> With<Self> {
        self.with(|options| options.retries = times)
    }

    /// Refuses to plan while this does not hold of the world as it is before the run.
    fn precondition(self, gate: Gate) -> With<Self> {
        self.with(|options| options.preconditions.push(gate))
    }

    /// Counts a change of it as done once this holds. Of a resource, not of a component.
    fn postcondition(self, gate: Gate) -> With<Self> {
        self.with(|options| options.postconditions.push(gate))
    }

    /// Does `other` before; a handle given to the declaration says this by itself.
    fn depends_on<T>(self, other: &Handle<T>) -> With<Self> {
        let urn = other.urn().clone();
        self.with(|options| {
            options.depends_on.insert(urn);
        })
    }

    /// Leaves drift of these fields alone.
    fn ignore_changes<F: Into<String>>(self, fields: impl IntoIterator<Item = F>) -> With<Self> {
        let fields: BTreeSet<String> = fields.into_iter().map(Into::into).collect();
        self.with(|options| options.ignore_changes.extend(fields))
    }

    /// How long one change of it may take.
    fn timeout(self, limit: Duration) -> With<Self> {
        self.with(|options| options.timeout = Some(limit))
    }

    /// Does `urns` before.
    fn after(self, urns: impl IntoIterator<Item = Urn>) -> With<Self> {
        self.with(|options| options.depends_on.extend(urns))
    }

    /// Names the objects that it lives in: while one is still to be made, it is absent by its
    /// parent and not unreachable. Includes the dependency.
    fn within(self, parents: impl IntoIterator<Item = Urn>) -> With<Self> {
        self.with(|options| options.within.extend(parents))
    }

    /// A change of it disturbs this member of a group.
    fn member_of(self, group: &GroupName, member: &HostName) -> With<Self> {
        let member = (group.clone(), member.clone());
        self.with(|options| options.member_of = Some(member))
    }
}

impl<R> DeclareExt for R
where
    R: fmt::Debug + Send + Sync + 'static,
{
    fn with(self, change: impl FnOnce(&mut Options)) -> With<Self> {
        let mut options = Options::default();
        change(&mut options);
        With {
            inner: self,
            options,
        }
    }
}

/// The options of `first` with those of `second` added; where both say something, `second`
/// holds.
pub(super) fn merged(first: Options, second: Options) -> Options {
    let both = |mut a: BTreeSet<Urn>, b: BTreeSet<Urn>| {
        a.extend(b);
        a
    };
    let names = |mut a: BTreeSet<String>, b: BTreeSet<String>| {
        a.extend(b);
        a
    };
    let all = |a: Vec<Gate>, b: Vec<Gate>| a.into_iter().chain(b).collect();
    Options {
        protect: first.protect || second.protect,
        retain_on_delete: first.retain_on_delete || second.retain_on_delete,
        replace_on_changes: names(first.replace_on_changes, second.replace_on_changes),
        aliases: both(first.aliases, second.aliases),
        retries: first.retries.max(second.retries),
        preconditions: all(first.preconditions, second.preconditions),
        postconditions: all(first.postconditions, second.postconditions),
        depends_on: both(first.depends_on, second.depends_on),
        ignore_changes: names(first.ignore_changes, second.ignore_changes),
        adopted: first.adopted.into_iter().chain(second.adopted).collect(),
        timeout: second.timeout.or(first.timeout),
        member_of: second.member_of.or(first.member_of),
        within: both(first.within, second.within),
    }
}
