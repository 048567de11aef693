//! What each machine of a lab is as a container: pure functions from the description to
//! the engine's words.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig,
    HostConfigCgroupnsModeEnum, NetworkingConfig, PortBinding, RestartPolicy,
    RestartPolicyNameEnum,
};
use sha2::{Digest, Sha256};

use crate::engine::{FileEntry, LAB_LABEL};
use crate::keys::{KeyError, KeySet};
use crate::machine::{Cgroup, Machine};
use crate::spec::{BalancerSpec, DataDisk, HostSpec, LabName, LabSpec};

/// The machine's name in the lab.
pub(crate) const HOST_LABEL: &str = "kbz.lab.host";
/// What the machine does: `bastion`, `host` or `balancer`.
pub(crate) const ROLE_LABEL: &str = "kbz.lab.role";
/// Digest of everything that made the container what it is.
pub(crate) const SPEC_LABEL: &str = "kbz.lab.spec";
/// Which set of keys opens it.
pub(crate) const KEYS_LABEL: &str = "kbz.lab.keys";
/// Where the bastion keeps a copy of the lab's keys.
pub(crate) const KEYS_IN_BASTION: &str = "/etc/kbz-lab/keys.json";

/// Raised when containers made by an earlier version have to be made again.
const SCHEMA: u32 = 1;
const PROGRAM: &str = "/usr/lib/kbz-lab/program";
const VOLUME_DIRECTORY: &str = "/var/lib/kbz-lab";
/// Where the load balancer finds the tokens of its API.
const TOKENS: &str = "KBZ_LAB_HETZNER_TOKENS";
/// The names and addresses of all machines, in the bastion.
pub(crate) const HOSTS_FILE: &str = "/etc/kbz-lab/hosts";

/// The names of a lab's things in the engine.
pub(crate) struct Names<'a>(pub(crate) &'a LabName);

impl Names<'_> {
    pub(crate) fn container(&self, host: &str) -> String {
        format!("{}-{host}", self.0)
    }

    /// The network with production's addresses.
    pub(crate) fn private(&self) -> String {
        format!("{}-private", self.0)
    }

    /// The ordinary bridge of those that publish ports.
    pub(crate) fn way_in(&self) -> String {
        format!("{}-way-in", self.0)
    }

    fn docker_volume(&self, host: &str) -> String {
        format!("{}-{host}-docker", self.0)
    }

    fn data_volume(&self, host: &str) -> String {
        format!("{}-{host}-data", self.0)
    }

    /// The volumes of a machine, whether it has them or not.
    pub(crate) fn volumes(&self, host: &str) -> [String; 2] {
        [self.docker_volume(host), self.data_volume(host)]
    }

    /// How the files behind this lab's loop devices begin.
    pub(crate) fn disk_prefix(&self) -> String {
        format!("kbz-lab.{}.", self.0)
    }
}

/// A published port: inside, and on 127.0.0.1.
pub(crate) type Port = (u16, u16);

/// How a container shows that it is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It boots systemd, which says when it is done.
    Boots,
    /// It listens on a port.
    Listens(u16),
}

/// A container as it should be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Name in the lab.
    pub(crate) host: String,
    /// Name in the engine.
    pub(crate) container: String,
    /// Address in the private network.
    pub(crate) address: Ipv4Addr,
    /// Whether it also sits on the ordinary bridge.
    pub(crate) way_in: bool,
    /// How it shows that it is up.
    pub(crate) readiness: Readiness,
    /// Its volumes.
    pub(crate) volumes: Vec<String>,
    /// Whether its volumes survive when it is made again.
    pub(crate) keeps_volumes: bool,
    /// Files put into it before its first start.
    pub(crate) files: Vec<FileEntry>,
    /// What is asked from the engine.
    pub(crate) body: ContainerCreateBody,
    /// Digest of all of this.
    pub(crate) digest: String,
}

/// What all machines of a lab share.
pub(crate) struct Context<'a> {
    pub(crate) spec: &'a LabSpec,
    pub(crate) machine: &'a Machine,
    pub(crate) keys: &'a KeySet,
    pub(crate) host_image: &'a str,
    pub(crate) base_image: &'a str,
}

impl Context<'_> {
    /// The bastion, with sshd published on a 127.0.0.1 port.
    pub(crate) fn bastion(&self, ssh: u16) -> Result<Wanted, KeyError> {
        let bastion = &self.spec.bastion;
        let mut wanted = self.booting(&bastion.name, bastion.address, None, &[(22, ssh)])?;
        wanted.files.push(hosts_file(self.all_hosts()));
        self.seal(wanted, "bastion")
    }

    /// A managed host.
    pub(crate) fn host(&self, host: &HostSpec) -> Result<Wanted, KeyError> {
        let mut wanted = self.booting(&host.name, host.address, host.data.as_ref(), &[])?;
        wanted.files.push(hosts_file(own_hosts(&host.name)));
        self.seal(wanted, "host")
    }

    /// The load balancer. `program` is the stable path of its executable on the machine,
    /// `identity` tells one build of it from another.
    pub(crate) fn balancer(
        &self,
        balancer: &BalancerSpec,
        program: &Path,
        identity: &str,
        ports: &[Port],
    ) -> Result<Wanted, KeyError> {
        let names = Names(&self.spec.name);
        let volume = names.data_volume(&balancer.name);
        let host_config = HostConfig {
            binds: Some(vec![
                format!("{}:{PROGRAM}:ro", program.display()),
                format!("{volume}:{VOLUME_DIRECTORY}"),
            ]),
            cap_add: Some(vec!["NET_ADMIN".to_owned()]),
            ..HostConfig::default()
        };
        let script = format!("{NO_WAY_OUT}\nexec {PROGRAM} \"$@\"");
        let command = ["sh", "-c", &script, identity].map(str::to_owned);
        let options = self.balancer_options(balancer);
        let mut wanted = Wanted {
            host: balancer.name.clone(),
            container: names.container(&balancer.name),
            address: balancer.address,
            way_in: true,
            readiness: Readiness::Listens(balancer.api.port),
            volumes: vec![volume],
            keeps_volumes: true,
            files: Vec::new(),
            body: ContainerCreateBody {
                hostname: Some(balancer.name.clone()),
                image: Some(self.base_image.to_owned()),
                env: Some(vec![format!("{TOKENS}={}", self.keys.token())]),
                cmd: Some(command.into_iter().chain(options).collect()),
                host_config: Some(host_config),
                ..ContainerCreateBody::default()
            },
            digest: String::new(),
        };
        self.attach(&mut wanted, ports);
        self.seal(wanted, "balancer")
    }

    /// The command line of the load balancer: it knows every machine as a server.
    fn balancer_options(&self, balancer: &BalancerSpec) -> Vec<String> {
        let mut options = balancer.command.clone();
        options.push(format!("--api=0.0.0.0:{}", balancer.api.port));
        options.push(format!("--state={VOLUME_DIRECTORY}/balancer.json"));
        options.push(format!("--range={}", self.spec.subnet));
        let servers = self
            .spec
            .machines()
            .filter(|(name, _)| *name != balancer.name);
        options.extend(servers.map(|(name, address)| format!("--server={name}={address}")));
        options
    }

    /// A machine that boots systemd.
    fn booting(
        &self,
        name: &str,
        address: Ipv4Addr,
        disk: Option<&DataDisk>,
        ports: &[Port],
    ) -> Result<Wanted, KeyError> {
        let names = Names(&self.spec.name);
        let way_in = !ports.is_empty();
        let mut volumes = Vec::new();
        let mut host_config = self.machine_like();
        if !way_in {
            volumes.push((names.docker_volume(name), "/var/lib/docker"));
        }
        if disk.is_some() {
            volumes.push((names.data_volume(name), VOLUME_DIRECTORY));
        }
        let binds = volumes
            .iter()
            .map(|(volume, path)| format!("{volume}:{path}"));
        host_config.binds.get_or_insert_default().extend(binds);
        let mut wanted = Wanted {
            host: name.to_owned(),
            container: names.container(name),
            address,
            way_in,
            readiness: Readiness::Boots,
            volumes: volumes.into_iter().map(|(volume, _)| volume).collect(),
            keeps_volumes: false,
            files: self.files(name, disk)?,
            body: ContainerCreateBody {
                hostname: Some(name.to_owned()),
                image: Some(self.host_image.to_owned()),
                env: Some(vec![
                    "container=docker".to_owned(),
                    format!("KBZ_LAB_WAY_IN={}", if way_in { "yes" } else { "no" }),
                ]),
                stop_signal: Some("SIGRTMIN+3".to_owned()),
                host_config: Some(host_config),
                ..ContainerCreateBody::default()
            },
            digest: String::new(),
        };
        self.attach(&mut wanted, ports);
        Ok(wanted)
    }

    /// A container in which systemd, dockerd and mounts work: everything that the engine
    /// can give, named piece by piece because `privileged` fails where one is missing.
    fn machine_like(&self) -> HostConfig {
        let drop = self
            .machine
            .missing_capabilities
            .iter()
            .map(|&name| name.to_owned());
        let (binds, cgroupns) = match self.machine.cgroup {
            Cgroup::V1 => (
                vec!["/sys/fs/cgroup:/sys/fs/cgroup:rw".to_owned()],
                HostConfigCgroupnsModeEnum::HOST,
            ),
            Cgroup::V2 => (Vec::new(), HostConfigCgroupnsModeEnum::PRIVATE),
        };
        HostConfig {
            cap_add: Some(vec!["ALL".to_owned()]),
            cap_drop: Some(drop.collect()),
            security_opt: Some(vec![
                "seccomp=unconfined".to_owned(),
                "apparmor=unconfined".to_owned(),
            ]),
            masked_paths: Some(Vec::new()),
            readonly_paths: Some(Vec::new()),
            device_cgroup_rules: Some(vec!["a *:* rwm".to_owned()]),
            cgroupns_mode: Some(cgroupns),
            binds: Some(binds),
            tmpfs: Some(HashMap::from([
                ("/run".to_owned(), "exec,mode=755".to_owned()),
                ("/run/lock".to_owned(), String::new()),
                ("/tmp".to_owned(), "exec,mode=1777".to_owned()),
            ])),
            shm_size: Some(1 << 30),
            // A host that reboots comes back; one that was stopped from outside does not.
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                maximum_retry_count: None,
            }),
            ..HostConfig::default()
        }
    }

    fn files(&self, name: &str, disk: Option<&DataDisk>) -> Result<Vec<FileEntry>, KeyError> {
        let mut files = vec![
            FileEntry::new(
                "/root/.ssh/authorized_keys",
                0o600,
                self.keys.authorized_key()? + "\n",
            ),
            FileEntry::new("/etc/kbz-lab/resolv.conf", 0o644, "nameserver 127.0.0.1\n"),
        ];
        if let Some((private, public)) = self.keys.host(name)? {
            files.push(FileEntry::new(
                "/etc/ssh/ssh_host_ed25519_key",
                0o600,
                private,
            ));
            files.push(FileEntry::new(
                "/etc/ssh/ssh_host_ed25519_key.pub",
                0o644,
                public + "\n",
            ));
        }
        if let Some(disk) = disk {
            let file = format!("{}{name}.img", Names(&self.spec.name).disk_prefix());
            let settings = format!(
                "DIRECTORY={}\nSIZE={}M\nFILE={VOLUME_DIRECTORY}/{file}\n",
                disk.directory.display(),
                disk.mebibytes
            );
            files.push(FileEntry::new("/etc/kbz-lab/volume", 0o644, settings));
        }
        Ok(files)
    }

    /// Names of all machines, for the person who works on the bastion.
    fn all_hosts(&self) -> String {
        let mut text = own_hosts(&self.spec.bastion.name);
        for (name, address) in self.spec.machines() {
            let _ = writeln!(text, "{address} {name}");
        }
        text
    }

    /// The network that the container is made with, and its published ports.
    fn attach(&self, wanted: &mut Wanted, ports: &[Port]) {
        let names = Names(&self.spec.name);
        let (network, endpoint) = if wanted.way_in {
            (names.way_in(), EndpointSettings::default())
        } else {
            (names.private(), endpoint(wanted.address))
        };
        let host_config = wanted.body.host_config.get_or_insert_default();
        host_config.network_mode = Some(network.clone());
        host_config.port_bindings = Some(ports.iter().map(|port| published(*port)).collect());
        wanted.body.exposed_ports = Some(
            ports
                .iter()
                .map(|(inside, _)| format!("{inside}/tcp"))
                .collect(),
        );
        wanted.body.networking_config = Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network, endpoint)])),
        });
    }

    /// Labels the container with what it is made of.
    fn seal(&self, mut wanted: Wanted, role: &str) -> Result<Wanted, KeyError> {
        wanted.digest = digest(&wanted);
        wanted.body.labels = Some(HashMap::from([
            (LAB_LABEL.to_owned(), self.spec.name.to_string()),
            (HOST_LABEL.to_owned(), wanted.host.clone()),
            (ROLE_LABEL.to_owned(), role.to_owned()),
            (SPEC_LABEL.to_owned(), wanted.digest.clone()),
            (KEYS_LABEL.to_owned(), self.keys.id()?),
        ]));
        Ok(wanted)
    }
}

/// An endpoint with a fixed address.
pub(crate) fn endpoint(address: Ipv4Addr) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    }
}

fn published((inside, outside): Port) -> (String, Option<Vec<PortBinding>>) {
    let binding = PortBinding {
        host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
        host_port: Some(outside.to_string()),
    };
    (format!("{inside}/tcp"), Some(vec![binding]))
}

fn hosts_file(content: String) -> FileEntry {
    FileEntry::new(HOSTS_FILE, 0o644, content)
}

fn own_hosts(name: &str) -> String {
    format!("127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost\n")
}

/// Default routes are ignored, and what then has no route is unreachable.
pub(crate) const NO_WAY_OUT: &str = "\
if ip rule add pref 100 lookup main suppress_prefixlength 0; then ip rule add pref 101 unreachable; fi
while ip route del default 2>/dev/null; do :; done";

/// A digest that does not depend on the order of maps.
fn digest(wanted: &Wanted) -> String {
    let body = serde_json::to_value(&wanted.body)
        .map(sorted)
        .unwrap_or_default();
    let files: Vec<_> = wanted
        .files
        .iter()
        .map(|file| (&file.path, file.mode, &file.content))
        .collect();
    let text = format!(
        "{SCHEMA} {} {} {body} {files:?}",
        wanted.container, wanted.address
    );
    hex::encode(Sha256::digest(text.as_bytes()))[..16].to_owned()
}

fn sorted(value: serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map
                .into_iter()
                .map(|(key, value)| format!("{key:?}:{}", sorted(value)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.into_iter().map(sorted).collect();
            format!("[{}]", items.join(","))
        }
        plain => plain.to_string(),
    }
}
