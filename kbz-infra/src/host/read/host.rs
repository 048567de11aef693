//! One host, its Docker engine, its HAProxy and its systemd, asked at once.

#![expect(
    clippy::disallowed_methods,
    reason = "a host's clock is compared with the operator's"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::{join_all, join4};

use super::answers::Answers;
use super::docker;
use super::frames::Frames;
use super::script::Script;
use crate::diag::error_chain;
use crate::host::drain;
use crate::host::engine::HostEngine;
use crate::host::registry::Registry;
use crate::host::systemd;
use crate::host::transport::{Exec, Transport};
use crate::ident::HostName;
use crate::probe::{DrainReading, Query, Reading, UnitReading};

/// How long a host may take to answer; hashing a large file takes a while.
const DEADLINE: Duration = Duration::from_mins(1);

/// A host, its Docker engine and its registry.
pub(in crate::host) struct HostSite {
    /// The way to the host.
    pub(in crate::host) transport: Arc<dyn Transport>,
    /// Its Docker engine.
    pub(in crate::host) engine: HostEngine,
    /// Its registry of the stack.
    pub(in crate::host) registry: Registry,
}

impl HostSite {
    /// The host's name.
    pub(in crate::host) fn name(&self) -> &HostName {
        self.transport.host()
    }
}

/// Answers all queries in their order, or says why the host gave no answer.
pub(in crate::host) async fn answer(
    site: &HostSite,
    queries: &[&Query],
) -> Result<Vec<Reading>, String> {
    let script = Script::of(queries.iter().copied(), &site.registry);
    let engine = async {
        let engine = docker::Engine::ask(&site.engine.docker, queries).await;
        let facts = queries.iter().any(|query| matches!(query, Query::Facts(_)));
        let version = if facts {
            site.engine.version(docker::is_asked(queries)).await
        } else {
            None
        };
        (engine, version)
    };
    let drains = drains(site, queries);
    let units = units(site, queries);
    let (said, (engine, version), drains, units) =
        join4(ask(site, &script), engine, drains, units).await;
    let (frames, arrived) = said?;
    let others = Others {
        engine: engine?,
        drains: drains?,
        units: units?,
    };
    let answers = Answers::new(site.name(), &site.registry, &script, &frames, arrived);
    let queries = queries.iter();
    let answered = queries.map(|query| match others.one(query, &answers)? {
        Reading::Facts(mut facts) => {
            facts.docker.clone_from(&version);
            Ok(facts.into())
        }
        reading => Ok(reading),
    });
    answered.collect()
}

/// The frames of the script's answer, and when they arrived.
async fn ask(site: &HostSite, script: &Script) -> Result<(Frames, SystemTime), String> {
    if script.is_empty() {
        return Ok((Frames::default(), SystemTime::now()));
    }
    let text = script.text().map_err(|error| error.to_string())?;
    let exec = Exec::new(text, DEADLINE).until(Frames::are_whole);
    let output = site.transport.exec(exec).await;
    let arrived = SystemTime::now();
    let output = output.map_err(|error| error_chain(&error))?;
    let frames = Frames::parse(&output.stdout).map_err(|error| {
        let complaint = output.complaint();
        format!("{error} ({}): {complaint}", output.status)
    })?;
    Ok((frames, arrived))
}

/// Whether the HAProxys behind the ports asked for are drained.
async fn drains(
    site: &HostSite,
    queries: &[&Query],
) -> Result<BTreeMap<u16, DrainReading>, String> {
    let ports = queries.iter().filter_map(|query| match query {
        Query::Drain(query) => Some(query.port),
        _ => None,
    });
    let ports: BTreeSet<u16> = ports.collect();
    let asked = ports.into_iter().map(|port| async move {
        let drained = drain::read(site.transport.as_ref(), port).await?;
        Ok((port, drained))
    });
    join_all(asked).await.into_iter().collect()
}

/// The units asked for.
async fn units(
    site: &HostSite,
    queries: &[&Query],
) -> Result<BTreeMap<String, UnitReading>, String> {
    let names = queries.iter().filter_map(|query| match query {
        Query::Unit(query) => Some(query.name.as_str()),
        _ => None,
    });
    systemd::units(site.transport.as_ref(), &names.collect()).await
}

/// What the programs on a host said that are asked by APIs of their own.
struct Others {
    engine: docker::Engine,
    drains: BTreeMap<u16, DrainReading>,
    units: BTreeMap<String, UnitReading>,
}

impl Others {
    fn one(&self, query: &Query, answers: &Answers<'_>) -> Result<Reading, String> {
        match query {
            Query::ImageTag(query) => Ok(self.engine.image(&query.reference).into()),
            Query::Container(query) => Ok(self.engine.container(&query.name).into()),
            Query::ImageUser(query) => {
                let noted = answers.noted_user(&query.reference, &query.user);
                Ok(self.engine.user(query, noted).into())
            }
            Query::Drain(query) => {
                let drained = self.drains.get(&query.port).copied();
                let drained = drained.ok_or("its HAProxy was not asked")?;
                Ok(drained.into())
            }
            Query::Unit(query) => {
                let unit = self.units.get(&query.name).cloned();
                let unit = unit.ok_or_else(|| format!("systemd does not tell of {}", query.name));
                Ok(unit?.into())
            }
            query => match answers.reading(query) {
                Some(reading) => reading,
                None => Err(format!("a host cannot be asked {query:?}")),
            },
        }
    }
}
