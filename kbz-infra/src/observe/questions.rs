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
    /// The questions to a site; `probes` are sorted, and each is there once.
    pub(super) fn new(site: Site, probes: Vec<Probe>) -> Self {
        let lesser = probes.iter().filter_map(covering);
        let fuller: BTreeSet<Probe> = lesser
            .filter(|fuller| probes.binary_search(fuller).is_ok())
            .collect();
        let (covered, asked) = probes
            .into_iter()
            .partition(|probe| covering(probe).is_some_and(|probe| fuller.contains(&probe)));
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

    /// The answers, if there are as many as questions; otherwise the site has not answered.
    pub(super) fn counted(&self, readings: Vec<Reading>) -> Result<Vec<Reading>, Outage> {
        if readings.len() == self.asked.len() {
            return Ok(readings);
        }
        let why = format!(
            "it gave {} answers to {} questions",
            readings.len(),
            self.asked.len()
        );
        Err(Outage::new(&self.site, why))
    }

    /// Pairs questions with as many answers.
    pub(super) fn answered(self, readings: Vec<Reading>) -> Vec<(Probe, Seen)> {
        let readings = readings.into_iter().map(Seen::Read);
        let mut answers: Vec<(Probe, Seen)> = self.asked.into_iter().zip(readings).collect();
        // They are sorted, because the questions come from a set.
        let lesser = self.covered.into_iter().filter_map(|probe| {
            let fuller = covering(&probe)?;
            let place = answers.binary_search_by(|(asked, _)| asked.cmp(&fuller));
            let seen = without_content(&answers[place.ok()?].1);
            Some((probe, seen))
        });
        let lesser: Vec<(Probe, Seen)> = lesser.collect();
        answers.extend(lesser);
        answers
    }

    /// The outage, as the answer to everything.
    pub(super) fn unanswered(self, outage: &Outage) -> Vec<(Probe, Seen)> {
        let all = self.asked.into_iter().chain(self.covered);
        all.map(|probe| (probe, Seen::Unreachable(outage.clone())))
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
