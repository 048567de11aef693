//! From a container to a machine that answers.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Instant;

use bollard::models::{
    ContainerSummary, ContainerSummaryStateEnum as State, NetworkConnectRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RestartContainerOptionsBuilder, StartContainerOptions,
};

use crate::container::{HOST_LABEL, NO_WAY_OUT, Names, Readiness, SPEC_LABEL, Wanted, endpoint};
use crate::engine::{Engine, EngineError, request};
use crate::event::{Events, LabEvent};
use crate::spec::LabSpec;

/// How long a machine may take to end its services before it is stopped hard.
const STOP_SECONDS: i32 = 10;

/// A container that is there.
#[derive(Debug, Clone)]
pub(crate) struct Existing {
    pub(crate) host: String,
    pub(crate) id: String,
    pub(crate) state: State,
    /// Whether it has run for a minute or longer.
    pub(crate) is_settled: bool,
    digest: Option<String>,
    networks: Vec<String>,
}

impl Existing {
    /// `None` for what is no machine of the lab.
    pub(crate) fn new(container: ContainerSummary) -> Option<Self> {
        let labels = container.labels?;
        let networks = container
            .network_settings
            .and_then(|settings| settings.networks);
        let status = container.status.unwrap_or_default();
        Some(Self {
            is_settled: is_settled(&status),
            host: labels.get(HOST_LABEL)?.clone(),
            id: container.id?,
            state: container.state.unwrap_or(State::EMPTY),
            digest: labels.get(SPEC_LABEL).cloned(),
            networks: networks.unwrap_or_default().into_keys().collect(),
        })
    }

    /// Whether it is plugged into this network.
    pub(crate) fn is_connected(&self, network: &str) -> bool {
        self.networks.iter().any(|name| name == network)
    }

    /// Why this container cannot become the wanted one.
    pub(crate) fn misfit(&self, wanted: &Wanted) -> Option<String> {
        let reason = match self.state {
            State::CREATED => "an earlier run did not finish it",
            State::DEAD | State::REMOVING => "the engine is removing it",
            _ if self.digest.as_ref() != Some(&wanted.digest) => "its description has changed",
            _ => return None,
        };
        Some(reason.to_owned())
    }
}

/// Whether the engine's words for how long a container has been up tell of a minute or more:
/// `Up 12 minutes (healthy)`, and not `Up 40 seconds` or `Up 3 hours (Paused)`.
fn is_settled(status: &str) -> bool {
    let units = ["minute", "hour", "day", "week", "month", "year"];
    status.starts_with("Up ")
        && !status.contains("Paused")
        && units.iter().any(|unit| status.contains(unit))
}

/// Makes a container and waits until its machine has booted.
pub(crate) async fn make(
    engine: &Engine,
    spec: &LabSpec,
    wanted: &Wanted,
    events: &Events,
) -> Result<(), EngineError> {
    let container = &wanted.container;
    for volume in &wanted.volumes {
        make_volume(engine, spec, volume).await?;
    }
    let options = CreateContainerOptionsBuilder::new().name(container).build();
    let created = engine
        .docker()
        .create_container(Some(options), wanted.body.clone())
        .await;
    created.map_err(request(format!("make container {container}")))?;
    if wanted.way_in {
        connect(engine, spec, wanted).await?;
    }
    if !wanted.files.is_empty() {
        engine.put(container, &wanted.files).await?;
    }
    start(engine, wanted, events).await
}

async fn make_volume(engine: &Engine, spec: &LabSpec, volume: &str) -> Result<(), EngineError> {
    let request_body = bollard::models::VolumeCreateRequest {
        name: Some(volume.to_owned()),
        labels: Some([(crate::LAB_LABEL.to_owned(), spec.name.to_string())].into()),
        ..Default::default()
    };
    let made = engine.docker().create_volume(request_body).await;
    made.map(drop)
        .map_err(request(format!("make volume {volume}")))
}

/// Connects a machine to the private network, at its address.
pub(crate) async fn connect(
    engine: &Engine,
    spec: &LabSpec,
    wanted: &Wanted,
) -> Result<(), EngineError> {
    let network = Names(&spec.name).private();
    let connection = NetworkConnectRequest {
        container: wanted.container.clone(),
        endpoint_config: Some(endpoint(wanted.address)),
    };
    let connected = engine.docker().connect_network(&network, connection).await;
    connected.map_err(request(format!(
        "connect {} to {network}",
        wanted.container
    )))
}

/// Starts a container and waits until its machine has booted.
async fn start(engine: &Engine, wanted: &Wanted, events: &Events) -> Result<(), EngineError> {
    let since = Instant::now();
    events.send(LabEvent::Starting {
        host: wanted.host.clone(),
    });
    let started = engine
        .docker()
        .start_container(&wanted.container, None::<StartContainerOptions>)
        .await;
    started.map_err(request(format!("start {}", wanted.container)))?;
    wait(engine, &wanted.container, wanted.readiness).await?;
    events.send(LabEvent::Ready {
        host: wanted.host.clone(),
        took: since.elapsed(),
    });
    Ok(())
}

/// Waits until a started container is up; the end of its log says why it is not.
pub(crate) async fn wait(
    engine: &Engine,
    container: &str,
    readiness: Readiness,
) -> Result<(), EngineError> {
    let listens = |port| {
        format!(
            "for i in $(seq 200); do (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 0; \
             sleep 0.05; done; exit 1"
        )
    };
    let waited = match readiness {
        Readiness::Boots => engine.exec(container, &["/usr/lib/kbz-lab/ready"]).await,
        Readiness::Listens(port) => {
            engine
                .exec(container, &["bash", "-c", &listens(port)])
                .await
        }
    };
    match (waited, readiness) {
        (Ok(_), _) => Ok(()),
        (Err(error), Readiness::Boots) => Err(error),
        (Err(source), Readiness::Listens(port)) => Err(EngineError::Silent {
            container: container.to_owned(),
            port,
            log: engine.log(container).await?,
            source: Box::new(source),
        }),
    }
}

/// Brings a container that fits back to life; whether it needed that.
pub(crate) async fn wake(
    engine: &Engine,
    spec: &LabSpec,
    wanted: &Wanted,
    existing: &Existing,
    events: &Events,
) -> Result<bool, EngineError> {
    let missing = !existing.is_connected(&Names(&spec.name).private());
    if existing.state == State::PAUSED {
        let unpaused = engine.docker().unpause_container(&wanted.container).await;
        unpaused.map_err(request(format!("unpause {}", wanted.container)))?;
    }
    if missing {
        connect(engine, spec, wanted).await?;
    }
    match existing.state {
        State::RUNNING | State::PAUSED | State::RESTARTING => {
            if missing && wanted.way_in {
                engine
                    .exec(&wanted.container, &["sh", "-c", NO_WAY_OUT])
                    .await?;
            }
            Ok(missing || existing.state == State::PAUSED)
        }
        _ => start(engine, wanted, events).await.map(|()| true),
    }
}

/// Restarts a machine and waits until it has booted.
pub(crate) async fn restart(
    engine: &Engine,
    wanted: &Wanted,
    events: &Events,
) -> Result<(), EngineError> {
    let since = Instant::now();
    events.send(LabEvent::Starting {
        host: wanted.host.clone(),
    });
    let options = RestartContainerOptionsBuilder::new()
        .t(STOP_SECONDS)
        .build();
    let restarted = engine
        .docker()
        .restart_container(&wanted.container, Some(options))
        .await;
    restarted.map_err(request(format!("restart {}", wanted.container)))?;
    wait(engine, &wanted.container, wanted.readiness).await?;
    events.send(LabEvent::Ready {
        host: wanted.host.clone(),
        took: since.elapsed(),
    });
    Ok(())
}

/// The machines that should greet and are not among those that do.
pub(crate) fn silent<'a>(wanted: &'a [Wanted], greeting: &BTreeSet<Ipv4Addr>) -> Vec<&'a Wanted> {
    let booting = wanted
        .iter()
        .filter(|one| one.readiness == Readiness::Boots);
    booting
        .filter(|one| !greeting.contains(&one.address))
        .collect()
}

/// The machines whose sshd greets, seen from the bastion.
pub(crate) async fn greeting(
    engine: &Engine,
    spec: &LabSpec,
) -> Result<BTreeSet<Ipv4Addr>, EngineError> {
    let bastion = Names(&spec.name).container(&spec.bastion.name);
    let balancer = spec.balancer.as_ref().map(|balancer| balancer.address);
    let machines = spec.machines().map(|(_, address)| address);
    let booting = machines.filter(|address| Some(*address) != balancer);
    let addresses: Vec<String> = booting.map(|address| address.to_string()).collect();
    let mut command = vec!["/usr/lib/kbz-lab/reach"];
    command.extend(addresses.iter().map(String::as_str));
    let greeting = engine.exec(&bastion, &command).await?;
    Ok(greeting
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_settled_once_it_has_run_for_a_minute() {
        for status in [
            "Up About a minute",
            "Up 12 minutes (healthy)",
            "Up About an hour",
            "Up 3 days",
        ] {
            assert!(is_settled(status), "{status}");
        }
        for status in [
            "",
            "Up Less than a second",
            "Up 40 seconds",
            "Up 12 minutes (Paused)",
            "Exited (0) 3 minutes ago",
            "Restarting (1) 5 minutes ago",
            "Created",
        ] {
            assert!(!is_settled(status), "{status}");
        }
    }
}
