//! Questions to a Docker engine: all at once, over its API.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ImageInspect};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, InspectContainerOptions,
    RemoveContainerOptionsBuilder,
};
use futures::TryStreamExt as _;
use futures::future::{join, try_join_all};

use super::container;
use crate::diag::error_chain;
use crate::ident::Digest;
use crate::probe::{ContainerReading, ImageReading, ImageUser, ImageUserReading, Query, Reading};

/// The file that names the users of an image.
const PASSWD: &str = "/etc/passwd";

/// No image has more users than fit here.
const PASSWD_LIMIT: usize = 1 << 20;

/// What an engine said.
#[derive(Debug, Default)]
pub(super) struct Engine {
    images: BTreeMap<String, Option<ImageInspect>>,
    containers: BTreeMap<String, ContainerReading>,
}

impl Engine {
    /// Asks `docker` what `queries` want to know of it.
    pub(super) async fn ask(docker: &Docker, queries: &[&Query]) -> Result<Self, String> {
        let mut images: BTreeSet<&str> = BTreeSet::new();
        let mut containers: BTreeSet<&str> = BTreeSet::new();
        for query in queries {
            match query {
                Query::ImageTag(query) => drop(images.insert(&query.reference)),
                Query::ImageUser(query) => drop(images.insert(&query.reference)),
                Query::Container(query) => drop(containers.insert(&query.name)),
                _ => {}
            }
        }
        let images = images.into_iter().map(|reference| async move {
            let image = inspect_image(docker, reference).await?;
            Ok::<_, String>((reference.to_owned(), image))
        });
        let containers = containers.into_iter().map(|name| async move {
            let container = inspect_container(docker, name).await?;
            Ok::<_, String>((name.to_owned(), container))
        });
        let (images, containers) = join(try_join_all(images), try_join_all(containers)).await;
        let images: BTreeMap<_, _> = images?.into_iter().collect();
        let known: Vec<&ImageInspect> = images.values().flatten().collect();
        let containers = containers?.into_iter().map(|(name, container)| {
            let known = &known;
            async move {
                let Some(container) = container else {
                    return Ok((name, ContainerReading::Absent));
                };
                let image = image_of(docker, &container, known).await?;
                Ok::<_, String>((name, container::reading(&container, image.as_deref())))
            }
        });
        Ok(Self {
            containers: try_join_all(containers).await?.into_iter().collect(),
            images,
        })
    }

    /// An image that was asked for.
    pub(super) fn image(&self, reference: &str) -> ImageReading {
        match self.image_id(reference) {
            Some(id) => ImageReading::Present { id: id.to_owned() },
            None => ImageReading::Absent,
        }
    }

    fn image_id(&self, reference: &str) -> Option<&str> {
        self.images.get(reference)?.as_ref()?.id.as_deref()
    }

    /// A container that was asked for.
    pub(super) fn container(&self, name: &str) -> ContainerReading {
        let known = self.containers.get(name).cloned();
        known.unwrap_or(ContainerReading::Absent)
    }

    /// A user of an image, as noted when the image came. The image itself is not asked: that
    /// takes a container, and a look makes nothing.
    pub(super) fn user(
        &self,
        query: &ImageUser,
        noted: Option<(&str, u32, u32)>,
    ) -> ImageUserReading {
        let Some(id) = self.image_id(&query.reference) else {
            return ImageUserReading(None);
        };
        let noted = noted.filter(|(image, ..)| *image == id);
        let noted = noted.map(|(_, uid, gid)| (uid, gid));
        ImageUserReading(numeric(&query.user).or(noted))
    }
}

/// Whether any of the queries is one to an engine.
pub(super) fn is_asked(queries: &[&Query]) -> bool {
    let engine = |query: &&Query| {
        matches!(
            query,
            Query::ImageTag(_) | Query::ImageUser(_) | Query::Container(_)
        )
    };
    queries.iter().any(engine)
}

/// Answers queries to an engine alone, that of the operator's machine.
pub(in crate::host) async fn answer_engine(
    docker: &Docker,
    queries: &[&Query],
) -> Result<Vec<Reading>, String> {
    let engine = Engine::ask(docker, queries).await?;
    let answer = |query: &&Query| match query {
        Query::ImageTag(query) => Ok(engine.image(&query.reference).into()),
        Query::Container(query) => Ok(engine.container(&query.name).into()),
        other => Err(format!("this machine is not asked {other:?}")),
    };
    queries.iter().map(answer).collect()
}

/// The id of an image, if the engine has it.
pub(in crate::host) async fn image_id(
    docker: &Docker,
    reference: &str,
) -> Result<Option<String>, String> {
    Ok(inspect_image(docker, reference)
        .await?
        .and_then(|image| image.id))
}

async fn inspect_image(docker: &Docker, reference: &str) -> Result<Option<ImageInspect>, String> {
    found(docker.inspect_image(reference).await)
}

async fn inspect_container(
    docker: &Docker,
    name: &str,
) -> Result<Option<ContainerInspectResponse>, String> {
    let options = None::<InspectContainerOptions>;
    let found = found(docker.inspect_container(name, options).await)?;
    // The engine also finds a container by a part of its id.
    Ok(found.filter(|container| {
        let called = container.name.as_deref();
        called.map(|name| name.trim_start_matches('/')) == Some(name)
    }))
}

/// The image that a container was made from, which is often one of the `known` ones.
async fn image_of<'a>(
    docker: &Docker,
    container: &ContainerInspectResponse,
    known: &[&'a ImageInspect],
) -> Result<Option<Cow<'a, ImageInspect>>, String> {
    let Some(id) = &container.image else {
        return Ok(None);
    };
    let mut known = known.iter();
    if let Some(image) = known.find(|image| image.id.as_ref() == Some(id)) {
        return Ok(Some(Cow::Borrowed(image)));
    }
    Ok(inspect_image(docker, id).await?.map(Cow::Owned))
}

/// An answer of 404 is one: there is no such thing.
fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, String> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(error) => Err(format!(
            "its Docker engine does not answer: {}",
            error_chain(&error)
        )),
    }
}

/// The ids of `user` inside an image, from the image's own `/etc/passwd`. Nothing of the image
/// runs: a container is created, read from and removed, never started. It has a name of its own, so
/// that the next attempt takes away what one that was killed has left.
pub(in crate::host) async fn image_user(
    docker: &Docker,
    reference: &str,
    user: &str,
) -> Result<(u32, u32), String> {
    if let Some(ids) = numeric(user) {
        return Ok(ids);
    }
    let say = |error: Error| format!("the users of {reference} cannot be read: {error}");
    let body = ContainerCreateBody {
        image: Some(reference.to_owned()),
        // Never run, but an image without any command cannot be made into a container.
        cmd: Some(vec!["true".to_owned()]),
        network_disabled: Some(true),
        ..ContainerCreateBody::default()
    };
    let name = format!("kbz-users-{}", Digest::of(reference).short());
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
    let remove = async || {
        docker
            .remove_container(&name, Some(options.clone().build()))
            .await
    };
    found(remove().await)?;
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    let created = docker.create_container(Some(options), body).await;
    let created = created.map_err(say)?;
    let archive = passwd(docker, &created.id).await;
    let removed = remove().await;
    let archive = archive.map_err(say)?;
    removed.map_err(say)?;
    let users = first_file(&archive)?;
    find_user(&users, user).ok_or_else(|| format!("{reference} has no user {user}"))
}

async fn passwd(docker: &Docker, id: &str) -> Result<Vec<u8>, Error> {
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(PASSWD)
        .build();
    let mut chunks = docker.download_from_container(id, Some(options));
    let mut archive = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        archive.extend_from_slice(&chunk);
        if archive.len() > PASSWD_LIMIT {
            break;
        }
    }
    Ok(archive)
}

/// The first file of a tar archive.
fn first_file(archive: &[u8]) -> Result<String, String> {
    use std::io::Read as _;
    let broken = |error: std::io::Error| format!("{PASSWD} of the image cannot be read: {error}");
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().map_err(broken)?;
    let entry = entries
        .next()
        .ok_or_else(|| format!("the image has no {PASSWD}"))?;
    let mut text = Vec::new();
    let limit = u64::try_from(PASSWD_LIMIT).unwrap_or(u64::MAX);
    let entry = entry.map_err(broken)?;
    entry.take(limit).read_to_end(&mut text).map_err(broken)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `UID:GID` or `UID` as it is.
fn numeric(user: &str) -> Option<(u32, u32)> {
    match user.split_once(':') {
        Some((uid, gid)) => Some((uid.parse().ok()?, gid.parse().ok()?)),
        None => user.parse().ok().map(|uid| (uid, uid)),
    }
}

/// `NAME:x:UID:GID:…`
fn find_user(passwd: &str, user: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != user {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        Some((uid, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_by_name_or_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104::/var/lib/postgresql:\n";
        assert_eq!(find_user(passwd, "postgres"), Some((101, 104)));
        assert_eq!(find_user(passwd, "post"), None);
        assert_eq!(numeric("999:998"), Some((999, 998)));
        assert_eq!(numeric("postgres"), None);
    }
}
