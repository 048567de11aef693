//! The load balancer, reached by its API without the program.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use kbz_infra::host::hetzner::{HetznerClient, Patience};
use kbz_infra::primitive::hetzner_lb::{LoadBalancerChange as Change, LoadBalancerState};
use secrecy::SecretString;

use crate::operator::Operator;

/// Its name.
const NAME: &str = "lb-haproxy";

/// The load balancer of the lab.
pub struct Balancer {
    client: HetznerClient,
    /// Where its API answers on this machine.
    authority: String,
}

impl Balancer {
    /// The one of an operator's lab.
    pub fn of(operator: &Operator) -> Self {
        let access = operator.access();
        let token = std::fs::read_to_string(&access.hetzner_token).expect("the lab's token");
        let token = SecretString::from(token.trim().to_owned());
        let api = access.hetzner_api.expect("a lab with a load balancer");
        let client = HetznerClient::new(&api, token, Patience::default()).expect("a client");
        let authority = api.trim_start_matches("http://");
        let authority = authority.split('/').next().unwrap_or_default().to_owned();
        Self { client, authority }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(work)
    }

    fn state(&self) -> LoadBalancerState {
        let state = Self::run(self.client.read(NAME)).expect("an answer");
        state.expect("the load balancer")
    }

    /// Removes a target and a service.
    pub fn bend(&self) {
        let state = self.state();
        let target = state.targets.iter().find(|target| {
            target
                .private_ip
                .is_some_and(|ip| ip.to_string() == "10.0.0.11")
        });
        let target = target.expect("the first haproxy host");
        let service = state
            .services
            .iter()
            .find(|service| service.listen_port == 5433);
        let changes = [
            Change::RemoveTarget {
                target: target.reference.clone(),
                private_ip: target.private_ip,
            },
            Change::DeleteService {
                listen_port: 5433,
                from: service.expect("the service for reads").clone(),
            },
        ];
        for change in changes {
            Self::run(self.client.apply(NAME, &change)).expect("the API does it");
        }
        let bent = self.state();
        assert_eq!((bent.targets.len(), bent.services.len()), (1, 2));
    }

    /// It has every target and service of the stack.
    pub fn is_whole(&self) {
        let state = self.state();
        assert_eq!((state.targets.len(), state.services.len()), (2, 3));
    }

    /// Orders a fault of the API: what `POST /lab/faults` takes.
    pub fn order(&self, fault: &serde_json::Value) {
        let body = fault.to_string();
        let head = format!(
            "Content-Type: application/json\r\nContent-Length: {}",
            body.len()
        );
        let said = self.say("POST", &format!("{head}\r\n\r\n{body}"));
        assert!(said.starts_with("HTTP/1.1 204"), "{said}");
    }

    /// How many ordered faults have not happened.
    pub fn unspent(&self) -> usize {
        let said = self.say("GET", "\r\n");
        let body = said
            .split("\r\n\r\n")
            .nth(1)
            .expect("an answer with a body");
        let answer: serde_json::Value = serde_json::from_str(body).expect("JSON");
        answer["faults"].as_array().expect("a list").len()
    }

    /// One request to the lab's own part of the API; `rest` follows the first headers.
    fn say(&self, method: &str, rest: &str) -> String {
        let mut stream = TcpStream::connect(&self.authority).expect("the API listens");
        let head = format!(
            "{method} /lab/faults HTTP/1.1\r\nHost: {}\r\nConnection: close",
            self.authority
        );
        let sent = stream.write_all(format!("{head}\r\n{rest}").as_bytes());
        sent.expect("the API takes it");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("an answer");
        said
    }
}
