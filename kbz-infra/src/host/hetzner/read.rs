//! Reading balancers, servers and networks.

use std::time::Duration;

use futures::future::try_join_all;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;

use super::call::Call;
use super::client::HetznerClient;
use super::error::HetznerError;
use super::patience::Clock;
use super::wire;
use crate::model::load_balancer::{
    Algorithm, LoadBalancerState, NetworkState, Service, TargetRef, TargetState,
};

/// The largest page that the API gives.
const PER_PAGE: &str = "50";

impl HetznerClient {
    /// The balancer of a name, or `None` where the project has none.
    pub async fn read(&self, name: &str) -> Result<Option<LoadBalancerState>, HetznerError> {
        self.read_within(name, &Clock::start(self.patience())).await
    }

    /// All balancers, or those that a label selector chooses, for example
    /// `kbz.stack=keybuzz`.
    pub async fn list(
        &self,
        label_selector: Option<&str>,
    ) -> Result<Vec<LoadBalancerState>, HetznerError> {
        let clock = Clock::start(self.patience());
        let mut call = Call::get("/load_balancers");
        if let Some(selector) = label_selector {
            call = call.query("label_selector", selector);
        }
        let found = self.pages(call, "load_balancers", &clock).await?;
        try_join_all(
            found
                .into_iter()
                .map(|balancer| self.complete(balancer, &clock)),
        )
        .await
    }

    /// The names of the balancers that a label selector chooses, in order.
    pub async fn names(&self, label_selector: &str) -> Result<Vec<String>, HetznerError> {
        let clock = Clock::start(self.patience());
        let call = Call::get("/load_balancers").query("label_selector", label_selector);
        let found: Vec<wire::LoadBalancer> = self.pages(call, "load_balancers", &clock).await?;
        let mut names: Vec<String> = found.into_iter().map(|balancer| balancer.name).collect();
        names.sort();
        Ok(names)
    }

    pub(super) async fn read_within(
        &self,
        name: &str,
        clock: &Clock,
    ) -> Result<Option<LoadBalancerState>, HetznerError> {
        let call = Call::get("/load_balancers").query("name", name);
        let found: Vec<wire::LoadBalancer> = self.pages(call, "load_balancers", clock).await?;
        match found.into_iter().find(|balancer| balancer.name == name) {
            Some(balancer) => self.complete(balancer, clock).await.map(Some),
            None => Ok(None),
        }
    }

    /// Adds what the balancer only refers to: its network's name, its servers' addresses.
    async fn complete(
        &self,
        balancer: wire::LoadBalancer,
        clock: &Clock,
    ) -> Result<LoadBalancerState, HetznerError> {
        let place = balancer
            .private_net
            .first()
            .and_then(|net| Some((net.network?, net.ip?)));
        let network = async {
            let Some((id, ip)) = place else {
                return Ok(None);
            };
            let name = self.network_name(id, clock).await?;
            Ok(Some(NetworkState { id, name, ip }))
        };
        let of_network = place.map(|(id, _)| id);
        let targets = balancer
            .targets
            .iter()
            .map(|t| self.target(t, of_network, clock));
        let (network, targets) = tokio::try_join!(network, try_join_all(targets))?;
        Ok(LoadBalancerState {
            id: balancer.id,
            name: balancer.name,
            load_balancer_type: balancer.size.name,
            location: balancer.location.name,
            network,
            public_interface: balancer.public_net.is_some_and(|net| net.enabled),
            algorithm: Algorithm::from(balancer.algorithm.r#type),
            labels: balancer.labels,
            delete_protection: balancer
                .protection
                .is_some_and(|protection| protection.delete),
            services: balancer.services.into_iter().map(Service::from).collect(),
            targets,
        })
    }

    async fn target(
        &self,
        target: &wire::Target,
        network: Option<u64>,
        clock: &Clock,
    ) -> Result<TargetState, HetznerError> {
        let reference = target.reference();
        let (private_ip, use_private_ip) = match &reference {
            TargetRef::Ip(ip) => (Some(*ip), true),
            TargetRef::Server(id) => {
                let server = self.server(*id, clock).await?;
                let ip = server
                    .zip(network)
                    .and_then(|(s, network)| s.address_in(network));
                (ip, target.use_private_ip == Some(true))
            }
            TargetRef::LabelSelector(_) | TargetRef::Other(_) => {
                (None, target.use_private_ip == Some(true))
            }
        };
        Ok(TargetState {
            health: target.health(),
            reference,
            private_ip,
            use_private_ip,
        })
    }

    /// A server, unless it was deleted meanwhile.
    async fn server(&self, id: u64, clock: &Clock) -> Result<Option<wire::Server>, HetznerError> {
        let call = Call::get(format!("/servers/{id}"));
        match self.send::<wire::ServerAnswer>(&call, clock).await {
            Ok(answer) => Ok(Some(answer.server)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn network_name(&self, id: u64, clock: &Clock) -> Result<String, HetznerError> {
        let call = Call::get(format!("/networks/{id}"));
        Ok(self
            .send::<wire::NetworkAnswer>(&call, clock)
            .await?
            .network
            .name)
    }

    /// The number of a network.
    pub(super) async fn network_id(&self, name: &str, clock: &Clock) -> Result<u64, HetznerError> {
        let call = Call::get("/networks").query("name", name);
        let found: Vec<wire::Network> = self.pages(call, "networks", clock).await?;
        let found = found.into_iter().find(|network| network.name == name);
        found
            .map(|network| network.id)
            .ok_or_else(|| HetznerError::NoNetwork {
                name: name.to_owned(),
            })
    }

    /// The cloud server that has an address in a network, if it is one.
    pub(super) async fn server_at(
        &self,
        ip: std::net::IpAddr,
        network: u64,
        clock: &Clock,
    ) -> Result<Option<u64>, HetznerError> {
        let servers: Vec<wire::Server> =
            self.pages(Call::get("/servers"), "servers", clock).await?;
        let found = servers
            .into_iter()
            .find(|server| server.address_in(network) == Some(ip));
        Ok(found.map(|server| server.id))
    }

    /// A list to its end.
    async fn pages<T: DeserializeOwned>(
        &self,
        call: Call,
        key: &'static str,
        clock: &Clock,
    ) -> Result<Vec<T>, HetznerError> {
        let call = call.query("per_page", PER_PAGE);
        let (mut all, mut page) = (Vec::new(), 1);
        loop {
            let call = call.clone().query("page", page.to_string());
            let answer: Listed = self.send(&call, clock).await?;
            let next_page = answer.meta.pagination.next_page;
            let part: Vec<T> = answer.list(key).map_err(|source| HetznerError::Garbled {
                call: call.name(),
                source,
            })?;
            all.extend(part);
            match next_page {
                // an answer that leads back would never end
                Some(next) if next > page => page = next,
                _ => return Ok(all),
            }
            let because = HetznerError::Unending { call: call.name() };
            clock.pause_for(Duration::ZERO, because).await?;
        }
    }
}

#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(default)]
    meta: wire::Meta,
    #[serde(flatten)]
    lists: serde_json::Map<String, Value>,
}

impl Listed {
    /// The list that was asked for. An answer without one does not say that there is nothing.
    fn list<T: DeserializeOwned>(mut self, key: &'static str) -> Result<Vec<T>, serde_json::Error> {
        let list = self.lists.remove(key);
        let list = list.ok_or_else(|| serde_json::Error::missing_field(key))?;
        serde_json::from_value(list)
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    use super::*;
    use crate::host::hetzner::Patience;

    #[tokio::test]
    async fn pages_without_an_end_are_read_until_the_deadline() {
        let server = MockServer::start().await;
        let another = |request: &Request| {
            let mut query = request.url.query_pairs();
            let page = query.find(|(key, _)| key == "page");
            let page: u64 = page.and_then(|(_, page)| page.parse().ok()).unwrap();
            ResponseTemplate::new(200).set_body_json(serde_json::json!({
                "load_balancers": [],
                "meta": {"pagination": {"next_page": page + 1}},
            }))
        };
        Mock::given(any())
            .respond_with(another)
            .mount(&server)
            .await;
        let patience = Patience {
            overall: Duration::from_millis(100),
            ..Patience::default()
        };
        let client = HetznerClient::new(&server.uri(), "token".to_owned().into(), patience);
        let Err(HetznerError::TooLate { cause }) = client.unwrap().read("lb").await else {
            panic!("it ends in time");
        };
        assert!(matches!(*cause, HetznerError::Unending { .. }));
    }

    #[tokio::test]
    async fn an_answer_without_the_list_does_not_say_that_there_is_none() {
        for body in [
            serde_json::json!({}),
            serde_json::json!({"message": "a proxy says hello"}),
            serde_json::json!({"load_balancers": null}),
        ] {
            let server = MockServer::start().await;
            let answer = ResponseTemplate::new(200).set_body_json(&body);
            Mock::given(any()).respond_with(answer).mount(&server).await;
            let token = "token".to_owned().into();
            let client = HetznerClient::new(&server.uri(), token, Patience::default());
            let read = client.unwrap().read("lb").await;
            assert!(
                matches!(read, Err(HetznerError::Garbled { .. })),
                "{body}: {read:?}"
            );
        }
    }
}
