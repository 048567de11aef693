//! A container between the terms of a declaration and those of Docker's API.
//!
//! Docker mixes what was asked for with what the image brings and with its own defaults, so a
//! container never inspects as it was declared. Two things make a comparison exact:
//! the declaration itself travels with the container (label `kbz.spec`), and each of its fields
//! is believed only as long as Docker still says what that declaration would have made. A field
//! for which it says something else reads as what Docker says, with the image's part taken out.
//! What no declaration can say (another network, privileges, foreign volumes, an entry point)
//! reads as a label `(undeclared)`, so that it is seen too.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerConfig, ContainerCreateBody, ContainerInspectResponse, HostConfig,
    HostConfigLogConfig, ImageConfig, ImageInspect, Mount as DockerMount, MountPoint, MountType,
    ResourcesUlimits, RestartPolicy as DockerRestart, RestartPolicyNameEnum,
};

use crate::ident::StackName;
use crate::model::{ContainerSpec, LogLimits, Mount, RestartPolicy, Ulimit};
use crate::probe::ContainerReading;

/// The label that holds the declaration that a container was made from.
const SPEC_LABEL: &str = "kbz.spec";
/// The label that names the stack that made a container.
const STACK_LABEL: &str = "kbz.stack";

/// The pseudo-label of what no declaration can say.
const UNDECLARED: &str = "(undeclared)";

/// What Docker waits before it kills, unless told otherwise.
const DOCKER_GRACE: u32 = 10;
/// Docker's size of `/dev/shm`, unless told otherwise.
const DOCKER_SHM: u64 = 64 << 20;

/// What creates the container that `spec` declares.
pub(in crate::host) fn declared_body(
    spec: &ContainerSpec,
    stack: &StackName,
) -> Result<ContainerCreateBody, serde_json::Error> {
    let mut labels: HashMap<String, String> = spec.labels.clone().into_iter().collect();
    labels.insert(STACK_LABEL.to_owned(), stack.to_string());
    labels.insert(SPEC_LABEL.to_owned(), serde_json::to_string(spec)?);
    let env = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    Ok(ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: some(&spec.command),
        user: (!spec.user.is_empty()).then(|| spec.user.clone()),
        env: Some(env.collect()),
        stop_signal: (!spec.stop_signal.is_empty()).then(|| spec.stop_signal.clone()),
        stop_timeout: Some(spec.stop_grace.into()),
        labels: Some(labels),
        host_config: Some(host_config(spec)),
        ..ContainerCreateBody::default()
    })
}

fn some(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let mounts = spec.mounts.iter().map(|(target, mount)| DockerMount {
        target: Some(target.clone()),
        source: Some(mount.source.clone()),
        typ: Some(MountType::BIND),
        read_only: Some(mount.read_only),
        ..DockerMount::default()
    });
    let ulimits = spec.ulimits.iter().map(|(name, limit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    });
    HostConfig {
        network_mode: Some("host".to_owned()),
        mounts: Some(mounts.collect()),
        tmpfs: Some(spec.tmpfs.clone().into_iter().collect()),
        shm_size: (spec.shm_size > 0).then(|| signed(spec.shm_size)),
        ulimits: Some(ulimits.collect()),
        oom_score_adj: Some(spec.oom_score_adj.into()),
        memory: Some(signed(spec.memory)),
        cap_add: some(&spec.cap_add),
        cap_drop: some(&spec.cap_drop),
        restart_policy: Some(DockerRestart {
            name: Some(restart_name(spec.restart)),
            maximum_retry_count: None,
        }),
        log_config: Some(log_config(&spec.logs)),
        ..HostConfig::default()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn unsigned(number: Option<i64>) -> u64 {
    u64::try_from(number.unwrap_or_default()).unwrap_or_default()
}

fn restart_name(restart: RestartPolicy) -> RestartPolicyNameEnum {
    match restart {
        RestartPolicy::No => RestartPolicyNameEnum::NO,
        RestartPolicy::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
        RestartPolicy::Always => RestartPolicyNameEnum::ALWAYS,
    }
}

fn log_config(logs: &LogLimits) -> HostConfigLogConfig {
    let options = [
        ("max-size".to_owned(), logs.max_size.clone()),
        ("max-file".to_owned(), logs.max_file.to_string()),
    ];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(options.into()),
    }
}

/// What Docker says of a container, in the terms of a declaration.
pub(super) fn reading(
    container: &ContainerInspectResponse,
    image: Option<&ImageInspect>,
) -> ContainerReading {
    let no_labels = HashMap::new();
    let config = container.config.clone().unwrap_or_default();
    let labels = config.labels.as_ref().unwrap_or(&no_labels);
    let no_image = ImageConfig::default();
    let image = image
        .and_then(|image| image.config.as_ref())
        .unwrap_or(&no_image);
    let found = Effective::found(container, &config, image);
    let declared = labels
        .get(SPEC_LABEL)
        .and_then(|text| serde_json::from_str::<ContainerSpec>(text).ok());
    let spec = match declared {
        Some(declared) => found.declared_by(declared, image),
        None => found.without_image(image),
    };
    let state = container.state.as_ref();
    ContainerReading::Present {
        spec: Box::new(spec),
        image_id: container.image.clone().unwrap_or_default(),
        running: state.and_then(|state| state.running).unwrap_or_default(),
        owner: labels.get(STACK_LABEL).cloned(),
        id: container.id.clone().unwrap_or_default(),
    }
}

/// A container as it is in effect, the image's part and Docker's defaults filled in.
#[derive(Debug, Clone, PartialEq)]
struct Effective(ContainerSpec);

impl Effective {
    /// What Docker says.
    fn found(
        container: &ContainerInspectResponse,
        config: &ContainerConfig,
        image: &ImageConfig,
    ) -> Self {
        let host = container.host_config.clone().unwrap_or_default();
        let mounts = container.mounts.as_deref().unwrap_or_default();
        let mut labels = ours(config.labels.as_ref(), image);
        let undeclared = undeclared(config, &host, mounts, image);
        if !undeclared.is_empty() {
            labels.insert(UNDECLARED.to_owned(), undeclared.join(", "));
        }
        let name = container.name.as_deref().unwrap_or_default();
        Self(ContainerSpec {
            name: name.trim_start_matches('/').to_owned(),
            image: config.image.clone().unwrap_or_default(),
            command: config.cmd.clone().unwrap_or_default(),
            user: config.user.clone().unwrap_or_default(),
            env: environment(config.env.as_deref()),
            mounts: mounts.iter().filter_map(bind).collect(),
            tmpfs: host.tmpfs.unwrap_or_default().into_iter().collect(),
            shm_size: unsigned(host.shm_size),
            ulimits: host
                .ulimits
                .unwrap_or_default()
                .into_iter()
                .filter_map(ulimit)
                .collect(),
            oom_score_adj: clamped(host.oom_score_adj),
            memory: unsigned(host.memory),
            cap_add: capabilities(host.cap_add.as_deref()),
            cap_drop: capabilities(host.cap_drop.as_deref()),
            restart: restart(host.restart_policy.as_ref()),
            stop_grace: config
                .stop_timeout
                .and_then(|seconds| u32::try_from(seconds).ok())
                .unwrap_or(DOCKER_GRACE),
            stop_signal: config.stop_signal.clone().unwrap_or_default(),
            logs: logs(host.log_config.as_ref()),
            labels,
        })
    }

    /// What a declaration comes to once Docker has made a container of it.
    fn of(declared: &ContainerSpec, image: &ImageConfig) -> Self {
        let mut spec = declared.clone();
        if spec.command.is_empty() {
            spec.command = image.cmd.clone().unwrap_or_default();
        }
        if spec.user.is_empty() {
            spec.user = image.user.clone().unwrap_or_default();
        }
        if spec.stop_signal.is_empty() {
            spec.stop_signal = image.stop_signal.clone().unwrap_or_default();
        }
        let mut env = environment(image.env.as_deref());
        env.append(&mut spec.env);
        spec.env = env;
        if spec.shm_size == 0 {
            spec.shm_size = DOCKER_SHM;
        }
        spec.cap_add = capabilities(Some(&spec.cap_add));
        spec.cap_drop = capabilities(Some(&spec.cap_drop));
        Self(spec)
    }

    /// The declaration, with every field replaced that Docker says otherwise of.
    fn declared_by(self, declared: ContainerSpec, image: &ImageConfig) -> ContainerSpec {
        let expected = Self::of(&declared, image).0;
        let found = self.0.clone();
        let plain = self.without_image(image);
        macro_rules! fields {
            ($($field:ident),*) => {
                ContainerSpec {
                    $($field: if found.$field == expected.$field { declared.$field } else { plain.$field }),*
                }
            };
        }
        fields!(
            name,
            image,
            command,
            user,
            env,
            mounts,
            tmpfs,
            shm_size,
            ulimits,
            oom_score_adj,
            memory,
            cap_add,
            cap_drop,
            restart,
            stop_grace,
            stop_signal,
            logs,
            labels
        )
    }

    /// What Docker says, without what the image brings by itself.
    fn without_image(self, image: &ImageConfig) -> ContainerSpec {
        let mut spec = self.0;
        if Some(&spec.command) == image.cmd.as_ref() {
            spec.command = Vec::new();
        }
        if Some(&spec.user) == image.user.as_ref() {
            spec.user = String::new();
        }
        if Some(&spec.stop_signal) == image.stop_signal.as_ref() {
            spec.stop_signal = String::new();
        }
        let from_image = environment(image.env.as_deref());
        spec.env
            .retain(|name, value| from_image.get(name) != Some(value));
        spec
    }
}

/// The labels that neither the image brings nor this program adds by itself.
fn ours(labels: Option<&HashMap<String, String>>, image: &ImageConfig) -> BTreeMap<String, String> {
    let from_image = |name: &String, value: &String| {
        let known = image.labels.as_ref().and_then(|labels| labels.get(name));
        known == Some(value)
    };
    let added = [SPEC_LABEL, STACK_LABEL];
    let labels = labels.into_iter().flatten();
    labels
        .filter(|(name, value)| !added.contains(&name.as_str()) && !from_image(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn environment(list: Option<&[String]>) -> BTreeMap<String, String> {
    let pairs = list.unwrap_or_default().iter();
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn bind(mount: &MountPoint) -> Option<(String, Mount)> {
    if mount.typ.as_deref() != Some("bind") {
        return None;
    }
    let source = mount.source.clone()?;
    let read_only = mount.rw == Some(false);
    Some((mount.destination.clone()?, Mount { source, read_only }))
}

fn ulimit(limit: ResourcesUlimits) -> Option<(String, Ulimit)> {
    let (soft, hard) = (limit.soft?, limit.hard?);
    Some((limit.name?, Ulimit { soft, hard }))
}

fn clamped(number: Option<i64>) -> i32 {
    i32::try_from(number.unwrap_or_default()).unwrap_or_default()
}

/// Sorted, in capitals, without the prefix that engines add or not.
fn capabilities(list: Option<&[String]>) -> Vec<String> {
    let names = list.unwrap_or_default().iter().map(|name| {
        let name = name.to_ascii_uppercase();
        name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn restart(policy: Option<&DockerRestart>) -> RestartPolicy {
    match policy.and_then(|policy| policy.name) {
        Some(RestartPolicyNameEnum::ALWAYS) => RestartPolicy::Always,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
        Some(
            RestartPolicyNameEnum::NO
            | RestartPolicyNameEnum::EMPTY
            | RestartPolicyNameEnum::ON_FAILURE,
        )
        | None => RestartPolicy::No,
    }
}

fn logs(config: Option<&HostConfigLogConfig>) -> LogLimits {
    let option = |name: &str| {
        let options = config.and_then(|config| config.config.as_ref());
        options
            .and_then(|options| options.get(name))
            .cloned()
            .unwrap_or_default()
    };
    LogLimits {
        max_size: option("max-size"),
        max_file: option("max-file").parse().unwrap_or_default(),
    }
}

/// What the container has and no declaration can say.
fn undeclared(
    config: &ContainerConfig,
    host: &HostConfig,
    mounts: &[MountPoint],
    image: &ImageConfig,
) -> Vec<String> {
    let mut found = Vec::new();
    let network = host.network_mode.as_deref().unwrap_or_default();
    if network != "host" {
        found.push(format!("network {network}"));
    }
    if host.privileged == Some(true) {
        found.push("privileged".to_owned());
    }
    if config.entrypoint.clone().unwrap_or_default() != image.entrypoint.clone().unwrap_or_default()
    {
        found.push("another entry point".to_owned());
    }
    if host.restart_policy.as_ref().and_then(|policy| policy.name)
        == Some(RestartPolicyNameEnum::ON_FAILURE)
    {
        found.push("restart on-failure".to_owned());
    }
    let driver = host.log_config.as_ref().and_then(|log| log.typ.as_deref());
    if driver.is_some_and(|driver| driver != "json-file") {
        found.push(format!("log driver {}", driver.unwrap_or_default()));
    }
    let volumes = image.volumes.as_deref().unwrap_or_default();
    for mount in mounts {
        let place = mount.destination.as_deref().unwrap_or_default();
        let of_image = volumes.iter().any(|volume| volume == place);
        if mount.typ.as_deref() == Some("volume") && !of_image {
            found.push(format!("volume at {place}"));
        }
    }
    found.extend(modes(host));
    found
}

/// Modes that a declaration leaves as Docker has them.
fn modes(host: &HostConfig) -> impl Iterator<Item = String> {
    let pid = host.pid_mode.as_deref().filter(|mode| !mode.is_empty());
    let devices = host.devices.as_deref().filter(|list| !list.is_empty());
    let security = host.security_opt.as_deref().filter(|list| !list.is_empty());
    let read_only = host.readonly_rootfs.filter(|read_only| *read_only);
    [
        pid.map(|mode| format!("pid {mode}")),
        devices.map(|_| "devices".to_owned()),
        security.map(|list| list.join(" ")),
        read_only.map(|_| "read-only root".to_owned()),
    ]
    .into_iter()
    .flatten()
}
