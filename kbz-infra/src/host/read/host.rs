//! One host and its Docker engine, asked at once.

#![expect(
    clippy::disallowed_methods,
    reason = "a host's clock is compared with the operator's"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::join;

use super::answers::Answers;
use super::docker;
use super::frames::Frames;
use super::script::Script;
use crate::diag::error_chain;
use crate::host::engine::HostEngine;
use crate::host::registry::Registry;
use crate::host::transport::{Exec, Transport};
use crate::ident::HostName;
use crate::probe::{Query, Reading};

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
    let (said, (engine, version)) = join(ask(site, &script), engine).await;
    let (frames, arrived) = said?;
    let engine = engine?;
    let answers = Answers::new(site.name(), &site.registry, &script, &frames, arrived);
    let queries = queries.iter();
    let answered = queries.map(|query| match one(query, &answers, &engine)? {
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
    let output = site.transport.exec(Exec::new(text, DEADLINE)).await;
    let arrived = SystemTime::now();
    let output = output.map_err(|error| error_chain(&error))?;
    let frames = Frames::parse(&output.stdout).map_err(|error| {
        let complaint = output.complaint();
        format!("{error} ({}): {complaint}", output.status)
    })?;
    Ok((frames, arrived))
}

fn one(query: &Query, answers: &Answers<'_>, engine: &docker::Engine) -> Result<Reading, String> {
    match query {
        Query::ImageTag(query) => Ok(engine.image(&query.reference).into()),
        Query::Container(query) => Ok(engine.container(&query.name).into()),
        Query::ImageUser(query) => {
            let noted = answers.noted_user(&query.reference, &query.user);
            Ok(engine.user(query, noted).into())
        }
        query => match answers.reading(query) {
            Some(reading) => reading,
            None => Err(format!("a host cannot be asked {query:?}")),
        },
    }
}
