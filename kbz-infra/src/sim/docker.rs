//! A modelled Docker engine.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::files::Files;
use super::refusal::{failed, moved};
use super::service::Service;
use crate::effect::EffectError;
use crate::ident::Digest;
use crate::model::ContainerSpec;
use crate::probe::{ContainerReading, ImageReading};

/// The label that names the stack that a container belongs to.
const LABEL_STACK: &str = "kbz.stack";

/// A Docker engine with its images and containers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Engine {
    /// The ids of images by repository and tag.
    pub(super) images: BTreeMap<String, String>,
    containers: BTreeMap<String, Container>,
    /// The containers that run a service of the data plane.
    services: BTreeSet<String>,
    /// How many containers were made and started, for ids.
    count: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Container {
    spec: ContainerSpec,
    image_id: String,
    owner: Option<String>,
    id: String,
    /// The number of its last start, while it runs.
    running: Option<u64>,
    service: Option<Service>,
    /// Whether its HAProxy says no to health checks; a process that starts says yes.
    drained: bool,
}

/// The id of the image that a reference usually means.
pub(super) fn image_id(reference: &str) -> String {
    format!("sha256:{}", Digest::of(reference))
}

impl Engine {
    pub(super) fn image(&self, reference: &str) -> ImageReading {
        match self.images.get(reference) {
            None => ImageReading::Absent,
            Some(id) => ImageReading::Present { id: id.clone() },
        }
    }

    pub(super) fn add_image(&mut self, reference: &str) {
        let id = || image_id(reference);
        self.images.entry(reference.to_owned()).or_insert_with(id);
    }

    /// An image that a container uses stays, and its removal is refused.
    pub(super) fn remove_image(&mut self, reference: &str) -> Result<(), EffectError> {
        let mut containers = self.containers.values();
        if let Some(user) = containers.find(|container| container.spec.image == reference) {
            let said = format!("container {} uses it", user.spec.name);
            return Err(failed(format!("image {reference}"), said));
        }
        self.images.remove(reference);
        Ok(())
    }

    pub(super) fn container(&self, name: &str) -> ContainerReading {
        match self.containers.get(name) {
            None => ContainerReading::Absent,
            Some(container) => ContainerReading::Present {
                spec: Box::new(container.spec.clone()),
                image_id: container.image_id.clone(),
                running: container.running.is_some(),
                owner: container.owner.clone(),
                id: container.id.clone(),
            },
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.containers.contains_key(name)
    }

    pub(super) fn is_running(&self, name: &str) -> bool {
        let container = self.containers.get(name);
        container.is_some_and(|container| container.running.is_some())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.containers.keys().map(String::as_str)
    }

    /// Makes a container; one that is already as declared was made by an earlier attempt.
    pub(super) fn create(
        &mut self,
        spec: &ContainerSpec,
        stack: &str,
        files: &Files,
    ) -> Result<(), EffectError> {
        let what = format!("container {}", spec.name);
        let mut spec = spec.clone();
        // The owner's mark is read apart from what is declared.
        spec.labels.remove(LABEL_STACK);
        if let Some(found) = self.containers.get(&spec.name) {
            if found.owner.as_deref() == Some(stack) && found.spec == spec {
                return Ok(());
            }
            return Err(moved(what, "another container of that name is there"));
        }
        let Some(image_id) = self.images.get(&spec.image).cloned() else {
            return Err(failed(what, format!("no such image: {}", spec.image)));
        };
        let mut sources = spec.mounts.values().map(|mount| &mount.source);
        if let Some(missing) = sources.find(|source| !files.is_directory(source)) {
            let said = format!("bind source path does not exist: {missing}");
            return Err(failed(what, said));
        }
        self.count += 1;
        let container = Container {
            id: Digest::of(format!("{} {}", spec.name, self.count)).to_string(),
            image_id,
            owner: Some(stack.to_owned()),
            running: None,
            service: None,
            drained: false,
            spec,
        };
        self.containers
            .insert(container.spec.name.clone(), container);
        Ok(())
    }

    /// Starts a container; one that runs is fine.
    pub(super) fn start(&mut self, name: &str, files: &Files) -> Result<(), EffectError> {
        let Some(container) = self.containers.get_mut(name) else {
            let said = "no such container";
            return Err(failed(format!("start of container {name}"), said));
        };
        if container.running.is_some() {
            return Ok(());
        }
        self.count += 1;
        container.running = Some(self.count);
        self.reload(name, files);
        Ok(())
    }

    /// Lets the service in a running container read its configuration.
    pub(super) fn reload(&mut self, name: &str, files: &Files) {
        let Some(container) = self.containers.get_mut(name) else {
            return;
        };
        if container.running.is_none() {
            return;
        }
        container.service = Service::of(&container.spec, files);
        container.drained = false;
        if container.service.is_some() {
            self.services.insert(name.to_owned());
        } else {
            self.services.remove(name);
        }
    }

    pub(super) fn stop(&mut self, name: &str) {
        if let Some(container) = self.containers.get_mut(name) {
            container.running = None;
            container.service = None;
            container.drained = false;
        }
        self.services.remove(name);
    }

    /// Stops and removes a container; one that is gone is fine.
    pub(super) fn remove(&mut self, name: &str) {
        self.stop(name);
        self.containers.remove(name);
    }

    /// The services that run, each with what tells this start from another.
    pub(super) fn services(&self) -> impl Iterator<Item = (u64, &str, &Service)> {
        self.services.iter().filter_map(|name| {
            let container = self.containers.get(name)?;
            Some((
                container.running?,
                name.as_str(),
                container.service.as_ref()?,
            ))
        })
    }

    /// Whether a container's HAProxy says no to health checks.
    pub(super) fn is_drained(&self, name: &str) -> bool {
        let container = self.containers.get(name);
        container.is_some_and(|container| container.drained)
    }

    pub(super) fn is_any_drained(&self) -> bool {
        self.containers.values().any(|container| container.drained)
    }

    /// Lets every HAProxy say no to health checks.
    pub(super) fn drain_all(&mut self) {
        for container in self.containers.values_mut() {
            let haproxy = matches!(container.service, Some(Service::Haproxy(_)));
            container.drained |= haproxy;
        }
    }

    /// Whether the HAProxy that listens on a port is drained; `None` where none does.
    pub(super) fn drained(&self, port: u16) -> Option<bool> {
        let name = self.listening(port)?;
        self.containers
            .get(&name)
            .map(|container| container.drained)
    }

    /// Lets it say no to health checks, or yes again; one that does not run says yes once it does.
    pub(super) fn set_drain(&mut self, port: u16, drained: bool) -> Result<(), EffectError> {
        let found = self.listening(port);
        match found.and_then(|name| self.containers.get_mut(&name)) {
            Some(container) => container.drained = drained,
            None if drained => {
                let said = format!("the HAProxy on its loopback port {port} says: nobody");
                return Err(failed("drain of HAProxy", said));
            }
            None => {}
        }
        Ok(())
    }

    /// The container whose service listens on a port.
    fn listening(&self, port: u16) -> Option<String> {
        let mut services = self.services();
        let found = services.find(|(_, _, service)| service.ports().contains(&port));
        found.map(|(_, name, _)| name.to_owned())
    }

    /// The containers that should run after a boot, by their restart policy.
    pub(super) fn at_boot(&self) -> Vec<String> {
        use crate::model::RestartPolicy::No;
        let wanted = self.containers.iter();
        wanted
            .filter(|(_, container)| container.spec.restart != No)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Changes a container behind everybody's back.
    pub(super) fn bend(&mut self, name: &str, change: impl FnOnce(&mut ContainerSpec)) {
        if let Some(container) = self.containers.get_mut(name) {
            change(&mut container.spec);
        }
    }
}
