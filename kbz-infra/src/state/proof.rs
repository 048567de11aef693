//! How an effect is recognised afterwards: by a probe and what it must answer.
//!
//! Written into the journal with the intent, so that after a crash each open effect is resolved
//! by looking, without the plan or the program. Content appears as keyed hashes only. An effect
//! that leaves no trace of its own (a restart, a gate) has no proof; being idempotent, it is
//! simply done again.

use serde::{Deserialize, Serialize};

use crate::effect::{Action, Effect, PreImage, UnitVerb};
use crate::ident::{Digest, Urn};
use crate::model::FirewallRule;
use crate::model::load_balancer::{LoadBalancerChange, Standing};
use crate::probe::{
    self, ClusterReading, ContainerReading, ImageTag, MemberRole, Node, Observation, Path,
    PathReading, Probe, Query, Reading, Seen, SysctlValue,
};
use crate::secret::{KeyedHash, Vault};

/// What tells whether an effect has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// What is read.
    pub probe: Probe,
    /// What is read before the effect, where the plan knew.
    pub before: Option<Image>,
    /// What is read after it.
    pub after: Image,
}

/// What can be read of an object before or after an effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Image {
    /// Nothing is there.
    Absent,
    /// Something is there.
    Present,
    /// A file with a content of this keyed hash.
    Content(KeyedHash),
    /// A value that is no secret.
    Value(String),
    /// What was last noted under a stamp.
    Stamped(KeyedHash),
    /// A unit that runs, or one that does not.
    Active(bool),
    /// A unit that starts at boot, or one that does not.
    Enabled(bool),
    /// A container that runs.
    Running,
    /// A firewall that lets this in, or does not.
    Allows {
        /// What.
        rule: FirewallRule,
        /// Whether it is let in.
        allowed: bool,
    },
    /// A firewall in force.
    FirewallOn,
    /// A registry that knows this object with this goal, or does not know it.
    Marked {
        /// The object.
        urn: Urn,
        /// The goal noted; `None` when the object is not noted.
        goal: Option<KeyedHash>,
    },
    /// A dynamic configuration that a patch would not change.
    Patched(serde_json::Value),
    /// A symbolic link.
    Link,
    /// A load balancer for which a change holds already.
    Balanced(Box<LoadBalancerChange>),
    /// A host that has started anew since.
    NotBooted(String),
    /// An HAProxy that is drained, or one that is not.
    Drained(bool),
    /// A cluster led by somebody else.
    NotLedBy(String),
}

/// What became of an effect that was left open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It has happened.
    Happened,
    /// It has not.
    NotHappened,
    /// Neither what was there before nor what should be there after.
    Different,
    /// It leaves no trace of its own; it is done again where it is still needed.
    Untraceable,
    /// Who could tell does not answer.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Proof {
    /// What will tell whether `effect` has happened, where something does.
    pub fn of(effect: &Effect, vault: &Vault) -> Option<Self> {
        let (query, before, after) = trace(&effect.action, vault)?;
        Some(Self {
            probe: Probe::at(&effect.site, query),
            before,
            after,
        })
    }

    /// What became of the effect, as far as `observation` tells.
    pub fn judge(&self, observation: &Observation, vault: &Vault) -> Fate {
        match observation.get(&self.probe) {
            Some(Seen::Read(reading)) if self.after.matches(reading, vault) => Fate::Happened,
            Some(Seen::Read(reading)) => match &self.before {
                Some(before) if !before.matches(reading, vault) => Fate::Different,
                Some(_) | None => Fate::NotHappened,
            },
            Some(Seen::Unreachable(outage)) => Fate::Unknown {
                why: outage.to_string(),
            },
            None => Fate::Unknown {
                why: "nobody looked".to_owned(),
            },
        }
    }
}

type Trace = (Query, Option<Image>, Image);

fn trace(action: &Action, vault: &Vault) -> Option<Trace> {
    use Image::{Absent, Present};
    let appears = |query: Query| Some((query, Some(Absent), Present));
    let goes = |query: Query| Some((query, Some(Present), Absent));
    match action {
        Action::WriteFile {
            path,
            content,
            expect,
            ..
        } => {
            let after = Image::Content(vault.keyed(&content.digest(vault).ok()?));
            Some((at_path(path), pre_image(*expect, vault), after))
        }
        Action::RemoveFile { path, expect } => {
            Some((at_path(path), pre_image(*expect, vault), Absent))
        }
        Action::MakeDirectory { path, .. } => Some((at_path(path), None, Present)),
        Action::RemoveDirectory { path, recursive } => {
            recursive.then(|| (at_path(path), Some(Present), Absent))
        }
        Action::Systemd { verb, unit } => systemd(*verb, unit),
        Action::SetSysctl { key, value } => {
            let query = SysctlValue { key: key.clone() };
            Some((query.into(), None, Image::Value(words(value))))
        }
        Action::SwapOff {} => goes(probe::Swap {}.into()),
        Action::LoadModule { name } => appears(probe::Module { name: name.clone() }.into()),
        Action::AllowTraffic(rule) => Some(traffic(rule, true)),
        Action::RevokeTraffic(rule) => Some(traffic(rule, false)),
        Action::EnableFirewall {} => Some((probe::Firewall {}.into(), None, Image::FirewallOn)),
        Action::BuildImage(context) => appears(image(&context.reference())),
        Action::ShipImage { reference, .. } => appears(image(reference)),
        Action::RemoveImage { reference } => goes(image(reference)),
        Action::CreateContainer(spec) => appears(container(&spec.name)),
        Action::StartContainer { name } => Some((container(name), None, Image::Running)),
        Action::RemoveContainer { name, .. } => goes(container(name)),
        Action::Reboot { since } => {
            Some((probe::Boot {}.into(), None, Image::NotBooted(since.clone())))
        }
        Action::SetDrain { port, drained } => Some((
            probe::Drain { port: *port }.into(),
            None,
            Image::Drained(*drained),
        )),
        Action::Stamp { name, value } => Some((stamp(name), None, Image::Stamped(value.clone()))),
        Action::RemoveStamp { name } => goes(stamp(name)),
        Action::Mark(record) => Some(marked(&record.urn, Some(record.goal.clone()))),
        Action::Unmark(urn) => Some(marked(urn, None)),
        Action::SetRole(goal) => Some((role(&goal.name), None, Present)),
        Action::DropRole { name } => goes(role(name)),
        Action::SetDatabase(goal) => Some((database(&goal.name), None, Present)),
        Action::DropDatabase { name } => goes(database(name)),
        Action::SetExtension { database, name, .. } => {
            Some((extension(database, name), None, Present))
        }
        Action::DropExtension { database, name } => goes(extension(database, name)),
        Action::PatchDcs { patch } => {
            Some((probe::Dcs {}.into(), None, Image::Patched(patch.clone())))
        }
        Action::Switchover { leader, .. } => Some((
            probe::Cluster {}.into(),
            None,
            Image::NotLedBy(leader.clone()),
        )),
        Action::ChangeLoadBalancer { name, change } => {
            Some((balancer(name), None, Image::Balanced(change.clone())))
        }
        Action::DeleteLoadBalancer { name } => goes(balancer(name)),
        // Whose file it is may be known inside an image alone; set twice, it is as set once.
        Action::SetFileAttributes { .. }
        | Action::TakeLease { .. }
        | Action::RenewLease { .. }
        | Action::GiveLeaseBack { .. }
        | Action::RestartMember { .. }
        | Action::ResetParameters { .. }
        | Action::Gate(_) => None,
    }
}

fn pre_image(expect: PreImage, vault: &Vault) -> Option<Image> {
    match expect {
        PreImage::Any => None,
        PreImage::Absent => Some(Image::Absent),
        PreImage::Link => Some(Image::Link),
        PreImage::Content(digest) => Some(Image::Content(vault.keyed(&digest))),
    }
}

fn systemd(verb: UnitVerb, unit: &str) -> Option<Trace> {
    let after = match verb {
        UnitVerb::Enable => Image::Enabled(true),
        UnitVerb::Disable => Image::Enabled(false),
        UnitVerb::Start => Image::Active(true),
        UnitVerb::Stop => Image::Active(false),
        UnitVerb::Restart | UnitVerb::Reload | UnitVerb::DaemonReload => return None,
    };
    let query = probe::Unit {
        name: unit.to_owned(),
    };
    Some((query.into(), None, after))
}

fn traffic(rule: &FirewallRule, allowed: bool) -> Trace {
    let image = |allowed| Image::Allows {
        rule: rule.clone(),
        allowed,
    };
    let query = probe::Firewall {}.into();
    (query, Some(image(!allowed)), image(allowed))
}

fn marked(urn: &Urn, goal: Option<KeyedHash>) -> Trace {
    let after = Image::Marked {
        urn: urn.clone(),
        goal,
    };
    (probe::Registry {}.into(), None, after)
}

fn at_path(path: &str) -> Query {
    Path {
        path: path.to_owned(),
        content: false,
    }
    .into()
}

fn image(reference: &str) -> Query {
    ImageTag {
        reference: reference.to_owned(),
    }
    .into()
}

fn balancer(name: &str) -> Query {
    probe::LoadBalancer {
        name: name.to_owned(),
    }
    .into()
}

fn container(name: &str) -> Query {
    probe::Container {
        name: name.to_owned(),
    }
    .into()
}

fn stamp(name: &str) -> Query {
    probe::Stamp {
        name: name.to_owned(),
    }
    .into()
}

fn role(name: &str) -> Query {
    probe::Role {
        name: name.to_owned(),
    }
    .into()
}

fn database(name: &str) -> Query {
    probe::Database {
        name: name.to_owned(),
    }
    .into()
}

fn extension(database: &str, name: &str) -> Query {
    probe::Extension {
        database: database.to_owned(),
        name: name.to_owned(),
    }
    .into()
}

impl Image {
    /// Whether `reading` shows this image.
    fn matches(&self, reading: &Reading, vault: &Vault) -> bool {
        match (self, reading) {
            (Image::Absent, reading) => reading.is_absent(),
            (Image::Present, reading) => !reading.is_absent(),
            (Image::Content(hash), Reading::Path(PathReading::File(file))) => {
                same(&file.digest, hash, vault)
            }
            (Image::Value(value), Reading::SysctlValue(read)) => {
                read.0.as_deref().map(words).as_ref() == Some(value)
            }
            (Image::Stamped(hash), Reading::Stamp(stamp)) => stamp.0.as_ref() == Some(hash),
            (Image::Active(active), Reading::Unit(unit)) => (unit.active == "active") == *active,
            (Image::Enabled(enabled), Reading::Unit(unit)) => {
                (unit.enabled == "enabled") == *enabled
            }
            (Image::Running, Reading::Container(ContainerReading::Present { running, .. })) => {
                *running
            }
            (Image::Allows { rule, allowed }, Reading::Firewall(firewall)) => {
                firewall.rules.contains(rule) == *allowed
            }
            (Image::FirewallOn, Reading::Firewall(firewall)) => firewall.active,
            (Image::Marked { urn, goal }, Reading::Registry(registry)) => {
                let record = registry.0.iter().find(|record| record.urn == *urn);
                record.map(|record| &record.goal) == goal.as_ref()
            }
            (Image::Patched(patch), Reading::Dcs(dcs)) => {
                dcs.0.as_ref().is_some_and(|now| holds(now, patch))
            }
            (Image::Link, Reading::Path(PathReading::Other(node))) => *node == Node::Symlink,
            (Image::Balanced(change), Reading::LoadBalancer(balancer)) => {
                change.standing(balancer.0.as_ref()) == Standing::Done
            }
            (Image::NotBooted(since), Reading::Boot(found)) => found.id != *since,
            (Image::Drained(drained), Reading::Drain(found)) => {
                found.0.unwrap_or_default() == *drained
            }
            (Image::NotLedBy(leader), Reading::Cluster(cluster)) => led_by_another(cluster, leader),
            (
                Image::Content(_)
                | Image::Value(_)
                | Image::Stamped(_)
                | Image::Active(_)
                | Image::Enabled(_)
                | Image::Running
                | Image::Allows { .. }
                | Image::FirewallOn
                | Image::Marked { .. }
                | Image::Patched(_)
                | Image::Link
                | Image::Balanced(_)
                | Image::NotBooted(_)
                | Image::Drained(_)
                | Image::NotLedBy(_),
                _,
            ) => false,
        }
    }
}

fn same(digest: &Digest, hash: &KeyedHash, vault: &Vault) -> bool {
    vault.keyed(digest) == *hash
}

/// Values of several words are separated by a tab here and by a space there.
fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn led_by_another(cluster: &ClusterReading, leader: &str) -> bool {
    cluster
        .members
        .iter()
        .any(|member| member.role == MemberRole::Leader && member.name != leader)
}

/// Whether merging `patch` into `now` would change nothing.
fn holds(now: &serde_json::Value, patch: &serde_json::Value) -> bool {
    match (now, patch) {
        (serde_json::Value::Object(now), serde_json::Value::Object(patch)) => {
            patch.iter().all(|(key, wanted)| match now.get(key) {
                Some(value) => holds(value, wanted),
                None => wanted.is_null(),
            })
        }
        (now, patch) => now == patch,
    }
}
