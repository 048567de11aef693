//! A container in a host's Docker engine, with host networking.
//!
//! Read: the container as its engine describes it, the image under its tag, the state of the
//! unit that supervises it. Drift seen: every field of the declaration, a tag that now means
//! another image, objects that the container was made with and that are other now
//! ([`remade_on`](Container::remade_on)), and, where Docker supervises it, a container that
//! does not run.
//!
//! A container cannot be changed, only made anew. Who starts it is a choice ([`Supervision`]):
//! - a systemd unit starts and stops it. Then this kind only makes the container, stopping the
//!   unit before it takes an old one away; the unit's own resource restarts the unit, because it
//!   uses the container (`restart_on`).
//! - Docker starts it again by its restart policy. Then this kind starts it too. Whether it runs is
//!   its field `state`: one that is left stopped is not started, not even when it is made anew.
//!
//! The owner's mark, the label `kbz.stack`, is set and read by the interpreters; this kind adds
//! the resource's address. All other labels are the declaration's.
//!
//! Secrets have no place in a container: environment and arguments are plain text that
//! `docker inspect` shows to everybody who may ask, so their type holds no secret. A secret is
//! a file in a mounted directory.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::{Container, Supervision};
//!
//! let host = HostName::new("haproxy-01")?;
//! let haproxy = Container::on(&host, "haproxy", "haproxy:2.8.5")
//!     .supervised_by(Supervision::systemd("haproxy-docker.service"))
//!     .command(["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"])
//!     .reads("/opt/keybuzz/haproxy/config", "/etc/haproxy")
//!     .writes("/opt/keybuzz/haproxy/data", "/var/lib/haproxy")
//!     .nofile(200_000)
//!     .stop_grace(30);
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

mod builder;
mod drift;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::effect::Removal;
use crate::effect::{Action, Effect, UnitVerb};
use crate::ident::{Digest, HostName, Urn};
use crate::model::{ContainerSpec, RestartPolicy};
use crate::primitive::SystemdUnit;
use crate::probe::{self, ContainerReading, Facts, FactsReading, ImageTag, Probe, Site, Unit};
use crate::resource::{
    Change, Claim, Context, FieldNames, Impact, Limit, Op, PlanError, Planned, Reason, Resource,
    RunningContainer,
};

/// The label that names the resource that a container is.
pub const LABEL_URN: &str = "kbz.urn";
/// The label that tells what a container was made with.
pub const LABEL_USES: &str = "kbz.uses";

/// Who starts a container, and starts it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supervision {
    /// A systemd unit.
    Systemd {
        /// The unit's full name.
        unit: String,
    },
    /// Docker, by a restart policy.
    Docker(RestartPolicy),
}

impl Supervision {
    /// A systemd unit by its full name, such as `patroni-docker.service`.
    pub fn systemd(unit: impl Into<String>) -> Self {
        Self::Systemd { unit: unit.into() }
    }
}

/// A container in a host's Docker engine.
#[derive(Debug, Clone)]
pub struct Container {
    host: HostName,
    spec: ContainerSpec,
    supervision: Supervision,
    shm_from: Option<fn(&FactsReading) -> u64>,
    remade_on: BTreeSet<Urn>,
    claims: Vec<Claim>,
}

impl Container {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "container";

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Repository and tag of its image.
    pub fn image(&self) -> &str {
        &self.spec.image
    }

    fn site(&self) -> Site {
        Site::Host(self.host.clone())
    }

    fn query(&self) -> probe::Container {
        probe::Container {
            name: self.spec.name.clone(),
        }
    }

    fn image_query(&self) -> ImageTag {
        ImageTag {
            reference: self.spec.image.clone(),
        }
    }

    fn unit_query(&self) -> Option<Unit> {
        match &self.supervision {
            Supervision::Systemd { unit } => Some(Unit { name: unit.clone() }),
            Supervision::Docker(_) => None,
        }
    }

    fn effect(&self, action: Action) -> Effect {
        Effect::on(&self.host, action)
    }

    /// The goal: what is declared, with marks and what depends on facts filled in.
    fn goal(&self, context: &Context<'_>) -> Result<ContainerSpec, PlanError> {
        let mut spec = self.spec.clone();
        spec.restart = match &self.supervision {
            Supervision::Systemd { .. } => RestartPolicy::No,
            Supervision::Docker(policy) => *policy,
        };
        if let Some(shm_from) = self.shm_from {
            spec.shm_size = shm_from(context.ask(&self.site(), &Facts::PLAIN)?);
        }
        let mut label = |name: &str, value: String| spec.labels.insert(name.to_owned(), value);
        label(LABEL_URN, self.urn().to_string());
        if let Some(uses) = super::systemd_unit::in_use(context, &self.remade_on) {
            label(LABEL_USES, uses.as_str().to_owned());
        }
        Ok(spec)
    }

    fn start(&self) -> Option<Effect> {
        let name = self.spec.name.clone();
        match self.supervision {
            Supervision::Systemd { .. } => None,
            Supervision::Docker(_) => Some(self.effect(Action::StartContainer { name })),
        }
    }

    fn create(&self, goal: ContainerSpec) -> Change {
        let create = self.effect(Action::CreateContainer(Box::new(goal)));
        Change {
            op: Op::Create,
            reasons: vec![Reason::Missing],
            impact: Impact::None,
            effects: std::iter::once(create).chain(self.start()).collect(),
            details: Vec::new(),
        }
    }

    fn replace(
        &self,
        context: &Context<'_>,
        goal: ContainerSpec,
        reasons: Vec<Reason>,
        running: bool,
        grace: u32,
    ) -> Result<Change, PlanError> {
        let mut effects = Vec::new();
        let mut serving = running;
        if let Some(unit) = self.unit_query()
            && let found = context.ask(&self.site(), &unit)?
            && found.exists()
        {
            let active = found.active == "active";
            serving |= active;
            if active {
                // No hand stops it here: it is not left stopped, wherever this breaks off.
                let name = SystemdUnit::start_stamp(&unit.name);
                effects.push(self.effect(Action::RemoveStamp { name }));
            }
            effects.push(self.effect(Action::Systemd {
                verb: UnitVerb::Stop,
                unit: unit.name,
            }));
        }
        let name = self.spec.name.clone();
        effects.push(self.effect(Action::RemoveContainer { name, grace }));
        effects.push(self.effect(Action::CreateContainer(Box::new(goal))));
        // One that is left stopped is made anew, and not started.
        if running || !context.ignores(Reason::STATE) {
            effects.extend(self.start());
        }
        Ok(Change {
            op: Op::Replace,
            reasons,
            impact: if serving {
                Impact::Restart
            } else {
                Impact::None
            },
            effects,
            details: Vec::new(),
        })
    }

    /// Why a container that Docker should keep running is started.
    fn idle(&self, context: &Context<'_>, running: bool) -> Option<Reason> {
        let started = matches!(self.supervision, Supervision::Docker(_));
        (started && !running && !context.ignores(Reason::STATE)).then(|| Reason::NotRunning {
            state: "stopped".to_owned(),
        })
    }

    /// Starts a container that is as declared but for that it does not run.
    fn revive(&self, idle: Reason) -> Change {
        Change {
            op: Op::Update,
            reasons: vec![idle],
            impact: Impact::None,
            effects: self.start().into_iter().collect(),
            details: Vec::new(),
        }
    }

    fn change(
        &self,
        context: &Context<'_>,
        goal: &ContainerSpec,
    ) -> Result<Option<Change>, PlanError> {
        let ContainerReading::Present {
            spec,
            image_id,
            running,
            owner,
            ..
        } = context.ask(&self.site(), &self.query())?
        else {
            return Ok(Some(self.create(goal.clone())));
        };
        if let Some(owner) = owner.as_ref().filter(|owner| *owner != context.stack()) {
            return Err(PlanError::Refused {
                what: format!(
                    "container {} on {} belongs to stack {owner}",
                    self.spec.name, self.host
                ),
                help: "give this one another name, or remove that one by its own stack".to_owned(),
            });
        }
        if owner.is_none() && !context.is_owned() {
            let what = format!(
                "container {} on {} bears no mark of this stack, and would be made anew",
                self.spec.name, self.host
            );
            return Err(PlanError::foreign(&self.urn(), what));
        }
        let image = context.ask(&self.site(), &self.image_query())?;
        let mut reasons = drift::fields(context, spec, goal);
        reasons.extend(drift::retagged(context, spec, goal, image_id, image));
        let idle = self.idle(context, *running);
        if reasons.is_empty() {
            return Ok(idle.map(|idle| self.revive(idle)));
        }
        reasons.extend(idle);
        let change = self.replace(context, goal.clone(), reasons, *running, spec.stop_grace)?;
        Ok(Some(change))
    }
}

impl Container {
    /// What the checks may know of it.
    fn stated(&self) -> Claim {
        let spec = &self.spec;
        let defaults = ContainerSpec::new("", "");
        let shm = self.shm_from.is_none() && spec.shm_size == defaults.shm_size;
        let unsaid = [
            (shm, Limit::SharedMemory),
            (!spec.ulimits.contains_key("nofile"), Limit::OpenFiles),
            (!spec.logs.are_bounded(), Limit::Logs),
        ];
        Claim::Container(RunningContainer {
            host: self.host.clone(),
            name: spec.name.clone(),
            image: spec.image.clone(),
            user: (!spec.user.is_empty()).then(|| spec.user.clone()),
            sees: spec.mounts.values().map(|m| m.source.clone()).collect(),
            unit: self.unit_query().map(|unit| unit.name),
            unsaid: unsaid
                .into_iter()
                .filter_map(|(unsaid, limit)| unsaid.then_some(limit))
                .collect(),
        })
    }

    /// The directories of the host that the service may write to.
    fn written(&self) -> impl Iterator<Item = Claim> + '_ {
        let writable = self.spec.mounts.values().filter(|mount| !mount.read_only);
        writable.map(|mount| Claim::WritesTo {
            host: self.host.clone(),
            path: mount.source.clone(),
            who: format!("container {}", self.spec.name),
        })
    }
}

impl Resource for Container {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, &self.spec.name)
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![
            Probe::host(&self.host, self.query()),
            Probe::host(&self.host, self.image_query()),
        ];
        probes.extend(self.unit_query().map(|unit| Probe::host(&self.host, unit)));
        probes.extend(self.shm_from.map(|_| Probe::host(&self.host, Facts::PLAIN)));
        probes
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let goal = self.goal(context)?;
        let change = self.change(context, &goal)?;
        Ok(Planned {
            goal: context.keyed(&Digest::of(format!("{goal:?}"))),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal {
            probes: vec![Probe::host(&self.host, self.query())],
            effects: vec![self.effect(Action::RemoveContainer {
                name: self.spec.name.clone(),
                grace: self.spec.stop_grace,
            })],
            impact: Impact::ServiceEnds,
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[
            "image",
            "command",
            "user",
            "env.*",
            "mounts.*",
            "tmpfs.*",
            "shm_size",
            "ulimits.*",
            "oom_score_adj",
            "memory",
            "cap_add",
            "cap_drop",
            "restart",
            "stop_grace",
            "stop_signal",
            "logs",
            "labels.*",
            "uses",
            Reason::STATE,
        ]))
    }

    fn summary(&self) -> String {
        match &self.supervision {
            Supervision::Systemd { unit } => format!("{} under {unit}", self.spec.image),
            Supervision::Docker(_) => format!("{} under Docker", self.spec.image),
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let readable = |what: &str, text: String| {
            (!text.is_empty()).then(|| Claim::Says {
                place: format!("{what} of container {} on {}", self.spec.name, self.host),
                holds_secret: text.contains(crate::secret::SecretRef::OPEN),
                private: false,
                text,
            })
        };
        let env: Vec<String> = self
            .spec
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let image = Claim::Image {
            reference: self.spec.image.clone(),
        };
        [image, self.stated()]
            .into_iter()
            .chain(readable("environment", env.join("\n")))
            .chain(readable("command", self.spec.command.join(" ")))
            .chain(self.written())
            .chain(self.claims.iter().cloned())
            .collect()
    }
}
