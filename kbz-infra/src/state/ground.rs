//! What a plan stands on: what was read of the world, less what the plan itself changes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::effect::Action;
use crate::ident::{Digest, Urn};
use crate::model::FirewallRule;
use crate::plan::Plan;
use crate::probe::{FirewallReading, Observation, Probe, Reading, Registry, Seen, Site};
use crate::secret::{KeyedHash, Vault};

/// What was read, seen with the eyes of a plan. All rules of a firewall are one reading; those
/// that steps of the plan add or take away do not count, so that one step is not refused because
/// another has been done.
pub(super) struct Ground<'a> {
    pub(super) observation: &'a Observation,
    pub(super) vault: &'a Vault,
    rules: BTreeMap<&'a Site, Vec<&'a FirewallRule>>,
    /// The hosts whose firewall the plan switches on.
    switched_on: BTreeSet<&'a Site>,
}

impl<'a> Ground<'a> {
    pub(super) fn of(plan: &'a Plan, observation: &'a Observation, vault: &'a Vault) -> Self {
        let mut ground = Self {
            observation,
            vault,
            rules: BTreeMap::new(),
            switched_on: BTreeSet::new(),
        };
        for effect in plan.steps.iter().flat_map(|step| &step.effects) {
            match &effect.action {
                Action::AllowTraffic(rule) | Action::RevokeTraffic(rule) => {
                    ground.rules.entry(&effect.site).or_default().push(rule);
                }
                Action::EnableFirewall {} => {
                    ground.switched_on.insert(&effect.site);
                }
                _ => {}
            }
        }
        ground
    }

    /// What was read, as a hash; `None` where nothing was.
    pub(super) fn hash(&self, probe: &Probe) -> Option<KeyedHash> {
        let digest = match self.observation.get(probe)? {
            Seen::Read(Reading::Firewall(firewall)) => {
                Reading::Firewall(self.foreign(&probe.site, firewall)).lasting()
            }
            Seen::Read(reading) => reading.lasting(),
            Seen::Unreachable(_) => return None,
        };
        Some(self.vault.keyed(&digest))
    }

    fn foreign(&self, site: &Site, firewall: &FirewallReading) -> FirewallReading {
        let own = self.rules.get(site).map(Vec::as_slice).unwrap_or_default();
        let mut foreign = firewall.clone();
        foreign.rules.retain(|rule| !own.contains(&rule));
        foreign.active |= self.switched_on.contains(site);
        foreign
    }

    /// What the registry of an object's host holds of it, as a hash.
    pub(super) fn marked(&self, urn: &Urn) -> Option<KeyedHash> {
        let probe = Probe::host(urn.host()?, Registry {});
        let Some(Seen::Read(Reading::Registry(registry))) = self.observation.get(&probe) else {
            return None;
        };
        let mut entries = registry.0.iter();
        let entry = entries.find(|entry| entry.urn == *urn)?;
        Some(self.vault.keyed(&Digest::of(&entry.record)))
    }
}

pub(super) fn is_registry(probe: &Probe) -> bool {
    probe.query == Registry {}.into()
}
