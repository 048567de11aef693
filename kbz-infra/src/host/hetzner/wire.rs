//! Answers of the API, as far as they are used.
//!
//! Fields that are not used are not named; those that may be absent or null are optional;
//! words are kept as text until they get a meaning.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::model::load_balancer::{
    CheckProtocol, Health, HealthCheck, HttpCheck, Service, TargetRef,
};

#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) error: Error,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Error {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

/// The part of a list's answer that says whether there is more.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) pagination: Pagination,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pagination {
    pub(super) next_page: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ActionAnswer {
    pub(super) action: Action,
}

#[derive(Debug, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) command: String,
    pub(super) status: String,
    pub(super) error: Option<Error>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoadBalancer {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(rename = "load_balancer_type")]
    pub(super) size: Named,
    pub(super) location: Named,
    pub(super) algorithm: Algorithm,
    #[serde(default)]
    pub(super) private_net: Vec<PrivateNet>,
    pub(super) public_net: Option<PublicNet>,
    pub(super) protection: Option<Protection>,
    #[serde(default)]
    pub(super) services: Vec<WireService>,
    #[serde(default)]
    pub(super) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Algorithm {
    pub(super) r#type: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct PrivateNet {
    pub(super) network: Option<u64>,
    pub(super) ip: Option<IpAddr>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PublicNet {
    #[serde(default)]
    pub(super) enabled: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Protection {
    #[serde(default)]
    pub(super) delete: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireService {
    protocol: String,
    listen_port: u16,
    destination_port: u16,
    #[serde(default)]
    proxyprotocol: bool,
    health_check: WireCheck,
}

#[derive(Debug, Deserialize)]
struct WireCheck {
    protocol: String,
    port: u16,
    interval: u32,
    timeout: u32,
    retries: u32,
    http: Option<WireHttp>,
}

#[derive(Debug, Default, Deserialize)]
struct WireHttp {
    domain: Option<String>,
    path: Option<String>,
    response: Option<String>,
    status_codes: Option<Vec<String>>,
    tls: Option<bool>,
}

impl From<WireService> for Service {
    fn from(service: WireService) -> Self {
        Self {
            protocol: service.protocol.into(),
            listen_port: service.listen_port,
            destination_port: service.destination_port,
            proxyprotocol: service.proxyprotocol,
            health_check: service.health_check.into(),
        }
    }
}

impl From<WireCheck> for HealthCheck {
    fn from(check: WireCheck) -> Self {
        let protocol = CheckProtocol::from(check.protocol);
        // a check by connection may still carry the request of an earlier one
        let http = match protocol {
            CheckProtocol::Tcp => None,
            CheckProtocol::Http | CheckProtocol::Other(_) => check.http.map(HttpCheck::from),
        };
        Self {
            protocol,
            port: check.port,
            interval: check.interval,
            timeout: check.timeout,
            retries: check.retries,
            http,
        }
    }
}

impl From<WireHttp> for HttpCheck {
    fn from(http: WireHttp) -> Self {
        Self {
            domain: http.domain.unwrap_or_default(),
            path: http.path.unwrap_or_default(),
            response: http.response.unwrap_or_default(),
            status_codes: http.status_codes.unwrap_or_default(),
            tls: http.tls.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    r#type: String,
    ip: Option<TargetIp>,
    server: Option<TargetServer>,
    label_selector: Option<TargetSelector>,
    #[serde(default)]
    pub(super) use_private_ip: Option<bool>,
    #[serde(default)]
    health_status: Option<Vec<HealthStatus>>,
}

#[derive(Debug, Deserialize)]
struct TargetIp {
    ip: IpAddr,
}

#[derive(Debug, Deserialize)]
struct TargetServer {
    id: u64,
}

#[derive(Debug, Deserialize)]
struct TargetSelector {
    selector: String,
}

#[derive(Debug, Deserialize)]
struct HealthStatus {
    listen_port: u16,
    status: String,
}

impl Target {
    pub(super) fn reference(&self) -> TargetRef {
        match (&self.ip, &self.server, &self.label_selector) {
            (Some(ip), _, _) => TargetRef::Ip(ip.ip),
            (_, Some(server), _) => TargetRef::Server(server.id),
            (_, _, Some(selector)) => TargetRef::LabelSelector(selector.selector.clone()),
            (None, None, None) => TargetRef::Other(self.r#type.clone()),
        }
    }

    pub(super) fn health(&self) -> BTreeMap<u16, Health> {
        let all = self.health_status.iter().flatten();
        all.map(|status| (status.listen_port, Health::from(status.status.clone())))
            .collect()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Server {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) private_net: Vec<PrivateNet>,
}

impl Server {
    /// Its address in a network.
    pub(super) fn address_in(&self, network: u64) -> Option<IpAddr> {
        self.private_net
            .iter()
            .find(|net| net.network == Some(network))
            .and_then(|net| net.ip)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ServerAnswer {
    pub(super) server: Server,
}

#[derive(Debug, Deserialize)]
pub(super) struct Network {
    pub(super) id: u64,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct NetworkAnswer {
    pub(super) network: Network,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::load_balancer::Protocol;

    #[test]
    fn words_and_fields_of_a_newer_api_do_no_harm() {
        let text = r#"{
            "id": 7, "name": "lb", "mood": "fine", "labels": {},
            "load_balancer_type": {"name": "lb99", "id": 9}, "location": {"name": "moon1"},
            "algorithm": {"type": "weighted", "weights": [1]},
            "services": [{
                "protocol": "quic", "listen_port": 1, "destination_port": 2, "http": null,
                "health_check": {"protocol": "grpc", "port": 3, "interval": 15, "timeout": 10,
                                 "retries": 3, "http": {"path": "/", "new": 1}}
            }],
            "targets": [
                {"type": "bucket", "bucket": {"id": 1}},
                {"type": "ip", "ip": {"ip": "10.0.0.1"},
                 "health_status": [{"listen_port": 1, "status": "dreaming"}]}
            ]
        }"#;
        let read: LoadBalancer = serde_json::from_str(text).unwrap();
        assert_eq!(
            read.targets[0].reference(),
            TargetRef::Other("bucket".to_owned())
        );
        assert!(!read.targets[1].health()[&1].is_known());
        let service = Service::from(read.services.into_iter().next().unwrap());
        assert_eq!(service.protocol, Protocol::Other("quic".to_owned()));
        assert_eq!(service.health_check.http.unwrap().path, "/");
    }
}
