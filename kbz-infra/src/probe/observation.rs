//! What a round of reads brought back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::site::Site;
use super::vocabulary::{Probe, Reading};

/// Why a site gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{site} does not answer: {why}")]
pub struct Outage {
    /// Who was asked.
    pub site: String,
    /// What happened.
    pub why: String,
    /// Whether it ended the connection before anything was asked. A balancer leads to a proxy that has
    /// just stopped until it notices, and takes its targets in turn: the next connection may come out
    /// elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unasked: bool,
}

impl Outage {
    /// An outage of `site`.
    pub fn new(site: &Site, why: impl Into<String>) -> Self {
        Self {
            site: site.to_string(),
            why: why.into(),
            unasked: false,
        }
    }

    /// The same, of one that ended the connection before anything was asked.
    #[must_use]
    pub fn unasked(mut self) -> Self {
        self.unasked = true;
        self
    }
}

/// The answer to one probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// The site answered.
    Read(Reading),
    /// It did not, so nothing is known: neither presence nor absence.
    Unreachable(Outage),
}

/// Everything that rounds of reads brought back; a plan looks at it and never changes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    seen: BTreeMap<Probe, Seen>,
}

impl Observation {
    /// The answer to `probe`, if it was asked.
    pub fn get(&self, probe: &Probe) -> Option<&Seen> {
        self.seen.get(probe)
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// All answers, in the order of their probes.
    pub fn iter(&self) -> impl Iterator<Item = (&Probe, &Seen)> {
        self.seen.iter()
    }

    /// The sites that gave no answer, each once.
    pub fn outages(&self) -> BTreeMap<&Site, &Outage> {
        self.seen
            .iter()
            .filter_map(|(probe, seen)| match seen {
                Seen::Read(_) => None,
                Seen::Unreachable(outage) => Some((&probe.site, outage)),
            })
            .collect()
    }
}

impl Extend<(Probe, Seen)> for Observation {
    fn extend<I: IntoIterator<Item = (Probe, Seen)>>(&mut self, answers: I) {
        self.seen.extend(answers);
    }
}

impl IntoIterator for Observation {
    type Item = (Probe, Seen);
    type IntoIter = std::collections::btree_map::IntoIter<Probe, Seen>;

    fn into_iter(self) -> Self::IntoIter {
        self.seen.into_iter()
    }
}

impl FromIterator<(Probe, Seen)> for Observation {
    fn from_iter<I: IntoIterator<Item = (Probe, Seen)>>(answers: I) -> Self {
        Self {
            seen: answers.into_iter().collect(),
        }
    }
}
