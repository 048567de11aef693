//! Makes a lab, repairs it, or finds that nothing is to be done.
//!
//! Every container carries the digest of what it was made from. One that does not fit is
//! removed with its volumes and made again: a lab holds nothing that cannot be made again.
//! One that fits is started, resumed or reconnected. At the end every host has to greet
//! through the bastion; one that does not is restarted once, then made again once.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use futures::future::try_join_all;
use thiserror::Error;

use crate::access::{self, AccessError, HostAccess, LabAccess, ServiceAccess};
use crate::boot::{self, Existing};
use crate::container::{Context, KEYS_IN_BASTION, KEYS_LABEL, Names, Wanted};
use crate::down::remove_lab;
use crate::engine::{Engine, EngineError, FileEntry, LAB_LABEL, request};
use crate::event::{Events, LabEvent};
use crate::filelock::{FileLock, LockError};
use crate::keys::{KeyError, KeySet};
use crate::machine::{Machine, PreflightError};
use crate::network;
use crate::ports::{PortError, Ports, published};
use crate::remove::{remove_container, remove_volume};
use crate::rootfs::{self, RootfsError};
use crate::spec::{BalancerSpec, LabSpec, Publish, SpecError};

/// A lab could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UpError {
    /// The description does not hold together.
    #[error("the lab's description does not hold together")]
    Spec(#[from] SpecError),
    /// The machine cannot carry it.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// An image could not be made.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// The engine refused.
    #[error("could not make the lab")]
    Engine(#[from] EngineError),
    /// Keys could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Files could not be written.
    #[error("could not write the lab's files")]
    Access(#[from] AccessError),
    /// Another run could not be waited for.
    #[error("could not wait for another run on the same lab")]
    Lock(#[from] LockError),
    /// No port is free.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The load balancer's executable cannot be used.
    #[error("could not hand {program} to the load balancer")]
    Program {
        /// The executable.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Hosts do not greet, even when made again.
    #[error("{} not answer to SSH through the bastion; `lab down` and `lab up` make the lab again", silent(.hosts))]
    Silent {
        /// The hosts.
        hosts: Vec<String>,
    },
}

fn silent(hosts: &[String]) -> String {
    format!(
        "{} {}",
        hosts.join(", "),
        if hosts.len() == 1 { "does" } else { "do" }
    )
}

/// What proves that the machines of a lab answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Each of them greets.
    Greeting,
    /// Each of them greets, or has run for a minute as it is described: whoever comes to work with
    /// it finds out the rest.
    Age,
}

/// Makes or repairs a lab.
pub(crate) async fn up(
    spec: &LabSpec,
    events: &Events,
    proof: Proof,
) -> Result<LabAccess, UpError> {
    let started = Instant::now();
    spec.check()?;
    let engine = Engine::connect().map_err(PreflightError::Engine)?;
    let _lock = FileLock::acquire(&format!("lab-{}", spec.name), events).await?;
    let mut run = Run::begin(&engine, spec, events).await?;
    let access = run.make(proof).await?;
    events.send(LabEvent::Up {
        lab: spec.name.to_string(),
        changed: run.changed,
        took: started.elapsed(),
    });
    Ok(access)
}

/// One run of `up`.
struct Run<'a> {
    engine: &'a Engine,
    spec: &'a LabSpec,
    events: &'a Events,
    directory: PathBuf,
    machine: Machine,
    existing: HashMap<String, Existing>,
    keys: KeySet,
    changed: bool,
}

impl<'a> Run<'a> {
    /// Looks at the machine and at what there is of the lab.
    async fn begin(
        engine: &'a Engine,
        spec: &'a LabSpec,
        events: &'a Events,
    ) -> Result<Self, UpError> {
        let containers = engine
            .containers(LAB_LABEL, Some(spec.name.as_str()))
            .await?;
        let machine = Machine::check(engine, spec, containers.is_empty()).await?;
        let directory = access::make_directory(&spec.directory())?;
        let keys = keys(engine, spec, &directory, &containers).await?;
        let existing = containers.into_iter().filter_map(Existing::new);
        let existing = existing.map(|one| (one.host.clone(), one)).collect();
        Ok(Self {
            engine,
            spec,
            events,
            directory,
            machine,
            existing,
            keys,
            changed: false,
        })
    }

    async fn make(&mut self, proof: Proof) -> Result<LabAccess, UpError> {
        if proof == Proof::Age && self.existing.values().all(|one| one.is_settled) {
            let (access, wanted) = self.fit_all().await?;
            if self.changed {
                self.greet(&wanted).await?;
            }
            return Ok(access);
        }
        // Where nothing is to be done, the question who greets is answered meanwhile.
        let greeting = boot::greeting(self.engine, self.spec);
        let (fitted, early) = tokio::join!(self.fit_all(), greeting);
        let (access, wanted) = fitted?;
        let all_greet = early.is_ok_and(|greeting| boot::silent(&wanted, &greeting).is_empty());
        if self.changed || !all_greet {
            self.greet(&wanted).await?;
        }
        Ok(access)
    }

    /// Everything but the proof that the machines answer.
    async fn fit_all(&mut self) -> Result<(LabAccess, Vec<Wanted>), UpError> {
        let (host_image, base_image) = self.images().await?;
        self.networks().await?;
        self.remove_undeclared().await?;
        let ports = self.ports().await?;
        let wanted = self.wanted(&host_image, &base_image, &ports)?;
        self.fit(&wanted).await?;
        self.forget_old_programs()?;
        let access = self.access(&ports);
        access.write(&self.directory, &self.keys)?;
        self.hand_keys_to_bastion().await?;
        Ok((access, wanted))
    }

    async fn images(&self) -> Result<(String, String), UpError> {
        let base = rootfs::debian_base(ca_bundle());
        let host = rootfs::host();
        Ok(futures::try_join!(
            rootfs::ensure(self.engine, &host, self.events),
            rootfs::ensure(self.engine, &base, self.events)
        )?)
    }

    /// A lab whose network is another one is made again as a whole.
    async fn networks(&mut self) -> Result<(), UpError> {
        let mut networks = self.engine.networks(self.spec.name.as_str()).await?;
        if let Some(because) = network::misfit(self.spec, &networks) {
            let host = self.spec.name.to_string();
            self.events.send(LabEvent::Remaking { host, because });
            remove_lab(self.engine, &self.spec.name, self.events).await?;
            self.existing.clear();
            networks.clear();
        }
        self.changed |= network::ensure(self.engine, self.spec, &networks, self.events).await?;
        Ok(())
    }

    async fn remove_undeclared(&mut self) -> Result<(), UpError> {
        let declared: BTreeSet<&str> = self.spec.machines().map(|(name, _)| name).collect();
        let gone: Vec<String> = self
            .existing
            .keys()
            .filter(|host| !declared.contains(host.as_str()))
            .cloned()
            .collect();
        for host in gone {
            self.existing.remove(&host);
            self.remove(&host).await?;
            self.changed = true;
        }
        Ok(())
    }

    async fn remove(&self, host: &str) -> Result<(), EngineError> {
        let container = Names(&self.spec.name).container(host);
        remove_container(self.engine, &container, &container, self.events).await?;
        self.remove_volumes(host).await
    }

    async fn remove_volumes(&self, host: &str) -> Result<(), EngineError> {
        for volume in Names(&self.spec.name).volumes(host) {
            remove_volume(self.engine, &volume, self.events).await?;
        }
        Ok(())
    }

    async fn ports(&self) -> Result<ChosenPorts, UpError> {
        let mut ports = Ports::default();
        let bastion = &self.spec.bastion;
        let kept_by_balancer = async {
            match &self.spec.balancer {
                Some(balancer) => self.kept_ports(&balancer.name).await,
                None => Ok(HashMap::new()),
            }
        };
        let (kept, kept_by_balancer) =
            futures::try_join!(self.kept_ports(&bastion.name), kept_by_balancer)?;
        let ssh = ports.choose(
            &[Publish {
                port: 22,
                preferred: bastion.port,
            }],
            &kept,
        )?;
        let balancer = match &self.spec.balancer {
            Some(balancer) => ports.choose(&balancer_ports(balancer), &kept_by_balancer)?,
            None => Vec::new(),
        };
        Ok(ChosenPorts {
            ssh: ssh[0].1,
            balancer,
        })
    }

    async fn kept_ports(&self, host: &str) -> Result<HashMap<u16, u16>, UpError> {
        let Some(existing) = self.existing.get(host) else {
            return Ok(HashMap::new());
        };
        let inspected = self
            .engine
            .docker()
            .inspect_container(&existing.id, None)
            .await
            .map_err(request(format!("inspect {host}")))?;
        Ok(published(&inspected))
    }

    fn wanted(
        &self,
        host_image: &str,
        base_image: &str,
        ports: &ChosenPorts,
    ) -> Result<Vec<Wanted>, UpError> {
        let context = Context {
            spec: self.spec,
            machine: &self.machine,
            keys: &self.keys,
            host_image,
            base_image,
        };
        let mut wanted = vec![context.bastion(ports.ssh)?];
        for host in &self.spec.hosts {
            wanted.push(context.host(host)?);
        }
        if let Some(balancer) = &self.spec.balancer {
            let (program, identity) = keep_program(&self.directory, &balancer.program)?;
            wanted.push(context.balancer(balancer, &program, &identity, &ports.balancer)?);
        }
        Ok(wanted)
    }

    /// All containers at once: each is kept, woken, or made.
    async fn fit(&mut self, wanted: &[Wanted]) -> Result<(), UpError> {
        let fitted = try_join_all(wanted.iter().map(|one| self.fit_one(one))).await?;
        self.changed |= fitted.contains(&true);
        Ok(())
    }

    /// Removes executables that no container uses any more.
    fn forget_old_programs(&self) -> Result<(), UpError> {
        let Some(balancer) = &self.spec.balancer else {
            return Ok(());
        };
        let failed = |source| UpError::Program {
            program: balancer.program.clone(),
            source,
        };
        let (kept, _) = keep_program(&self.directory, &balancer.program)?;
        for entry in std::fs::read_dir(self.directory.join("programs")).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path != kept {
                std::fs::remove_file(path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Whether anything had to be done.
    async fn fit_one(&self, wanted: &Wanted) -> Result<bool, EngineError> {
        let existing = self.existing.get(&wanted.host);
        if let Some(because) = existing.and_then(|existing| existing.misfit(wanted)) {
            self.events.send(LabEvent::Remaking {
                host: wanted.host.clone(),
                because,
            });
            return self.remake(wanted).await.map(|()| true);
        }
        match existing {
            Some(existing) => {
                boot::wake(self.engine, self.spec, wanted, existing, self.events).await
            }
            None => self.remake(wanted).await.map(|()| true),
        }
    }

    async fn remake(&self, wanted: &Wanted) -> Result<(), EngineError> {
        remove_container(
            self.engine,
            &wanted.container,
            &wanted.container,
            self.events,
        )
        .await?;
        if !wanted.keeps_volumes {
            self.remove_volumes(&wanted.host).await?;
        }
        boot::make(self.engine, self.spec, wanted, self.events).await
    }

    async fn hand_keys_to_bastion(&self) -> Result<(), UpError> {
        let bastion = Names(&self.spec.name).container(&self.spec.bastion.name);
        let json = self.keys.to_json()?;
        if self.changed {
            self.engine
                .put(&bastion, &[FileEntry::new(KEYS_IN_BASTION, 0o600, json)])
                .await?;
        }
        Ok(())
    }

    /// Every host greets through the bastion, if need be after a restart or a new start.
    async fn greet(&mut self, wanted: &[Wanted]) -> Result<(), UpError> {
        for attempt in [Attempt::Restart, Attempt::Remake, Attempt::GiveUp] {
            let greeting = boot::greeting(self.engine, self.spec).await?;
            let silent = boot::silent(wanted, &greeting);
            if silent.is_empty() {
                return Ok(());
            }
            self.changed = true;
            match attempt {
                Attempt::Restart => {
                    let restarts = silent
                        .iter()
                        .map(|one| boot::restart(self.engine, one, self.events));
                    try_join_all(restarts).await?;
                }
                Attempt::Remake => {
                    let because = || "it does not answer".to_owned();
                    for one in &silent {
                        let host = one.host.clone();
                        self.events.send(LabEvent::Remaking {
                            host,
                            because: because(),
                        });
                    }
                    try_join_all(silent.iter().map(|one| self.remake(one))).await?;
                }
                Attempt::GiveUp => {
                    let hosts = silent.iter().map(|one| one.host.clone()).collect();
                    return Err(UpError::Silent { hosts });
                }
            }
        }
        Ok(())
    }

    fn access(&self, ports: &ChosenPorts) -> LabAccess {
        let local = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let balancer = self.spec.balancer.as_ref();
        let published = |inside: u16| {
            ports
                .balancer
                .iter()
                .find(|(port, _)| *port == inside)
                .map(|(_, outside)| *outside)
        };
        let services = balancer
            .map(|balancer| balancer.services.as_slice())
            .unwrap_or_default();
        LabAccess {
            name: self.spec.name.clone(),
            ssh_config: self.directory.join("ssh_config"),
            identity: self.directory.join("id_ed25519"),
            known_hosts: self.directory.join("known_hosts"),
            user: "root".to_owned(),
            bastion: self.spec.bastion.name.clone(),
            bastion_ssh: local(ports.ssh),
            hosts: self
                .spec
                .hosts
                .iter()
                .map(|host| HostAccess {
                    name: host.name.clone(),
                    address: host.address,
                })
                .collect(),
            hetzner_api: balancer
                .and_then(|balancer| published(balancer.api.port))
                .map(|port| format!("http://{}/v1", local(port))),
            hetzner_token: self.directory.join("hetzner_token"),
            balancer: balancer.map(|balancer| HostAccess {
                name: balancer.name.clone(),
                address: balancer.address,
            }),
            services: services
                .iter()
                .filter_map(|service| {
                    let published = local(published(service.port)?);
                    Some(ServiceAccess {
                        port: service.port,
                        published,
                    })
                })
                .collect(),
        }
    }
}

#[derive(Clone, Copy)]
enum Attempt {
    Restart,
    Remake,
    GiveUp,
}

struct ChosenPorts {
    ssh: u16,
    balancer: Vec<(u16, u16)>,
}

fn balancer_ports(balancer: &BalancerSpec) -> Vec<Publish> {
    std::iter::once(balancer.api)
        .chain(balancer.services.iter().copied())
        .collect()
}

/// The keys of the lab: those of this folder if they open the bastion, otherwise the copy
/// in the bastion (a lab made from another folder), otherwise new ones.
async fn keys(
    engine: &Engine,
    spec: &LabSpec,
    directory: &Path,
    containers: &[ContainerSummary],
) -> Result<KeySet, UpError> {
    let bastion = Names(&spec.name).container(&spec.bastion.name);
    let current = containers
        .iter()
        .find(|one| {
            one.names
                .iter()
                .flatten()
                .any(|name| name.trim_start_matches('/') == bastion)
        })
        .filter(|one| one.state != Some(ContainerSummaryStateEnum::CREATED))
        .and_then(|one| one.labels.as_ref()?.get(KEYS_LABEL));
    let stored = access::stored_keys(directory)?;
    let mut keys = match (stored, current) {
        (Some(stored), None) => stored,
        (Some(stored), Some(current)) if stored.id()? == *current => stored,
        (_, Some(_)) => match engine.get(&bastion, KEYS_IN_BASTION).await? {
            Some(json) => KeySet::from_json(&json)?,
            None => KeySet::generate(spec.name.as_str())?,
        },
        (None, None) => KeySet::generate(spec.name.as_str())?,
    };
    keys.complete(spec.machines().map(|(name, _)| name))?;
    Ok(keys)
}

/// Keeps the load balancer's executable under a name of its own, so that building the
/// program again does not take it away from a running lab. Returns its path and identity.
fn keep_program(directory: &Path, program: &Path) -> Result<(PathBuf, String), UpError> {
    use std::os::unix::fs::MetadataExt;
    let failed = |source| UpError::Program {
        program: program.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(program).map_err(failed)?;
    let identity = format!("{:x}-{:x}", metadata.mtime_nsec(), metadata.size());
    let folder = directory.join("programs");
    let kept = folder.join(&identity);
    if !kept.exists() {
        std::fs::create_dir_all(&folder).map_err(failed)?;
        // A link costs nothing; another file system needs a copy.
        if std::fs::hard_link(program, &kept).is_err() {
            std::fs::copy(program, &kept).map_err(failed)?;
        }
    }
    Ok((kept, identity))
}

/// The machine's bundle of certificates.
pub(crate) fn ca_bundle() -> Option<Vec<u8>> {
    [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/cert.pem",
    ]
    .iter()
    .find_map(|path| std::fs::read(path).ok())
}
