//! Every write, and the record of what a write has made.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::file::{Owner, PreImage};
use super::gate::Gate;
use super::goal::{DatabaseGoal, RoleGoal};
use super::impact::Impact;
use super::unit::UnitVerb;
use crate::ident::{HostName, Urn};
use crate::model::{BuildContext, ContainerSpec, FirewallRule, load_balancer};
use crate::probe::{Entry, Probe, Site};
use crate::secret::{KeyedHash, Text};

/// How long a host's lease lasts that nobody renews, and so how long others wait for a run that was
/// killed, or whose machine sleeps or is cut off. A run that lives renews it several times meanwhile,
/// however long its effects take.
pub const LEASE_LASTS: Duration = Duration::from_mins(20);

/// One change of the world, decided in advance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Where it happens.
    pub site: Site,
    /// What happens.
    pub action: Action,
}

impl Effect {
    /// An effect at `site`.
    pub fn new(site: Site, action: Action) -> Self {
        Self { site, action }
    }

    /// An effect on a host.
    pub fn on(host: &HostName, action: Action) -> Self {
        Self::new(Site::Host(host.clone()), action)
    }

    /// Whether something serves once it has happened that may not have served before.
    pub fn brings_into_service(&self) -> bool {
        use Action as A;
        match &self.action {
            A::Systemd { verb, .. } => matches!(verb, UnitVerb::Start | UnitVerb::Restart),
            A::StartContainer { .. } => true,
            A::SetDrain { drained, .. } => !drained,
            A::ChangeLoadBalancer { change, .. } => change.brings_into_service(),
            A::WriteFile { .. }
            | A::SetFileAttributes { .. }
            | A::RemoveFile { .. }
            | A::MakeDirectory { .. }
            | A::RemoveDirectory { .. }
            | A::SetSysctl { .. }
            | A::SwapOff {}
            | A::LoadModule { .. }
            | A::AllowTraffic(_)
            | A::RevokeTraffic(_)
            | A::EnableFirewall {}
            | A::BuildImage(_)
            | A::ShipImage { .. }
            | A::RemoveImage { .. }
            | A::CreateContainer(_)
            | A::RemoveContainer { .. }
            | A::Reboot { .. }
            | A::Stamp { .. }
            | A::RemoveStamp { .. }
            | A::Mark(_)
            | A::Unmark(_)
            | A::TakeLease { .. }
            | A::RenewLease { .. }
            | A::GiveLeaseBack { .. }
            | A::SetRole(_)
            | A::DropRole { .. }
            | A::SetDatabase(_)
            | A::DropDatabase { .. }
            | A::SetExtension { .. }
            | A::ResetParameters { .. }
            | A::DropExtension { .. }
            | A::PatchDcs { .. }
            | A::Switchover { .. }
            | A::RestartMember { .. }
            | A::DeleteLoadBalancer { .. }
            | A::Gate(_) => false,
        }
    }
}

/// Everything that can be done. Each action is idempotent: done twice, it is as done once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Writes a file beside its place, validates it with its real consumer, renames it.
    WriteFile {
        /// An absolute path.
        path: String,
        /// The content.
        content: Text,
        /// Permission bits.
        mode: u32,
        /// Owner and group.
        owner: Owner,
        /// What must be there for the write to go ahead.
        expect: PreImage,
        /// A command that must accept the new content; `{}` stands for the file's path.
        validate: Option<Vec<String>>,
        /// Whether the immutable attribute protects the file (`chattr +i`).
        immutable: bool,
    },
    /// Sets owner, mode and protection of a file that is there, and leaves its content as it is.
    SetFileAttributes {
        /// An absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner and group.
        owner: Owner,
        /// Whether the immutable attribute protects the file (`chattr +i`).
        immutable: bool,
    },
    /// Removes a file; one that is gone is fine.
    RemoveFile {
        /// An absolute path.
        path: String,
        /// What must be there for the removal to go ahead.
        expect: PreImage,
    },
    /// Makes a directory and its parents, or sets owner and mode of the one there.
    MakeDirectory {
        /// An absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner and group.
        owner: Owner,
    },
    /// Removes a directory.
    RemoveDirectory {
        /// An absolute path.
        path: String,
        /// With all that is in it; otherwise a directory that is not empty stays, as a success.
        recursive: bool,
    },
    /// Tells systemd what to do with a unit.
    Systemd {
        /// What.
        verb: UnitVerb,
        /// The unit's full name.
        unit: String,
    },
    /// Sets a kernel parameter's running value.
    SetSysctl {
        /// Such as `vm.swappiness`.
        key: String,
        /// The value, as `sysctl` writes it.
        value: String,
    },
    /// Ends the use of all swap areas, and takes them out of `/etc/fstab`.
    SwapOff {},
    /// Loads a kernel module.
    LoadModule {
        /// The module's name.
        name: String,
    },
    /// Adds a rule to UFW.
    AllowTraffic(FirewallRule),
    /// Removes a rule from UFW; one that is gone is fine.
    RevokeTraffic(FirewallRule),
    /// Switches UFW on with "deny incoming" as its default; SSH must be allowed before.
    EnableFirewall {},
    /// Builds an image on the operator's machine from a context; one with the tag is kept.
    BuildImage(BuildContext),
    /// Brings an image from the operator's machine to a host's Docker engine.
    ShipImage {
        /// Repository and tag.
        reference: String,
        /// Users whose ids are noted in the host's registry, for owners of files.
        users: Vec<String>,
    },
    /// Removes an image that no container uses.
    RemoveImage {
        /// Repository and tag.
        reference: String,
    },
    /// Creates a container, without starting it.
    CreateContainer(Box<ContainerSpec>),
    /// Starts a container.
    StartContainer {
        /// The container's name.
        name: String,
    },
    /// Stops and removes a container; one that is gone is fine.
    RemoveContainer {
        /// The container's name.
        name: String,
        /// Seconds between the request to stop and the kill.
        grace: u32,
    },
    /// Starts a host anew and waits until it is back. One that has started since is left alone.
    Reboot {
        /// The start that is to end, as [`BootReading::id`](crate::probe::BootReading::id) tells it.
        since: String,
    },
    /// Lets an HAProxy say no to the health checks of whoever balances before it, so that no new
    /// connection comes, and serve on; or be in service again, which one that does not run is as
    /// soon as it does.
    SetDrain {
        /// The loopback port on which it is told so.
        port: u16,
        /// Whether it says no.
        drained: bool,
    },
    /// Notes in the host's registry what a service was last started or reloaded with.
    Stamp {
        /// The name of the stamp.
        name: String,
        /// What it was.
        value: KeyedHash,
    },
    /// Forgets a stamp.
    RemoveStamp {
        /// The name of the stamp.
        name: String,
    },
    /// Notes an object in the host's registry, for kinds that can carry no mark themselves.
    Mark(Box<Record>),
    /// Forgets an object in the host's registry.
    Unmark(Urn),
    /// Takes a host's lease for a run, so that nobody else begins one. Part of no plan: a run
    /// begins with it.
    TakeLease {
        /// Who runs, in words.
        holder: String,
    },
    /// Renews a lease that is the run's: one of a host on which no other run has begun since. Any
    /// other is left as it is.
    RenewLease {
        /// Who runs, in words.
        holder: String,
    },
    /// Gives a lease back, if it is still the holder's.
    GiveLeaseBack {
        /// Who ran.
        holder: String,
    },
    /// Creates or alters a role.
    SetRole(RoleGoal),
    /// Drops a role.
    DropRole {
        /// The role's name.
        name: String,
    },
    /// Creates a database, or alters its owner.
    SetDatabase(DatabaseGoal),
    /// Drops a database, with all that is in it.
    DropDatabase {
        /// The database's name.
        name: String,
    },
    /// Takes back what `ALTER SYSTEM` has set on one server, which then reads its files again.
    ResetParameters {
        /// Which parameters; without any, all of them.
        names: BTreeSet<String>,
    },
    /// Installs or updates an extension.
    SetExtension {
        /// The database to install it in.
        database: String,
        /// The extension's name.
        name: String,
        /// The version to update to; `None` takes what the server's files offer.
        version: Option<String>,
    },
    /// Drops an extension.
    DropExtension {
        /// The database that it is installed in.
        database: String,
        /// The extension's name.
        name: String,
    },
    /// Merges a patch into a cluster's dynamic configuration (`PATCH /config`).
    PatchDcs {
        /// The patch: a null removes a key.
        patch: serde_json::Value,
    },
    /// Moves the leader to another member, planned (`POST /switchover`).
    Switchover {
        /// The member that leads now.
        leader: String,
        /// The member to lead next; `None` leaves the choice to Patroni.
        candidate: Option<String>,
    },
    /// Restarts PostgreSQL on one member where a parameter waits for it (`POST /restart`).
    RestartMember {
        /// The member's name.
        member: String,
        /// The parameters that wait for it, or will once the member has noticed their change;
        /// none where it only says that some do.
        parameters: Vec<String>,
        /// Whether the leader has to restart first, where it stands: a standby keeps the larger
        /// value of some parameters until its leader runs with the smaller one.
        leader_first: bool,
    },
    /// Carries out one change of a Hetzner load balancer.
    ChangeLoadBalancer {
        /// The load balancer's name, unique in its project.
        name: String,
        /// What changes.
        change: Box<load_balancer::LoadBalancerChange>,
    },
    /// Deletes a Hetzner load balancer that bears this stack's label, protected from deletion
    /// or not; one that is gone is fine, one of others is refused.
    DeleteLoadBalancer {
        /// The load balancer's name.
        name: String,
    },
    /// Waits until a condition holds.
    Gate(Gate),
}

/// What is remembered of a managed object, in the operator's state and in the registry of the
/// host that holds it. Enough to take it away without the program that made it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The object.
    pub urn: Urn,
    /// What it was made to be.
    pub goal: KeyedHash,
    /// How it is taken away. Shared, because a record stands in many places at once.
    pub removal: Arc<Removal>,
    /// What it depended on; removals go the other way.
    pub depends_on: BTreeSet<Urn>,
    /// Whether it must never be deleted.
    pub protect: bool,
    /// Whether it stays when it is no longer managed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retain: bool,
    /// How it was read.
    #[serde(skip)]
    pub line: Line,
}

/// The line of JSON that a record was read from, where it was one. It belongs to that record alone:
/// a copy, which may be altered, has none, whoever alters the record itself takes it away, and it
/// counts in no comparison.
#[derive(Debug, Default)]
pub struct Line(Option<Box<str>>);

impl Clone for Line {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl PartialEq for Line {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// How an object is taken away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Removal {
    /// What tells whether it is there at all.
    #[serde(deserialize_with = "exact")]
    pub probes: Vec<Probe>,
    /// What takes it away; none for what goes with its surroundings.
    #[serde(deserialize_with = "exact")]
    pub effects: Vec<Effect>,
    /// What it does to the service when it goes.
    #[serde(default)]
    pub impact: Impact,
}

/// A list without room for more: it mostly has one element, is read for each object that is
/// remembered, and would have room for four.
fn exact<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::deserialize(from)?;
    list.shrink_to_fit();
    Ok(list)
}

impl Record {
    /// The record as a registry notes it: one line of JSON.
    pub(crate) fn noted(&self) -> String {
        serde_json::to_string(self).expect("a record is plain data")
    }

    /// Lets it depend on these too. It is no longer as it was read then.
    pub(crate) fn depend_also_on(&mut self, others: &BTreeSet<Urn>) {
        self.depends_on.extend(others.iter().cloned());
        self.line = Line::default();
    }

    /// Reads a record from a line.
    pub(crate) fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        let mut record: Self = serde_json::from_str(line)?;
        record.line = Line(Some(line.into()));
        Ok(record)
    }

    /// Whether this is how a registry notes it. If it is just what is `remembered`, and that was
    /// read from such a line, nothing has to be written to see so.
    pub(crate) fn is_noted_as(&self, line: &str, remembered: Option<&Self>) -> bool {
        let same = |known: &Self| known.line.0.as_deref() == Some(line) && known == self;
        remembered.is_some_and(same) || self.is_written_as(line)
    }

    fn is_written_as(&self, line: &str) -> bool {
        let mut rest = Awaited(line.as_bytes());
        serde_json::to_writer(&mut rest, self).is_ok() && rest.0.is_empty()
    }
}

/// Takes what is awaited, piece by piece, and refuses anything else.
struct Awaited<'a>(&'a [u8]);

impl std::io::Write for Awaited<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let rest = self.0.strip_prefix(piece);
        self.0 = rest.ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        Self {
            urn: record.urn.clone(),
            goal: record.goal.clone(),
            probes: record.removal.probes.clone(),
            record: record.noted(),
        }
    }
}

impl TryFrom<&Entry> for Record {
    type Error = serde_json::Error;

    fn try_from(entry: &Entry) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&entry.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Digest;
    use crate::secret::Vault;

    fn record(goal: &str) -> Record {
        Record {
            urn: Urn::global("role", "owner"),
            goal: Vault::new().keyed(&Digest::of(goal)),
            removal: Removal::default().into(),
            depends_on: BTreeSet::new(),
            protect: false,
            retain: false,
            line: Line::default(),
        }
    }

    #[test]
    fn a_record_is_noted_as_it_is_written_whatever_is_remembered() {
        let (old, new) = (record("old"), record("new"));
        let read = |record: &Record| Record::from_line(&record.noted()).unwrap();
        for remembered in [None, Some(&read(&old)), Some(&read(&new)), Some(&new)] {
            assert!(new.is_noted_as(&new.noted(), remembered));
            assert!(!new.is_noted_as(&old.noted(), remembered));
        }
        let altered = Record {
            goal: new.goal.clone(),
            ..read(&old).clone()
        };
        assert!(!new.is_noted_as(&old.noted(), Some(&altered)));
    }
}
