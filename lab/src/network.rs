//! The two networks of a lab.
//!
//! The private one carries production's addresses. It is internal and its bridge has no
//! address (`inhibit_ipv4`), so the machine neither routes to it nor shadows a real
//! network of the same addresses. The ordinary one is the way in: published ports need it.
//! It does not masquerade, and its members ignore default routes.

use std::collections::HashMap;

use bollard::models::{Ipam, IpamConfig, Network, NetworkCreateRequest};

use crate::container::Names;
use crate::engine::{Engine, EngineError, LAB_LABEL, request};
use crate::event::{Events, LabEvent};
use crate::machine::subnets;
use crate::spec::LabSpec;

/// What is wrong with the networks that a lab has; nothing if there are none.
pub(crate) fn misfit(spec: &LabSpec, networks: &[Network]) -> Option<String> {
    let name = Names(&spec.name).private();
    let private = networks
        .iter()
        .find(|network| network.name.as_ref() == Some(&name))?;
    let subnet = subnets(private).next();
    if subnet != Some(spec.subnet) {
        let now = subnet.map_or_else(|| "none".to_owned(), |subnet| subnet.to_string());
        return Some(format!(
            "its private network is {now} and should be {}",
            spec.subnet
        ));
    }
    (private.internal != Some(true)).then(|| "its private network is not internal".to_owned())
}

/// Makes those networks that are missing; whether there was something to make.
pub(crate) async fn ensure(
    engine: &Engine,
    spec: &LabSpec,
    networks: &[Network],
    events: &Events,
) -> Result<bool, EngineError> {
    let wanted = [private(spec), way_in(spec)];
    let mut changed = false;
    for network in wanted {
        if networks
            .iter()
            .any(|one| one.name.as_ref() == Some(&network.name))
        {
            continue;
        }
        let name = network.name.clone();
        let made = engine.docker().create_network(network).await;
        made.map_err(request(format!("make network {name}")))?;
        events.send(LabEvent::NetworkMade { network: name });
        changed = true;
    }
    Ok(changed)
}

fn private(spec: &LabSpec) -> NetworkCreateRequest {
    let config = IpamConfig {
        subnet: Some(spec.subnet.to_string()),
        ..IpamConfig::default()
    };
    NetworkCreateRequest {
        internal: Some(true),
        ipam: Some(Ipam {
            config: Some(vec![config]),
            ..Ipam::default()
        }),
        options: Some(option("com.docker.network.bridge.inhibit_ipv4", "true")),
        ..network(spec, Names(&spec.name).private())
    }
}

fn way_in(spec: &LabSpec) -> NetworkCreateRequest {
    NetworkCreateRequest {
        options: Some(option(
            "com.docker.network.bridge.enable_ip_masquerade",
            "false",
        )),
        ..network(spec, Names(&spec.name).way_in())
    }
}

fn network(spec: &LabSpec, name: String) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name,
        driver: Some("bridge".to_owned()),
        labels: Some(option(LAB_LABEL, spec.name.as_str())),
        ..NetworkCreateRequest::default()
    }
}

fn option(key: &str, value: &str) -> HashMap<String, String> {
    HashMap::from([(key.to_owned(), value.to_owned())])
}
