//! Who can be drained is drained before it is disturbed, and put back into service after.

use super::Roll;
use super::finding::at;
use super::order::Order;
use crate::diag::Finding;
use crate::effect::{Action, Gate};
use crate::ident::HostName;
use crate::plan::{Plan, Step};
use crate::probe::Observation;
use crate::resource::Impact;

impl Roll<'_> {
    /// Members that are disturbed under the connections that are still sent to them, and those that
    /// nobody puts back into service.
    pub(super) fn undrained(
        &self,
        order: &Order,
        plan: &Plan,
        observation: &Observation,
    ) -> Vec<Finding> {
        let mut findings = self.served(order, plan, observation);
        findings.extend(self.left_drained(order, plan));
        findings
    }

    /// Members that are disturbed while new connections are still sent to them.
    fn served(&self, order: &Order, plan: &Plan, observation: &Observation) -> Vec<Finding> {
        let disturbing = self.disturbing.iter();
        let disturbing = disturbing.filter(|(_, step)| step.impact >= Impact::Restart);
        let served = disturbing.filter_map(|(member, step)| {
            let (_, gate) = self.group.drainable(member, observation)?;
            let mut before = plan.steps.iter();
            let drained = before.any(|earlier| {
                order.precedes(earlier.id, step.id) && drains_until(earlier, member, gate)
            });
            let message = format!(
                "{member} of {} is disturbed while it is still sent new connections",
                self.group.name
            );
            let finding = Finding::error("kbz::plan::drain", message);
            (!drained).then(|| at(finding, &[step]))
        });
        served.collect()
    }

    /// Members that are drained, and that nobody puts back into service before the next gate.
    fn left_drained(&self, order: &Order, plan: &Plan) -> Vec<Finding> {
        let left = self.disturbing.iter().filter_map(|(member, step)| {
            let drained_before = |drain: &&Step| {
                drains(drain, member) && (drain.id == step.id || order.precedes(drain.id, step.id))
            };
            plan.steps.iter().find(drained_before)?;
            let mut after = plan.steps.iter();
            let back = after.any(|later| {
                order.precedes(step.id, later.id)
                    && sets_drain(later, member, false)
                    && self
                        .gates
                        .iter()
                        .any(|gate| order.precedes(later.id, gate.id) && self.settles(gate))
            });
            let message = format!(
                "nobody puts {member} of {} back into service",
                self.group.name
            );
            let finding = Finding::error("kbz::plan::drain", message);
            (!back).then(|| at(finding, &[step]))
        });
        left.collect()
    }
}

/// Whether a step takes a member out of service.
pub(super) fn drains(step: &Step, member: &HostName) -> bool {
    sets_drain(step, member, true)
}

fn sets_drain(step: &Step, member: &HostName, wanted: bool) -> bool {
    let mut effects = step.effects.iter();
    effects.any(|effect| {
        effect.site.host() == Some(member)
            && matches!(effect.action, Action::SetDrain { drained, .. } if drained == wanted)
    })
}

/// Whether a step drains a member and then waits until that shows.
fn drains_until(step: &Step, member: &HostName, gate: &Gate) -> bool {
    let told = step.effects.iter().position(|effect| {
        effect.site.host() == Some(member)
            && matches!(effect.action, Action::SetDrain { drained: true, .. })
    });
    let waited = step
        .effects
        .iter()
        .position(|effect| matches!(&effect.action, Action::Gate(found) if found == gate));
    told.zip(waited).is_some_and(|(told, waited)| told < waited)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::plan_observed;
    use super::super::testkit::{group, members, parsed, site};
    use crate::effect::{Action, Condition, Effect, Gate};
    use crate::ident::HostName;
    use crate::plan::{Plan, StepId};
    use crate::probe::{self, DrainReading, Observation, Probe, Seen};
    use crate::resource::{Drain, Group};

    const PORT: u16 = 8406;

    /// Two members, each drained, disturbed and put back.
    const GOOD: &str = "
        gate
        drain db-3 after 0
        restart db-3 after 1
        undrain db-3 after 2
        gate after 3
        drain db-2 after 4
        restart db-2 after 5
        undrain db-2 after 6
        gate after 7
    ";

    fn drained(member: &HostName) -> Gate {
        let number = members().iter().position(|known| known == member).unwrap();
        let last = u8::try_from(number).unwrap();
        Gate {
            probe: Probe::at(&site(), probe::Cluster {}),
            condition: Condition::TargetDrained {
                target: [10, 0, 0, last].into(),
            },
            settle: 0,
            deadline: 60,
        }
    }

    fn balanced() -> Group {
        let drained = members().into_iter().map(|member| {
            let gate = drained(&member);
            (member, gate)
        });
        Group {
            leadership: None,
            drain: Some(Drain {
                port: PORT,
                drained: drained.collect(),
            }),
            ..group()
        }
    }

    /// The plan of some lines, whose steps drain as their names say.
    fn plan(lines: &str) -> Plan {
        let named = lines
            .replace("undrain ", "file undrain:")
            .replace(" drain ", " file drain:");
        let mut plan = parsed(&named.replace("undrain:", "").replace("drain:", ""));
        let words = named.lines().map(str::trim).filter(|line| !line.is_empty());
        for (step, line) in plan.steps.iter_mut().zip(words) {
            let Some((_, member)) = step.disturbs.clone() else {
                continue;
            };
            if line.contains("drain:") {
                let drain = !line.contains("undrain:");
                let set = Action::SetDrain {
                    port: PORT,
                    drained: drain,
                };
                step.effects = vec![Effect::on(&member, set)];
                let wait = Effect::new(site(), Action::Gate(drained(&member)));
                step.effects.extend(drain.then_some(wait));
            }
        }
        plan
    }

    fn told(plan: &Plan, listening: bool) -> BTreeSet<String> {
        let seen = members().into_iter().map(|member| {
            let reading = DrainReading(listening.then_some(false));
            let probe = Probe::host(&member, probe::Drain { port: PORT });
            (probe, Seen::Read(reading.into()))
        });
        let observation: Observation = seen.collect();
        let report = plan_observed(plan, &[balanced()], &observation);
        let findings = report.findings().iter();
        findings.map(|finding| finding.message.clone()).collect()
    }

    #[test]
    fn each_is_drained_disturbed_and_put_back() {
        assert_eq!(told(&plan(GOOD), true), BTreeSet::new());
    }

    #[test]
    fn where_no_haproxy_listens_nobody_can_be_drained() {
        let plain = "gate\nrestart db-3 after 0\ngate after 1";
        assert_eq!(told(&plan(plain), false), BTreeSet::new());
        let said = told(&plan(plain), true).pop_first().unwrap();
        assert_eq!(
            said,
            "db-3 of pg is disturbed while it is still sent new connections"
        );
    }

    #[test]
    fn a_planner_that_errs_is_found_out() {
        let wrong = |change: &dyn Fn(&mut Plan)| {
            let mut plan = plan(GOOD);
            change(&mut plan);
            told(&plan, true)
        };
        let changes: [&dyn Fn(&mut Plan); 2] = [
            &|plan: &mut Plan| drop(plan.steps[1].effects.pop()),
            &|plan: &mut Plan| plan.steps[1].effects.reverse(),
        ];
        for change in changes {
            let said = wrong(change);
            assert!(
                said.iter()
                    .any(|said| said.contains("still sent new connections")),
                "{said:?}"
            );
        }
        let beside = |plan: &mut Plan| plan.steps[2].after = [StepId(0)].into();
        let said = wrong(&beside);
        assert!(
            said.iter()
                .any(|said| said.contains("still sent new connections")),
            "{said:?}"
        );
        let forgotten = |plan: &mut Plan| plan.steps[7].effects.clear();
        let said = wrong(&forgotten);
        assert!(
            said.iter().any(|said| said.contains("nobody puts db-2")),
            "{said:?}"
        );
        let too_early = |plan: &mut Plan| {
            plan.steps[3].after = [StepId(1)].into();
            plan.steps[4].after = [StepId(2), StepId(3)].into();
        };
        let said = wrong(&too_early);
        assert!(
            said.iter().any(|said| said.contains("nobody puts db-3")),
            "{said:?}"
        );
        let together = |plan: &mut Plan| plan.steps[5].after = [StepId(0)].into();
        let said = wrong(&together);
        assert!(
            said.iter().any(|said| said.contains("at the same time")),
            "{said:?}"
        );
    }
}
