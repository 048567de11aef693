//! Loop devices belong to the whole machine, not to a container.
//!
//! A host's disk is mounted with automatic release, so its device normally goes with its
//! last mount. What a killed run left behind is found by the name of the file behind the
//! device, which begins with the lab's own prefix.

use std::fs;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListImagesOptionsBuilder, StartContainerOptions,
    WaitContainerOptions,
};
use futures::StreamExt;

use crate::IMAGE_LABEL;
use crate::container::Names;
use crate::engine::{Engine, EngineError, LAB_LABEL, request};
use crate::event::{Events, LabEvent};
use crate::remove::remove_container;
use crate::spec::LabName;

/// The loop devices bound to disks of a lab.
pub(crate) fn bound(name: &LabName) -> Vec<String> {
    let prefix = Names(name).disk_prefix();
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut bound: Vec<String> = devices
        .filter(|device| {
            let file = fs::read_to_string(device.path().join("loop/backing_file"));
            file.is_ok_and(|file| is_disk(&file, &prefix))
        })
        .map(|device| format!("/dev/{}", device.file_name().display()))
        .collect();
    bound.sort();
    bound
}

fn is_disk(backing_file: &str, prefix: &str) -> bool {
    backing_file
        .rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with(prefix))
}

/// Detaches what is still bound; returns the devices that stay bound nevertheless.
pub(crate) async fn release(
    engine: &Engine,
    name: &LabName,
    events: &Events,
) -> Result<Vec<String>, EngineError> {
    let before = bound(name);
    if before.is_empty() {
        return Ok(before);
    }
    if let Some(image) = host_image(engine).await? {
        detach(engine, name, image).await?;
    }
    let after = bound(name);
    for device in before.into_iter().filter(|device| !after.contains(device)) {
        events.send(LabEvent::Removed {
            what: format!("loop device {device}"),
        });
    }
    Ok(after)
}

async fn host_image(engine: &Engine) -> Result<Option<String>, EngineError> {
    let filters = [("label".to_owned(), vec![format!("{IMAGE_LABEL}=host")])].into();
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = engine
        .docker()
        .list_images(Some(options))
        .await
        .map_err(request("list the lab's images".to_owned()))?;
    Ok(images.into_iter().next().map(|image| image.id))
}

/// Runs `losetup -d` where it is allowed to: in a short-lived container.
async fn detach(engine: &Engine, name: &LabName, image: String) -> Result<(), EngineError> {
    let container = Names(name).container("release-loops");
    let body = ContainerCreateBody {
        image: Some(image),
        cmd: Some(vec![
            "/usr/lib/kbz-lab/release-loops".to_owned(),
            Names(name).disk_prefix(),
        ]),
        labels: Some([(LAB_LABEL.to_owned(), name.to_string())].into()),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            cap_add: Some(vec!["SYS_ADMIN".to_owned(), "MKNOD".to_owned()]),
            security_opt: Some(vec!["apparmor=unconfined".to_owned()]),
            device_cgroup_rules: Some(vec!["b 7:* rwm".to_owned(), "c 10:237 rwm".to_owned()]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    remove_container(engine, &container, &container, &Events::silent()).await?;
    let doing = || format!("run {container}");
    let options = CreateContainerOptionsBuilder::new()
        .name(&container)
        .build();
    let docker = engine.docker();
    docker
        .create_container(Some(options), body)
        .await
        .map_err(request(doing()))?;
    docker
        .start_container(&container, None::<StartContainerOptions>)
        .await
        .map_err(request(doing()))?;
    // Its exit status is not asked for: what is still bound afterwards is what counts.
    let mut ended = docker.wait_container(&container, None::<WaitContainerOptions>);
    while ended.next().await.is_some() {}
    remove_container(engine, &container, &container, &Events::silent()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disks_of_the_lab_are_found() {
        let prefix = Names(&LabName::default()).disk_prefix();
        assert!(is_disk("/var/lib/kbz-lab/kbz-lab.kbz.db-1.img\n", &prefix));
        assert!(is_disk("/kbz-lab.kbz.db-1.img (deleted)\n", &prefix));
        assert!(!is_disk(
            "/var/lib/kbz-lab/kbz-lab.kbz2.db-1.img\n",
            &prefix
        ));
        assert!(!is_disk("/snap/core.img\n", &prefix));
    }
}
