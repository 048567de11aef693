//! UFW's rules, from the file in which UFW itself keeps them.
//!
//! `ufw status` starts a Python program and forgets how a rule was written; the `### tuple ###`
//! comments of `user.rules` are what UFW reads back:
//!
//! ```text
//! ### tuple ### ACTION PROTOCOL PORT DESTINATION PORT SOURCE [APP APP] DIRECTION [comment=HEX]
//! ```

use ipnet::IpNet;

use super::frames::Frames;
use super::script::{UFW_CONF, UFW_RULES, UFW_RULES6};
use super::system::SmallFiles;
use crate::model::{FirewallRule, Protocol};
use crate::probe::FirewallReading;

/// UFW's state and rules.
pub(super) fn reading(frames: &Frames, files: &SmallFiles<'_>) -> FirewallReading {
    if frames.get("ufw").is_none() {
        return FirewallReading::default();
    }
    let enabled = files.lines(UFW_CONF).iter().any(|line| {
        let value = line.trim().strip_prefix("ENABLED=");
        value.is_some_and(|value| value.trim_matches(['"', '\'']).eq_ignore_ascii_case("yes"))
    });
    let mut reading = FirewallReading {
        installed: true,
        active: enabled && frames.get("ufw-chain").is_some(),
        ..FirewallReading::default()
    };
    let lines = [UFW_RULES, UFW_RULES6].map(|path| files.lines(path));
    for tuple in lines
        .into_iter()
        .flatten()
        .filter_map(|line| Tuple::read(line))
    {
        match tuple.rule() {
            Some(rule) => {
                reading.rules.insert(rule);
            }
            None => reading.note_foreign(tuple.to_string()),
        }
    }
    reading
}

impl FirewallReading {
    fn note_foreign(&mut self, rule: String) {
        if !self.foreign.contains(&rule) {
            self.foreign.push(rule);
        }
    }
}

/// The words of one rule.
#[derive(Debug)]
struct Tuple<'a> {
    action: &'a str,
    protocol: &'a str,
    port: &'a str,
    destination: &'a str,
    source_port: &'a str,
    source: &'a str,
    direction: &'a str,
}

impl<'a> Tuple<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let rest = line.strip_prefix("### tuple ### ")?;
        let words: Vec<&str> = rest
            .split_whitespace()
            .filter(|word| !word.starts_with("comment="))
            .collect();
        let [
            action,
            protocol,
            port,
            destination,
            source_port,
            source,
            ..,
            direction,
        ] = words[..]
        else {
            return None;
        };
        Some(Self {
            action,
            protocol,
            port,
            destination,
            source_port,
            source,
            direction,
        })
    }

    /// The rule in the terms of a declaration, where they suffice.
    fn rule(&self) -> Option<FirewallRule> {
        let plain = self.action == "allow"
            && self.direction == "in"
            && self.source_port == "any"
            && is_anything(self.destination);
        let protocol = match self.protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return None,
        };
        let from = match self.source {
            anything if is_anything(anything) => None,
            source => Some(network(source)?),
        };
        let port = self.port.parse().ok().filter(|_| plain)?;
        Some(FirewallRule {
            port,
            protocol,
            from,
        })
    }
}

/// As `ufw show added` would write it.
impl std::fmt::Display for Tuple<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} from {}",
            self.action,
            self.direction,
            or_any(self.source)
        )?;
        if self.source_port != "any" {
            write!(f, " port {}", self.source_port)?;
        }
        write!(f, " to {}", or_any(self.destination))?;
        if self.port != "any" {
            write!(f, " port {}", self.port)?;
        }
        if self.protocol != "any" {
            write!(f, " proto {}", self.protocol)?;
        }
        Ok(())
    }
}

fn is_anything(address: &str) -> bool {
    matches!(address, "0.0.0.0/0" | "::/0")
}

fn or_any(address: &str) -> &str {
    if is_anything(address) { "any" } else { address }
}

fn network(text: &str) -> Option<IpNet> {
    let network: IpNet = match text.parse() {
        Ok(network) => network,
        Err(_) => text.parse::<std::net::IpAddr>().ok()?.into(),
    };
    Some(network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(words: &str) -> Option<String> {
        let line = format!("### tuple ### {words}");
        Tuple::read(&line)
            .unwrap()
            .rule()
            .map(|rule| rule.to_string())
    }

    #[test]
    fn rules_read_as_they_were_added() {
        let check = |words, expected: &str| assert_eq!(rule(words).unwrap(), expected);
        check(
            "allow tcp 5432 0.0.0.0/0 any 10.0.0.0/24 in",
            "5432/tcp from 10.0.0.0/24",
        );
        check(
            "allow tcp 22 0.0.0.0/0 any 10.0.0.5 in comment=6b627a",
            "22/tcp from 10.0.0.5/32",
        );
        check("allow udp 51820 ::/0 any ::/0 in", "51820/udp");
        check(
            "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in",
            "22/tcp",
        );
    }

    #[test]
    fn what_no_declaration_can_say_is_foreign() {
        for words in [
            "deny tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
            "limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
            "allow any 22 0.0.0.0/0 any 0.0.0.0/0 in",
            "allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 in",
            "allow tcp 22 10.0.0.1 any 0.0.0.0/0 in",
            "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in_eth0",
            "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 out",
            "route:allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
        ] {
            assert_eq!(rule(words), None, "{words}");
        }
        let line = "### tuple ### allow any 22 0.0.0.0/0 any 10.0.0.0/8 in";
        let shown = Tuple::read(line).unwrap().to_string();
        assert_eq!(shown, "allow in from 10.0.0.0/8 to any port 22");
    }
}
