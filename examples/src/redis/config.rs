//! `redis.conf` and `sentinel.conf`, from plain data.

use std::net::{IpAddr, SocketAddr};

use kbz_infra::component::{RenderError, template};
use kbz_infra::ident::HostName;
use kbz_infra::secret::Text;
use kbz_infra::secret::{Form, SecretRef};
use serde::Serialize;

/// Where things are inside the containers.
pub mod paths {
    /// The declared files, mounted read-only.
    pub const CONFIG_DIR: &str = "/etc/redis";
    /// The data of Redis, and the file that it runs on.
    pub const DATA_DIR: &str = "/var/lib/redis";
    /// The file that Sentinel runs on.
    pub const SENTINEL_DIR: &str = "/var/lib/sentinel";
}

/// What has to be known to reach the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Redis, on every node. Default: 6379.
    pub redis: u16,
    /// Sentinel, on every node. Default: 26379.
    pub sentinel: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            redis: 6379,
            sentinel: 26379,
        }
    }
}

/// The passwords: the applications', the replicas' and the Sentinels'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passwords {
    /// Of Redis' default user: what applications log in with.
    pub app: SecretRef,
    /// Of the user with which a replica follows its master.
    pub replica: SecretRef,
    /// Of the Sentinels, towards Redis and among themselves.
    pub sentinel: SecretRef,
}

/// How fast a lost master is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Milliseconds without an answer after which a Sentinel takes a node for gone. Default:
    /// 5000; Sentinel's own 30000 stops writes for half a minute.
    pub down_after: u32,
    /// Milliseconds after which a failover that hangs is tried again by another Sentinel (after
    /// twice as many). Default: 60000; Sentinel's own is 180000.
    pub failover_timeout: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            down_after: 5_000,
            failover_timeout: 60_000,
        }
    }
}

/// Both configurations of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// The host.
    pub host: HostName,
    /// Its address.
    pub address: IpAddr,
    /// The name under which the Sentinels know the cluster.
    pub name: String,
    /// Every node's address, in the order of the program; the first is the master of a cluster
    /// that has never lived.
    pub nodes: Vec<IpAddr>,
    /// The ports of every node.
    pub ports: Ports,
    /// The passwords.
    pub passwords: Passwords,
    /// How fast a lost master is noticed.
    pub timing: Timing,
    /// Bytes of memory for data.
    pub max_memory: u64,
    /// The folder of Redis' data.
    pub data_dir: String,
    /// The folder in which Sentinel keeps its file.
    pub sentinel_dir: String,
}

impl NodeConfig {
    /// The address of the master of a cluster that has never lived.
    pub fn first(&self) -> IpAddr {
        self.nodes.first().copied().unwrap_or(self.address)
    }

    /// How many Sentinels have to agree that the master is gone: a majority, or two halves of
    /// the cluster could each think so of the other.
    pub fn quorum(&self) -> usize {
        self.nodes.len() / 2 + 1
    }

    /// `redis.conf`.
    pub fn redis(&self) -> Result<Text, RenderError> {
        template(
            "redis.conf",
            include_str!("redis.conf.tera"),
            &RedisData {
                host: self.host.as_str(),
                address: self.address,
                port: self.ports.redis,
                data_dir: &self.data_dir,
                app_password: quoted(&self.passwords.app),
                replica_password: quoted(&self.passwords.replica),
                sentinel_password: quoted(&self.passwords.sentinel),
                max_memory: self.max_memory,
            },
        )
    }

    /// `sentinel.conf`.
    pub fn sentinel(&self) -> Result<Text, RenderError> {
        template(
            "sentinel.conf",
            include_str!("sentinel.conf.tera"),
            &SentinelData {
                host: self.host.as_str(),
                address: self.address,
                port: self.ports.sentinel,
                data_dir: &self.sentinel_dir,
                name: &self.name,
                master: self.first(),
                redis_port: self.ports.redis,
                quorum: self.quorum(),
                sentinel_password: quoted(&self.passwords.sentinel),
                down_after: self.timing.down_after,
                failover_timeout: self.timing.failover_timeout,
            },
        )
    }

    /// What starts Redis: see `start-redis`.
    pub fn redis_command(&self) -> Vec<String> {
        let own = [
            "start-redis".to_owned(),
            format!("{}/redis.conf", paths::CONFIG_DIR),
            self.data_dir.clone(),
            self.name.clone(),
            self.address.to_string(),
            self.first().to_string(),
            self.ports.redis.to_string(),
        ];
        let sentinels = self.nodes.iter().map(|node| {
            let sentinel = SocketAddr::new(*node, self.ports.sentinel);
            sentinel.to_string()
        });
        own.into_iter().chain(sentinels).collect()
    }

    /// What starts Sentinel: see `start-sentinel`.
    pub fn sentinel_command(&self) -> Vec<String> {
        vec![
            "start-sentinel".to_owned(),
            format!("{}/sentinel.conf", paths::CONFIG_DIR),
            self.sentinel_dir.clone(),
            self.name.clone(),
        ]
    }
}

/// A password between double quotes, in which Redis reads the escapes that YAML has.
fn quoted(secret: &SecretRef) -> String {
    secret.form(Form::Yaml).marker()
}

#[derive(Serialize)]
struct RedisData<'a> {
    host: &'a str,
    address: IpAddr,
    port: u16,
    data_dir: &'a str,
    app_password: String,
    replica_password: String,
    sentinel_password: String,
    max_memory: u64,
}

#[derive(Serialize)]
struct SentinelData<'a> {
    host: &'a str,
    address: IpAddr,
    port: u16,
    data_dir: &'a str,
    name: &'a str,
    master: IpAddr,
    redis_port: u16,
    quorum: usize,
    sentinel_password: String,
    down_after: u32,
    failover_timeout: u32,
}
