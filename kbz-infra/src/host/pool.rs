//! All hosts of an environment, each reached when it is first needed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::future::join_all;

use super::ssh::{Bastion, SshHost, SshSettings};
use super::transport::{Exec, Output, Transport, TransportError};
use crate::ident::HostName;

/// The hosts of an environment. Clones share their connections.
///
/// Nothing is dialled unless it is [prepared](Self::prepare): each host connects by itself when
/// something is asked of it, so a host that does not answer delays nobody else. Hosts that name the same bastion share it.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    hosts: Arc<BTreeMap<HostName, Arc<dyn Transport>>>,
    bastions: Arc<Vec<Bastion>>,
}

/// A host that the environment does not name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment has no SSH settings for host {0}")]
pub struct UnknownHost(pub HostName);

impl Hosts {
    /// Hosts that are reached over SSH.
    pub fn over_ssh(settings: impl IntoIterator<Item = (HostName, SshSettings)>) -> Self {
        let mut bastions: HashMap<SshSettings, Bastion> = HashMap::new();
        let mut hosts: BTreeMap<HostName, Arc<dyn Transport>> = BTreeMap::new();
        for (name, settings) in settings {
            let bastion = settings.bastion.as_deref().map(|before| {
                let known = bastions.entry(before.clone());
                known.or_insert_with(|| Bastion::new(before)).clone()
            });
            let host = SshHost::behind(name.clone(), settings, bastion.as_ref());
            hosts.insert(name, Arc::new(host));
        }
        Self {
            hosts: Arc::new(hosts),
            bastions: Arc::new(bastions.into_values().collect()),
        }
    }

    /// Hosts that are reached in ways of their own.
    pub fn from_transports(transports: impl IntoIterator<Item = Arc<dyn Transport>>) -> Self {
        let named = transports
            .into_iter()
            .map(|host| (host.host().clone(), host));
        Self {
            hosts: Arc::new(named.collect()),
            bastions: Arc::default(),
        }
    }

    /// The way to a host.
    pub fn get(&self, name: &HostName) -> Result<Arc<dyn Transport>, UnknownHost> {
        let found = self.hosts.get(name).cloned();
        found.ok_or_else(|| UnknownHost(name.clone()))
    }

    /// The names of all hosts, in order.
    pub fn names(&self) -> impl Iterator<Item = &HostName> {
        self.hosts.keys()
    }

    /// Begins to connect to every host, before anything is asked of them.
    pub fn prepare(&self) {
        for host in self.hosts.values() {
            host.prepare();
        }
    }

    /// Runs one command on every host at once; each answers, or not, for itself.
    pub async fn exec_on_all(
        &self,
        command: &Exec,
    ) -> BTreeMap<HostName, Result<Output, TransportError>> {
        let answers = self.hosts.iter().map(|(name, host)| async move {
            let answer = host.exec(command.clone()).await;
            (name.clone(), answer)
        });
        join_all(answers).await.into_iter().collect()
    }

    /// Ends all connections, those to bastions last.
    pub async fn close(&self) {
        join_all(self.hosts.values().map(|host| host.close())).await;
        join_all(self.bastions.iter().map(Bastion::close)).await;
    }
}
