//! An effect in words.
//!
//! One place for the words, so that a preview, the live tree, the journal and the report after
//! a crash call the same effect the same. A deed names objects only; it never holds content.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::action::{Action, Effect};
use super::unit::UnitVerb;

/// What an effect does, in words: an object and a participle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What it is done to, such as `container patroni`.
    pub object: String,
    /// What is done, as a participle: `created`. Fits after "had been" and "is being".
    pub done: String,
}

impl Deed {
    fn new(kind: &str, name: &str, done: &str) -> Self {
        let object = if name.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind} {name}")
        };
        Self {
            object,
            done: done.to_owned(),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object, self.done)
    }
}

impl Effect {
    /// The effect in words; its site is not part of them.
    pub fn deed(&self) -> Deed {
        match &self.action {
            Action::WriteFile { path, .. } => Deed::new("file", path, "written"),
            Action::SetFileAttributes { path, .. } => Deed::new("attributes of file", path, "set"),
            Action::RemoveFile { path, .. } => Deed::new("file", path, "removed"),
            Action::MakeDirectory { path, .. } => Deed::new("directory", path, "made"),
            Action::RemoveDirectory { path, .. } => Deed::new("directory", path, "removed"),
            Action::Systemd { verb, unit } => Deed::new("unit", unit, participle(*verb)),
            Action::SetSysctl { key, .. } => Deed::new("sysctl", key, "set"),
            Action::SwapOff {} => Deed::new("swap", "", "switched off"),
            Action::LoadModule { name } => Deed::new("kernel module", name, "loaded"),
            Action::AllowTraffic(rule) => Deed::new("traffic to", &rule.to_string(), "allowed"),
            Action::RevokeTraffic(rule) => {
                Deed::new("traffic to", &rule.to_string(), "no longer allowed")
            }
            Action::EnableFirewall {} => Deed::new("firewall", "", "switched on"),
            Action::BuildImage(context) => Deed::new("image", &context.reference(), "built"),
            Action::ShipImage { reference, .. } => Deed::new("image", reference, "shipped"),
            Action::RemoveImage { reference } => Deed::new("image", reference, "removed"),
            Action::CreateContainer(spec) => Deed::new("container", &spec.name, "created"),
            Action::StartContainer { name } => Deed::new("container", name, "started"),
            Action::RemoveContainer { name, .. } => Deed::new("container", name, "removed"),
            Action::Reboot { .. } => Deed::new("host", "", "rebooted"),
            Action::SetDrain { drained: true, .. } => Deed::new("haproxy", "", "drained"),
            Action::SetDrain { drained: false, .. } => Deed::new("haproxy", "", "put into service"),
            Action::Stamp { name, .. } => Deed::new("stamp", name, "noted"),
            Action::RemoveStamp { name } => Deed::new("stamp", name, "forgotten"),
            Action::Mark(record) => Deed::new("mark of", &record.urn.to_string(), "noted"),
            Action::Unmark(urn) => Deed::new("mark of", &urn.to_string(), "forgotten"),
            Action::TakeLease { .. } => Deed::new("lease", "", "taken"),
            Action::RenewLease { .. } => Deed::new("lease", "", "renewed"),
            Action::GiveLeaseBack { .. } => Deed::new("lease", "", "given back"),
            Action::SetRole(goal) => Deed::new("role", &goal.name, "set"),
            Action::DropRole { name } => Deed::new("role", name, "dropped"),
            Action::SetDatabase(goal) => Deed::new("database", &goal.name, "set"),
            Action::DropDatabase { name } => Deed::new("database", name, "dropped"),
            Action::ResetParameters { .. } => Deed::new("parameters", "", "reset"),
            Action::SetExtension { name, .. } => Deed::new("extension", name, "installed"),
            Action::DropExtension { name, .. } => Deed::new("extension", name, "dropped"),
            Action::PatchDcs { .. } => Deed::new("dynamic configuration", "", "patched"),
            Action::Switchover { leader, .. } => Deed::new("leader", leader, "moved away"),
            Action::RestartMember { member, .. } => Deed::new("member", member, "restarted"),
            Action::ChangeLoadBalancer { name, .. } => Deed::new("load balancer", name, "changed"),
            Action::DeleteLoadBalancer { name } => Deed::new("load balancer", name, "deleted"),
            Action::Gate(_) => Deed::new("gate", "", "waited for"),
        }
    }
}

fn participle(verb: UnitVerb) -> &'static str {
    match verb {
        UnitVerb::Enable => "enabled",
        UnitVerb::Disable => "disabled",
        UnitVerb::Start => "started",
        UnitVerb::Stop => "stopped",
        UnitVerb::Restart => "restarted",
        UnitVerb::Reload => "reloaded",
        UnitVerb::DaemonReload => "read again by systemd",
    }
}
