//! Options of the balancer's program.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How the lab's load balancer runs.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Address on which the API answers.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub api: SocketAddr,
    /// Address on which the services of the balancers listen.
    #[arg(long, default_value = "0.0.0.0")]
    pub forward: IpAddr,
    /// File that keeps balancers and actions over restarts.
    #[arg(long)]
    pub state: PathBuf,
    /// A token that the API accepts; may be given several times.
    #[arg(
        long = "token",
        env = "KBZ_LAB_HETZNER_TOKENS",
        hide_env_values = true,
        value_delimiter = ',',
        required = true
    )]
    pub tokens: Vec<String>,
    /// Name of the one private network.
    #[arg(long, default_value = "keybuzz")]
    pub network: String,
    /// Address range of the private network.
    #[arg(long, default_value = "10.0.0.0/24")]
    pub range: ipnet::Ipv4Net,
    /// A server of the project, `NAME=ADDRESS[,LABEL=VALUE...]`; may be given several times.
    #[arg(long = "server")]
    pub servers: Vec<PresetServer>,
    /// How long an action runs, in milliseconds.
    #[arg(long, default_value_t = 300)]
    pub action_ms: u64,
    /// How long a second of the health checks lasts, in milliseconds: tests make it short.
    #[arg(long, default_value_t = 1000)]
    pub second_ms: u64,
    /// Requests per hour before the API answers 429.
    #[arg(long, default_value_t = 3600)]
    pub rate_limit: u32,
    /// Cut the connections of a target that turns unhealthy.
    #[arg(long)]
    pub cut_unhealthy: bool,
}

impl Options {
    /// The command line that says the same, without the program's name.
    pub fn arguments(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut say = |name: &str, value: String| all.extend([format!("--{name}"), value]);
        say("api", self.api.to_string());
        say("forward", self.forward.to_string());
        say("state", self.state.display().to_string());
        self.tokens
            .iter()
            .for_each(|token| say("token", token.clone()));
        say("network", self.network.clone());
        say("range", self.range.to_string());
        self.servers
            .iter()
            .for_each(|server| say("server", server.to_string()));
        say("action-ms", self.action_ms.to_string());
        say("second-ms", self.second_ms.to_string());
        say("rate-limit", self.rate_limit.to_string());
        all.extend(self.cut_unhealthy.then(|| "--cut-unhealthy".to_owned()));
        all
    }

    pub(super) fn action_time(&self) -> Duration {
        Duration::from_millis(self.action_ms)
    }

    /// The duration of `seconds` of the health checks.
    pub(super) fn seconds(&self, seconds: u32) -> Duration {
        Duration::from_millis(self.second_ms.saturating_mul(u64::from(seconds)))
    }
}

/// A server that the project has from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresetServer {
    /// Its name.
    pub name: String,
    /// Its address in the private network.
    pub address: IpAddr,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl fmt::Display for PresetServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.address)?;
        self.labels
            .iter()
            .try_for_each(|(key, value)| write!(f, ",{key}={value}"))
    }
}

impl FromStr for PresetServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let usage = || format!("`{text}` is not NAME=ADDRESS[,LABEL=VALUE...]");
        let mut parts = text.split(',');
        let first = parts
            .next()
            .and_then(|part| part.split_once('='))
            .ok_or_else(usage)?;
        let address = first.1.parse().map_err(|_| usage())?;
        let labels = parts
            .map(|part| {
                part.split_once('=')
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
            })
            .collect::<Option<_>>()
            .ok_or_else(usage)?;
        Ok(Self {
            name: first.0.to_owned(),
            address,
            labels,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn a_short_command_line_is_enough() {
        let line = "balancer --state /state/world.json --token one,two \
                    --server haproxy-01=10.0.0.11,role=lb --server haproxy-02=10.0.0.12";
        let options = Program::try_parse_from(line.split_whitespace())
            .unwrap()
            .options;
        assert_eq!(options.tokens, ["one", "two"]);
        assert_eq!(options.servers[0].labels["role"], "lb");
        assert_eq!(options.servers[1].address, IpAddr::from([10, 0, 0, 12]));
        assert_eq!(options.seconds(3), Duration::from_secs(3));

        let again = ["balancer".to_owned()]
            .into_iter()
            .chain(options.arguments());
        let again = Program::try_parse_from(again).unwrap().options;
        assert_eq!(again.arguments(), options.arguments());
        assert_eq!(again.servers, options.servers);

        let bad = "balancer --state s --token t --server haproxy-01";
        assert!(Program::try_parse_from(bad.split_whitespace()).is_err());
    }
}
