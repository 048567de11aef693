//! A port that a load balancer listens on, and how its targets are checked.

use serde::{Deserialize, Serialize};

use super::open::open_enum;

open_enum! {
    /// What a service speaks.
    Protocol {
        /// Bytes, as they come.
        Tcp = "tcp",
        /// HTTP, understood by the balancer.
        Http = "http",
        /// HTTP over TLS that ends at the balancer.
        Https = "https",
    }
}

open_enum! {
    /// How a health check asks.
    CheckProtocol {
        /// By connecting.
        Tcp = "tcp",
        /// By a request.
        Http = "http",
    }
}

/// A port that the balancer listens on, and where its connections go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What is spoken; `tcp` for everything that this library declares.
    pub protocol: Protocol,
    /// The port of the balancer.
    pub listen_port: u16,
    /// The port of the targets.
    pub destination_port: u16,
    /// Whether the client's address is told to the target.
    pub proxyprotocol: bool,
    /// When a target gets connections.
    pub health_check: HealthCheck,
}

impl Service {
    /// TCP from a port to the same or another port, checked by connecting to it.
    pub fn tcp(listen_port: u16, destination_port: u16) -> Self {
        Self {
            protocol: Protocol::Tcp,
            listen_port,
            destination_port,
            proxyprotocol: false,
            health_check: HealthCheck::tcp(destination_port),
        }
    }

    /// The same service with another health check.
    pub fn checked_by(self, health_check: HealthCheck) -> Self {
        Self {
            health_check,
            ..self
        }
    }
}

/// How a target shows that it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `tcp`: it accepts a connection; `http`: it answers a request.
    pub protocol: CheckProtocol,
    /// The port that is asked.
    pub port: u16,
    /// Seconds between checks.
    pub interval: u32,
    /// Seconds that an answer may take.
    pub timeout: u32,
    /// Bad answers in a row that make a target unhealthy.
    pub retries: u32,
    /// What is asked, for `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
}

/// Hetzner's least interval: the sooner a dead target is seen, the shorter the outage.
pub(super) const LEAST_INTERVAL: u32 = 3;
/// Within one interval, so that checks never pile up.
const TIMEOUT: u32 = 2;
/// One lost packet is no outage, two in a row are.
const RETRIES: u32 = 2;

impl HealthCheck {
    /// Connects to `port`.
    pub fn tcp(port: u16) -> Self {
        Self {
            protocol: CheckProtocol::Tcp,
            port,
            interval: LEAST_INTERVAL,
            timeout: TIMEOUT,
            retries: RETRIES,
            http: None,
        }
    }

    /// Asks `port` for `path` and expects a status of 200 to 299.
    pub fn http(port: u16, path: impl Into<String>) -> Self {
        let http = HttpCheck {
            domain: String::new(),
            path: path.into(),
            response: String::new(),
            status_codes: vec!["2??".to_owned()],
            tls: false,
        };
        Self {
            protocol: CheckProtocol::Http,
            http: Some(http),
            ..Self::tcp(port)
        }
    }
}

/// The request of an HTTP health check, and the answer that is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCheck {
    /// The `Host` header; empty for the target's own address.
    pub domain: String,
    /// What is asked for.
    pub path: String,
    /// Text that the answer must contain; empty for any.
    pub response: String,
    /// Good statuses, `?` for any digit.
    pub status_codes: Vec<String>,
    /// Whether TLS is spoken.
    pub tls: bool,
}
