//! Containers, over the API of a host's Docker engine.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};

use super::said;
use super::shell::Change;
use crate::diag::error_chain;
use crate::effect::{EffectError, RunContext};
use crate::host::read::{self, HostSite};
use crate::model::ContainerSpec;
use crate::probe::{self, ContainerReading, Outage, Query, Reading, Site};

/// What the engine may need beyond the grace that a container has.
const MARGIN: Duration = Duration::from_mins(1);

/// Makes sure that no newer run has changed the host: Docker's API cannot be fenced itself.
pub(in crate::host) async fn fence(site: &HostSite, run: &RunContext) -> Result<(), EffectError> {
    Change::new(site.name().to_string(), "")
        .run(site, run)
        .await
        .map(drop)
}

/// Creates a container. One that is already as declared was created by an earlier attempt.
pub(super) async fn create(
    site: &HostSite,
    spec: &ContainerSpec,
    run: &RunContext,
) -> Result<(), EffectError> {
    let what = format!("container {}", spec.name);
    match present(site, &spec.name).await? {
        ContainerReading::Absent => {}
        ContainerReading::Present {
            spec: found, owner, ..
        } => {
            let ours = owner.as_deref() == Some(run.stack.as_str());
            return if ours && *found == *spec {
                Ok(())
            } else {
                Err(EffectError::Moved {
                    what,
                    found: "another container of that name is there".to_owned(),
                })
            };
        }
    }
    let body = read::declared_body(spec, &run.stack);
    let body = body.map_err(|error| said::failed(&what, error.to_string()))?;
    let options = CreateContainerOptionsBuilder::new()
        .name(&spec.name)
        .build();
    let created = site
        .engine
        .docker
        .create_container(Some(options), body)
        .await;
    created
        .map(drop)
        .map_err(|error| refused(site, &what, run, &error))
}

async fn present(site: &HostSite, name: &str) -> Result<ContainerReading, EffectError> {
    let query = Query::from(probe::Container {
        name: name.to_owned(),
    });
    let here = Site::Host(site.name().clone());
    let readings = read::answer(site, &[&query]).await;
    let readings = readings.map_err(|why| Outage::new(&here, why))?;
    match readings.into_iter().next() {
        Some(Reading::Container(reading)) => Ok(reading),
        _ => Ok(ContainerReading::Absent),
    }
}

/// Starts a container; one that runs is fine.
pub(super) async fn start(
    site: &HostSite,
    name: &str,
    run: &RunContext,
) -> Result<(), EffectError> {
    let what = format!("start of container {name}");
    let options = None::<StartContainerOptions>;
    let started = site.engine.docker.start_container(name, options).await;
    started.map_err(|error| refused(site, &what, run, &error))
}

/// Stops and removes a container.
pub(super) async fn remove(
    site: &HostSite,
    name: &str,
    grace: u32,
    run: &RunContext,
) -> Result<(), EffectError> {
    let what = format!("removal of container {name}");
    let patient = patient(&site.engine.docker, Duration::from_secs(grace.into()));
    let seconds = i32::try_from(grace).unwrap_or(i32::MAX);
    let options = StopContainerOptionsBuilder::new().t(seconds).build();
    gone(patient.stop_container(name, Some(options)).await)
        .map_err(|error| refused(site, &what, run, &error))?;
    let options = RemoveContainerOptionsBuilder::new().v(true).build();
    gone(patient.remove_container(name, Some(options)).await)
        .map_err(|error| refused(site, &what, run, &error))
}

fn patient(docker: &Docker, grace: Duration) -> Docker {
    docker.clone().with_timeout(grace + MARGIN)
}

/// What is gone is fine.
pub(super) fn gone(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(Error::DockerResponseServerError {
            status_code: 304 | 404,
            ..
        }) => Ok(()),
        answer => answer,
    }
}

/// The engine said no, or nothing.
pub(super) fn refused(site: &HostSite, what: &str, run: &RunContext, error: &Error) -> EffectError {
    refused_at(&Site::Host(site.name().clone()), what, run, error)
}

/// The same of any engine.
pub(super) fn refused_at(site: &Site, what: &str, run: &RunContext, error: &Error) -> EffectError {
    match error {
        Error::DockerResponseServerError { message, .. } => {
            said::failed(what, said::tidy(run, message))
        }
        Error::DockerStreamError { error } => said::failed(what, said::tidy(run, error)),
        other => {
            let why = format!("its Docker engine: {}", error_chain(other));
            EffectError::Unreachable(Outage::new(site, said::tidy(run, &why)))
        }
    }
}
