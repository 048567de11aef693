//! The planner: one pass over the graph, then removals, then the order of groups.

use std::collections::{BTreeMap, BTreeSet};

use super::fate::Fate;
use super::memory::{Known, Memory};
use super::selection::{Request, Selection};
use super::step::{Outcome, Plan, Step, StepId, Stuck, StuckBy};
use super::{alias, drift, group, order, reboot};
use crate::effect::{Action, Effect, Line, Record};
use crate::graph::{Graph, Node};
use crate::ident::{HostName, Place, StackName, Urn};
use crate::probe::{Claims, Observation, Probe, Reading, Registry, Seen};
use crate::resource::{Blocked, Change, Context, Impact, Op, PlanError, Planned, Reason, Upstream};
use crate::secret::{KeyedHash, Vault};

/// A resource that cannot be planned, for a reason that a person must cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{urn}: {error}")]
pub struct Problem {
    /// The resource.
    pub urn: Urn,
    /// Where it was declared, while it still is.
    pub declared: Option<Place>,
    /// What is wrong.
    pub error: PlanError,
}

/// Makes a plan from a graph, an observation and what is remembered.
pub struct Planner<'a> {
    pub(super) graph: &'a Graph,
    pub(super) observation: &'a Observation,
    pub(super) vault: &'a Vault,
    pub(super) memory: Memory<'a>,
    selection: Selection,
    /// Addresses that declared objects had before, with those that they have.
    pub(super) renamed: BTreeMap<Urn, Urn>,
}

impl<'a> Planner<'a> {
    /// A planner for `graph`, from an observation and the operator's own memory of what exists.
    pub fn new(
        graph: &'a Graph,
        observation: &'a Observation,
        vault: &'a Vault,
        snapshot: &'a BTreeMap<Urn, Record>,
    ) -> Self {
        Self {
            graph,
            observation,
            vault,
            memory: Memory::new(snapshot, observation),
            selection: Selection::default(),
            renamed: alias::renamed(graph),
        }
    }

    /// The same, for what `selection` chooses and nothing else.
    pub fn choosing(mut self, selection: &Selection) -> Self {
        self.selection = selection.clone();
        self
    }

    /// The plan, or everything that stands against it.
    pub fn plan(self, request: Request) -> Result<Plan, Vec<Problem>> {
        let mut draft = Draft {
            left_out: self.selection.left_out(request, self.graph, &self.memory),
            ..Draft::default()
        };
        if request == Request::Up {
            for (urn, node) in self.graph.in_order() {
                if !draft.left_out.contains(urn) {
                    self.place(urn, node, &mut draft);
                }
            }
        }
        self.remove(request, &mut draft);
        reboot::last(&mut draft.steps);
        group::order(self.graph.groups(), self.observation, &mut draft.steps);
        let unreadable = self.memory.unreadable().into_iter();
        let unreadable = unreadable.map(|(urn, error)| damaged(urn, &error));
        let problems: Vec<Problem> = unreadable.chain(draft.problems).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Plan {
            stack: self.graph.stack().clone(),
            steps: order::numbered(draft.steps),
            kept: draft.kept,
            stuck: draft.stuck,
            forgotten: draft.forgotten,
            left_out: draft.left_out,
        })
    }

    /// Plans one declared resource.
    fn place(&self, urn: &Urn, node: &Node, draft: &mut Draft) {
        let wanted = self.graph.dependencies(urn);
        if let Some(stuck) = wanted.iter().find(|urn| draft.is_stuck(urn)) {
            return draft.stick(urn, StuckBy::DependsOn(stuck.clone()));
        }
        if let Err(error) = self.preconditions(node) {
            return Self::refuse(urn, node, error, draft);
        }
        let known = self.memory.of(urn);
        match self.ask(urn, node, known, draft) {
            Ok(mut planned) => {
                self.for_the_chosen(urn, &mut planned, draft);
                self.decide(urn, node, known, planned, draft);
            }
            Err(error) => Self::refuse(urn, node, error, draft),
        }
    }

    /// Nothing is done again for a host whose own part is left out.
    fn for_the_chosen(&self, urn: &Urn, planned: &mut Planned, draft: &Draft) {
        let Some(change) = planned.change.as_mut() else {
            return;
        };
        if draft.left_out.is_empty() || change.op != Op::Run {
            return;
        }
        let chosen = |host: &HostName| {
            self.graph.in_order().any(|(user, _)| {
                user.host() == Some(host)
                    && !draft.left_out.contains(user)
                    && self.graph.dependencies(user).contains(urn)
            })
        };
        change.reasons.retain(|reason| match reason {
            Reason::LackingOn { host } => chosen(host),
            _ => true,
        });
        if change.reasons.is_empty() {
            planned.change = None;
        }
    }

    fn refuse(urn: &Urn, node: &Node, error: PlanError, draft: &mut Draft) {
        match error {
            PlanError::Blocked(Blocked::Unreachable(outage)) => {
                draft.stick(urn, StuckBy::Unreachable(outage));
            }
            error => draft.problems.push(Problem {
                urn: urn.clone(),
                declared: Some(node.declared.clone()),
                error,
            }),
        }
    }

    /// Asks the kind. What cannot be read because what it lives in is still to be made is absent;
    /// what is remembered, and lives in something that is about to be mended, is looked after
    /// once that is done. So is what nobody knows, where a run broke off before what it lives in
    /// was whole for the first time.
    fn ask(
        &self,
        urn: &Urn,
        node: &Node,
        known: Known<'_>,
        draft: &Draft,
    ) -> Result<Planned, PlanError> {
        let owned = known.is_any() || self.selection.adopts(self.graph, urn);
        let beside = |parent_absent, ignored: &BTreeSet<String>| {
            let stack = self.graph.stack().as_str();
            let context = Context::new(stack, self.observation, self.vault, draft, ignored);
            node.resource.plan(
                &context
                    .with_absent_parent(parent_absent)
                    .with_ownership(owned),
            )
        };
        let plan = |parent_absent| {
            let planned = beside(parent_absent, &node.options.ignore_changes)?;
            match drift::left_alone(&node.options, planned.change.as_ref()) {
                Some(ignored) => beside(parent_absent, &ignored),
                None => Ok(planned),
            }
        };
        self.refuse_claimed(urn, known)?;
        let mut within = node.options.within.iter();
        let mut planned = plan(within.clone().any(|parent| draft.fate(parent).is_coming()));
        let blocked = matches!(planned, Err(PlanError::Blocked(_)));
        let unopened = draft.is_awaited(node);
        if !(known.is_any() || blocked && unopened) {
            return planned;
        }
        if blocked && within.any(|parent| draft.will_change(parent)) {
            planned = plan(true);
        }
        let change = planned
            .as_mut()
            .ok()
            .and_then(|planned| planned.change.as_mut());
        if let Some(change) = change
            && change.op == Op::Create
            && self.is_silent(&node.resource.probes())
        {
            change.op = Op::Run;
            change.reasons = vec![Reason::Unmet {
                waiting: "what it lives in to answer".to_owned(),
            }];
        }
        planned
    }

    /// Refuses an object that another stack has noted on the same host.
    fn refuse_claimed(&self, urn: &Urn, known: Known<'_>) -> Result<(), PlanError> {
        if known.is_marked() {
            return Ok(());
        }
        match self.other_owner(urn) {
            Some(owner) if !self.selection.adopts(self.graph, urn) => {
                Err(PlanError::foreign(urn, format!("it is stack {owner}'s")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The other stack that has noted an object on its host. Of a host that does not answer
    /// nothing is known; that is found out by what the kind reads.
    pub(super) fn other_owner(&self, urn: &Urn) -> Option<&StackName> {
        if self.memory.is_marked(urn) {
            return None;
        }
        match self.observation.get(&Probe::host(urn.host()?, Claims {}))? {
            Seen::Read(Reading::Claims(claims)) => claims.owner(urn),
            Seen::Read(_) | Seen::Unreachable(_) => None,
        }
    }

    /// Whether what should answer a probe does not.
    fn is_silent(&self, probes: &[Probe]) -> bool {
        let mut seen = probes
            .iter()
            .filter_map(|probe| self.observation.get(probe));
        seen.any(|seen| matches!(seen, Seen::Unreachable(_)))
    }

    /// Turns the kind's answer into a step, or into nothing to do.
    fn decide(
        &self,
        urn: &Urn,
        node: &Node,
        known: Known<'_>,
        planned: Planned,
        draft: &mut Draft,
    ) {
        let dependencies = self.graph.dependencies(urn);
        let record = Record {
            urn: urn.clone(),
            goal: planned.goal,
            removal: node.resource.removal().into(),
            depends_on: dependencies.clone(),
            protect: node.options.protect,
            retain: node.options.retain_on_delete,
            line: Line::default(),
        };
        let former = match self.former(urn, node, &record) {
            Ok(former) => former,
            Err(problem) => return draft.problems.push(problem),
        };
        let unmarked = urn.host().is_some() && !known.is_marked_as(&record);
        let marked_before = former.iter().any(|alias| self.memory.is_marked(alias));
        let change = match planned.change {
            Some(change) => Some(change),
            None if unmarked || marked_before => Some(adoption()),
            None => None,
        };
        let change = self.guarded(node, change);
        let change = match change.map(|change| self.anew(urn, node, change, draft)) {
            Some(Ok(change)) => renamed(change, &former),
            Some(Err(problem)) => return draft.problems.push(problem),
            None => {
                draft.forgotten.extend(former.into_iter().cloned());
                draft.keep(record, dependencies);
                draft.note(self.graph, node.parent.as_ref(), Fate::KEPT);
                return;
            }
        };
        if node.options.protect && change.op == Op::Replace {
            draft
                .problems
                .push(protected(urn, Some(node.declared.clone()), "replaced"));
            return;
        }
        let mut effects = change.effects;
        if let Some(host) = urn.host() {
            effects.push(Effect::on(host, Action::Mark(Box::new(record.clone()))));
            // The host still knows it by its mark, should the run break off.
            draft.forgotten.extend(former.iter().copied().cloned());
        }
        effects.extend(former.into_iter().filter_map(|alias| {
            let host = alias.host()?;
            Some(Effect::on(host, Action::Unmark(alias.clone())))
        }));
        let step = Step {
            id: draft.next_id(),
            urn: urn.clone(),
            op: change.op,
            reasons: change.reasons,
            impact: change.impact,
            details: change.details,
            summary: node.resource.summary(),
            effects,
            after: draft.frontier(dependencies),
            outcome: Outcome::Remember(Box::new(record)),
            parent: node.parent.clone(),
            declared: Some(node.declared.clone()),
            disturbs: node.options.member_of.clone(),
            timeout: node.options.timeout.map(|limit| limit.as_secs()),
            retries: node.options.retries,
        };
        if !known.is_any() && (is_gate(&step) || draft.is_awaited(node)) {
            draft.unopened.insert(urn.clone());
            draft.unopened.extend(node.parent.clone());
        }
        let fate = Fate::of(step.op, &step.reasons);
        draft.fates.insert(urn.clone(), fate);
        draft.note(self.graph, node.parent.as_ref(), fate);
        draft.add(step);
    }
}

fn damaged(urn: &Urn, error: &serde_json::Error) -> Problem {
    Problem {
        urn: urn.clone(),
        declared: None,
        error: PlanError::Refused {
            what: format!("its record in the registry of its host cannot be read: {error}"),
            help: "use the version that wrote it, or remove the record on the host".to_owned(),
        },
    }
}

/// A change of what had another address before, as it stands among its reasons.
fn renamed(mut change: Change, former: &[&Urn]) -> Change {
    let named = |from: &&Urn| Reason::Renamed {
        from: Urn::clone(from),
    };
    change.reasons.extend(former.iter().map(named));
    change
}

/// Whether a step only waits.
fn is_gate(step: &Step) -> bool {
    let mut effects = step.effects.iter();
    effects.all(|effect| matches!(effect.action, Action::Gate(_)))
}

fn adoption() -> Change {
    Change {
        op: Op::Adopt,
        reasons: vec![Reason::Unmarked],
        impact: Impact::None,
        effects: Vec::new(),
        details: Vec::new(),
    }
}

pub(super) fn protected(urn: &Urn, declared: Option<Place>, what: &str) -> Problem {
    let help = match declared {
        Some(_) => "take `protect` away from its declaration and run `up` first",
        None => "declare it without `protect` and run `up`; it goes with its declaration then",
    };
    Problem {
        urn: urn.clone(),
        declared,
        error: PlanError::Refused {
            what: format!("it is protected and would be {what}"),
            help: help.to_owned(),
        },
    }
}

/// What has to be read: everything that the graph and its groups ask for, each host's registry,
/// and what tells whether remembered objects that are no longer declared are still there.
pub fn probes(
    graph: &Graph,
    hosts: &BTreeSet<HostName>,
    remembered: &BTreeMap<Urn, Record>,
) -> BTreeSet<Probe> {
    let declared = graph
        .in_order()
        .flat_map(|(_, node)| node.resource.probes());
    let conditions = graph.in_order().flat_map(|(_, node)| {
        let options = &node.options;
        let gates = options.preconditions.iter().chain(&options.postconditions);
        gates.map(|gate| gate.probe.clone())
    });
    let groups = graph
        .groups()
        .iter()
        .flat_map(crate::resource::Group::probes);
    let registries = hosts
        .iter()
        .flat_map(|host| [Probe::host(host, Registry {}), Probe::host(host, Claims {})]);
    let mut asked: BTreeSet<Probe> = declared
        .chain(conditions)
        .chain(groups)
        .chain(registries)
        .collect();
    // Most of what is remembered is declared too, and asked for already.
    for record in remembered.values() {
        for probe in &record.removal.probes {
            if !asked.contains(probe) {
                asked.insert(probe.clone());
            }
        }
    }
    asked
}

/// A plan in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) steps: Vec<Step>,
    kept: BTreeMap<Urn, Record>,
    stuck: Vec<Stuck>,
    stuck_urns: BTreeSet<Urn>,
    pub(super) forgotten: BTreeSet<Urn>,
    /// What was not chosen.
    pub(super) left_out: BTreeSet<Urn>,
    pub(super) problems: Vec<Problem>,
    /// Of what is changed; that of what is kept is in its record.
    goals: BTreeMap<Urn, KeyedHash>,
    /// Of what is changed, and of each component as far as its parts are planned.
    fates: BTreeMap<Urn, Fate>,
    impacts: BTreeMap<Urn, Impact>,
    /// Gates that have never been seen open, what they belong to, and what lives behind them.
    unopened: BTreeSet<Urn>,
    /// For each planned resource, the steps that stand between it and what comes after; none where
    /// nothing is said.
    pub(super) frontiers: BTreeMap<Urn, BTreeSet<StepId>>,
    ids: u32,
}

impl Draft {
    pub(super) fn next_id(&mut self) -> StepId {
        self.ids += 1;
        StepId(self.ids)
    }

    pub(super) fn is_stuck(&self, urn: &Urn) -> bool {
        self.stuck_urns.contains(urn)
    }

    pub(super) fn stick(&mut self, urn: &Urn, why: StuckBy) {
        self.stuck_urns.insert(urn.clone());
        self.stuck.push(Stuck {
            urn: urn.clone(),
            why,
        });
    }

    /// Notes what stands against a plan, once for all parts of one member.
    pub(super) fn object(&mut self, problem: Problem) {
        let same = |known: &Problem| {
            known.urn.host() == problem.urn.host() && known.error == problem.error
        };
        if !self.problems.iter().any(same) {
            self.problems.push(problem);
        }
    }

    fn frontier(&self, dependencies: &BTreeSet<Urn>) -> BTreeSet<StepId> {
        dependencies
            .iter()
            .filter_map(|urn| self.frontiers.get(urn))
            .flatten()
            .copied()
            .collect()
    }

    fn keep(&mut self, record: Record, dependencies: &BTreeSet<Urn>) {
        let frontier = self.frontier(dependencies);
        if !frontier.is_empty() {
            self.frontiers.insert(record.urn.clone(), frontier);
        }
        self.kept.insert(record.urn.clone(), record);
    }

    fn add(&mut self, step: Step) {
        self.frontiers
            .insert(step.urn.clone(), BTreeSet::from([step.id]));
        if let Outcome::Remember(record) = &step.outcome {
            self.goals.insert(step.urn.clone(), record.goal.clone());
        }
        self.impacts.insert(step.urn.clone(), step.impact);
        self.steps.push(step);
    }

    /// Notes what happens to a part with the components above it.
    fn note(&mut self, graph: &Graph, parent: Option<&Urn>, fate: Fate) {
        let mut above = parent;
        while let Some(component) = above {
            let known = self.fates.entry(component.clone()).or_default();
            *known = known.and(fate);
            above = graph
                .component(component)
                .and_then(|node| node.parent.as_ref());
        }
    }

    /// Whether a resource lives behind a gate that has never been seen open.
    fn is_awaited(&self, node: &Node) -> bool {
        let mut within = node.options.within.iter();
        within.any(|parent| self.unopened.contains(parent))
    }

    fn fate(&self, urn: &Urn) -> Fate {
        self.fates.get(urn).copied().unwrap_or_default()
    }
}

impl Upstream for Draft {
    fn goal(&self, urn: &Urn) -> Option<&KeyedHash> {
        let kept = self.kept.get(urn).map(|record| &record.goal);
        kept.or_else(|| self.goals.get(urn))
    }

    fn will_be_made(&self, urn: &Urn) -> bool {
        self.fate(urn).is_new()
    }

    fn will_change(&self, urn: &Urn) -> bool {
        self.fate(urn).changes()
    }

    fn impact(&self, urn: &Urn) -> Impact {
        self.impacts.get(urn).copied().unwrap_or_default()
    }
}
