//! What a step does, told from its effects, against what it says of itself.
//!
//! The proof of the order rests on what steps say: whom they disturb, and how badly. Here that is
//! checked. A restart of a member, the stop of a unit that was seen to run, and the removal of a
//! container that was seen to run end a service, whatever the step says.

use std::collections::BTreeSet;

use super::finding::at;
use crate::diag::Finding;
use crate::effect::{Action, Effect, UnitVerb};
use crate::ident::HostName;
use crate::plan::{Plan, Step};
use crate::probe::{Container, ContainerReading, Observation, Probe, Reading, Seen, Site, Unit};
use crate::resource::{Group, Impact, Op};

/// Everything about the steps of a plan that is other than they say of themselves.
pub(super) fn findings(plan: &Plan, groups: &[Group], observation: &Observation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for step in &plan.steps {
        findings.extend(groupless(step, groups));
        // What is taken away is no longer declared, and so of no group any more.
        if step.op == Op::Delete {
            continue;
        }
        let victims = victims(step, observation);
        findings.extend(understated(step, &victims, groups));
        findings.extend(mislabelled(step, &victims));
        findings.extend(unrolled(step, &victims, groups));
    }
    findings.extend(alike(plan, groups));
    findings
}

/// Somebody whose service a step ends.
struct Victim<'a> {
    /// The member, or the host.
    name: &'a str,
    /// Where it was asked for, when it is a member of a cluster.
    cluster: Option<&'a Site>,
}

fn victims<'a>(step: &'a Step, observation: &Observation) -> Vec<Victim<'a>> {
    let effects = step.effects.iter();
    effects
        .filter_map(|effect| match &effect.action {
            Action::RestartMember { member, .. } => Some(Victim {
                name: member,
                cluster: Some(&effect.site),
            }),
            _ => ends(effect, observation).then_some(Victim {
                name: effect.site.host()?.as_str(),
                cluster: None,
            }),
        })
        .collect()
}

/// Whether an effect on a host ends something that was seen to run.
fn ends(effect: &Effect, observation: &Observation) -> bool {
    let seen = |query: crate::probe::Query| match observation.get(&Probe::at(&effect.site, query)) {
        Some(Seen::Read(reading)) => Some(reading),
        Some(Seen::Unreachable(_)) | None => None,
    };
    match &effect.action {
        Action::Systemd {
            verb: UnitVerb::Stop | UnitVerb::Restart,
            unit,
        } => {
            let name = unit.clone();
            matches!(seen(Unit { name }.into()), Some(Reading::Unit(unit)) if unit.active == "active")
        }
        Action::Reboot { .. } => true,
        Action::RemoveContainer { name, .. } => {
            let name = name.clone();
            let found = seen(Container { name }.into());
            matches!(
                found,
                Some(Reading::Container(ContainerReading::Present {
                    running: true,
                    ..
                }))
            )
        }
        _ => false,
    }
}

/// A step that ends a service of a group's host, and says that it does less.
fn understated(step: &Step, victims: &[Victim<'_>], groups: &[Group]) -> Option<Finding> {
    let mut members = groups.iter().flat_map(|group| &group.members);
    let guarded = |victim: &Victim<'_>| members.any(|member| member.as_str() == victim.name);
    if step.impact >= Impact::Restart || !victims.iter().any(guarded) {
        return None;
    }
    let message = format!(
        "`{}` ends a service and says that its impact is {}",
        step.urn, step.impact
    );
    Some(at(Finding::error("kbz::plan::impact", message), &[step]))
}

/// A step that disturbs another member than the one that it names.
fn mislabelled(step: &Step, victims: &[Victim<'_>]) -> Option<Finding> {
    let (_, member) = step.disturbs.as_ref()?;
    let own = step.urn.host().map(HostName::as_str);
    let mut hit = victims.iter().map(|victim| victim.name).chain(own);
    let other = hit.find(|name| *name != member.as_str())?;
    let message = format!("`{}` disturbs {other} and names {member}", step.urn);
    Some(at(Finding::error("kbz::plan::member", message), &[step]))
}

/// A restart of a group's member that is not rolled with the group.
fn unrolled(step: &Step, victims: &[Victim<'_>], groups: &[Group]) -> Option<Finding> {
    let group = groups.iter().find(|group| {
        let site = group.leadership.as_ref().map(|leadership| &leadership.site);
        let mut restarted = victims.iter().filter_map(|victim| victim.cluster);
        site.is_some_and(|site| restarted.any(|cluster| cluster == site))
    })?;
    let claimed = step.disturbs.as_ref().map(|(name, _)| name);
    (claimed != Some(&group.name)).then(|| not_rolled(step, group))
}

/// Steps like those that are rolled with a group, on hosts of its members, that are not.
fn alike(plan: &Plan, groups: &[Group]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in groups {
        let rolled = |step: &&Step| {
            let named = step.disturbs.as_ref().map(|(name, _)| name);
            named == Some(&group.name)
        };
        let what = |step: &'_ Step| (step.urn.kind().to_string(), step.urn.name().to_owned());
        let known: BTreeSet<_> = plan.steps.iter().filter(rolled).map(what).collect();
        let left_out = plan.steps.iter().filter(|step| {
            let host = step.urn.host();
            step.op != Op::Delete
                && step.impact >= Impact::Restart
                && !rolled(step)
                && host.is_some_and(|host| group.members.contains(host))
                && known.contains(&what(step))
        });
        findings.extend(left_out.map(|step| not_rolled(step, group)));
    }
    findings
}

fn not_rolled(step: &Step, group: &Group) -> Finding {
    let message = format!(
        "`{}` disturbs a member of {} and is not rolled with it",
        step.urn, group.name
    );
    at(Finding::error("kbz::plan::unclaimed", message), &[step])
}

/// A step that is rolled with a group that nobody declared: nothing orders it.
fn groupless(step: &Step, groups: &[Group]) -> Option<Finding> {
    let (name, _) = step.disturbs.as_ref()?;
    let known = groups.iter().any(|group| group.name == *name);
    if known || step.impact < Impact::Restart {
        return None;
    }
    let message = format!("`{}` is rolled with {name}, which is no group", step.urn);
    let finding = Finding::error("kbz::plan::member", message);
    Some(at(finding, &[step]).help("declare the group: scope.group(..)"))
}
