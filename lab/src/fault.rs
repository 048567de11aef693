//! Breaks a lab on purpose, and mends it.
//!
//! A fault returns when it is really there (or really gone): a killed host has ended, a
//! started one has booted.

use std::net::Ipv4Addr;

use bollard::errors::Error as Api;
use bollard::models::{NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::{
    KillContainerOptions, RestartContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder, WaitContainerOptions,
};
use clap::Subcommand;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::boot::wait;
use crate::container::{
    HOST_LABEL, HOSTS_FILE, NO_WAY_OUT, Names, ROLE_LABEL, Readiness, endpoint,
};
use crate::engine::{Engine, EngineError, LAB_LABEL, is_status, request};
use crate::spec::LabName;

/// How long services may take to end before a host is switched off.
const STOP_SECONDS: i32 = 10;

/// What can be done to a machine of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Subcommand)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// Cut its power.
    Kill,
    /// Shut it down in order.
    Stop,
    /// Switch it on.
    Start,
    /// Shut it down and switch it on again.
    Restart,
    /// Freeze all its processes.
    Pause,
    /// Let them go on.
    Unpause,
    /// Pull its cable out of the private network.
    Disconnect,
    /// Plug it in again, at the same address.
    Connect,
    /// Drop its packets, those from and to one peer or all.
    Drop {
        /// The other machine; every machine if absent.
        #[arg(long)]
        peer: Option<String>,
    },
    /// Stop dropping packets.
    Undrop,
    /// Fill its data disk.
    FillDisk,
    /// Remove what filled the data disk.
    FreeDisk,
}

/// A fault could not be brought about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FaultError {
    /// There is no such lab.
    #[error("there is no lab {lab}; `lab up` makes it")]
    NoLab {
        /// The lab.
        lab: LabName,
    },
    /// The lab has no such machine.
    #[error("lab {lab} has no machine {host}; it has {}", .known.join(", "))]
    NoHost {
        /// The lab.
        lab: LabName,
        /// The name that was given.
        host: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The address of a machine is not known any more.
    #[error("the address of {host} is not known; `lab up` connects it")]
    NoAddress {
        /// The machine.
        host: String,
    },
    /// The engine refused.
    #[error("could not bring the fault about")]
    Engine(#[from] EngineError),
}

/// A machine, found in the engine.
struct Target {
    container: String,
    readiness: Option<Readiness>,
    way_in: bool,
}

/// Brings a fault about.
pub(crate) async fn fault(lab: &LabName, host: &str, fault: &Fault) -> Result<(), FaultError> {
    let engine = Engine::connect()?;
    let target = find(&engine, lab, host).await?;
    match fault {
        Fault::Disconnect => disconnect(&engine, lab, &target).await?,
        Fault::Connect => {
            let address = address_of(&engine, lab, host).await?;
            connect(&engine, lab, &target, address).await?;
        }
        Fault::Drop { peer } => {
            let peer = match peer {
                Some(peer) => Some(address_of(&engine, lab, peer).await?),
                None => None,
            };
            engine
                .exec(&target.container, &["sh", "-e", "-c", &drop_script(peer)])
                .await?;
        }
        Fault::Undrop => script(&engine, &target, UNDROP).await?,
        Fault::FillDisk => script(&engine, &target, FILL).await?,
        Fault::FreeDisk => script(&engine, &target, FREE).await?,
        power => switch(&engine, &target, power).await?,
    }
    Ok(())
}

async fn find(engine: &Engine, lab: &LabName, host: &str) -> Result<Target, FaultError> {
    let containers = engine.containers(LAB_LABEL, Some(lab.as_str())).await?;
    if containers.is_empty() {
        return Err(FaultError::NoLab { lab: lab.clone() });
    }
    let labels: Vec<_> = containers
        .into_iter()
        .filter_map(|one| one.labels)
        .collect();
    let is_host = |labels: &&std::collections::HashMap<String, String>| {
        labels.get(HOST_LABEL).is_some_and(|name| name == host)
    };
    let Some(found) = labels.iter().find(is_host) else {
        let mut known: Vec<String> = labels
            .iter()
            .filter_map(|labels| labels.get(HOST_LABEL).cloned())
            .collect();
        known.sort();
        return Err(FaultError::NoHost {
            lab: lab.clone(),
            host: host.to_owned(),
            known,
        });
    };
    let role = found.get(ROLE_LABEL).map(String::as_str);
    Ok(Target {
        container: Names(lab).container(host),
        readiness: (role != Some("balancer")).then_some(Readiness::Boots),
        way_in: role != Some("host"),
    })
}

/// The address of a machine, which the bastion's list has even while it is disconnected.
async fn address_of(engine: &Engine, lab: &LabName, host: &str) -> Result<Ipv4Addr, FaultError> {
    let unknown = || FaultError::NoAddress {
        host: host.to_owned(),
    };
    let containers = engine.containers(LAB_LABEL, Some(lab.as_str())).await?;
    let bastion = containers
        .iter()
        .filter_map(|one| one.labels.as_ref())
        .find(|labels| labels.get(ROLE_LABEL).is_some_and(|role| role == "bastion"))
        .and_then(|labels| labels.get(HOST_LABEL))
        .ok_or_else(unknown)?;
    let list = engine
        .get(&Names(lab).container(bastion), HOSTS_FILE)
        .await?
        .ok_or_else(unknown)?;
    find_address(&String::from_utf8_lossy(&list), host).ok_or_else(unknown)
}

fn find_address(hosts: &str, host: &str) -> Option<Ipv4Addr> {
    hosts.lines().find_map(|line| {
        let (address, name) = line.split_once(' ')?;
        let address: Ipv4Addr = address.parse().ok()?;
        (name == host && !address.is_loopback()).then_some(address)
    })
}

async fn switch(engine: &Engine, target: &Target, fault: &Fault) -> Result<(), EngineError> {
    let (docker, name) = (engine.docker(), target.container.as_str());
    let done = match fault {
        Fault::Kill => {
            docker
                .kill_container(name, None::<KillContainerOptions>)
                .await
        }
        Fault::Stop => {
            let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
            docker.stop_container(name, Some(options)).await
        }
        Fault::Start => {
            docker
                .start_container(name, None::<StartContainerOptions>)
                .await
        }
        Fault::Restart => {
            let options = RestartContainerOptionsBuilder::new()
                .t(STOP_SECONDS)
                .build();
            docker.restart_container(name, Some(options)).await
        }
        Fault::Pause => docker.pause_container(name).await,
        _ => docker.unpause_container(name).await,
    };
    unless_so_already(done).map_err(request(format!("{fault:?} {name}").to_lowercase()))?;
    match fault {
        Fault::Kill => ended(engine, name).await,
        Fault::Start | Fault::Restart => match target.readiness {
            Some(readiness) => wait(engine, name, readiness).await,
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// A stopped container that is to be stopped is no error (304).
fn unless_so_already(result: Result<(), Api>) -> Result<(), Api> {
    match result {
        Err(error) if is_status(&error, 304) => Ok(()),
        other => other,
    }
}

async fn ended(engine: &Engine, container: &str) -> Result<(), EngineError> {
    let mut waiting = engine
        .docker()
        .wait_container(container, None::<WaitContainerOptions>);
    match waiting.next().await {
        // A non-zero exit status is what a kill is about.
        None | Some(Ok(_) | Err(Api::DockerContainerWaitError { .. })) => Ok(()),
        Some(Err(error)) => Err(request(format!("wait for the end of {container}"))(error)),
    }
}

async fn disconnect(engine: &Engine, lab: &LabName, target: &Target) -> Result<(), EngineError> {
    let network = Names(lab).private();
    let body = NetworkDisconnectRequest {
        container: target.container.clone(),
        force: Some(true),
    };
    let done = engine.docker().disconnect_network(&network, body).await;
    done.map_err(request(format!(
        "disconnect {} from {network}",
        target.container
    )))
}

async fn connect(
    engine: &Engine,
    lab: &LabName,
    target: &Target,
    address: Ipv4Addr,
) -> Result<(), EngineError> {
    let network = Names(lab).private();
    let body = NetworkConnectRequest {
        container: target.container.clone(),
        endpoint_config: Some(endpoint(address)),
    };
    let done = engine.docker().connect_network(&network, body).await;
    done.map_err(request(format!(
        "connect {} to {network}",
        target.container
    )))?;
    if target.way_in {
        engine
            .exec(&target.container, &["sh", "-c", NO_WAY_OUT])
            .await?;
    }
    Ok(())
}

async fn script(engine: &Engine, target: &Target, script: &str) -> Result<(), EngineError> {
    engine
        .exec(&target.container, &["sh", "-e", "-c", script])
        .await
        .map(drop)
}

fn drop_script(peer: Option<Ipv4Addr>) -> String {
    let (from, to) = match peer {
        Some(peer) => (format!("-s {peer}"), format!("-d {peer}")),
        None => (String::new(), String::new()),
    };
    format!(
        "iptables -I INPUT 1 ! -i lo {from} -m comment --comment kbz-lab-drop -j DROP\n\
         iptables -I OUTPUT 1 ! -o lo {to} -m comment --comment kbz-lab-drop -j DROP"
    )
}

const UNDROP: &str = "\
iptables -S | grep -e kbz-lab-drop | sed 's/^-A/-D/' | while read -r rule; do iptables $rule; done";

/// Takes ever smaller pieces until not even one block is left; nothing is really written.
const FILL: &str = "\
. /etc/kbz-lab/volume
file=$DIRECTORY/.kbz-lab-fill
end=0
for piece in 1073741824 67108864 4194304 262144 4096; do
    while fallocate -o $end -l $piece $file 2>/dev/null; do end=$((end + piece)); done
done";

const FREE: &str = "\
. /etc/kbz-lab/volume
rm -f $DIRECTORY/.kbz-lab-fill";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_never_the_loopback() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 install-01\n10.0.0.5 install-01\n";
        assert_eq!(
            find_address(hosts, "install-01"),
            Some(Ipv4Addr::new(10, 0, 0, 5))
        );
        assert_eq!(find_address(hosts, "localhost"), None);
    }

    #[test]
    fn a_drop_names_its_peer_on_both_ways() {
        let script = drop_script(Some(Ipv4Addr::new(10, 0, 0, 7)));
        assert!(script.contains("INPUT 1 ! -i lo -s 10.0.0.7 "));
        assert!(script.contains("OUTPUT 1 ! -o lo -d 10.0.0.7 "));
    }
}
