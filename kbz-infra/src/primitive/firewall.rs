//! The firewall of a host (UFW): what it lets in, and that it is in force.
//!
//! - [`FirewallRule`] lets traffic in. Read: UFW's rules. Drift seen: a rule that is gone.
//! - [`Firewall`] switches UFW on, denying what no rule lets in. Read: the same. Drift seen: a
//!   firewall that is off, and, with [`exactly`](Firewall::exactly), rules that nobody
//!   declared. It takes the rule that lets SSH in as an argument, so that a program cannot lock
//!   its operator out.
//!
//! Where UFW is not installed, the plan is refused. Removal revokes rules; SSH's own rule and the
//! firewall itself stay, because their removal would open the host, or close it for good.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::{Firewall, FirewallRule};
//!
//! let host = HostName::new("db-master-01")?;
//! let ssh = FirewallRule::ssh(&host, 22);
//! let postgres = FirewallRule::tcp(&host, 5432).from("10.0.0.0/16".parse().unwrap());
//! let firewall = Firewall::on(&host, &ssh).letting_in([&postgres]).exactly();
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::model::{FirewallRule as Rule, Protocol};
use crate::probe::{self, FirewallReading, Probe, Site};
use crate::resource::{
    Change, Claim, Context, Detail, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// Traffic that a host lets in.
#[derive(Debug, Clone)]
pub struct FirewallRule {
    host: HostName,
    rule: Rule,
    stays: bool,
}

impl FirewallRule {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "firewall-rule";

    /// A rule as the vocabulary writes it.
    pub fn on(host: &HostName, rule: Rule) -> Self {
        Self {
            host: host.clone(),
            rule,
            stays: false,
        }
    }

    /// Lets everybody in to a TCP port.
    pub fn tcp(host: &HostName, port: u16) -> Self {
        Self::any(host, port, Protocol::Tcp)
    }

    /// Lets everybody in to a UDP port.
    pub fn udp(host: &HostName, port: u16) -> Self {
        Self::any(host, port, Protocol::Udp)
    }

    /// Lets SSH in, for good: this rule stays when it is no longer declared, since the firewall
    /// stays in force too.
    pub fn ssh(host: &HostName, port: u16) -> Self {
        Self {
            stays: true,
            ..Self::tcp(host, port)
        }
    }

    fn any(host: &HostName, port: u16, protocol: Protocol) -> Self {
        Self::on(
            host,
            Rule {
                port,
                protocol,
                from: None,
            },
        )
    }

    /// Lets only this network in.
    pub fn from(mut self, network: IpNet) -> Self {
        // UFW keeps networks without host bits.
        self.rule.from = Some(network.trunc());
        self
    }

    /// What is let in.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl Resource for FirewallRule {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, self.rule.to_string())
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::host(&self.host, probe::Firewall {})]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let found = installed(context, &self.host)?;
        let change = (!found.rules.contains(&self.rule)).then(|| Change {
            op: Op::Create,
            reasons: vec![Reason::Missing],
            impact: Impact::None,
            effects: vec![Effect::on(
                &self.host,
                Action::AllowTraffic(self.rule.clone()),
            )],
            details: Vec::new(),
        });
        Ok(Planned {
            goal: context.keyed(&Digest::of(self.rule.to_string())),
            change,
        })
    }

    fn removal(&self) -> Removal {
        if self.stays {
            return Removal::default();
        }
        Removal {
            probes: self.probes(),
            effects: vec![Effect::on(
                &self.host,
                Action::RevokeTraffic(self.rule.clone()),
            )],
            impact: Impact::ServiceEnds,
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[]))
    }

    fn summary(&self) -> String {
        "let in".to_owned()
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Opens {
            host: self.host.clone(),
            rule: self.rule.clone(),
        }]
    }
}

/// The firewall of a host, in force.
#[derive(Debug, Clone)]
pub struct Firewall {
    host: HostName,
    rules: BTreeSet<Rule>,
    exactly: bool,
}

impl Firewall {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "firewall";

    /// A firewall that lets SSH in. It has to come after the rule for that.
    pub fn on(host: &HostName, ssh: &FirewallRule) -> Self {
        Self {
            host: host.clone(),
            rules: BTreeSet::from([ssh.rule.clone()]),
            exactly: false,
        }
    }

    /// Names the rules of the program.
    pub fn letting_in<'a>(mut self, rules: impl IntoIterator<Item = &'a FirewallRule>) -> Self {
        self.rules
            .extend(rules.into_iter().map(|rule| rule.rule.clone()));
        self
    }

    /// Revokes all rules that the program does not name. Rules that this program cannot express
    /// are only remarked on.
    pub fn exactly(mut self) -> Self {
        self.exactly = true;
        self
    }

    fn change(&self, found: &FirewallReading, ignores: bool) -> Option<Change> {
        let undeclared: Vec<&Rule> = found
            .rules
            .iter()
            .filter(|rule| self.exactly && !ignores && !self.rules.contains(rule))
            .collect();
        let mut reasons = Vec::new();
        let mut effects = Vec::new();
        if !found.active {
            reasons.push(Reason::field("state", "off", "on"));
            effects.push(Effect::on(&self.host, Action::EnableFirewall {}));
        }
        for rule in undeclared {
            reasons.push(Reason::field("lets in", rule, "nothing"));
            let revoke = Action::RevokeTraffic(rule.clone());
            effects.push(Effect::on(&self.host, revoke));
        }
        if reasons.is_empty() {
            return None;
        }
        let foreign = found.foreign.iter();
        let details = foreign.map(|rule| Detail::Note(format!("left alone: {rule}")));
        Some(Change {
            op: Op::Update,
            reasons,
            impact: Impact::None,
            effects,
            details: details.collect(),
        })
    }
}

impl Resource for Firewall {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, "ufw")
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::host(&self.host, probe::Firewall {})]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let found = installed(context, &self.host)?;
        let rules = self.rules.iter().map(ToString::to_string);
        Ok(Planned {
            goal: context.keyed(&Digest::of_parts(rules)),
            change: self.change(found, context.ignores("lets in")),
        })
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&["lets in"]))
    }

    fn summary(&self) -> String {
        let how = if self.exactly { "exactly " } else { "" };
        let rules = match self.rules.len() {
            1 => "1 rule".to_owned(),
            many => format!("{many} rules"),
        };
        format!("denies incoming, lets in {how}{rules}")
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Firewalled {
            host: self.host.clone(),
        }]
    }
}

/// UFW's state, where it is installed.
fn installed<'a>(context: &Context<'a>, host: &HostName) -> Result<&'a FirewallReading, PlanError> {
    let found = context.ask(&Site::Host(host.clone()), &probe::Firewall {})?;
    if found.installed {
        return Ok(found);
    }
    Err(PlanError::Refused {
        what: format!("{host} has no UFW"),
        help: "install it (apt-get install ufw), or declare no firewall for this host".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, host, removal};

    fn ssh() -> FirewallRule {
        FirewallRule::ssh(&host(), 22)
    }

    fn postgres() -> FirewallRule {
        FirewallRule::tcp(&host(), 5432).from("10.0.0.0/16".parse().unwrap())
    }

    fn firewall() -> Firewall {
        Firewall::on(&host(), &ssh()).letting_in([&postgres()])
    }

    fn ufw(active: bool, rules: &[FirewallRule]) -> World {
        let reading = FirewallReading {
            installed: true,
            active,
            rules: rules.iter().map(|rule| rule.rule.clone()).collect(),
            foreign: vec!["22/tcp LIMIT Anywhere".to_owned()],
        };
        World::host(probe::Firewall {}, reading)
    }

    fn no_ufw() -> World {
        World::host(probe::Firewall {}, FirewallReading::default())
    }

    #[test]
    fn every_transition_of_a_rule() {
        check([
            (
                postgres(),
                ufw(true, &[ssh()]),
                "Create (none) is not there: AllowTraffic",
            ),
            (postgres(), ufw(true, &[postgres()]), "nothing"),
            (
                postgres(),
                ufw(true, &[FirewallRule::tcp(&host(), 5432)]),
                "Create (none) is not there: AllowTraffic",
            ),
            (postgres(), no_ufw(), "refused: db-1 has no UFW"),
            (postgres(), World::silent(), "unreachable"),
        ]);
        assert_eq!(removal(&postgres()), "RevokeTraffic (service ends)");
        assert_eq!(removal(&ssh()), "");
        let name = postgres().urn().to_string();
        assert_eq!(name, "firewall-rule@db-1:5432/tcp from 10.0.0.0/16");
    }

    #[test]
    fn every_transition_of_the_firewall() {
        let all = || vec![ssh(), postgres()];
        let more = || vec![ssh(), postgres(), FirewallRule::udp(&host(), 53)];
        check([
            (
                firewall(),
                ufw(false, &all()),
                "Update (none) state  off → on: EnableFirewall",
            ),
            (firewall(), ufw(true, &all()), "nothing"),
            (firewall(), ufw(true, &more()), "nothing"),
            (
                firewall().exactly(),
                ufw(true, &more()),
                "Update (none) lets in  53/udp → nothing: RevokeTraffic",
            ),
            (
                firewall().exactly(),
                ufw(true, &more()).ignoring("lets in"),
                "nothing",
            ),
            (firewall(), no_ufw(), "refused: db-1 has no UFW"),
            (firewall(), World::silent(), "unreachable"),
        ]);
        assert_eq!(removal(&firewall()), "");
    }
}
