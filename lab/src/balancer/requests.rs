//! Bodies of requests, and what is checked about each alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::ApiError;
use super::world::{Algorithm, CheckProtocol, HealthCheck, HttpCheck, Service, Target};

/// Reads a body; what does not fit is `invalid_input`, what is no JSON `json_error`.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        ApiError::new(
            axum::http::StatusCode::BAD_REQUEST,
            "json_error",
            error.to_string(),
        )
    })?;
    serde_json::from_value(value)
        .map_err(|error| ApiError::unprocessable("invalid_input", error.to_string()))
}

#[derive(Debug, Deserialize)]
pub(super) struct Create {
    pub(super) name: String,
    pub(super) load_balancer_type: NameOrId,
    pub(super) location: Option<NameOrId>,
    pub(super) network_zone: Option<String>,
    pub(super) network: Option<u64>,
    pub(super) algorithm: Option<AlgorithmBody>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) services: Vec<ServiceBody>,
    #[serde(default)]
    pub(super) targets: Vec<Target>,
    pub(super) public_interface: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Update {
    pub(super) name: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// Types and locations may be named or numbered.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum NameOrId {
    Name(String),
    Id(u64),
}

impl NameOrId {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Id(id) => id.to_string(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct AlgorithmBody {
    pub(super) r#type: Algorithm,
}

#[derive(Debug, Deserialize)]
pub(super) struct TypeBody {
    pub(super) load_balancer_type: NameOrId,
}

#[derive(Debug, Deserialize)]
pub(super) struct AttachBody {
    pub(super) network: u64,
    pub(super) ip: Option<IpAddr>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DetachBody {
    pub(super) network: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProtectionBody {
    pub(super) delete: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PortBody {
    pub(super) listen_port: u16,
}

/// A service as it is asked for: all but the listen port may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ServiceBody {
    pub(super) protocol: Option<String>,
    pub(super) listen_port: Option<u16>,
    pub(super) destination_port: Option<u16>,
    pub(super) proxyprotocol: Option<bool>,
    pub(super) health_check: Option<HealthCheckBody>,
    pub(super) http: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct HealthCheckBody {
    protocol: Option<CheckProtocol>,
    port: Option<u16>,
    interval: Option<u32>,
    timeout: Option<u32>,
    retries: Option<u32>,
    http: Option<HttpCheckBody>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct HttpCheckBody {
    domain: Option<String>,
    path: Option<String>,
    response: Option<String>,
    status_codes: Option<Vec<String>>,
    tls: Option<bool>,
}

impl ServiceBody {
    /// The service that this body makes: new, or an existing one with some fields changed.
    pub(super) fn over(self, old: Option<&Service>) -> Result<Service, ApiError> {
        let protocol = self
            .protocol
            .or_else(|| old.map(|old| old.protocol.clone()))
            .ok_or_else(|| ApiError::invalid("protocol", "missing"))?;
        if protocol != "tcp" || self.http.is_some_and(|http| !http.is_null()) {
            return Err(ApiError::invalid(
                "protocol",
                "the lab's load balancer forwards tcp only",
            ));
        }
        let listen_port = port("listen_port", self.listen_port)?;
        let destination = self
            .destination_port
            .or(old.map(|old| old.destination_port));
        let destination_port = port("destination_port", destination)?;
        let check = self.health_check.unwrap_or_default();
        Ok(Service {
            protocol,
            listen_port,
            destination_port,
            proxyprotocol: self
                .proxyprotocol
                .or(old.map(|o| o.proxyprotocol))
                .unwrap_or(false),
            health_check: check.over(old.map(|old| &old.health_check), destination_port)?,
        })
    }
}

fn port(field: &str, port: Option<u16>) -> Result<u16, ApiError> {
    match port {
        Some(port) if port > 0 => Ok(port),
        Some(_) => Err(ApiError::invalid(field, "must be between 1 and 65535")),
        None => Err(ApiError::invalid(field, "missing")),
    }
}

impl HealthCheckBody {
    fn over(self, old: Option<&HealthCheck>, destination: u16) -> Result<HealthCheck, ApiError> {
        let protocol = self
            .protocol
            .or(old.map(|old| old.protocol))
            .unwrap_or(CheckProtocol::Tcp);
        let http = match protocol {
            CheckProtocol::Tcp => None,
            CheckProtocol::Http => {
                let old = old.and_then(|old| old.http.as_ref());
                Some(self.http.unwrap_or_default().over(old)?)
            }
        };
        let check_port = self.port.or(old.map(|old| old.port)).unwrap_or(destination);
        Ok(HealthCheck {
            protocol,
            port: port("health_check.port", Some(check_port))?,
            interval: within(
                "interval",
                self.interval.or(old.map(|o| o.interval)),
                15,
                3..=60,
            )?,
            timeout: within(
                "timeout",
                self.timeout.or(old.map(|o| o.timeout)),
                10,
                1..=60,
            )?,
            retries: within("retries", self.retries.or(old.map(|o| o.retries)), 3, 1..=5)?,
            http,
        })
    }
}

fn within(
    field: &str,
    value: Option<u32>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, ApiError> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    let why = format!("must be between {} and {}", range.start(), range.end());
    Err(ApiError::invalid(&format!("health_check.{field}"), why))
}

impl HttpCheckBody {
    fn over(self, old: Option<&HttpCheck>) -> Result<HttpCheck, ApiError> {
        if self.tls == Some(true) {
            return Err(ApiError::invalid(
                "health_check.http.tls",
                "the lab checks without TLS",
            ));
        }
        let old = old.cloned();
        let path = self
            .path
            .or(old.as_ref().map(|o| o.path.clone()))
            .unwrap_or("/".into());
        if !path.starts_with('/') || path.contains(char::is_whitespace) {
            return Err(ApiError::invalid(
                "health_check.http.path",
                "must start with /",
            ));
        }
        let codes = self
            .status_codes
            .or(old.as_ref().map(|o| o.status_codes.clone()));
        let status_codes = codes.unwrap_or_else(|| vec!["2??".into(), "3??".into()]);
        if status_codes.is_empty() || !status_codes.iter().all(|code| is_status_pattern(code)) {
            let why = "must be three digits or `?` each, for example 2??";
            return Err(ApiError::invalid("health_check.http.status_codes", why));
        }
        Ok(HttpCheck {
            domain: self
                .domain
                .or(old.as_ref().map(|o| o.domain.clone()))
                .unwrap_or_default(),
            path,
            response: self
                .response
                .or(old.map(|o| o.response))
                .unwrap_or_default(),
            status_codes,
            tls: false,
        })
    }
}

fn is_status_pattern(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|b| b == b'?' || b.is_ascii_digit())
}
