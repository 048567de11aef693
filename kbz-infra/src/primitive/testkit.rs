//! A small world for the tests of kinds: what was read, what is planned upstream, and one line
//! of text for what a kind answers.

use std::collections::{BTreeMap, BTreeSet};

use crate::effect::Action;
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Observation, Outage, Ownership, Probe, Query, Reading, Seen, Site};
use crate::resource::{Blocked, Context, Impact, PlanError, Planned, Resource, Upstream};
use crate::secret::{KeyedHash, Vault};

/// The host of all tests.
pub(super) fn host() -> HostName {
    HostName::new("db-1").unwrap()
}

/// Owner and mode of something of `root`.
pub(super) fn of_root(mode: u32) -> Ownership {
    Ownership {
        mode,
        uid: 0,
        gid: 0,
        owner: "root".to_owned(),
        group: "root".to_owned(),
    }
}

/// What a kind finds when it plans.
#[derive(Default)]
pub(super) struct World {
    readings: BTreeMap<(Site, Query), Reading>,
    silent: bool,
    ignored: BTreeSet<String>,
    parent_absent: bool,
    foreign: bool,
    vault: Vault,
    goals: BTreeMap<Urn, KeyedHash>,
    made: BTreeSet<Urn>,
    changed: BTreeSet<Urn>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A world in which the test's host answers one question so.
    pub(super) fn host(query: impl Into<Query>, reading: impl Into<Reading>) -> Self {
        Self::new().and(query, reading)
    }

    /// A world in which a site answers one question so.
    pub(super) fn at(site: &Site, query: impl Into<Query>, reading: impl Into<Reading>) -> Self {
        Self::new().and_at(site, query, reading)
    }

    pub(super) fn and(self, query: impl Into<Query>, reading: impl Into<Reading>) -> Self {
        self.and_at(&Site::Host(host()), query, reading)
    }

    pub(super) fn and_at(
        mut self,
        site: &Site,
        query: impl Into<Query>,
        reading: impl Into<Reading>,
    ) -> Self {
        self.readings
            .insert((site.clone(), query.into()), reading.into());
        self
    }

    /// What has no answer given is unreachable.
    pub(super) fn silent() -> Self {
        Self {
            silent: true,
            ..Self::default()
        }
    }

    pub(super) fn or_silent(self) -> Self {
        Self {
            silent: true,
            ..self
        }
    }

    /// Nothing answers, because what would is still to be made.
    pub(super) fn without_parent() -> Self {
        Self {
            parent_absent: true,
            ..Self::silent()
        }
    }

    /// What is found is not known to be this stack's.
    pub(super) fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    pub(super) fn ignoring(mut self, field: &str) -> Self {
        self.ignored.insert(field.to_owned());
        self
    }

    pub(super) fn secret(mut self, name: &str, value: &str) -> Self {
        let value = secrecy::SecretString::from(value.to_owned());
        self.vault.insert(name, value);
        self
    }

    pub(super) fn goal(mut self, urn: &Urn, goal: &str) -> Self {
        let goal = self.vault.keyed(&Digest::of(goal));
        self.goals.insert(urn.clone(), goal);
        self
    }

    pub(super) fn making(mut self, urn: &Urn) -> Self {
        self.made.insert(urn.clone());
        self.changing(urn)
    }

    pub(super) fn changing(mut self, urn: &Urn) -> Self {
        self.changed.insert(urn.clone());
        self
    }

    fn seen(&self, probe: Probe) -> Option<(Probe, Seen)> {
        let key = (probe.site.clone(), probe.query.clone());
        match self.readings.get(&key) {
            Some(reading) => Some((probe, Seen::Read(reading.clone()))),
            None if self.silent => {
                let outage = Outage::new(&probe.site, "no route");
                Some((probe, Seen::Unreachable(outage)))
            }
            None => None,
        }
    }

    pub(super) fn plan(&self, resource: &impl Resource) -> Result<Planned, PlanError> {
        let probes = resource.probes().into_iter();
        let observation: Observation = probes.filter_map(|probe| self.seen(probe)).collect();
        let context = Context::new("shop", &observation, &self.vault, self, &self.ignored);
        let context = context.with_absent_parent(self.parent_absent);
        resource.plan(&context.with_ownership(!self.foreign))
    }
}

impl Upstream for World {
    fn goal(&self, urn: &Urn) -> Option<&KeyedHash> {
        self.goals.get(urn)
    }

    fn will_be_made(&self, urn: &Urn) -> bool {
        self.made.contains(urn)
    }

    fn will_change(&self, urn: &Urn) -> bool {
        self.changed.contains(urn)
    }

    fn impact(&self, urn: &Urn) -> Impact {
        if self.made.contains(urn) {
            Impact::Restart
        } else {
            Impact::None
        }
    }
}

/// Compares what a kind answers in each world with one line of text:
/// `OPERATION (IMPACT) REASON, REASON: EFFECT, EFFECT`.
#[track_caller]
pub(super) fn check<R: Resource>(table: impl IntoIterator<Item = (R, World, &'static str)>) {
    for (resource, world, expected) in table {
        assert_eq!(line(&world.plan(&resource)), expected, "{resource:?}");
    }
}

/// The answer of a kind in one line.
pub(super) fn line(planned: &Result<Planned, PlanError>) -> String {
    let change = match planned {
        Ok(Planned { change: None, .. }) => return "nothing".to_owned(),
        Ok(Planned {
            change: Some(change),
            ..
        }) => change,
        Err(PlanError::Refused { what, .. }) => return format!("refused: {what}"),
        Err(PlanError::Blocked(Blocked::Unreachable(_))) => return "unreachable".to_owned(),
        Err(error) => return format!("error: {error}"),
    };
    let reasons: Vec<String> = change.reasons.iter().map(ToString::to_string).collect();
    let actions = change.effects.iter().map(|effect| &effect.action);
    format!(
        "{:?} ({}) {}: {}",
        change.op,
        change.impact,
        reasons.join(", "),
        named(actions)
    )
}

/// What the removal of an object does, in one line.
pub(super) fn removal(resource: &impl Resource) -> String {
    let removal = resource.removal();
    let impact = match removal.impact {
        Impact::None => String::new(),
        impact => format!(" ({impact})"),
    };
    let actions = removal.effects.iter().map(|effect| &effect.action);
    format!("{}{impact}", named(actions))
}

fn named<'a>(actions: impl Iterator<Item = &'a Action>) -> String {
    let names = actions.map(|action| match action {
        Action::Systemd { verb, .. } => format!("{verb:?}Unit"),
        other => {
            let debug = format!("{other:?}");
            let end = debug.find(|c: char| !c.is_ascii_alphanumeric());
            debug[..end.unwrap_or(debug.len())].to_owned()
        }
    });
    names.collect::<Vec<_>>().join(", ")
}

/// A file of `root` as its host describes it.
pub(super) fn file(content: &str, mode: u32) -> crate::probe::PathReading {
    crate::probe::PathReading::File(crate::probe::FileReading {
        digest: Digest::of(content),
        size: content.len() as u64,
        ownership: of_root(mode),
        immutable: false,
        content: Some(content.to_owned()),
    })
}
