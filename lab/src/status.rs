//! What there is of a lab, without touching it.

use serde::Serialize;

use crate::boot::Existing;
use crate::container::{Names, ROLE_LABEL};
use crate::engine::{Engine, EngineError, LAB_LABEL};
use crate::loops;
use crate::spec::LabName;

/// A lab as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabStatus {
    /// Its name.
    pub name: LabName,
    /// Its machines, by name. None: there is no such lab.
    pub machines: Vec<MachineStatus>,
    /// Its networks.
    pub networks: Vec<String>,
    /// Its volumes.
    pub volumes: Vec<String>,
    /// The machine's loop devices that carry its disks.
    pub loop_devices: Vec<String>,
}

/// A machine of a lab as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineStatus {
    /// Its name.
    pub host: String,
    /// `bastion`, `host` or `balancer`.
    pub role: String,
    /// The engine's word for its state, such as `running`, `paused` or `exited`.
    pub state: String,
    /// Whether it is connected to the private network.
    pub connected: bool,
    /// Whether its systemd has booted without failures; `None` where there is none.
    pub booted: Option<bool>,
}

impl LabStatus {
    /// Whether all that there is runs and is connected. An absent lab is not up.
    pub fn is_up(&self) -> bool {
        let well = |one: &MachineStatus| {
            one.state == "running" && one.connected && one.booted != Some(false)
        };
        !self.machines.is_empty() && self.machines.iter().all(well)
    }

    /// Whether it has machines, and its hosts can be reached if they run: the bastion does.
    pub fn can_be_entered(&self) -> bool {
        let bastion = |one: &MachineStatus| one.role == "bastion" && one.state == "running";
        self.machines.iter().any(bastion)
    }

    /// Whether nothing of the lab is left.
    pub fn is_gone(&self) -> bool {
        self.machines.is_empty()
            && self.networks.is_empty()
            && self.volumes.is_empty()
            && self.loop_devices.is_empty()
    }
}

/// Looks at a lab.
pub(crate) async fn status(name: &LabName) -> Result<LabStatus, EngineError> {
    let engine = Engine::connect()?;
    let containers = engine.containers(LAB_LABEL, Some(name.as_str())).await?;
    let looks = containers.into_iter().map(|container| {
        let role = container
            .labels
            .as_ref()
            .and_then(|labels| labels.get(ROLE_LABEL).cloned());
        look(&engine, name, role.unwrap_or_default(), container)
    });
    let mut machines: Vec<MachineStatus> = futures::future::try_join_all(looks)
        .await?
        .into_iter()
        .flatten()
        .collect();
    machines.sort_by(|one, other| one.host.cmp(&other.host));
    let networks = engine.networks(name.as_str()).await?;
    let volumes = engine.volumes(name.as_str()).await?;
    Ok(LabStatus {
        name: name.clone(),
        machines,
        networks: networks
            .into_iter()
            .filter_map(|network| network.name)
            .collect(),
        volumes: volumes.into_iter().map(|volume| volume.name).collect(),
        loop_devices: loops::bound(name),
    })
}

async fn look(
    engine: &Engine,
    name: &LabName,
    role: String,
    container: bollard::models::ContainerSummary,
) -> Result<Option<MachineStatus>, EngineError> {
    let Some(existing) = Existing::new(container) else {
        return Ok(None);
    };
    let state = existing.state.to_string();
    let booted = if state == "running" && role != "balancer" {
        let command = ["systemctl", "is-system-running"];
        Some(
            engine
                .exec_any(&Names(name).container(&existing.host), &command)
                .await?
                .code
                == 0,
        )
    } else {
        None
    };
    Ok(Some(MachineStatus {
        connected: existing.is_connected(&Names(name).private()),
        host: existing.host,
        role,
        state,
        booted,
    }))
}
