//! A modelled host: what it answers, and what an action makes of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::docker::{Engine, image_id};
use super::files::{Files, Write, of_root};
use super::refusal::failed;
use super::registry::Registry;
use super::system::{self, Filesystems, Kernel};
use super::systemd::{self, Units};
use crate::effect::Record;
use crate::effect::{Action, EffectError, Owner, PreImage, RunContext};
use crate::ident::{Digest, HostName, StackName};
use crate::probe::{
    BootReading, ClaimsReading, DrainReading, FactsReading, FirewallReading, ImageUserReading,
    ModuleReading, Ownership, PathReading, Query, Reading, SwapReading, SysctlReading,
};
use crate::secret::Text;

/// The ids of every user but `root` in a modelled image: those of Debian's first system user.
const IN_IMAGE: (u32, u32) = (999, 999);

/// A modelled host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct HostModel {
    pub(super) name: HostName,
    pub(super) address: IpAddr,
    /// Whether it runs.
    pub(super) powered: bool,
    /// Whether the operator reaches it; the other hosts do in any case.
    pub(super) reachable: bool,
    pub(super) facts: FactsReading,
    pub(super) files: Files,
    pub(super) units: Units,
    pub(super) kernel: Kernel,
    pub(super) firewall: FirewallReading,
    pub(super) filesystems: Filesystems,
    pub(super) docker: Engine,
    pub(super) registries: BTreeMap<StackName, Registry>,
    /// How often it has started.
    #[serde(default)]
    pub(super) boots: u64,
    /// The packages that wait for a reboot.
    #[serde(default)]
    pub(super) wants_reboot: Option<Vec<String>>,
}

impl HostModel {
    /// A fresh host.
    pub(super) fn new(name: HostName, address: IpAddr) -> Self {
        Self {
            name,
            address,
            powered: true,
            reachable: true,
            facts: system::facts(),
            files: Files::default(),
            units: Units::default(),
            kernel: Kernel::default(),
            firewall: FirewallReading {
                installed: true,
                ..FirewallReading::default()
            },
            filesystems: Filesystems::default(),
            docker: Engine::default(),
            registries: BTreeMap::new(),
            boots: 0,
            wants_reboot: None,
        }
    }

    /// The answer to a question of `stack`; `None` for what no host can be asked.
    pub(super) fn answer(&self, query: &Query, stack: &StackName) -> Option<Reading> {
        let none = Registry::default();
        let registry = self.registries.get(stack).unwrap_or(&none);
        Some(match query {
            Query::Path(path) => self.files.read(&path.path, path.content).into(),
            Query::Entries(directory) => self.files.entries(&directory.path).into(),
            Query::Unit(unit) => self.units.reading(&unit.name, &self.files).into(),
            Query::SysctlValue(value) => SysctlReading(self.kernel.value(&value.key)).into(),
            Query::Swap(_) => SwapReading(self.kernel.swap.clone()).into(),
            Query::Firewall(_) => self.firewall.clone().into(),
            Query::Facts(_) => self.facts.clone().into(),
            Query::Boot(_) => BootReading {
                id: self.boots.to_string(),
                wanted_by: self.wants_reboot.clone(),
            }
            .into(),
            Query::Filesystem(at) => self.filesystems.of(&at.path)?.into(),
            Query::Module(module) => {
                let present = self.kernel.modules.contains(&module.name);
                ModuleReading { present }.into()
            }
            Query::Drain(drain) => DrainReading(self.docker.drained(drain.port)).into(),
            Query::Stamp(stamp) => registry.stamp(&stamp.name).into(),
            Query::Registry(_) => registry.records().into(),
            Query::Claims(_) => self.claims(stack).into(),
            Query::ImageTag(image) => self.docker.image(&image.reference).into(),
            Query::ImageUser(image) => {
                let known = self.docker.images.contains_key(&image.reference);
                let ids = registry.user(&image.reference, &image.user);
                ImageUserReading(ids.filter(|_| known)).into()
            }
            Query::Container(container) => self.docker.container(&container.name).into(),
            Query::Role(_)
            | Query::Database(_)
            | Query::Extension(_)
            | Query::Contexts(_)
            | Query::Cluster(_)
            | Query::Dcs(_)
            | Query::Marked(_)
            | Query::LoadBalancer(_) => return None,
        })
    }

    /// What other stacks than `stack` have noted.
    fn claims(&self, stack: &StackName) -> ClaimsReading {
        let others = self.registries.iter().filter(|(name, _)| *name != stack);
        let claims = others.flat_map(|(name, registry)| {
            let objects = registry.objects();
            objects.map(|urn| (Digest::of(urn.to_string()), name.clone()))
        });
        ClaimsReading(claims.collect())
    }

    /// Carries an action out. `operator` is where images come from.
    pub(super) fn act(
        &mut self,
        action: &Action,
        run: &RunContext,
        operator: &mut Engine,
    ) -> Result<(), EffectError> {
        let name = self.name.clone();
        // These two are no changes, and do not make a run the newest.
        match action {
            Action::TakeLease { holder } => {
                return self.registry(run).take_lease(&name, run.run, holder);
            }
            Action::RenewLease { .. } => return self.registry(run).renew_lease(&name, run.run),
            _ => {}
        }
        self.registry(run).fence(&name, run.run)?;
        match action {
            Action::GiveLeaseBack { holder } => {
                self.registry(run).give_lease_back(holder);
                Ok(())
            }
            Action::WriteFile {
                path,
                content,
                mode,
                owner,
                expect,
                immutable,
                ..
            } => self.write(path, content, (*mode, owner), (*expect, *immutable), run),
            Action::SetFileAttributes {
                path,
                mode,
                owner,
                immutable,
            } => {
                let ownership = self.ownership(owner, *mode, &run.stack)?;
                self.files.set_attributes(path, ownership, *immutable)
            }
            Action::RemoveFile { path, expect } => self.files.remove_file(path, *expect),
            Action::MakeDirectory { path, mode, owner } => {
                let ownership = self.ownership(owner, *mode, &run.stack)?;
                self.files.make_directory(path, ownership)
            }
            Action::RemoveDirectory { path, recursive } => {
                self.files.remove_directory(path, *recursive)
            }
            Action::Systemd { verb, unit } => {
                let (units, host) = self.systemd();
                units.run(*verb, unit, host)
            }
            Action::SetSysctl { key, value } => self.kernel.set(key, value),
            Action::SwapOff {} => {
                self.kernel.swap.clear();
                Ok(())
            }
            Action::LoadModule { name } => {
                self.kernel.modules.insert(name.clone());
                Ok(())
            }
            Action::AllowTraffic(rule) => {
                system::allow(&mut self.firewall, rule);
                Ok(())
            }
            Action::RevokeTraffic(rule) => {
                system::revoke(&mut self.firewall, rule);
                Ok(())
            }
            Action::EnableFirewall {} => system::enable(&mut self.firewall),
            Action::Reboot { since } => {
                if *since == self.boots.to_string() {
                    self.power_off();
                    self.power_on();
                }
                Ok(())
            }
            Action::SetDrain { port, drained } => self.docker.set_drain(*port, *drained),
            other => self.act_on_engine(other, run, operator),
        }
    }

    fn act_on_engine(
        &mut self,
        action: &Action,
        run: &RunContext,
        operator: &mut Engine,
    ) -> Result<(), EffectError> {
        match action {
            Action::ShipImage { reference, users } => {
                self.ship(reference, users, run, operator);
                Ok(())
            }
            Action::RemoveImage { reference } => self.docker.remove_image(reference),
            Action::CreateContainer(spec) => {
                self.docker.create(spec, run.stack.as_str(), &self.files)
            }
            Action::StartContainer { name } => self.docker.start(name, &self.files),
            Action::RemoveContainer { name, .. } => {
                self.remove_container(name);
                Ok(())
            }
            other => self.note(other, run),
        }
    }

    /// Actions on the stack's registry.
    fn note(&mut self, action: &Action, run: &RunContext) -> Result<(), EffectError> {
        match action {
            Action::Stamp { name, value } => self.registry(run).set_stamp(name, value.clone()),
            Action::RemoveStamp { name } => self.registry(run).remove_stamp(name),
            Action::Mark(record) if !self.may_hold(record) => {
                let said = format!("{} cannot keep the record of what is elsewhere", self.name);
                return Err(failed(record.urn.to_string(), said));
            }
            Action::Mark(record) => {
                let others = self.registries.iter_mut();
                for (_, other) in others.filter(|(stack, _)| **stack != run.stack) {
                    other.unmark(&record.urn);
                }
                self.registry(run).mark(record);
            }
            Action::Unmark(urn) => self.registry(run).unmark(urn),
            _ => return Err(failed(self.name.to_string(), "a host is no place for this")),
        }
        Ok(())
    }

    /// Whether a record speaks of this host alone.
    fn may_hold(&self, record: &Record) -> bool {
        let removal = &record.removal;
        let effects = removal.effects.iter().map(|effect| &effect.site);
        let probes = removal.probes.iter().map(|probe| &probe.site);
        record.urn.host() == Some(&self.name)
            && effects
                .chain(probes)
                .all(|site| site.host() == Some(&self.name))
    }

    fn registry(&mut self, run: &RunContext) -> &mut Registry {
        self.registries.entry(run.stack.clone()).or_default()
    }

    /// systemd, and what its units may touch.
    pub(super) fn systemd(&mut self) -> (&mut Units, systemd::Host<'_>) {
        let host = systemd::Host {
            files: &self.files,
            docker: &mut self.docker,
        };
        (&mut self.units, host)
    }

    /// Takes a container away, whoever runs it.
    pub(super) fn remove_container(&mut self, name: &str) {
        let ran = self.docker.is_running(name);
        self.docker.remove(name);
        if ran {
            let (units, mut host) = self.systemd();
            units.container_ended(name, &mut host);
        }
    }

    fn write(
        &mut self,
        path: &str,
        content: &Text,
        (mode, owner): (u32, &Owner),
        (expect, immutable): (PreImage, bool),
        run: &RunContext,
    ) -> Result<(), EffectError> {
        let content = content
            .resolve(&run.vault)
            .map_err(|error| failed(path, error.to_string()))?;
        let ownership = self.ownership(owner, mode, &run.stack)?;
        self.files.write(Write {
            path,
            content: &content,
            ownership,
            expect,
            immutable,
        })
    }

    /// Owner and mode as `stat` will show them.
    fn ownership(
        &self,
        owner: &Owner,
        mode: u32,
        stack: &StackName,
    ) -> Result<Ownership, EffectError> {
        match owner {
            Owner::Named { user, group } => Ok(Ownership {
                mode,
                uid: named_id(user),
                gid: named_id(group),
                owner: user.clone(),
                group: group.clone(),
            }),
            Owner::InImage { reference, user } => {
                let registry = self.registries.get(stack);
                let ids = registry.and_then(|registry| registry.user(reference, user));
                let known = self.docker.images.contains_key(reference);
                let (uid, gid) = ids.filter(|_| known).ok_or_else(|| {
                    let what = format!("user {user} of {reference}");
                    failed(what, format!("{} does not have the image yet", self.name))
                })?;
                Ok(Ownership {
                    mode,
                    uid,
                    gid,
                    owner: host_name_of(uid),
                    group: host_name_of(gid),
                })
            }
        }
    }

    /// Brings an image over; one that the operator's machine lacks is pulled there.
    fn ship(&mut self, reference: &str, users: &[String], run: &RunContext, operator: &mut Engine) {
        operator.add_image(reference);
        let id = operator.images.get(reference).cloned();
        let id = id.unwrap_or_else(|| image_id(reference));
        self.docker.images.entry(reference.to_owned()).or_insert(id);
        let registry = self.registry(run);
        for user in users {
            let ids = if user == "root" { (0, 0) } else { IN_IMAGE };
            registry.note_user(reference, user, ids);
        }
    }

    /// The power fails: everything that runs stops.
    pub(super) fn power_off(&mut self) {
        self.powered = false;
        self.units.power_off();
        let containers: Vec<String> = self.docker.names().map(str::to_owned).collect();
        for name in containers {
            self.docker.stop(&name);
        }
    }

    /// The host boots: what is enabled starts. A unit that cannot start tries again later.
    pub(super) fn power_on(&mut self) {
        self.powered = true;
        self.boots += 1;
        self.wants_reboot = None;
        for name in self.units.enabled() {
            let (units, host) = self.systemd();
            // What fails here shows as a unit that is not active.
            units.run(crate::effect::UnitVerb::Start, &name, host).ok();
        }
        for name in self.docker.at_boot() {
            self.docker.start(&name, &self.files).ok();
        }
    }

    /// What is on the host that a fresh one does not have, in words.
    pub(super) fn traces(&self) -> Vec<String> {
        let files = self
            .files
            .added()
            .into_iter()
            .map(|path| format!("file {path}"));
        let units = self
            .units
            .added()
            .into_iter()
            .map(|unit| format!("unit {unit}"));
        let containers = self.docker.names().map(|name| format!("container {name}"));
        let images = self
            .docker
            .images
            .keys()
            .map(|name| format!("image {name}"));
        let rules = self
            .firewall
            .rules
            .iter()
            .map(|rule| format!("rule {rule}"));
        let marks = self.registries.values().flat_map(Registry::traces);
        files
            .chain(units)
            .chain(containers)
            .chain(images)
            .chain(rules)
            .chain(marks)
            .collect()
    }

    /// Whether a path is there, as a directory or as anything else.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.read(path, false) != PathReading::Absent
    }

    /// Changes owner and mode of a path to `root` and `mode`, as a hand would.
    pub(super) fn chmod(&mut self, path: &str, mode: u32) {
        self.files.change_owner(path, of_root(mode));
    }
}

/// A number for a name: `root` has 0, others one that depends on the name alone.
fn named_id(name: &str) -> u32 {
    if name == "root" {
        return 0;
    }
    if let Ok(number) = name.parse() {
        return number;
    }
    let digest = crate::ident::Digest::of(name);
    1000 + u32::from(digest.as_bytes()[0])
}

/// What a read shows for an id of an image's user: the number itself, but for `root`.
fn host_name_of(id: u32) -> String {
    if id == 0 {
        "root".to_owned()
    } else {
        id.to_string()
    }
}
