//! A kernel parameter: its running value, and the file that sets it again at boot.
//!
//! Read: the running value and `/etc/sysctl.d/60-kbz-KEY.conf`. Drift seen: another running
//! value, a changed or removed file. A parameter that the kernel does not have is refused,
//! unless a module that brings it is still to be loaded ([`of_module`](Sysctl::of_module)).
//!
//! Removal takes the file away; the running value stays until the next boot, since nobody knows
//! what it should be instead.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::Sysctl;
//!
//! let host = HostName::new("db-master-01")?;
//! let swappiness = Sysctl::on(&host, "vm.swappiness", "1");
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use super::File;
use super::persisted::with_runtime;
use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Probe, Site, SysctlValue};
use crate::resource::{Context, FieldNames, PlanError, Planned, Reason, Resource};

/// A kernel parameter.
#[derive(Debug, Clone)]
pub struct Sysctl {
    host: HostName,
    key: String,
    value: String,
    module: Option<Urn>,
}

impl Sysctl {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "sysctl";

    /// A parameter and its value, as `sysctl` writes them.
    pub fn on(host: &HostName, key: impl Into<String>, value: impl Copy + ToString) -> Self {
        Self {
            host: host.clone(),
            key: key.into(),
            value: value.to_string(),
            module: None,
        }
    }

    /// The kernel module that brings the parameter. It has to come before.
    pub fn of_module(mut self, module: &Urn) -> Self {
        self.module = Some(module.clone());
        self
    }

    fn query(&self) -> SysctlValue {
        SysctlValue {
            key: self.key.clone(),
        }
    }

    fn file(&self) -> File {
        File::on(
            &self.host,
            format!("/etc/sysctl.d/60-kbz-{}.conf", self.key),
        )
        .content(format!("{} = {}\n", self.key, self.value))
        .mode(0o644)
    }

    /// What is wrong with the running value, and its cure.
    fn runtime(&self, context: &Context<'_>) -> Result<Option<(Reason, Effect)>, PlanError> {
        let site = Site::Host(self.host.clone());
        let found = context.ask(&site, &self.query())?.0.as_deref();
        let coming = |module: &Urn| context.upstream().will_be_made(module);
        if found.is_none() && !self.module.as_ref().is_some_and(coming) {
            return Err(PlanError::Refused {
                what: format!("the kernel of {} has no parameter {}", self.host, self.key),
                help: "load the module that brings it, or take it out of the program".to_owned(),
            });
        }
        if found.is_some_and(|found| words(found) == words(&self.value)) || context.ignores("value")
        {
            return Ok(None);
        }
        let reason = Reason::field("value", found.unwrap_or("none"), &self.value);
        let set = Action::SetSysctl {
            key: self.key.clone(),
            value: self.value.clone(),
        };
        Ok(Some((reason, Effect::on(&self.host, set))))
    }
}

/// A value's words: the kernel parts them with tabs, people with spaces.
fn words(value: &str) -> Vec<&str> {
    value.split_whitespace().collect()
}

impl Resource for Sysctl {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, &self.key)
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = self.file().probes();
        probes.push(Probe::host(&self.host, self.query()));
        probes
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let kept = self.file().plan(context)?;
        Ok(Planned {
            goal: context.keyed(&Digest::of_parts([&self.key, &self.value])),
            change: with_runtime(kept.change, self.runtime(context)?),
        })
    }

    fn removal(&self) -> Removal {
        self.file().removal()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[
            "value",
            "content",
            "mode",
            "owner",
            "immutable",
        ]))
    }

    fn summary(&self) -> String {
        self.value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, file, host, removal};
    use crate::probe::{PathReading, SysctlReading};

    fn swappiness() -> Sysctl {
        Sysctl::on(&host(), "vm.swappiness", 1)
    }

    fn world(value: Option<&str>, kept: PathReading) -> World {
        let value = SysctlReading(value.map(str::to_owned));
        World::host(swappiness().query(), value).and(
            crate::probe::Path {
                path: "/etc/sysctl.d/60-kbz-vm.swappiness.conf".to_owned(),
                content: true,
            },
            kept,
        )
    }

    fn kept() -> PathReading {
        file("vm.swappiness = 1\n", 0o644)
    }

    #[test]
    fn every_transition() {
        check([
            (
                swappiness(),
                world(Some("60"), PathReading::Absent),
                "Create (none) is not there, value  60 → 1: WriteFile, SetSysctl",
            ),
            (swappiness(), world(Some("1"), kept()), "nothing"),
            (
                swappiness(),
                world(Some("60"), kept()),
                "Update (none) value  60 → 1: SetSysctl",
            ),
            (
                swappiness(),
                world(Some("60"), kept()).ignoring("value"),
                "nothing",
            ),
            (
                swappiness(),
                world(Some("1"), file("vm.swappiness = 5\n", 0o644)),
                "Update (none) its content differs: WriteFile",
            ),
            (
                swappiness(),
                world(None, kept()),
                "refused: the kernel of db-1 has no parameter vm.swappiness",
            ),
            (swappiness(), World::silent(), "unreachable"),
        ]);
        assert_eq!(removal(&swappiness()), "RemoveFile");
    }

    #[test]
    fn a_module_may_still_bring_the_parameter() {
        let module = Urn::on("kernel-module", &host(), "br_netfilter");
        check([(
            swappiness().of_module(&module),
            world(None, kept()).making(&module),
            "Update (none) value  none → 1: SetSysctl",
        )]);
    }

    #[test]
    fn white_space_is_no_difference() {
        assert_eq!(words("4096\t87380\t6291456"), words("4096 87380 6291456"));
    }
}
