//! Removals: what is remembered, and not or no longer declared.
//!
//! An object goes after everything that was recorded to use it: after the removal of a user that
//! goes too, after the change of one that stays. What uses it and is left alone, because its
//! host does not answer, keeps it. On one host, removals come after all changes. What is declared
//! under another address is no removal: that it was remembered under this one is forgotten.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::member::Parts;
use super::planner::{Draft, Planner, Problem, protected};
use super::selection::Request;
use super::step::{Outcome, Step, StepId, StuckBy};
use crate::effect::{Action, Effect, Record, Removal};
use crate::ident::{HostName, Urn};
use crate::probe::{Outage, Probe, Registry, Seen};
use crate::resource::{Impact, Op, Reason};

/// Up to so many changes of a host, each of its removals waits for each of them. Above, one
/// removal waits for all and the others for that one, so that a plan does not grow with the
/// square of its steps.
const FEW: usize = 64;

/// For each object that goes, who was recorded to depend on it.
type Users<'a> = BTreeMap<&'a Urn, Vec<&'a Urn>>;

impl Planner<'_> {
    /// Plans the removal of what is remembered and not, or no longer, declared.
    pub(super) fn remove(&self, request: Request, draft: &mut Draft) {
        let remembered = self.memory.urns();
        let leaving: BTreeMap<&Urn, &Record> = remembered
            .iter()
            .filter(|urn| request == Request::Destroy || self.graph.node(urn).is_none())
            .filter(|urn| !draft.left_out.contains(**urn) && !self.renamed.contains_key(**urn))
            .filter_map(|urn| Some((*urn, self.memory.get(urn)?)))
            .collect();
        if leaving.is_empty() {
            return;
        }
        let mut users: Users<'_> = BTreeMap::new();
        for user in remembered {
            let used = self.memory.depends_on(self.graph, user);
            for used in used.into_iter().flatten() {
                if leaving.contains_key(used) {
                    users.entry(used).or_default().push(user);
                }
            }
        }
        images_last(&leaving, &mut users);
        let mut barrier = Barrier::new(&draft.steps);
        let staying = Staying::new(self, request, draft);
        // Who goes with its whole cluster leaves nobody behind that counts it.
        let parts = (request == Request::Up).then(|| Parts::of(self.graph));
        for urn in users_first(&leaving, &users) {
            let users = users.get(urn).map(Vec::as_slice).unwrap_or_default();
            let record = staying.sparing(leaving[urn]);
            match self.objection(&record, parts.as_ref()) {
                None => self.remove_one(&record, users, request, &mut barrier, draft),
                Some(problem) => draft.object(problem),
            }
        }
    }

    /// What stands against taking an object away that may be there and would go. What is left alone,
    /// because its host does not answer, is no less a part of a member: the others would shut it out.
    fn objection(&self, record: &Record, parts: Option<&Parts<'_>>) -> Option<Problem> {
        let goes = !record.retain && self.presence(record) != Ok(false);
        let parts = parts.filter(|_| goes && self.other_owner(&record.urn).is_none())?;
        parts.objection(record, self.observation)
    }

    fn remove_one(
        &self,
        record: &Record,
        users: &[&Urn],
        request: Request,
        barrier: &mut Barrier,
        draft: &mut Draft,
    ) {
        let urn = &record.urn;
        let node = self.graph.node(urn);
        // Protected since the program says so, also where no run has noted it yet.
        if record.protect || node.is_some_and(|node| node.options.protect) {
            let declared = node.map(|node| node.declared.clone());
            draft.problems.push(protected(urn, declared, "deleted"));
            return;
        }
        let left_alone = users.iter().find(|user| draft.is_stuck(user));
        if let Some(user) = left_alone.filter(|_| request == Request::Up) {
            return draft.stick(urn, StuckBy::DependsOn((*user).clone()));
        }
        let present = match self.presence(record) {
            Ok(present) => present,
            Err(outage) => return draft.stick(urn, StuckBy::Unreachable(outage)),
        };
        let mut after: BTreeSet<StepId> = users
            .iter()
            .filter_map(|user| draft.frontiers.get(*user))
            .flatten()
            .copied()
            .collect();
        // What leaves no trace needs no step to be forgotten.
        let nothing_to_do = record.retain || record.removal.effects.is_empty();
        let traceless = urn.host().is_none() && nothing_to_do;
        // What another stack has taken over is no longer this one's to take away.
        let taken = self.other_owner(urn).is_some();
        if traceless || taken || (!present && !self.memory.is_marked(urn)) {
            draft.forgotten.insert(urn.clone());
            draft.frontiers.insert(urn.clone(), after);
            return;
        }
        let id = draft.next_id();
        if let Some(host) = urn.host() {
            barrier.close(host, id, &mut after);
        }
        let step = self.removal(record, (id, after), present, request);
        draft.frontiers.insert(urn.clone(), BTreeSet::from([id]));
        draft.steps.push(step);
    }

    fn removal(
        &self,
        record: &Record,
        (id, after): (StepId, BTreeSet<StepId>),
        present: bool,
        request: Request,
    ) -> Step {
        let urn = &record.urn;
        let node = self.graph.node(urn);
        let goes = present && !record.retain;
        let effects = record.removal.effects.iter().filter(|_| goes).cloned();
        let unmark = urn
            .host()
            .map(|host| Effect::on(host, Action::Unmark(urn.clone())));
        Step {
            id,
            urn: urn.clone(),
            op: if record.retain {
                Op::Forget
            } else {
                Op::Delete
            },
            reasons: vec![match request {
                Request::Up => Reason::Undeclared,
                Request::Destroy => Reason::Destroy,
            }],
            impact: if goes {
                record.removal.impact
            } else {
                Impact::None
            },
            details: Vec::new(),
            summary: node.map(|node| node.resource.summary()).unwrap_or_default(),
            effects: effects.chain(unmark).collect(),
            after,
            outcome: Outcome::Forget,
            parent: node.and_then(|node| node.parent.clone()),
            declared: node.map(|node| node.declared.clone()),
            disturbs: None,
            timeout: None,
            retries: 0,
        }
    }

    /// Whether an object is there, as far as its own probes tell.
    fn presence(&self, record: &Record) -> Result<bool, Outage> {
        // The mark of an object whose host does not answer may still be there.
        let registry = record.urn.host().map(|host| Probe::host(host, Registry {}));
        let registry = registry.and_then(|probe| self.observation.get(&probe));
        if let Some(Seen::Unreachable(outage)) = registry {
            return Err(outage.clone());
        }
        // Without probes nothing tells; its removal is idempotent, so it is simply done. What
        // has no effects of removal leaves nothing behind, and is only forgotten.
        let removal = &record.removal;
        let mut present = removal.probes.is_empty() && !removal.effects.is_empty();
        for probe in &record.removal.probes {
            match self.observation.get(probe) {
                Some(Seen::Read(reading)) => present |= !reading.is_absent(),
                Some(Seen::Unreachable(outage)) => return Err(outage.clone()),
                None => present = true,
            }
        }
        Ok(present)
    }
}

/// Lets the images of a host go after its containers, whatever was recorded: a run that broke off
/// after it made a container anew left the record of the one before, which used another image.
fn images_last<'a>(leaving: &BTreeMap<&'a Urn, &'a Record>, users: &mut Users<'a>) {
    let mut containers: BTreeMap<&HostName, Vec<&'a Urn>> = BTreeMap::new();
    for (urn, host) in of_hosts(leaving, |action| {
        matches!(action, Action::RemoveContainer { .. })
    }) {
        containers.entry(host).or_default().push(urn);
    }
    for (urn, host) in of_hosts(leaving, |action| {
        matches!(action, Action::RemoveImage { .. })
    }) {
        let own = containers.get(host).into_iter().flatten();
        let users = users.entry(urn).or_default();
        users.extend(own.copied());
        users.sort_unstable();
        users.dedup();
    }
}

/// What goes from a host by such an action.
fn of_hosts<'a>(
    leaving: &BTreeMap<&'a Urn, &'a Record>,
    is_such: impl Fn(&Action) -> bool,
) -> Vec<(&'a Urn, &'a HostName)> {
    let goes = |record: &Record| {
        let mut effects = record.removal.effects.iter();
        effects.any(|effect| is_such(&effect.action))
    };
    let leaving = leaving.iter().filter(|(_, record)| goes(record));
    leaving
        .filter_map(|(urn, _)| Some((*urn, urn.host()?)))
        .collect()
}

/// What goes, each after its users. Records of different runs may name each other in a circle;
/// it is cut where the walk meets it.
fn users_first<'a>(leaving: &BTreeMap<&'a Urn, &'a Record>, users: &Users<'a>) -> Vec<&'a Urn> {
    let mut order = Vec::with_capacity(leaving.len());
    let mut entered: BTreeSet<&Urn> = BTreeSet::new();
    for urn in leaving.keys() {
        let mut walk: Vec<(&'a Urn, usize)> = Vec::new();
        if entered.insert(urn) {
            walk.push((urn, 0));
        }
        while let Some((here, next)) = walk.pop() {
            let Some(user) = users.get(here).and_then(|users| users.get(next)) else {
                order.push(here);
                continue;
            };
            walk.push((here, next + 1));
            if leaving.contains_key(user) && entered.insert(user) {
                walk.push((user, 0));
            }
        }
    }
    order
}

/// What would take away the objects that are declared and stay, by what tells whether they are there.
struct Staying(BTreeMap<Vec<Probe>, Vec<Effect>>);

impl Staying {
    fn new(planner: &Planner<'_>, request: Request, draft: &Draft) -> Self {
        let mut staying: BTreeMap<Vec<Probe>, Vec<Effect>> = BTreeMap::new();
        for (urn, node) in planner.graph.in_order() {
            if request == Request::Up || draft.left_out.contains(urn) {
                let Removal {
                    probes, effects, ..
                } = node.resource.removal();
                staying.entry(probes).or_default().extend(effects);
            }
        }
        Self(staying)
    }

    /// A record as it leaves: one of an object that stays under another address is forgotten, and
    /// the object neither taken away nor in need of protection.
    fn sparing<'a>(&self, record: &'a Record) -> Cow<'a, Record> {
        let kept = self.0.get(&record.removal.probes).into_iter().flatten();
        let mut same = kept.filter(|kept| {
            let mut goes = record.removal.effects.iter();
            goes.any(|effect| is_of_the_same(effect, kept))
        });
        if same.next().is_none() {
            return Cow::Borrowed(record);
        }
        Cow::Owned(Record {
            protect: false,
            retain: true,
            ..record.clone()
        })
    }
}

/// Whether two effects take the same object away, however gently each.
fn is_of_the_same(one: &Effect, other: &Effect) -> bool {
    let same = match (&one.action, &other.action) {
        (
            Action::RemoveContainer { name: one, .. },
            Action::RemoveContainer { name: other, .. },
        )
        | (
            Action::RemoveDirectory { path: one, .. },
            Action::RemoveDirectory { path: other, .. },
        ) => one == other,
        (one, other) => one == other,
    };
    same && one.site == other.site
}

/// Keeps removals on a host behind all changes of it.
struct Barrier {
    /// The changes of each host that no other change of the same host waits for.
    last: BTreeMap<HostName, BTreeSet<StepId>>,
    /// The removals of each host so far.
    removals: BTreeMap<HostName, BTreeSet<StepId>>,
}

impl Barrier {
    fn new(steps: &[Step]) -> Self {
        let mut last: BTreeMap<HostName, BTreeSet<StepId>> = BTreeMap::new();
        for step in steps {
            if let Some(host) = step.urn.host() {
                last.entry(host.clone()).or_default().insert(step.id);
            }
        }
        for step in steps {
            if let Some(last) = step.urn.host().and_then(|host| last.get_mut(host)) {
                for earlier in &step.after {
                    last.remove(earlier);
                }
            }
        }
        Self {
            last,
            removals: BTreeMap::new(),
        }
    }

    /// Lets a removal wait for all changes of its host, unless it waits for another removal
    /// there that does.
    fn close(&mut self, host: &HostName, id: StepId, after: &mut BTreeSet<StepId>) {
        let removals = self.removals.entry(host.clone()).or_default();
        if let Some(last) = self.last.get(host)
            && after.is_disjoint(removals)
        {
            match removals.first() {
                Some(first) if last.len() > FEW => drop(after.insert(*first)),
                Some(_) | None => after.extend(last),
            }
        }
        removals.insert(id);
    }
}
