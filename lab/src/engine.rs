//! The machine's Docker Engine, over its unix socket.
//!
//! A thin layer: commands inside containers, small files in and out, and the handful of
//! lists by label that every operation of a lab needs. Only local sockets are supported:
//! a lab binds the machine's own cgroup tree and 127.0.0.1 ports, so an engine elsewhere
//! would be a lab elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as Api;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerSummary, Network, Volume};
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, LogsOptionsBuilder, UploadToContainerOptionsBuilder,
};
use futures::{StreamExt, TryStreamExt};
use kbz_infra::host::local_docker;
use thiserror::Error;

/// The label that everything of a lab carries; its value is the lab's name.
pub const LAB_LABEL: &str = "kbz.lab";

/// Importing an image of several hundred megabytes is one request.
const REQUEST: Duration = Duration::from_mins(30);
const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// The engine did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// `DOCKER_HOST` names something that is not a local socket.
    #[error("DOCKER_HOST is {host}, and a lab needs the machine's own Docker Engine")]
    NotLocal {
        /// The value of `DOCKER_HOST`.
        host: String,
    },
    /// There is no socket.
    #[error(
        "there is no Docker Engine at {socket}; install it (Debian: `sudo apt-get install \
         docker.io`), start it (`sudo systemctl start docker`), or name its socket in DOCKER_HOST"
    )]
    Absent {
        /// The socket.
        socket: String,
    },
    /// The socket belongs to others.
    #[error(
        "this user may not use the Docker Engine at {socket}; `sudo usermod -aG docker $USER` and \
         a new login let it"
    )]
    Forbidden {
        /// The socket.
        socket: String,
    },
    /// Nobody answers on the socket.
    #[error(
        "the Docker Engine at {socket} does not answer; `sudo systemctl restart docker` may help"
    )]
    Unreachable {
        /// The socket.
        socket: String,
        /// What the client met.
        #[source]
        source: Box<Api>,
    },
    /// A request failed.
    #[error("could not {doing}")]
    Request {
        /// What was tried.
        doing: String,
        /// What the engine said.
        #[source]
        source: Box<Api>,
    },
    /// A command in a container failed.
    #[error("`{command}` in {container} ended with status {code}: {output}")]
    Command {
        /// The container.
        container: String,
        /// The command line.
        command: String,
        /// Its exit status.
        code: i64,
        /// The end of what it wrote.
        output: String,
    },
    /// A program does not listen.
    #[error("{container} does not listen on port {port}; its log ends with: {log}")]
    Silent {
        /// The container.
        container: String,
        /// The port.
        port: u16,
        /// The end of its log.
        log: String,
        /// How that was found out.
        #[source]
        source: Box<EngineError>,
    },
    /// An archive from or for a container could not be read or written.
    #[error("could not pack or unpack files of {container}")]
    Archive {
        /// The container.
        container: String,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
}

/// What a command in a container left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit status.
    pub code: i64,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A file to put into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

impl FileEntry {
    pub(crate) fn new(path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            content: content.into(),
        }
    }
}

/// A connection to the machine's Docker Engine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    socket: String,
}

impl Engine {
    /// Connects to the socket of `DOCKER_HOST` (`unix://` only), or the usual one.
    pub fn connect() -> Result<Self, EngineError> {
        let socket = std::env::var("DOCKER_HOST")
            .ok()
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| DEFAULT_SOCKET.to_owned());
        let Some(path) = socket.strip_prefix("unix://") else {
            return Err(EngineError::NotLocal { host: socket });
        };
        knock(path, &socket)?;
        // Asked in no version of its API, an engine answers in its own: to be asked for that, it
        // starts the programs that it is made of.
        let docker = local_docker(Some(path)).map_err(|source| EngineError::Unreachable {
            socket: socket.clone(),
            source: Box::new(source),
        })?;
        let docker = docker.with_timeout(REQUEST);
        Ok(Self { docker, socket })
    }

    /// The socket that this connection uses, as a URL.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// The client below.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Runs a command and returns what it left, whatever its exit status.
    pub async fn exec_any(
        &self,
        container: &str,
        command: &[&str],
    ) -> Result<ExecOutput, EngineError> {
        let doing = || format!("run `{}` in {container}", command.join(" "));
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
            ..CreateExecOptions::default()
        };
        let exec = self
            .docker
            .create_exec(container, options)
            .await
            .map_err(request(doing()))?
            .id;
        let started = self
            .docker
            .start_exec(&exec, None)
            .await
            .map_err(request(doing()))?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(part) = output.next().await {
                match part.map_err(request(doing()))? {
                    LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        stdout.extend_from_slice(&message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
        }
        let ended = self
            .docker
            .inspect_exec(&exec)
            .await
            .map_err(request(doing()))?;
        Ok(ExecOutput {
            code: ended.exit_code.unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// Runs a command that has to succeed and returns its standard output.
    pub(crate) async fn exec(
        &self,
        container: &str,
        command: &[&str],
    ) -> Result<String, EngineError> {
        let output = self.exec_any(container, command).await?;
        if output.code == 0 {
            return Ok(output.stdout);
        }
        Err(EngineError::Command {
            container: container.to_owned(),
            command: command.join(" "),
            code: output.code,
            output: tail(&format!("{}{}", output.stdout, output.stderr)),
        })
    }

    /// The end of a container's log.
    pub(crate) async fn log(&self, container: &str) -> Result<String, EngineError> {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail("8")
            .build();
        let lines: Vec<LogOutput> = self
            .docker
            .logs(container, Some(options))
            .try_collect()
            .await
            .map_err(request(format!("read the log of {container}")))?;
        let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
        Ok(tail(&text.concat()))
    }

    /// Puts files into a container, running or not.
    pub(crate) async fn put(
        &self,
        container: &str,
        files: &[FileEntry],
    ) -> Result<(), EngineError> {
        let archive = pack(files).map_err(|source| EngineError::Archive {
            container: container.to_owned(),
            source,
        })?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        self.docker
            .upload_to_container(container, Some(options), bollard::body_full(archive.into()))
            .await
            .map_err(request(format!(
                "put {} files into {container}",
                files.len()
            )))
    }

    /// Reads one file of a container, running or not; `None` if there is no such file.
    pub(crate) async fn get(
        &self,
        container: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let read: Result<Vec<_>, Api> = self
            .docker
            .download_from_container(container, Some(options))
            .try_collect()
            .await;
        match read {
            Ok(parts) => first_file(&parts.concat()).map_err(|source| EngineError::Archive {
                container: container.to_owned(),
                source,
            }),
            Err(error) if is_status(&error, 404) => Ok(None),
            Err(error) => Err(request(format!("read {path} of {container}"))(error)),
        }
    }

    /// Every container with a label of this value, running or not.
    pub(crate) async fn containers(
        &self,
        label: &str,
        value: Option<&str>,
    ) -> Result<Vec<ContainerSummary>, EngineError> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&by_label(label, value))
            .build();
        self.docker
            .list_containers(Some(options))
            .await
            .map_err(request("list the lab's containers".to_owned()))
    }

    /// Every network with a label of this value.
    pub(crate) async fn networks(&self, lab: &str) -> Result<Vec<Network>, EngineError> {
        let options = ListNetworksOptionsBuilder::new()
            .filters(&by_label(LAB_LABEL, Some(lab)))
            .build();
        self.docker
            .list_networks(Some(options))
            .await
            .map_err(request("list the lab's networks".to_owned()))
    }

    /// Every network of the machine.
    pub(crate) async fn all_networks(&self) -> Result<Vec<Network>, EngineError> {
        self.docker
            .list_networks(None::<bollard::query_parameters::ListNetworksOptions>)
            .await
            .map_err(request("list the machine's networks".to_owned()))
    }

    /// Every volume with a label of this value.
    pub(crate) async fn volumes(&self, lab: &str) -> Result<Vec<Volume>, EngineError> {
        let options = ListVolumesOptionsBuilder::new()
            .filters(&by_label(LAB_LABEL, Some(lab)))
            .build();
        let listed = self
            .docker
            .list_volumes(Some(options))
            .await
            .map_err(request("list the lab's volumes".to_owned()))?;
        Ok(listed.volumes.unwrap_or_default())
    }
}

/// Tells the common reasons apart for which nobody answers on a socket.
fn knock(path: &str, socket: &str) -> Result<(), EngineError> {
    use std::io::ErrorKind;
    let socket = socket.to_owned();
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(EngineError::Absent { socket }),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(EngineError::Forbidden { socket })
        }
        Err(err) => Err(EngineError::Unreachable {
            socket,
            source: Box::new(err.into()),
        }),
    }
}

/// An error constructor for a request that does `doing`.
pub(crate) fn request(doing: String) -> impl FnOnce(Api) -> EngineError {
    move |source| EngineError::Request {
        doing,
        source: Box::new(source),
    }
}

/// Whether the engine answered with this HTTP status.
pub(crate) fn is_status(error: &Api, status: u16) -> bool {
    matches!(error, Api::DockerResponseServerError { status_code, .. } if *status_code == status)
}

/// Turns "there is no such thing" into success, for removals.
pub(crate) fn gone_is_fine(result: Result<(), Api>) -> Result<bool, Api> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if is_status(&error, 404) => Ok(false),
        Err(error) => Err(error),
    }
}

fn by_label(label: &str, value: Option<&str>) -> HashMap<String, Vec<String>> {
    let filter = value.map_or_else(|| label.to_owned(), |value| format!("{label}={value}"));
    HashMap::from([("label".to_owned(), vec![filter])])
}

/// The last lines of a command's output, for an error message.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(8)..].join("; ")
}

/// A tar archive of files owned by root.
pub(crate) fn pack(files: &[FileEntry]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(file.mode);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        let name = file.path.trim_start_matches('/');
        archive.append_data(&mut header, name, file.content.as_slice())?;
    }
    archive.into_inner()
}

fn first_file(archive: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content)?;
            return Ok(Some(content));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_is_read_back() {
        let files = [FileEntry::new("/etc/kbz-lab/keys", 0o600, *b"secret")];
        let archive = pack(&files).unwrap();
        assert_eq!(first_file(&archive).unwrap(), Some(b"secret".to_vec()));
        assert_eq!(first_file(&pack(&[]).unwrap()).unwrap(), None);
    }

    #[test]
    fn a_missing_engine_is_told_from_a_silent_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let knock = || knock(path.to_str().unwrap(), "unix://x").unwrap_err();
        assert!(matches!(knock(), EngineError::Absent { .. }));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(matches!(knock(), EngineError::Unreachable { .. }));
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let lines: Vec<String> = (1..=20).map(|n| format!("line {n}\n\n")).collect();
        assert!(tail(&lines.concat()).starts_with("line 13; "));
    }
}
