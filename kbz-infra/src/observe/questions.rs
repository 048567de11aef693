//! The questions to one site, each asked once.
//!
//! A path whose content is wanted by one and only its hash by another is asked once, with the
//! content; who did not ask for the content does not get it.

use std::collections::BTreeSet;

use crate::probe::{Outage, Path, PathReading, Probe, Query, Reading, Seen, Site};

/// What one site is asked.
#[derive(Debug, Clone)]
pub(super) struct Questions {
    site: Site,
    /// What is sent.
    asked: Vec<Probe>,
    /// Probes that are answered by another one's answer.
    covered: Vec<Probe>,
}

impl Questions {
    pub(super) fn new(site: Site, probes: Vec<Probe>) -> Self {
        let with_content: BTreeSet<Probe> = probes
            .iter()
            .filter(|probe| matches!(&probe.query, Query::Path(path) if path.content))
            .cloned()
            .collect();
        let (covered, asked) = probes.into_iter().partition(|probe| {
            covering(probe).is_some_and(|fuller| with_content.contains(&fuller))
        });
        Self {
            site,
            asked,
            covered,
        }
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    pub(super) fn asked(&self) -> &[Probe] {
        &self.asked
    }

    /// How many questions are sent.
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    /// Pairs answers with questions. As many answers as questions, or the site has not answered.
    pub(super) fn answered(&self, readings: Vec<Reading>) -> Result<Vec<(Probe, Seen)>, Outage> {
        if readings.len() != self.asked.len() {
            let why = format!(
                "it gave {} answers to {} questions",
                readings.len(),
                self.asked.len()
            );
            return Err(Outage::new(&self.site, why));
        }
        let mut answers: Vec<(Probe, Seen)> = self
            .asked
            .iter()
            .cloned()
            .zip(readings.into_iter().map(Seen::Read))
            .collect();
        // `asked` is sorted, because it comes from a set.
        let lesser = self.covered.iter().filter_map(|probe| {
            let fuller = covering(probe)?;
            let place = self.asked.binary_search(&fuller).ok()?;
            Some((probe.clone(), without_content(&answers[place].1)))
        });
        let lesser: Vec<(Probe, Seen)> = lesser.collect();
        answers.extend(lesser);
        Ok(answers)
    }

    /// The outage, as the answer to everything.
    pub(super) fn unanswered(&self, outage: &Outage) -> Vec<(Probe, Seen)> {
        self.asked
            .iter()
            .chain(&self.covered)
            .map(|probe| (probe.clone(), Seen::Unreachable(outage.clone())))
            .collect()
    }
}

/// The probe whose answer holds all that the answer to `probe` would.
fn covering(probe: &Probe) -> Option<Probe> {
    match &probe.query {
        Query::Path(path) if !path.content => Some(Probe::at(
            &probe.site,
            Path {
                path: path.path.clone(),
                content: true,
            },
        )),
        _ => None,
    }
}

fn without_content(seen: &Seen) -> Seen {
    match seen {
        Seen::Read(Reading::Path(PathReading::File(file))) => {
            let mut file = file.clone();
            file.content = None;
            Seen::Read(Reading::Path(PathReading::File(file)))
        }
        other => other.clone(),
    }
}
