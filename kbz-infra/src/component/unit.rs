//! The systemd unit that runs one container.
//!
//! The engine creates the container beforehand through the Docker API, without a restart policy:
//! its goal is compared there, and nothing of it is repeated here. The unit only starts it, waits
//! for its end and stops it.
//!
//! - It wants Docker and comes after it, but does not *require* it: when dockerd restarts with
//!   `live-restore`, systemd would otherwise stop the container with it.
//! - When dockerd goes away, `docker start --attach` ends although the container goes on. Its end
//!   must not stop the container: the stop command acts only while that process is alive, that is
//!   when somebody asked for the stop. The next start finds the container running and waits again.
//! - The stop gives the container [`Unit::stop_seconds`], and systemd waits longer than that.

use crate::secret::Text;

/// What reload means for a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadStep {
    /// Runs a command in the container; a failure ends the reload, so a check comes first.
    Exec(Vec<String>),
    /// Sends a signal to the container's first process.
    Signal(&'static str),
}

/// The unit of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The container's name; the unit is called `NAME-docker.service`.
    pub container: String,
    /// One line for people.
    pub description: String,
    /// Directories whose file systems must be mounted first.
    pub mounts: Vec<String>,
    /// Seconds that the container may take to stop; systemd waits 30 more.
    pub stop_seconds: u32,
    /// What a reload does.
    pub reload: Vec<ReloadStep>,
}

/// Why a unit cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUnit {
    /// Not a container's name.
    #[error("`{0}` is no name of a container")]
    Container(String),
    /// It would need quoting that systemd and the shell disagree on.
    #[error("`{0}` holds a character that a unit cannot hold here")]
    Text(String),
}

impl Unit {
    /// `patroni-docker.service`.
    pub fn patroni(data_dir: &str) -> Self {
        Self {
            container: "patroni".to_owned(),
            description: "PostgreSQL under Patroni".to_owned(),
            mounts: vec![data_dir.to_owned()],
            stop_seconds: 120,
            reload: vec![ReloadStep::Signal("HUP")],
        }
    }

    /// `haproxy-docker.service`. Checks the configuration, saves the states of the servers, then
    /// reloads without closing a listener.
    pub fn haproxy(data_dir: &str, control_port: u16) -> Self {
        use super::haproxy::config::paths;
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            container: "haproxy".to_owned(),
            description: "HAProxy".to_owned(),
            mounts: vec![data_dir.to_owned()],
            stop_seconds: 20,
            reload: vec![
                ReloadStep::Exec(words(&["haproxy", "-c", "-q", "-f", paths::CONFIG_FILE])),
                ReloadStep::Exec(words(&[
                    "bash",
                    paths::SAVE_STATE,
                    &control_port.to_string(),
                ])),
                ReloadStep::Signal("USR2"),
            ],
        }
    }

    /// `pgbouncer-docker.service`.
    pub fn pgbouncer() -> Self {
        Self {
            container: "pgbouncer".to_owned(),
            description: "PgBouncer".to_owned(),
            mounts: Vec::new(),
            stop_seconds: 20,
            reload: vec![ReloadStep::Signal("HUP")],
        }
    }

    /// The name of the unit.
    pub fn name(&self) -> String {
        format!("{}-docker.service", self.container)
    }

    /// The unit's file.
    pub fn render(&self) -> Result<Text, InvalidUnit> {
        self.validate()?;
        let Self {
            container,
            description,
            stop_seconds,
            ..
        } = self;
        let mounts: Vec<String> = self
            .mounts
            .iter()
            .map(|path| format!("RequiresMountsFor={path}\n"))
            .collect();
        let reload: Vec<String> = self
            .reload
            .iter()
            .map(|step| match step {
                ReloadStep::Exec(words) => format!(
                    "ExecReload=/usr/bin/docker exec {container} {}\n",
                    words.join(" ")
                ),
                ReloadStep::Signal(signal) => {
                    format!("ExecReload=/usr/bin/docker kill --signal={signal} {container}\n")
                }
            })
            .collect();
        let mounts = mounts.concat();
        let reload = reload.concat();
        let patience = stop_seconds + 30;
        Ok(Text::plain(format!(
            "# Generated; changes made here are found as drift and undone.\n\
             [Unit]\n\
             Description={description}\n\
             Wants=docker.service network-online.target\n\
             After=docker.service network-online.target\n\
             {mounts}\
             StartLimitIntervalSec=0\n\
             \n\
             [Service]\n\
             ExecStart=/usr/bin/docker start --attach {container}\n\
             ExecStop=/bin/sh -c 'test -z \"$$MAINPID\" || exec /usr/bin/docker stop -t {stop_seconds} {container}'\n\
             {reload}\
             Restart=always\n\
             RestartSec=2s\n\
             TimeoutStopSec={patience}s\n\
             \n\
             [Install]\n\
             WantedBy=multi-user.target\n"
        )))
    }

    fn validate(&self) -> Result<(), InvalidUnit> {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
        let valid = self
            .container
            .starts_with(|c: char| c.is_ascii_alphanumeric())
            && self.container.chars().all(name);
        if !valid {
            return Err(InvalidUnit::Container(self.container.clone()));
        }
        let words = self.reload.iter().flat_map(|step| match step {
            ReloadStep::Exec(words) => words.iter().map(String::as_str).collect(),
            ReloadStep::Signal(signal) => vec![*signal],
        });
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_-.:=".contains(c);
        let paths = self.mounts.iter().map(String::as_str);
        if let Some(odd) = words.chain(paths).find(|word| !word.chars().all(plain)) {
            return Err(InvalidUnit::Text(odd.to_owned()));
        }
        if self.description.contains(['\n', '\\', '%']) {
            return Err(InvalidUnit::Text(self.description.clone()));
        }
        Ok(())
    }
}
