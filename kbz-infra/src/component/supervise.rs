//! A container under its systemd unit: the unit's file, and the unit enabled and running.

use super::unit::Unit;
use crate::ident::{HostName, Urn};
use crate::primitive::{File, SystemdUnit};
use crate::program::{DeclareExt as _, Result, Scope};
use crate::resource::GroupName;

/// Declares the unit that runs one container, with what it reads.
///
/// The container itself is declared beforehand, as
/// [`supervised_by`](crate::primitive::Container::supervised_by) the unit; whenever it is made
/// anew, the unit is restarted.
#[derive(Debug, Clone)]
pub struct Supervise {
    host: HostName,
    unit: Unit,
    container: Urn,
    reload_on: Vec<Urn>,
    restart_on: Vec<Urn>,
    after: Vec<Urn>,
    group: Option<GroupName>,
}

impl Supervise {
    /// The unit of a container on a host.
    pub fn new(host: &HostName, unit: Unit, container: &Urn) -> Self {
        Self {
            host: host.clone(),
            unit,
            container: container.clone(),
            reload_on: Vec::new(),
            restart_on: Vec::new(),
            after: Vec::new(),
            group: None,
        }
    }

    /// Reloads the unit when one of these resources is other than at the last reload.
    pub fn reload_on(mut self, settings: impl IntoIterator<Item = Urn>) -> Self {
        self.reload_on.extend(settings);
        self
    }

    /// Restarts the unit when one of these resources is other than at the last start.
    pub fn restart_on(mut self, settings: impl IntoIterator<Item = Urn>) -> Self {
        self.restart_on.extend(settings);
        self
    }

    /// Starts after these resources, which it does not read.
    pub fn after(mut self, others: impl IntoIterator<Item = Urn>) -> Self {
        self.after.extend(others);
        self
    }

    /// A restart of it disturbs its host's member of this group.
    pub fn member_of(mut self, group: &GroupName) -> Self {
        self.group = Some(group.clone());
        self
    }

    /// The same, where there is such a group.
    pub(crate) fn in_group(mut self, group: Option<GroupName>) -> Self {
        self.group = group;
        self
    }

    /// Declares the unit's file and its state.
    pub fn declare(self, scope: &mut Scope<'_>) -> Result<()> {
        let text = self
            .unit
            .render()
            .map_err(|error| scope.finding("kbz::component::unit", error.to_string()))?;
        let path = format!("/etc/systemd/system/{}", self.unit.name());
        let file = File::on(&self.host, path).content(text).mode(0o644);
        let file = scope.add(file).urn().clone();
        let restart_on: Vec<Urn> = [self.container, file]
            .into_iter()
            .chain(self.restart_on)
            .collect();
        let unit = SystemdUnit::on(&self.host, self.unit.name())
            .reload_on(self.reload_on.clone())
            .restart_on(restart_on.clone())
            .after(self.reload_on)
            .after(restart_on)
            .after(self.after);
        match &self.group {
            Some(group) => scope.add(unit.member_of(group, &self.host)),
            None => scope.add(unit),
        };
        Ok(())
    }
}
