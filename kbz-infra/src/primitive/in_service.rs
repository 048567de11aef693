//! An HAProxy in service: it says yes to the health checks of who balances before it.
//!
//! A roll drains a member before it disturbs it, and puts it back after. Where it was broken off in
//! between, or a person has drained the member and forgotten it, this puts it back.
//!
//! Read: what HAProxy says of itself on its loopback port. Drift seen: it is drained. Where none
//! runs there is nothing to put back: one that starts is in service. Removal changes nothing.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::InService;
//!
//! let host = HostName::new("haproxy-01")?;
//! let in_service = InService::on(&host, 8406);
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Drain, Probe, Site};
use crate::resource::{
    Change, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// An HAProxy in service.
#[derive(Debug, Clone)]
pub struct InService {
    host: HostName,
    port: u16,
}

impl InService {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "in-service";

    /// The HAProxy of a host, which is told on a port of its loopback address.
    pub fn on(host: &HostName, port: u16) -> Self {
        Self {
            host: host.clone(),
            port,
        }
    }
}

impl Resource for InService {
    // Nothing of it lasts on the host, so it bears no mark there.
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, self.host.as_str())
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::host(&self.host, Drain { port: self.port })]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let site = Site::Host(self.host.clone());
        let found = context.ask(&site, &Drain { port: self.port })?.0;
        let action = Action::SetDrain {
            port: self.port,
            drained: false,
        };
        let change = (found == Some(true)).then(|| Change {
            op: Op::Update,
            reasons: vec![Reason::field(
                "health checks",
                "refused (drained)",
                "answered",
            )],
            impact: Impact::None,
            effects: vec![Effect::on(&self.host, action)],
            details: Vec::new(),
        });
        Ok(Planned {
            goal: context.keyed(&Digest::of("in service")),
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
        "says yes to health checks".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, host, removal};
    use crate::probe::DrainReading;

    #[test]
    fn every_transition() {
        let one = || InService::on(&host(), 8406);
        let found = |drained| World::host(Drain { port: 8406 }, DrainReading(drained));
        check([
            (one(), found(None), "nothing"),
            (one(), found(Some(false)), "nothing"),
            (
                one(),
                found(Some(true)),
                "Update (none) health checks  refused (drained) → answered: SetDrain",
            ),
            (one(), World::silent(), "unreachable"),
        ]);
        assert_eq!(removal(&one()), "");
    }
}
