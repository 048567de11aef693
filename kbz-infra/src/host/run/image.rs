//! Images on their way from the operator's engine to a host's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptions};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::io::StreamReader;

use super::container::{gone, refused, refused_at};
use super::shell::{judge, unreachable};
use super::{mark, said};
use crate::diag::error_chain;
use crate::effect::{EffectError, RunContext};
use crate::host::read::{self, HostSite};
use crate::host::transport::Exec;
use crate::probe::{Outage, Site};

/// How long a transfer may take.
const TRANSFER: std::time::Duration = std::time::Duration::from_hours(1);

/// Brings an image to a host, and notes its users there.
pub(super) async fn ship(
    site: &HostSite,
    operator: &Docker,
    reference: &str,
    users: &[String],
    run: &RunContext,
) -> Result<(), EffectError> {
    let id = if let Some(id) = on_host(site, reference).await? {
        id
    } else {
        have_local(operator, site, reference, run).await?;
        transfer(site, operator, reference, run).await?;
        let id = on_host(site, reference).await?;
        let missing = "the engine took it, and does not have it";
        id.ok_or_else(|| said::failed(reference, missing))?
    };
    for user in users {
        note_user(site, reference, &id, user, run).await?;
    }
    Ok(())
}

/// Notes the ids of a user of an image that a host has.
pub(super) async fn note_user(
    site: &HostSite,
    reference: &str,
    id: &str,
    user: &str,
    run: &RunContext,
) -> Result<(u32, u32), EffectError> {
    let ids = read::image_user(&site.engine.docker, reference, user).await;
    let ids = ids.map_err(|why| said::failed(reference, said::tidy(run, &why)))?;
    let note = mark::user(site, reference, user, id, ids)?;
    note.run(site, run).await?;
    Ok(ids)
}

/// The id of an image on a host that has it.
pub(super) async fn on_host(
    site: &HostSite,
    reference: &str,
) -> Result<Option<String>, EffectError> {
    let here = Site::Host(site.name().clone());
    let id = read::image_id(&site.engine.docker, reference).await;
    id.map_err(|why| EffectError::Unreachable(Outage::new(&here, why)))
}

/// Makes sure that the operator's engine has the image: built there, or pulled.
async fn have_local(
    operator: &Docker,
    site: &HostSite,
    reference: &str,
    run: &RunContext,
) -> Result<(), EffectError> {
    let local = read::image_id(operator, reference).await;
    let local = local.map_err(|why| EffectError::Unreachable(Outage::new(&Site::Operator, why)))?;
    if local.is_some() {
        return Ok(());
    }
    run.progress.say(&format!("pulls {reference}"));
    pull(operator, reference).await.map_err(|error| {
        let why = said::tidy(run, &error_chain(&error));
        let what = format!(
            "image {reference} is neither on {} nor on this machine, and cannot be pulled",
            site.name()
        );
        said::failed(what, why)
    })
}

async fn pull(operator: &Docker, reference: &str) -> Result<(), Error> {
    let options = CreateImageOptionsBuilder::new()
        .from_image(reference)
        .build();
    let mut progress = operator.create_image(Some(options), None, None);
    while progress.try_next().await?.is_some() {}
    Ok(())
}

/// `docker save | docker load`, as one stream on the host's second connection.
async fn transfer(
    site: &HostSite,
    operator: &Docker,
    reference: &str,
    run: &RunContext,
) -> Result<(), EffectError> {
    let image = operator.inspect_image(reference).await;
    let image = image.map_err(|error| refused_at(&Site::Operator, reference, run, &error))?;
    let total = u64::try_from(image.size.unwrap_or_default()).unwrap_or_default();
    let done = Arc::new(AtomicU64::new(0));
    let (progress, what) = (run.progress.clone(), format!("ships {reference}"));
    let operator = operator.clone().with_timeout(TRANSFER);
    let chunks = operator
        .export_image(reference)
        .boxed()
        .inspect_ok(move |chunk| {
            let sent = u64::try_from(chunk.len()).unwrap_or_default();
            let before = done.fetch_add(sent, Ordering::Relaxed);
            let sent = before + sent;
            // One word per megabyte: a chunk is a few kilobytes.
            if before >> 20 == sent >> 20 {
                return;
            }
            progress.bytes(&what, sent.min(total), total);
        });
    let input = StreamReader::new(chunks.map_err(std::io::Error::other).boxed());
    let fence = site.registry.fence(run.run);
    let exec = Exec::new(format!("{fence}docker load -q"), TRANSFER);
    let output = site.transport.exec_stream(exec, Box::new(input)).await;
    let output = output.map_err(|error| unreachable(site, &error))?;
    judge(reference, site, run, output).map(drop)
}

/// Removes an image from a host; one that is gone is fine.
pub(super) async fn remove(
    site: &HostSite,
    reference: &str,
    run: &RunContext,
) -> Result<(), EffectError> {
    let answer = removed(&site.engine.docker, reference).await;
    answer.map_err(|error| refused(site, reference, run, &error))
}

/// The same on the operator's machine.
pub(super) async fn remove_local(
    operator: &Docker,
    reference: &str,
    run: &RunContext,
) -> Result<(), EffectError> {
    let answer = removed(operator, reference).await;
    answer.map_err(|error| refused_at(&Site::Operator, reference, run, &error))
}

async fn removed(docker: &Docker, reference: &str) -> Result<(), Error> {
    let options = None::<RemoveImageOptions>;
    let answer = docker.remove_image(reference, options, None).await;
    gone(answer.map(drop))
}
