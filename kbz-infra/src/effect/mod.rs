//! The vocabulary of writes: everything that can be done to the world.
//!
//! An [`Effect`] is plain data: a [`Site`] and an [`Action`], idempotent, with the pre-image that
//! it expects where one is worth refusing over. Only the two interpreters carry effects out.
//! What cannot be said here is added here, and to both interpreters; it is never gone round.

mod container;
mod deed;
mod firewall;
mod gate;
mod image;
mod interpreter;
pub mod load_balancer;

use serde::{Deserialize, Serialize};

pub use container::{ContainerSpec, LogLimits, Mount, RestartPolicy, Ulimit};
pub use deed::Deed;
pub use firewall::{FirewallRule, Protocol};
pub use gate::{Condition, Gate, Waiting};
pub use image::{BuildContext, ContextFile};
pub use interpreter::{EffectError, Interpreter, Progress, RunContext, SiteReadings};

use crate::ident::{Digest, Urn};
use crate::probe::Site;
use crate::resource::{Record, Text};
use crate::secret::{KeyedHash, SecretRef};

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
    pub fn on(host: &crate::ident::HostName, action: Action) -> Self {
        Self::new(Site::Host(host.clone()), action)
    }
}

/// What must be at a path for a change of it to go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreImage {
    /// Anything that is a file, or nothing.
    Any,
    /// Nothing.
    Absent,
    /// A file with this content.
    Content(Digest),
    /// A symbolic link, whose place is taken; what it points to stays as it is.
    Link,
}

/// Who owns a file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// A user and a group that the host knows by name.
    Named {
        /// The user's name.
        user: String,
        /// The group's name.
        group: String,
    },
    /// A user and its group as an image has them; looked up where the image is.
    InImage {
        /// Repository and tag.
        reference: String,
        /// The user's name inside the image.
        user: String,
    },
}

impl Owner {
    /// `root:root`.
    pub fn root() -> Self {
        Self::Named {
            user: "root".to_owned(),
            group: "root".to_owned(),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Owner::Named { user, .. } | Owner::InImage { user, .. } => f.write_str(user),
        }
    }
}

/// What systemd is asked to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitVerb {
    /// `daemon-reload`, then `enable`.
    Enable,
    /// `disable`.
    Disable,
    /// `start`, and wait for it.
    Start,
    /// `stop`, and wait for it.
    Stop,
    /// `restart`, and wait for it.
    Restart,
    /// `reload`.
    Reload,
    /// `daemon-reload` alone; the unit only names why.
    DaemonReload,
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

/// What a role is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the attributes of a role are flags"
)]
pub struct RoleGoal {
    /// The role's name.
    pub name: String,
    /// `LOGIN`.
    pub login: bool,
    /// `SUPERUSER`.
    pub superuser: bool,
    /// `REPLICATION`.
    pub replication: bool,
    /// `CREATEDB`.
    pub create_db: bool,
    /// `CREATEROLE`.
    pub create_role: bool,
    /// The stored verifier, in the form [`ScramVerifier`](crate::secret::Form::ScramVerifier).
    pub verifier: Option<SecretRef>,
    /// The roles that it is a member of, sorted.
    pub member_of: Vec<String>,
    /// The owner's mark.
    pub comment: String,
}

/// What a database is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseGoal {
    /// The database's name.
    pub name: String,
    /// The role that owns it.
    pub owner: String,
    /// Whether everybody may connect.
    pub public_connect: bool,
    /// The owner's mark.
    pub comment: String,
}
