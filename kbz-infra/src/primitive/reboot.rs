//! A host that starts anew when its packages ask for it.
//!
//! Read: `/run/reboot-required`, which Debian's and Ubuntu's packages leave when they want a reboot
//! (a new kernel, a new C library), and since when the host runs. A host that is asked for one
//! reboots after all other changes of it in the same plan; as a member of a group it does so in the
//! group's turn. Removal changes nothing.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::Reboot;
//!
//! let host = HostName::new("db-master-01")?;
//! let reboot = Reboot::when_required(&host);
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Boot, Probe, Site};
use crate::resource::{
    Change, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// A host that starts anew when its packages ask for it.
#[derive(Debug, Clone)]
pub struct Reboot {
    host: HostName,
}

impl Reboot {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "reboot";

    /// A host that reboots when its packages ask for it.
    pub fn when_required(host: &HostName) -> Self {
        Self { host: host.clone() }
    }
}

impl Resource for Reboot {
    // Nothing of it lasts on the host, so it bears no mark there.
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, self.host.as_str())
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::host(&self.host, Boot {})]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let boot = context.ask(&Site::Host(self.host.clone()), &Boot {})?;
        let change = boot.wanted_by.as_ref().map(|packages| Change {
            op: Op::Update,
            reasons: vec![Reason::field("reboot required", by(packages), "done")],
            impact: Impact::Restart,
            effects: vec![Effect::on(
                &self.host,
                Action::Reboot {
                    since: boot.id.clone(),
                },
            )],
            details: Vec::new(),
        });
        Ok(Planned {
            goal: context.keyed(&Digest::of("booted")),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[]))
    }

    fn summary(&self) -> String {
        "when its packages ask for it".to_owned()
    }
}

/// Who asks for a reboot.
fn by(packages: &[String]) -> String {
    if packages.is_empty() {
        "asked for".to_owned()
    } else {
        format!("by {}", packages.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, host, removal};
    use crate::probe::BootReading;

    #[test]
    fn every_transition() {
        let one = || Reboot::when_required(&host());
        let found = |packages: Option<&[&str]>| {
            let reading = BootReading {
                id: "7".to_owned(),
                wanted_by: packages.map(|all| all.iter().map(|&one| one.to_owned()).collect()),
            };
            World::host(Boot {}, reading)
        };
        check([
            (one(), found(None), "nothing"),
            (
                one(),
                found(Some(&["libc6", "linux-image-amd64"])),
                "Update (restart) reboot required  by libc6, linux-image-amd64 → done: Reboot",
            ),
            (
                one(),
                found(Some(&[])),
                "Update (restart) reboot required  asked for → done: Reboot",
            ),
            (one(), World::silent(), "unreachable"),
        ]);
        assert_eq!(removal(&one()), "");
    }
}
