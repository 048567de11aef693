//! Reads the world: fans the probes out, one batch per site, and brings one observation back.
//!
//! All probes of a site travel in one [`Interpreter::read`], all sites at once, so that a round
//! costs what its slowest site costs. A site that does not answer makes all of its probes
//! unreachable, never absent. Dropping the future ends the reads that are under way.
//!
//! A second round ([`follow_up`]) asks for what only the first one brought to light: objects
//! that a host's registry knows and neither the program nor the operator's own memory does.

mod questions;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::effect::{Interpreter, SiteReadings};
use crate::ident::Urn;
use crate::probe::{Observation, Outage, Probe, Reading, Seen, Site};
use questions::Questions;
pub use watch::{Watched, watch};

/// How many sites are asked at the same time: more than a fleet of this size has, and few
/// enough for the usual limit of 1024 open files.
const SITES_AT_ONCE: usize = 256;

/// How long a site is asked again that ends the connection before it is asked, and how soon. One that is
/// away is told to be hardly later.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(200);

/// What happens while the world is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ObserveEvent {
    /// A site is asked.
    Asked {
        /// Who.
        site: Site,
        /// How many questions it is asked.
        probes: usize,
    },
    /// A site has answered.
    Answered {
        /// Who.
        site: Site,
        /// How many answers it gave.
        probes: usize,
        /// How long it took.
        elapsed: Duration,
    },
    /// A site does not answer.
    Silent {
        /// Why.
        outage: Outage,
        /// Who.
        site: Site,
        /// How long it was waited.
        elapsed: Duration,
    },
}

/// Asks every site all of its `probes` in one batch, the sites at once.
pub async fn observe(
    interpreter: &Arc<dyn Interpreter>,
    probes: BTreeSet<Probe>,
    events: &(dyn Fn(ObserveEvent) + Send + Sync),
) -> Observation {
    let mut waiting = by_site(probes).into_iter();
    let mut asked: JoinSet<(SiteReadings, Duration)> = JoinSet::new();
    let mut pending: BTreeMap<tokio::task::Id, Arc<Questions>> = BTreeMap::new();
    let mut answers = Vec::new();
    loop {
        while asked.len() < SITES_AT_ONCE
            && let Some(questions) = waiting.next()
        {
            events(ObserveEvent::Asked {
                site: questions.site().clone(),
                probes: questions.len(),
            });
            let questions = Arc::new(questions);
            let task = asked.spawn(ask(Arc::clone(interpreter), Arc::clone(&questions)));
            pending.insert(task.id(), questions);
        }
        let Some(answered) = asked.join_next_with_id().await else {
            return answers.into_iter().collect();
        };
        let id = match &answered {
            Ok((id, _)) => *id,
            Err(lost) => lost.id(),
        };
        let Some(questions) = pending.remove(&id) else {
            continue;
        };
        let (readings, elapsed) = answered.map_or_else(
            |lost| {
                let why = format!("the read broke off: {lost}");
                (Err(Outage::new(questions.site(), why)), Duration::ZERO)
            },
            |(_, answer)| answer,
        );
        // The task that asked has ended: nobody else holds the questions.
        let questions = Arc::unwrap_or_clone(questions);
        answers.extend(settle(questions, readings, elapsed, events));
    }
}

/// Asks what `observation` brought to light and nobody has asked yet: whether the objects that
/// the hosts' registries know are still there. Objects that are `known` (declared, or in the
/// operator's memory) need no second look. Costs nothing when there is nothing to ask.
pub async fn follow_up(
    interpreter: &Arc<dyn Interpreter>,
    observation: Observation,
    known: &(dyn Fn(&Urn) -> bool + Sync),
    events: &(dyn Fn(ObserveEvent) + Send + Sync),
) -> Observation {
    let wanted = unasked(&observation, known);
    if wanted.is_empty() {
        return observation;
    }
    // Who was silent a moment ago is not waited for again.
    let silent: BTreeMap<Site, Outage> = observation
        .outages()
        .into_iter()
        .map(|(site, outage)| (site.clone(), outage.clone()))
        .collect();
    let (hopeless, hopeful): (BTreeSet<Probe>, BTreeSet<Probe>) = wanted
        .into_iter()
        .partition(|probe| silent.contains_key(&probe.site));
    let fresh = observe(interpreter, hopeful, events).await;
    let unreachable = hopeless.into_iter().map(|probe| {
        let outage = silent[&probe.site].clone();
        (probe, Seen::Unreachable(outage))
    });
    let unreachable: Vec<(Probe, Seen)> = unreachable.collect();
    let mut whole = observation;
    whole.extend(fresh);
    whole.extend(unreachable);
    whole
}

/// The probes of objects that a registry knows, that are not `known`, and that were not asked.
fn unasked(observation: &Observation, known: &(dyn Fn(&Urn) -> bool + Sync)) -> BTreeSet<Probe> {
    let registries = observation.iter().filter_map(|(_, seen)| match seen {
        Seen::Read(Reading::Registry(registry)) => Some(registry),
        Seen::Read(_) | Seen::Unreachable(_) => None,
    });
    registries
        .flat_map(|registry| &registry.0)
        .filter(|entry| !known(&entry.urn))
        .flat_map(|entry| &entry.probes)
        .filter(|probe| observation.get(probe).is_none())
        .cloned()
        .collect()
}

fn by_site(probes: BTreeSet<Probe>) -> Vec<Questions> {
    let mut sites: BTreeMap<Site, Vec<Probe>> = BTreeMap::new();
    for probe in probes {
        sites.entry(probe.site.clone()).or_default().push(probe);
    }
    sites
        .into_iter()
        .map(|(site, probes)| Questions::new(site, probes))
        .collect()
}

async fn ask(
    interpreter: Arc<dyn Interpreter>,
    questions: Arc<Questions>,
) -> (SiteReadings, Duration) {
    let begun = Instant::now();
    let mut unasked_since = None;
    loop {
        let readings = interpreter.read(questions.site(), questions.asked()).await;
        let unasked = matches!(&readings, Err(outage) if outage.unasked);
        let since = unasked_since.get_or_insert_with(Instant::now);
        if !unasked || since.elapsed() >= PATIENCE {
            return (readings, begun.elapsed());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn settle(
    questions: Questions,
    readings: SiteReadings,
    elapsed: Duration,
    events: &(dyn Fn(ObserveEvent) + Send + Sync),
) -> Vec<(Probe, Seen)> {
    let site = questions.site().clone();
    let probes = questions.len();
    match readings.and_then(|readings| questions.counted(readings)) {
        Ok(readings) => {
            events(ObserveEvent::Answered {
                site,
                probes,
                elapsed,
            });
            questions.answered(readings)
        }
        Err(outage) => {
            events(ObserveEvent::Silent {
                outage: outage.clone(),
                site,
                elapsed,
            });
            questions.unanswered(&outage)
        }
    }
}

#[cfg(test)]
mod tests;
