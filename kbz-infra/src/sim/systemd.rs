//! A modelled systemd.
//!
//! A unit is known when its file is there; systemd goes on with what it read until it is told to
//! read again, and keeps nothing of a unit that does not run and is not wanted at boot: it reads
//! that anew whenever it is asked for it. A unit whose `ExecStart` is
//! `docker start --attach NAME` is up while that container runs; any other is up when it is
//! started.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::docker::Engine;
use super::files::Files;
use super::refusal::failed;
use crate::effect::{EffectError, UnitVerb};
use crate::probe::UnitReading;

/// Units that every host has, enabled and running.
const VENDOR: [&str; 3] = ["docker.service", "ssh.service", "ufw.service"];
const VENDOR_UNIT: &str = "[Service]\nExecStart=/usr/sbin/daemon\nExecReload=/bin/kill -HUP\n\
                           [Install]\nWantedBy=multi-user.target\n";

/// The units that systemd has to do with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Units(BTreeMap<String, Unit>);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Unit {
    active: Active,
    enabled: bool,
    /// The file as systemd read it.
    read: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Active {
    #[default]
    Inactive,
    Running,
    /// Its container went away, and systemd tries to start it again and again.
    Restarting,
}

impl Default for Units {
    fn default() -> Self {
        let running = Unit {
            active: Active::Running,
            enabled: true,
            read: Some(VENDOR_UNIT.to_owned()),
        };
        Self(VENDOR.map(|name| (name.to_owned(), running.clone())).into())
    }
}

/// What a unit may touch of its host.
pub(super) struct Host<'a> {
    pub(super) files: &'a Files,
    pub(super) docker: &'a mut Engine,
}

impl Units {
    pub(super) fn reading(&self, name: &str, files: &Files) -> UnitReading {
        let none = Unit::default();
        let unit = self.0.get(name).unwrap_or(&none);
        let file = unit_file(name, files);
        let known = unit.read.is_some() || file.is_some();
        let load = if known { "loaded" } else { "not-found" };
        let active = match unit.active {
            Active::Inactive => "inactive",
            Active::Running => "active",
            Active::Restarting => "activating",
        };
        let enabled = match (unit.enabled, known) {
            (true, true) => "enabled",
            (false, true) => "disabled",
            (_, false) => "",
        };
        UnitReading {
            load: load.to_owned(),
            active: active.to_owned(),
            enabled: enabled.to_owned(),
            stale: unit.read.as_deref().is_some_and(|read| file != Some(read)),
        }
    }

    /// Does what systemd is asked to do.
    pub(super) fn run(
        &mut self,
        verb: UnitVerb,
        name: &str,
        mut host: Host<'_>,
    ) -> Result<(), EffectError> {
        let done = self.obey(verb, name, &mut host);
        self.forget_idle();
        done
    }

    fn obey(&mut self, verb: UnitVerb, name: &str, host: &mut Host<'_>) -> Result<(), EffectError> {
        let known = self.reading(name, host.files).load == "loaded";
        match verb {
            UnitVerb::DaemonReload => {
                self.read_again(host.files);
                Ok(())
            }
            UnitVerb::Stop if !known => Ok(()),
            UnitVerb::Disable => {
                self.read_again(host.files);
                self.load(name, host.files).enabled = false;
                Ok(())
            }
            _ if !known => Err(failed(name, format!("Unit {name} not found."))),
            UnitVerb::Enable if unit_file(name, host.files).is_none() => {
                let said = format!("Failed to enable unit: Unit file {name} does not exist.");
                Err(failed(name, said))
            }
            UnitVerb::Enable => {
                self.read_again(host.files);
                self.load(name, host.files).enabled = true;
                Ok(())
            }
            UnitVerb::Start => self.start(name, host),
            UnitVerb::Stop => {
                self.stop(name, host);
                Ok(())
            }
            UnitVerb::Restart => {
                self.stop(name, host);
                self.start(name, host)
            }
            UnitVerb::Reload => self.reload(name, host),
        }
    }

    /// The unit, read from its file unless it was before.
    fn load(&mut self, name: &str, files: &Files) -> &mut Unit {
        let unit = self.0.entry(name.to_owned()).or_default();
        if unit.read.is_none() {
            unit.read = unit_file(name, files).map(str::to_owned);
        }
        unit
    }

    fn read_again(&mut self, files: &Files) {
        for (name, unit) in &mut self.0 {
            unit.read = unit_file(name, files).map(str::to_owned);
        }
    }

    fn forget_idle(&mut self) {
        self.0.retain(|_, unit| unit.is_busy());
    }

    fn start(&mut self, name: &str, host: &mut Host<'_>) -> Result<(), EffectError> {
        let unit = self.load(name, host.files);
        if let Some(container) = unit.container() {
            if !host.docker.has(&container) {
                unit.active = Active::Restarting;
                return Err(failed(name, format!("No such container: {container}")));
            }
            host.docker.start(&container, host.files)?;
        }
        unit.active = Active::Running;
        Ok(())
    }

    fn stop(&mut self, name: &str, host: &mut Host<'_>) {
        let unit = self.load(name, host.files);
        if unit.active == Active::Running
            && let Some(container) = unit.container()
        {
            host.docker.stop(&container);
        }
        unit.active = Active::Inactive;
    }

    fn reload(&mut self, name: &str, host: &mut Host<'_>) -> Result<(), EffectError> {
        let unit = self.load(name, host.files);
        if unit.active != Active::Running {
            let said = format!("{name} is not active, cannot reload.");
            return Err(failed(name, said));
        }
        let can = unit
            .read
            .as_ref()
            .is_some_and(|read| read.contains("ExecReload="));
        if !can {
            let said = format!("Job type reload is not applicable for unit {name}.");
            return Err(failed(name, said));
        }
        if let Some(container) = unit.container() {
            host.docker.reload(&container, host.files);
        }
        Ok(())
    }

    /// A container has ended. Its unit, if it has one that runs, starts it again where that is
    /// possible.
    pub(super) fn container_ended(&mut self, container: &str, host: &mut Host<'_>) {
        let running = self
            .0
            .values_mut()
            .filter(|unit| unit.active == Active::Running);
        for unit in running {
            if unit.container().as_deref() != Some(container) {
                continue;
            }
            let again = unit
                .read
                .as_ref()
                .is_some_and(|read| read.contains("Restart=always"));
            unit.active = match (again, host.docker.start(container, host.files)) {
                (true, Ok(())) => Active::Running,
                (true, Err(_)) => Active::Restarting,
                (false, _) => Active::Inactive,
            };
        }
        self.forget_idle();
    }

    /// All units stop with their host, and what was read of them is lost.
    pub(super) fn power_off(&mut self) {
        for unit in self.0.values_mut() {
            unit.active = Active::Inactive;
            unit.read = None;
        }
        self.forget_idle();
    }

    /// The units that start with their host.
    pub(super) fn enabled(&self) -> Vec<String> {
        let enabled = self.0.iter().filter(|(_, unit)| unit.enabled);
        enabled.map(|(name, _)| name.clone()).collect()
    }

    /// The units that are enabled or run, besides those that every host has.
    pub(super) fn added(&self) -> Vec<&str> {
        let units = self.0.iter().filter(|(name, unit)| {
            let vendor = VENDOR.contains(&name.as_str());
            !vendor && unit.is_busy()
        });
        units.map(|(name, _)| name.as_str()).collect()
    }

    /// Switches a unit off as a hand would.
    pub(super) fn stop_by_hand(&mut self, name: &str, mut host: Host<'_>) {
        self.stop(name, &mut host);
        self.forget_idle();
    }

    /// Takes a unit out of the boot as a hand would.
    pub(super) fn disable_by_hand(&mut self, name: &str) {
        if let Some(unit) = self.0.get_mut(name) {
            unit.enabled = false;
        }
        self.forget_idle();
    }
}

impl Unit {
    /// Whether it runs, or is wanted at boot.
    fn is_busy(&self) -> bool {
        self.enabled || self.active != Active::Inactive
    }

    /// The container that the unit runs, if it runs one.
    fn container(&self) -> Option<String> {
        let lines = self.read.as_deref()?.lines();
        let mut starts = lines.filter_map(|line| line.strip_prefix("ExecStart="));
        let words: Vec<&str> = starts.next()?.split_whitespace().collect();
        let docker = words.first()?.ends_with("docker") && words.get(1) == Some(&"start");
        docker.then(|| words.last().map(|name| (*name).to_owned()))?
    }
}

/// The text of a unit's file.
fn unit_file<'a>(name: &str, files: &'a Files) -> Option<&'a str> {
    let own = files.text(&format!("/etc/systemd/system/{name}"));
    own.or_else(|| VENDOR.contains(&name).then_some(VENDOR_UNIT))
}
