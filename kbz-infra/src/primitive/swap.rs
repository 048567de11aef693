//! A host without swap: a database that swaps is slower than one that is told to wait.
//!
//! Read: the swap areas in use. Drift seen: any of them. Switching swap off takes it out of
//! `/etc/fstab` too, so that it stays off. Removal changes nothing: what was there before is
//! not known.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::SwapOff;
//!
//! let host = HostName::new("db-master-01")?;
//! let off = SwapOff::on(&host);
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Probe, Site, Swap};
use crate::resource::{
    Change, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// A host without swap.
#[derive(Debug, Clone)]
pub struct SwapOff {
    host: HostName,
}

impl SwapOff {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "swap";

    /// A host without swap.
    pub fn on(host: &HostName) -> Self {
        Self { host: host.clone() }
    }
}

impl Resource for SwapOff {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, "off")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::host(&self.host, Swap {})]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let areas = &context.ask(&Site::Host(self.host.clone()), &Swap {})?.0;
        let change = (!areas.is_empty()).then(|| Change {
            op: Op::Update,
            reasons: vec![Reason::field("in use", areas.join(" "), "none")],
            impact: Impact::None,
            effects: vec![Effect::on(&self.host, Action::SwapOff {})],
            details: Vec::new(),
        });
        Ok(Planned {
            goal: context.keyed(&Digest::of("off")),
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
        "off, also at boot".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, host, removal};
    use crate::probe::SwapReading;

    #[test]
    fn every_transition() {
        let off = || SwapOff::on(&host());
        let used = |areas: &[&str]| {
            let areas = areas.iter().map(|&area| area.to_owned()).collect();
            World::host(Swap {}, SwapReading(areas))
        };
        check([
            (off(), used(&[]), "nothing"),
            (
                off(),
                used(&["/dev/sda2", "/swap.img"]),
                "Update (none) in use  /dev/sda2 /swap.img → none: SwapOff",
            ),
            (off(), World::silent(), "unreachable"),
        ]);
        assert_eq!(removal(&off()), "");
    }
}
