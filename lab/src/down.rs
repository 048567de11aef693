//! Removes everything of a lab: containers, volumes, networks, loop devices, files.

use std::path::Path;

use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::{
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder, StartContainerOptions,
};
use futures::stream::{FuturesUnordered, TryStreamExt};
use thiserror::Error;

use crate::IMAGE_LABEL;
use crate::access::{AccessError, remove_directory};
use crate::engine::{Engine, EngineError, gone_is_fine, request};
use crate::event::{Events, LabEvent};
use crate::filelock::{FileLock, LockError};
use crate::loops;
use crate::remove::{remove_container, remove_volume};
use crate::spec::{LabName, lab_directory};

/// A lab could not be removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DownError {
    /// The engine refused.
    #[error("could not take lab {lab} down")]
    Engine {
        /// The lab.
        lab: LabName,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
    /// Another run could not be waited for.
    #[error("could not wait for another run on lab {lab}")]
    Lock {
        /// The lab.
        lab: LabName,
        /// What the system said.
        #[source]
        source: LockError,
    },
    /// Its files could not be removed.
    #[error("could not remove the files of lab {lab}")]
    Files {
        /// The lab.
        lab: LabName,
        /// What the system said.
        #[source]
        source: AccessError,
    },
    /// Loop devices are still bound to its disks.
    #[error("lab {lab} is down, but {} still bound to its disks; `sudo losetup -d` detaches them", bound(.devices))]
    Loops {
        /// The lab.
        lab: LabName,
        /// The devices.
        devices: Vec<String>,
    },
}

fn bound(devices: &[String]) -> String {
    format!(
        "{} {}",
        devices.join(", "),
        if devices.len() == 1 { "is" } else { "are" }
    )
}

/// Takes a lab down; whether there was anything of it.
pub(crate) async fn down(
    name: &LabName,
    state: &Path,
    images: bool,
    events: &Events,
) -> Result<bool, DownError> {
    let lab = || name.clone();
    let engine_failed = |source| DownError::Engine { lab: lab(), source };
    let engine = Engine::connect().map_err(engine_failed)?;
    let _lock = FileLock::acquire(&format!("lab-{name}"), events)
        .await
        .map_err(|source| DownError::Lock { lab: lab(), source })?;
    let mut removed = remove_lab(&engine, name, events)
        .await
        .map_err(engine_failed)?;
    let left = loops::release(&engine, name, events)
        .await
        .map_err(engine_failed)?;
    if images {
        removed += remove_images(&engine, events)
            .await
            .map_err(engine_failed)?;
    }
    let files = remove_directory(&lab_directory(state, name))
        .map_err(|source| DownError::Files { lab: lab(), source })?;
    if !left.is_empty() {
        return Err(DownError::Loops {
            lab: lab(),
            devices: left,
        });
    }
    events.send(LabEvent::Down {
        lab: name.to_string(),
        removed,
    });
    Ok(removed > 0 || files)
}

/// Removes what the engine has of a lab; how many things.
pub(crate) async fn remove_lab(
    engine: &Engine,
    name: &LabName,
    events: &Events,
) -> Result<usize, EngineError> {
    let containers = engine
        .containers(crate::engine::LAB_LABEL, Some(name.as_str()))
        .await?;
    let mut removed = containers.len();
    containers
        .into_iter()
        .filter_map(|container| Some((container.id?, container.names.unwrap_or_default())))
        .map(|(id, names)| async move {
            unprotect(engine, &id).await;
            let name = names
                .first()
                .map_or(id.as_str(), |name| name.trim_start_matches('/'));
            remove_container(engine, &id, name, events).await
        })
        .collect::<FuturesUnordered<_>>()
        .try_collect::<()>()
        .await?;
    for volume in engine.volumes(name.as_str()).await? {
        remove_volume(engine, &volume.name, events).await?;
        removed += 1;
    }
    for network in engine.networks(name.as_str()).await? {
        let network = network.name.unwrap_or_default();
        let gone = gone_is_fine(engine.docker().remove_network(&network).await)
            .map_err(request(format!("remove network {network}")))?;
        if gone {
            events.send(LabEvent::Removed {
                what: format!("network {network}"),
            });
        }
        removed += 1;
    }
    Ok(removed)
}

/// Makes files that a program has protected against changes removable.
///
/// Only from inside a running container, so one that does not run is started for it. What
/// stays protected makes the removal fail in the engine's own words, so nothing is lost by
/// not looking at the results here.
async fn unprotect(engine: &Engine, id: &str) {
    let docker = engine.docker();
    let inspected = docker.inspect_container(id, None).await;
    let state = inspected.ok().and_then(|container| container.state?.status);
    match state {
        Some(ContainerStateStatusEnum::PAUSED) => drop(docker.unpause_container(id).await),
        Some(ContainerStateStatusEnum::EXITED) => {
            drop(
                docker
                    .start_container(id, None::<StartContainerOptions>)
                    .await,
            );
        }
        Some(ContainerStateStatusEnum::RUNNING) => {}
        _ => return,
    }
    drop(
        engine
            .exec_any(id, &["chattr", "-R", "-f", "-i", "/etc"])
            .await,
    );
}

/// Removes every image that labs have made; they are shared by all labs.
async fn remove_images(engine: &Engine, events: &Events) -> Result<usize, EngineError> {
    let filters = [("label", vec![IMAGE_LABEL])].into();
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = engine
        .docker()
        .list_images(Some(options))
        .await
        .map_err(request("list the lab's images".to_owned()))?;
    for image in &images {
        let name = image.repo_tags.first().unwrap_or(&image.id);
        let options = RemoveImageOptionsBuilder::new().build();
        let gone = engine
            .docker()
            .remove_image(name, Some(options), None)
            .await;
        let gone = gone_is_fine(gone.map(drop)).map_err(request(format!("remove image {name}")))?;
        if gone {
            events.send(LabEvent::Removed {
                what: format!("image {name}"),
            });
        }
    }
    Ok(images.len())
}
