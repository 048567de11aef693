//! What a program can say of a resource besides: conditions, addresses that it had before, and
//! fields of which a change makes it anew.

use super::planner::{Draft, Planner, Problem};
use crate::effect::{Action, Effect, Gate, Record, Waiting};
use crate::graph::Node;
use crate::ident::Urn;
use crate::probe::{Observation, Reading, Seen};
use crate::resource::{Blocked, Change, Context, Impact, Op, PlanError, Reason};

impl Planner<'_> {
    /// Whether the world is as a resource wants it before anything is done.
    pub(super) fn preconditions(&self, node: &Node) -> Result<(), PlanError> {
        for gate in &node.options.preconditions {
            let checked = gate.check(self.condition(gate)?);
            checked.map_err(|Waiting(what)| PlanError::Refused {
                what: format!("its precondition does not hold: it needs {what}"),
                help: "see to it and run it again, or take the precondition away".to_owned(),
            })?;
        }
        Ok(())
    }

    fn condition(&self, gate: &Gate) -> Result<&Reading, PlanError> {
        match self.observation.get(&gate.probe) {
            Some(Seen::Read(reading)) => Ok(reading),
            Some(Seen::Unreachable(outage)) => Err(Blocked::Unreachable(outage.clone()).into()),
            None => Err(PlanError::NotAsked(gate.probe.to_string())),
        }
    }

    /// A change with the postconditions of its resource as gates at its end; where there is no
    /// change, the gates alone if one of them is closed.
    pub(super) fn guarded(&self, node: &Node, change: Option<Change>) -> Option<Change> {
        let gates = &node.options.postconditions;
        let closed: Vec<Reason> = gates
            .iter()
            .filter_map(|gate| {
                let waiting = match self.condition(gate) {
                    Ok(reading) => gate.check(reading).err()?.0,
                    Err(silent) => silent.to_string(),
                };
                Some(Reason::Unmet { waiting })
            })
            .collect();
        let mut change = match change {
            Some(change) => change,
            None if closed.is_empty() => return None,
            None => Change {
                op: Op::Run,
                reasons: closed,
                impact: Impact::None,
                effects: Vec::new(),
                details: Vec::new(),
            },
        };
        let gates = gates.iter().cloned();
        let gates = gates.map(|gate| Effect::new(gate.probe.site.clone(), Action::Gate(gate)));
        change.effects.extend(gates);
        Some(change)
    }

    /// The addresses under which an object is remembered that it had before.
    pub(super) fn former<'n>(
        &self,
        urn: &Urn,
        node: &'n Node,
        record: &Record,
    ) -> Result<Vec<&'n Urn>, Problem> {
        let refused = |what: String, help: &str| Problem {
            urn: urn.clone(),
            declared: Some(node.declared.clone()),
            error: PlanError::Refused {
                what,
                help: help.to_owned(),
            },
        };
        let mut former = Vec::new();
        for alias in &node.options.aliases {
            if self.graph.node(alias).is_some() {
                let what = format!("its alias `{alias}` is declared itself");
                let help = "take the alias away, or the other declaration";
                return Err(refused(what, help));
            }
            if self.renamed.get(alias) != Some(urn) {
                let what = format!("its alias `{alias}` is that of another declaration too");
                return Err(refused(
                    what,
                    "an object has become one other: name it there alone",
                ));
            }
            let Some(known) = self.memory.get(alias) else {
                continue;
            };
            if known.removal.probes != record.removal.probes || alias.host() != urn.host() {
                let what = format!("its alias `{alias}` is another object, not the same renamed");
                let help = "an alias gives an object another address; one that moves is made anew: \
                            take the alias away";
                return Err(refused(what, help));
            }
            former.push(alias);
        }
        Ok(former)
    }

    /// A change that makes its object anew, where the program says so of a field that changes.
    pub(super) fn anew(
        &self,
        urn: &Urn,
        node: &Node,
        change: Change,
        draft: &Draft,
    ) -> Result<Change, Problem> {
        let fields = &node.options.replace_on_changes;
        // A group of entries stands for each of them.
        let is_named = |name: &String| {
            let group = name.split_once('.').map(|(group, _)| group);
            fields.contains(name) || group.is_some_and(|group| fields.contains(group))
        };
        let named = |reason: &Reason| match reason {
            Reason::Field { name, .. } | Reason::SecretField { name } => is_named(name),
            Reason::Content => fields.contains("content"),
            _ => false,
        };
        if change.op != Op::Update || !change.reasons.iter().any(named) {
            return Ok(change);
        }
        let problem = |error| Problem {
            urn: urn.clone(),
            declared: Some(node.declared.clone()),
            error,
        };
        let removal = node.resource.removal();
        let made = self.made(node, draft).map_err(problem)?;
        let made = made.filter(|_| !removal.effects.is_empty());
        let made = made.ok_or_else(|| {
            problem(PlanError::Refused {
                what: "it cannot be made anew: nothing takes it away or makes it".to_owned(),
                help: "take `replace_on_changes` away".to_owned(),
            })
        })?;
        let impact = match removal.impact {
            Impact::None => Impact::None,
            Impact::DataLoss => Impact::DataLoss,
            _ => Impact::Recreate,
        };
        let gates = change.effects.iter();
        let gates = gates.filter(|effect| matches!(effect.action, Action::Gate(_)));
        let effects = removal.effects.into_iter().chain(made.effects);
        Ok(Change {
            op: Op::Replace,
            impact: impact.max(made.impact),
            effects: effects.chain(gates.cloned()).collect(),
            ..change
        })
    }

    /// What makes a resource where there is nothing of it.
    fn made(&self, node: &Node, draft: &Draft) -> Result<Option<Change>, PlanError> {
        let probes = node.resource.probes().into_iter();
        let gone: Observation = probes
            .filter_map(|probe| {
                let seen = match self.observation.get(&probe)? {
                    Seen::Read(reading) => Seen::Read(reading.as_if_absent()),
                    Seen::Unreachable(outage) => Seen::Unreachable(outage.clone()),
                };
                Some((probe, seen))
            })
            .collect();
        let context = Context::new(
            self.graph.stack().as_str(),
            &gone,
            self.vault,
            draft,
            &node.options.ignore_changes,
        );
        Ok(node.resource.plan(&context)?.change)
    }
}
