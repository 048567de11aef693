//! The state of a systemd unit: enabled, running, and running with its present configuration.
//!
//! Read: load, active and enabled state, and the stamp in the host's registry that says what
//! the unit was last started or reloaded with. Drift seen: a stopped, disabled or failed unit,
//! one that has not yet read what it uses, and one whose file systemd has not read. A crash
//! between the write of a configuration file and the reload loses nothing: the stamp still names
//! the old configuration. When a file that the unit reads is put right after a hand changed it,
//! the unit reads it again. A unit's own file is read again by systemd; whether somebody
//! restarted the unit with the changed one in between is not known, and it goes on.
//!
//! Whether it runs (`state`) and starts at boot (`enabled`) are its fields, which can be ignored or
//! adopted. A unit that is left stopped is started for nothing that it uses, and counts as stopped:
//! what waits for it goes on waiting.
//!
//! The unit's file is a [`File`](super::File) of its own.

use std::collections::BTreeSet;

use crate::effect::Removal;
use crate::effect::{Action, Effect, UnitVerb};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Probe, Site, Stamp, Unit, UnitReading};
use crate::resource::{
    Change, Claim, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};
use crate::secret::KeyedHash;

/// The state of a systemd unit.
#[derive(Debug, Clone)]
pub struct SystemdUnit {
    host: HostName,
    name: String,
    running: bool,
    of_system: bool,
    reload_on: BTreeSet<Urn>,
    restart_on: BTreeSet<Urn>,
}

impl SystemdUnit {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "unit";

    /// A unit that is enabled and runs; `name` with its suffix, such as `.service`.
    pub fn on(host: &HostName, name: impl Into<String>) -> Self {
        Self {
            host: host.clone(),
            name: name.into(),
            running: true,
            of_system: false,
            reload_on: BTreeSet::new(),
            restart_on: BTreeSet::new(),
        }
    }

    /// A unit that is stopped and disabled; one that does not exist is fine.
    pub fn stopped(mut self) -> Self {
        self.running = false;
        self
    }

    /// The unit belongs to the operating system: when it is no longer declared it goes on as it
    /// is, for others may need it.
    pub fn of_the_system(mut self) -> Self {
        self.of_system = true;
        self
    }

    /// Reloads the unit when one of these resources is other than at the last reload.
    pub fn reload_on(mut self, used: impl IntoIterator<Item = Urn>) -> Self {
        self.reload_on.extend(used);
        self
    }

    /// Restarts the unit when one of these resources is other than at the last start.
    pub fn restart_on(mut self, used: impl IntoIterator<Item = Urn>) -> Self {
        self.restart_on.extend(used);
        self
    }

    fn site(&self) -> Site {
        Site::Host(self.host.clone())
    }

    fn unit(&self) -> Unit {
        Unit {
            name: self.name.clone(),
        }
    }

    /// The name of the stamp of a unit's last start.
    pub(super) fn start_stamp(unit: &str) -> String {
        format!("{unit}.{RESTART}")
    }

    fn stamp(&self, what: &str) -> Stamp {
        Stamp {
            name: format!("{}.{what}", self.name),
        }
    }

    fn systemd(&self, verb: UnitVerb) -> Effect {
        Effect::on(
            &self.host,
            Action::Systemd {
                verb,
                unit: self.name.clone(),
            },
        )
    }

    /// Whether what the unit uses is other than its stamp says.
    fn is_stale(
        &self,
        context: &Context<'_>,
        what: &str,
        in_use: Option<&KeyedHash>,
    ) -> Result<bool, PlanError> {
        let Some(in_use) = in_use else {
            return Ok(false);
        };
        Ok(context.ask(&self.site(), &self.stamp(what))?.0.as_ref() != Some(in_use))
    }

    /// Whether the unit was brought up once, so that somebody must have stopped it since: its stamp
    /// says so. Of a unit that uses nothing only the memory tells.
    fn was_started(&self, context: &Context<'_>) -> Result<bool, PlanError> {
        if self.restart_on.is_empty() {
            return Ok(context.is_owned());
        }
        let stamp = context.ask(&self.site(), &self.stamp(RESTART))?;
        Ok(stamp.0.is_some())
    }

    /// What makes the unit enabled, and running with what it uses now.
    fn start(
        &self,
        found: &UnitReading,
        context: &Context<'_>,
    ) -> Result<Option<Change>, PlanError> {
        let active = found.active == "active";
        let left = found.exists() && !active && context.ignores(Reason::STATE);
        if left && self.was_started(context)? {
            return Ok(self.at_rest(found, context));
        }
        let restart_with = in_use(context, &self.restart_on);
        let reload_with = in_use(context, &self.reload_on);
        let restart = self.is_stale(context, RESTART, restart_with.as_ref())?
            || self
                .restart_on
                .iter()
                .any(|urn| context.upstream().will_be_made(urn));
        // Whoever changed a file by hand may have made the service read it.
        let reload = self.is_stale(context, RELOAD, reload_with.as_ref())?
            || rewritten(&self.reload_on, context);
        let reread = found.stale || restart || rewritten(&self.restart_on, context);
        let (mut reasons, mut effects) = self.enable(found, context);
        let enabled = reasons.is_empty();
        if enabled && reread {
            effects.push(self.systemd(UnitVerb::DaemonReload));
        }
        let mut impact = Impact::None;
        if !active {
            let state = found.active.clone();
            reasons.push(Reason::NotRunning { state });
            // A unit that is about to start again by itself is brought up afresh.
            effects.push(self.systemd(UnitVerb::Restart));
        } else if restart {
            reasons.extend(stale(&self.restart_on, context));
            effects.push(self.systemd(UnitVerb::Restart));
            impact = Impact::Restart;
        } else if reload {
            reasons.extend(stale(&self.reload_on, context));
            effects.push(self.systemd(UnitVerb::Reload));
            impact = Impact::Reload;
        } else if reread && enabled {
            reasons.push(reread_by_systemd());
        }
        if reasons.is_empty() {
            return Ok(None);
        }
        for (what, value) in [(RESTART, restart_with), (RELOAD, reload_with)] {
            let Some(value) = value else { continue };
            let name = self.stamp(what).name;
            effects.push(Effect::on(&self.host, Action::Stamp { name, value }));
        }
        Ok(Some(changed(found, reasons, impact, effects)))
    }

    /// What enables the unit, with the reason.
    fn enable(&self, found: &UnitReading, context: &Context<'_>) -> (Vec<Reason>, Vec<Effect>) {
        let enabled = matches!(found.enabled.as_str(), "enabled" | "static" | "generated");
        if enabled || found.exists() && context.ignores(ENABLED) {
            return (Vec::new(), Vec::new());
        }
        let reason = Reason::field(ENABLED, or_none(&found.enabled), "enabled");
        (vec![reason], vec![self.systemd(UnitVerb::Enable)])
    }

    /// What is done of a unit that is left stopped: systemd knows its present file, so that whoever
    /// starts it starts that. Its stamps stay those of its last start, for nobody knows what it
    /// will have read: found running again, it is restarted where they tell of something else.
    fn at_rest(&self, found: &UnitReading, context: &Context<'_>) -> Option<Change> {
        let (mut reasons, mut effects) = self.enable(found, context);
        if reasons.is_empty() {
            if found.stale {
                reasons.push(reread_by_systemd());
            } else if rewritten(&self.restart_on, context) {
                reasons.extend(stale(&self.restart_on, context));
            }
            effects.push(self.systemd(UnitVerb::DaemonReload));
        }
        (!reasons.is_empty()).then(|| changed(found, reasons, Impact::None, effects))
    }

    /// What keeps the unit stopped and disabled.
    fn stop(&self, found: &UnitReading, context: &Context<'_>) -> Option<Change> {
        let active = matches!(found.active.as_str(), "active" | "activating" | "reloading");
        let runs = active && !context.ignores(Reason::STATE);
        let enabled = found.enabled == "enabled" && !context.ignores(ENABLED);
        if !found.exists() || (!runs && !enabled) {
            return None;
        }
        let mut reasons = Vec::new();
        let mut effects = Vec::new();
        if runs {
            reasons.push(Reason::field(Reason::STATE, &found.active, "inactive"));
        }
        if enabled {
            reasons.push(Reason::field(ENABLED, &found.enabled, "disabled"));
        }
        if !context.ignores(Reason::STATE) {
            effects.push(self.systemd(UnitVerb::Stop));
        }
        if !context.ignores(ENABLED) {
            effects.push(self.systemd(UnitVerb::Disable));
        }
        let impact = if runs { Impact::Restart } else { Impact::None };
        Some(changed(found, reasons, impact, effects))
    }
}

/// The field that says whether the unit starts at boot.
const ENABLED: &str = "enabled";
/// The stamp of the last start.
const RESTART: &str = "start";
/// The stamp of the last reload.
const RELOAD: &str = "reload";

impl Resource for SystemdUnit {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, &self.name)
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![Probe::host(&self.host, self.unit())];
        if !self.restart_on.is_empty() {
            probes.push(Probe::host(&self.host, self.stamp(RESTART)));
        }
        if !self.reload_on.is_empty() {
            probes.push(Probe::host(&self.host, self.stamp(RELOAD)));
        }
        probes
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let found = context.ask(&self.site(), &self.unit())?;
        let change = if self.running {
            self.start(found, context)?
        } else {
            self.stop(found, context)
        };
        let goal = Digest::of_parts([self.name.as_str(), if self.running { "on" } else { "off" }]);
        Ok(Planned {
            goal: context.keyed(&goal),
            change,
        })
    }

    fn removal(&self) -> Removal {
        if !self.running {
            // A unit that was kept stopped stays as it is.
            return Removal::default();
        }
        let mut effects = Vec::new();
        if !self.of_system {
            effects.push(self.systemd(UnitVerb::Stop));
            effects.push(self.systemd(UnitVerb::Disable));
        }
        for what in [RESTART, RELOAD] {
            let name = self.stamp(what).name;
            effects.push(Effect::on(&self.host, Action::RemoveStamp { name }));
        }
        Removal {
            probes: vec![Probe::host(&self.host, self.unit())],
            effects,
            impact: if self.of_system {
                Impact::None
            } else {
                Impact::ServiceEnds
            },
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[Reason::STATE, ENABLED]))
    }

    fn summary(&self) -> String {
        if self.running {
            "enabled, started"
        } else {
            "stopped, disabled"
        }
        .to_owned()
    }

    fn claims(&self) -> Vec<Claim> {
        let runs = || Claim::Runs {
            host: self.host.clone(),
            unit: self.name.clone(),
        };
        self.running.then(runs).into_iter().collect()
    }
}

/// What a unit, or a container, uses now, as one hash; `None` when it uses nothing.
pub(super) fn in_use(context: &Context<'_>, used: &BTreeSet<Urn>) -> Option<KeyedHash> {
    if used.is_empty() {
        return None;
    }
    let goals = used.iter().map(|urn| match context.upstream().goal(urn) {
        Some(goal) => format!("{urn} {}", goal.as_str()),
        None => format!("{urn} unknown"),
    });
    Some(context.keyed(&Digest::of_parts(goals)))
}

fn changed(
    found: &UnitReading,
    reasons: Vec<Reason>,
    impact: Impact,
    effects: Vec<Effect>,
) -> Change {
    let op = if found.exists() {
        Op::Update
    } else {
        Op::Create
    };
    Change {
        op,
        reasons,
        impact,
        effects,
        details: Vec::new(),
    }
}

/// Why systemd reads a unit's file again, and nothing else happens.
fn reread_by_systemd() -> Reason {
    Reason::field("systemd knows", "another unit file", "this one")
}

/// Whether something that a unit uses changes in the same plan.
fn rewritten(used: &BTreeSet<Urn>, context: &Context<'_>) -> bool {
    used.iter().any(|urn| context.upstream().will_change(urn))
}

fn or_none(state: &str) -> &str {
    if state.is_empty() { "none" } else { state }
}

/// The resources that are known to change, or all of them when the change was earlier.
fn stale(used: &BTreeSet<Urn>, context: &Context<'_>) -> Vec<Reason> {
    let changing: Vec<&Urn> = used
        .iter()
        .filter(|urn| context.upstream().will_change(urn))
        .collect();
    let named: Vec<&Urn> = if changing.is_empty() {
        used.iter().collect()
    } else {
        changing
    };
    named
        .into_iter()
        .map(|urn| Reason::Stale {
            uses: urn.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
