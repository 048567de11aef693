//! What a kind of resource is: a pure description. Knows no hosts, no graph, no async.
//!
//! A [`Resource`] says what to read ([`Resource::probes`]) and, from the answers, what to do
//! ([`Resource::plan`]). It never does anything: its effects are carried out by an interpreter.

mod change;
mod claim;
mod content;
mod context;
mod describe;
mod fields;
mod group;
mod options;
mod timing;

use std::fmt;

pub use change::{Change, Detail, Op, Planned, Reason, found};
pub use claim::{Claim, Endpoint, Fitness, FitnessCheck, Limit, RunningContainer};
pub use content::Content;
pub use context::{Blocked, Context, PlanError, Upstream};
pub use describe::{Describe, Difference, Field, FieldChange};
pub use fields::FieldNames;
pub use group::{Drain, Group, Leadership};
pub use options::{GroupName, Options};
pub use timing::{LeaderSearch, LeaderTiming};

pub use crate::effect::Impact;

use crate::effect::Removal;
use crate::ident::Urn;
use crate::probe::Probe;

/// One managed object: what it should be, as plain data.
pub trait Resource: fmt::Debug + Send + Sync + 'static {
    /// The object's address, unique in the stack and stable from run to run.
    fn urn(&self) -> Urn;

    /// What has to be read to plan it, facts of the host that its goal depends on included.
    fn probes(&self) -> Vec<Probe>;

    /// What has to be done so that the world is as declared. Pure: the same observation gives
    /// the same answer.
    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError>;

    /// How it is taken away again once the program no longer declares it. Recorded beside the
    /// object, so that it can be removed without the program that made it.
    fn removal(&self) -> Removal;

    /// What of it can be left alone, by the names that a preview shows: what a program may name in
    /// `ignore_changes` and `replace_on_changes`, and in `overrides.toml`. A field that is put right
    /// whatever is ignored is not among it. `None` lets anything be named.
    fn field_names(&self) -> Option<FieldNames> {
        None
    }

    /// The object in a few words, for the right-hand side of a preview.
    fn summary(&self) -> String;

    /// What the object means for the topology, for the checks that need no host.
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}
