//! `patroni.yml` of one node.
//!
//! One description of the cluster yields the files of all nodes, so that they cannot disagree;
//! only addresses, memory and tags differ. It is written through serde structs and not through a
//! text template, because YAML guesses types: a cluster named `no` stays a name.
//!
//! The superuser reaches PostgreSQL inside the container through its socket without a password:
//! `peer` authentication, mapped to the one operating system user there is. Everything else
//! needs SCRAM, from the networks named and from no others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use serde_json::Value;

use super::dcs_config::{DcsConfig, InvalidDcsConfig};
use super::memory::{HostFacts, Memory, MemoryBudget, MemoryError};
use super::parameters::{self, InvalidParameter, Parameter, Parameters};
use crate::component::marked::{self, RenderError, YamlSecret};
use crate::ident::HostName;
use crate::secret::Login;
use crate::secret::SecretRef;
use crate::secret::Text;

/// Where things are inside the container.
pub mod paths {
    /// The directory of `patroni.yml`, mounted read-only from the host.
    pub const CONFIG_DIR: &str = "/etc/patroni";
    /// The configuration file.
    pub const CONFIG_FILE: &str = "/etc/patroni/patroni.yml";
    /// The data volume. A data directory is a folder in it ([`super::data_dir`]): Patroni must be
    /// able to move it aside, and an upgrade by hard links needs the old and the new one in the
    /// same file system.
    pub const DATA_MOUNT: &str = "/var/lib/postgresql/data";
    /// RAFT's journal, apart from the data: a full data volume must not stop elections.
    pub const RAFT_DIR: &str = "/var/lib/patroni/raft";
    /// PostgreSQL's socket, and passwords that Patroni writes down for it.
    pub const RUN_DIR: &str = "/var/run/postgresql";
}

/// The data directory of a major version.
pub fn data_dir(major: u16) -> String {
    format!("{}/{major}", paths::DATA_MOUNT)
}

/// The ports of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// PostgreSQL. Default: 5432.
    pub postgres: u16,
    /// Patroni's REST API. Default: 8008.
    pub rest: u16,
    /// RAFT. Default: 7000; its encryption needs a password, without which it runs any code that
    /// it is sent.
    pub raft: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            postgres: 5432,
            rest: 8008,
            raft: 7000,
        }
    }
}

/// What a node may be used for. All of it is written down, so that a leftover tag shows.
#[expect(
    clippy::struct_excessive_bools,
    reason = "Patroni's own tags, each independent of the others"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tags {
    /// Never becomes the leader.
    pub nofailover: bool,
    /// Never answers `/replica` with 200.
    pub noloadbalance: bool,
    /// Never is the synchronous standby.
    pub nosync: bool,
    /// Is what new replicas are copied from, where there is one.
    pub clonefrom: bool,
}

/// How text sorts in a new cluster. It cannot be changed later without dumping and loading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Locale {
    /// By code point, and never otherwise: no upgrade of a library can break an index. From
    /// PostgreSQL 17 it is built in; before that it is the C library's `C.UTF-8`, which sorts the
    /// same. Queries that want a language's order say `COLLATE`.
    #[default]
    CodePoint,
    /// By a language's rules (`fr-FR`), through ICU.
    Icu(String),
}

/// One node of a cluster.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The name of the cluster.
    pub scope: String,
    /// The name of the node in the cluster: its host's.
    pub name: HostName,
    /// The address of the node.
    pub address: IpAddr,
    /// The addresses of all other members.
    pub partners: BTreeSet<IpAddr>,
    /// The ports, the same on all nodes.
    pub ports: Ports,
    /// PostgreSQL's major version.
    pub major: u16,
    /// RAFT's directory in the container.
    pub raft_dir: String,
    /// PostgreSQL's data directory in the container.
    pub data_dir: String,
    /// The superuser, made when the cluster is.
    pub superuser: Login,
    /// The role that replicas log in with.
    pub replication: Login,
    /// The role that pg_rewind logs in with; the superuser where there is none.
    pub rewind: Option<Login>,
    /// Who may change things through the REST API.
    pub rest_api: Login,
    /// The key of the RAFT traffic: without it, whoever reaches the port runs code.
    pub raft_password: SecretRef,
    /// What the host has.
    pub facts: HostFacts,
    /// How much of it is PostgreSQL's.
    pub memory: MemoryBudget,
    /// Parameters of this node alone, over those that its memory gives.
    pub parameters: Parameters,
    /// Networks from which roles may log in, besides the members and the host itself.
    pub clients: BTreeSet<IpNet>,
    /// How text sorts.
    pub locale: Locale,
    /// The dynamic configuration that a new cluster starts with.
    pub bootstrap: DcsConfig,
    /// What the node may be used for.
    pub tags: Tags,
}

/// Why a node cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum NodeConfigError {
    /// RAFT would take the node for a partner.
    #[error("{0} lists its own address among its partners")]
    OwnPartner(HostName),
    /// One failure would stop everything, or two halves would decide.
    #[error("a RAFT cluster needs an odd number of members, three at least; this one has {0}")]
    Voters(usize),
    /// Two services on one port.
    #[error("PostgreSQL, the REST API and RAFT need three different ports")]
    Ports,
    /// Everybody may try.
    #[error(
        "{0} lets every address of the world reach PostgreSQL; name the networks of the clients"
    )]
    Everybody(IpNet),
    /// Not a plain name.
    #[error("the {what} `{given}` may hold letters, digits, underscores and hyphens only")]
    Name {
        /// Of what.
        what: &'static str,
        /// What was given.
        given: String,
    },
    /// One role for two purposes.
    #[error("`{0}` is the superuser and a role for replication at once; they must differ")]
    SharedRole(String),
    /// Patroni could not move it aside.
    #[error("the data directory `{given}` must be a folder inside the data volume {volume}", volume = paths::DATA_MOUNT)]
    DataDir {
        /// What was given.
        given: String,
    },
    /// The memory cannot be divided.
    #[error("the memory of {host} cannot be divided")]
    Memory {
        /// The host.
        host: HostName,
        /// Why.
        #[source]
        source: MemoryError,
    },
    /// A parameter of the node is wrong.
    #[error("a parameter of {host} is refused")]
    Parameter {
        /// The host.
        host: HostName,
        /// Why.
        #[source]
        source: InvalidParameter,
    },
    /// The cluster's configuration is wrong.
    #[error("the configuration of the cluster is refused")]
    Bootstrap(#[from] InvalidDcsConfig),
    /// It cannot be written.
    #[error("patroni.yml cannot be written")]
    Render(#[from] RenderError),
}

impl NodeConfig {
    /// `patroni.yml`.
    pub fn render(&self) -> Result<Text, NodeConfigError> {
        self.validate()?;
        let parameters = self.node_parameters()?;
        Ok(marked::yaml(&self.file(parameters))?)
    }

    /// The memory that PostgreSQL gets on this node.
    pub fn memory(&self) -> Result<Memory, NodeConfigError> {
        let connections = match self.bootstrap.parameters.get("max_connections") {
            Some(Parameter::Number(number)) => u32::try_from(*number).unwrap_or(u32::MAX),
            Some(Parameter::Text(text)) => text.parse().unwrap_or(100),
            None => 100,
        };
        Memory::fit(self.facts, self.memory, connections).map_err(|source| {
            NodeConfigError::Memory {
                host: self.name.clone(),
                source,
            }
        })
    }

    fn validate(&self) -> Result<(), NodeConfigError> {
        if self.partners.contains(&self.address) {
            return Err(NodeConfigError::OwnPartner(self.name.clone()));
        }
        let members = self.partners.len() + 1;
        if members < 3 || members.is_multiple_of(2) {
            return Err(NodeConfigError::Voters(members));
        }
        let Ports {
            postgres,
            rest,
            raft,
        } = self.ports;
        if postgres == rest || rest == raft || raft == postgres {
            return Err(NodeConfigError::Ports);
        }
        if let Some(net) = self.clients.iter().find(|net| net.prefix_len() == 0) {
            return Err(NodeConfigError::Everybody(*net));
        }
        let inside = format!("{}/", paths::DATA_MOUNT);
        if self
            .data_dir
            .strip_prefix(&inside)
            .is_none_or(str::is_empty)
        {
            return Err(NodeConfigError::DataDir {
                given: self.data_dir.clone(),
            });
        }
        plain_name("name of the cluster", &self.scope)?;
        if let Locale::Icu(language) = &self.locale {
            plain_name("language of a locale", language)?;
        }
        self.validate_roles()?;
        self.bootstrap
            .validate(u32::try_from(members).unwrap_or(u32::MAX))?;
        Ok(())
    }

    fn validate_roles(&self) -> Result<(), NodeConfigError> {
        let logins = [&self.superuser, &self.replication, &self.rest_api];
        for login in logins.into_iter().chain(&self.rewind) {
            plain_name("name of a role", &login.user)?;
        }
        let others = [Some(&self.replication), self.rewind.as_ref()];
        match others
            .into_iter()
            .flatten()
            .find(|other| other.user == self.superuser.user)
        {
            Some(shared) => Err(NodeConfigError::SharedRole(shared.user.clone())),
            None => Ok(()),
        }
    }

    fn node_parameters(&self) -> Result<Parameters, NodeConfigError> {
        parameters::check_node(&self.parameters).map_err(|source| NodeConfigError::Parameter {
            host: self.name.clone(),
            source,
        })?;
        let mut all = self.memory()?.parameters();
        all.insert("unix_socket_directories".to_owned(), paths::RUN_DIR.into());
        // What the cluster decides, the node's own memory must not overrule.
        all.retain(|name, _| !self.bootstrap.parameters.contains_key(name));
        all.extend(self.parameters.clone());
        Ok(all)
    }

    fn at(&self, port: u16) -> String {
        endpoint(self.address, port)
    }

    fn file(&self, parameters: Parameters) -> File<'_> {
        let ports = self.ports;
        File {
            scope: &self.scope,
            name: self.name.as_str(),
            log: Log {
                level: "INFO",
                deduplicate_heartbeat_logs: true,
            },
            restapi: RestApi {
                // Every address: the operator asks on loopback, and the firewall keeps the rest out.
                listen: format!("0.0.0.0:{}", ports.rest),
                connect_address: self.at(ports.rest),
                authentication: Credentials::of(&self.rest_api),
            },
            raft: Raft {
                data_dir: &self.raft_dir,
                self_addr: self.at(ports.raft),
                partner_addrs: self
                    .partners
                    .iter()
                    .map(|partner| endpoint(*partner, ports.raft))
                    .collect(),
                password: YamlSecret(&self.raft_password),
            },
            bootstrap: Bootstrap {
                dcs: self.bootstrap.to_value(),
                initdb: self.initdb(),
            },
            postgresql: self.postgresql(parameters),
            watchdog: Watchdog { mode: "off" },
            tags: self.tags,
        }
    }

    fn postgresql(&self, parameters: Parameters) -> Postgresql<'_> {
        let port = self.ports.postgres;
        let loopback = match self.address {
            IpAddr::V4(_) => "127.0.0.1",
            IpAddr::V6(_) => "[::1]",
        };
        Postgresql {
            listen: format!("{loopback},{}", self.at(port)),
            connect_address: self.at(port),
            use_unix_socket: true,
            data_dir: &self.data_dir,
            bin_dir: format!("/usr/lib/postgresql/{}/bin", self.major),
            pgpass: format!("{}/.pgpass", paths::RUN_DIR),
            authentication: Authentication {
                superuser: Credentials::of(&self.superuser),
                replication: Credentials::of(&self.replication),
                rewind: self.rewind.as_ref().map(Credentials::of),
            },
            parameters,
            pg_hba: self.pg_hba(),
            pg_ident: vec![format!("container postgres {}", self.superuser.user)],
            create_replica_methods: ["basebackup"],
            basebackup: BaseBackup { checkpoint: "fast" },
            remove_data_directory_on_rewind_failure: false,
            remove_data_directory_on_diverged_timelines: false,
        }
    }

    fn initdb(&self) -> Vec<Value> {
        let pair = |key: &str, value: &str| {
            Value::Object([(key.to_owned(), Value::from(value))].into_iter().collect())
        };
        let mut options = vec![
            pair("encoding", "UTF8"),
            pair("locale", "C.UTF-8"),
            Value::from("data-checksums"),
        ];
        match &self.locale {
            Locale::CodePoint if self.major >= 17 => {
                options.push(pair("locale-provider", "builtin"));
                options.push(pair("builtin-locale", "C.UTF-8"));
            }
            Locale::CodePoint => {}
            Locale::Icu(language) => {
                options.push(pair("locale-provider", "icu"));
                options.push(pair("icu-locale", language));
            }
        }
        options
    }

    fn pg_hba(&self) -> Vec<String> {
        let superuser = &self.superuser.user;
        let replication = &self.replication.user;
        let mut lines = vec![
            format!("local all {superuser} peer map=container"),
            "local all all scram-sha-256".to_owned(),
            format!("host all all {} scram-sha-256", host_net(self.loopback())),
            // Patroni asks its own PostgreSQL for its timeline as a replica would.
            format!(
                "host replication {replication} {} scram-sha-256",
                host_net(self.loopback())
            ),
        ];
        let members: BTreeSet<IpAddr> = self
            .partners
            .iter()
            .copied()
            .chain([self.address])
            .collect();
        for member in &members {
            let net = host_net(*member);
            lines.push(format!(
                "host replication {replication} {net} scram-sha-256"
            ));
            lines.push(format!("host all all {net} scram-sha-256"));
        }
        for net in &self.clients {
            lines.push(format!("host all all {net} scram-sha-256"));
        }
        lines
    }

    fn loopback(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        }
    }
}

fn endpoint(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

fn host_net(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

/// What needs no quoting in pg_hba.conf, in a connection string or on a command line.
fn plain_name(what: &'static str, given: &str) -> Result<(), NodeConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let keyword = ["all", "replication", "sameuser", "samerole"].contains(&given);
    if given.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && given.chars().all(plain)
        && !keyword
    {
        return Ok(());
    }
    Err(NodeConfigError::Name {
        what,
        given: given.to_owned(),
    })
}

#[derive(Serialize)]
struct File<'a> {
    scope: &'a str,
    name: &'a str,
    log: Log,
    restapi: RestApi<'a>,
    raft: Raft<'a>,
    bootstrap: Bootstrap,
    postgresql: Postgresql<'a>,
    watchdog: Watchdog,
    tags: Tags,
}

#[derive(Serialize)]
struct Log {
    level: &'static str,
    deduplicate_heartbeat_logs: bool,
}

#[derive(Serialize)]
struct RestApi<'a> {
    listen: String,
    connect_address: String,
    authentication: Credentials<'a>,
}

#[derive(Serialize)]
struct Credentials<'a> {
    username: &'a str,
    password: YamlSecret<'a>,
}

impl<'a> Credentials<'a> {
    fn of(login: &'a Login) -> Self {
        Self {
            username: &login.user,
            password: YamlSecret(&login.password),
        }
    }
}

#[derive(Serialize)]
struct Raft<'a> {
    data_dir: &'a str,
    self_addr: String,
    partner_addrs: Vec<String>,
    password: YamlSecret<'a>,
}

#[derive(Serialize)]
struct Bootstrap {
    dcs: Value,
    initdb: Vec<Value>,
}

#[derive(Serialize)]
struct Postgresql<'a> {
    listen: String,
    connect_address: String,
    use_unix_socket: bool,
    data_dir: &'a str,
    bin_dir: String,
    pgpass: String,
    authentication: Authentication<'a>,
    parameters: BTreeMap<String, Parameter>,
    pg_hba: Vec<String>,
    pg_ident: Vec<String>,
    create_replica_methods: [&'static str; 1],
    basebackup: BaseBackup,
    remove_data_directory_on_rewind_failure: bool,
    remove_data_directory_on_diverged_timelines: bool,
}

#[derive(Serialize)]
struct Authentication<'a> {
    superuser: Credentials<'a>,
    replication: Credentials<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rewind: Option<Credentials<'a>>,
}

#[derive(Serialize)]
struct BaseBackup {
    checkpoint: &'static str,
}

/// There is no watchdog device in a container; the supervisor stops PostgreSQL when Patroni
/// cannot be kept alive.
#[derive(Serialize)]
struct Watchdog {
    mode: &'static str,
}
