//! Who owns a file, as `chown` wants it.

use super::{image, said};
use crate::effect::{EffectError, Owner, RunContext};
use crate::host::read::{self, HostSite};
use crate::probe::{ImageUser, ImageUserReading, Outage, Query, Reading, Site};

/// `USER:GROUP`, or `UID:GID` for a user that only an image knows.
pub(super) async fn numeric_or_named(
    site: &HostSite,
    owner: &Owner,
    run: &RunContext,
) -> Result<String, EffectError> {
    match owner {
        Owner::Named { user, group } => Ok(format!("{user}:{group}")),
        Owner::InImage { reference, user } => in_image(site, reference, user, run).await,
    }
}

async fn in_image(
    site: &HostSite,
    reference: &str,
    user: &str,
    run: &RunContext,
) -> Result<String, EffectError> {
    let query = Query::from(ImageUser {
        reference: reference.to_owned(),
        user: user.to_owned(),
    });
    let readings = read::answer(site, &[&query]).await;
    let here = Site::Host(site.name().clone());
    let readings = readings.map_err(|why| Outage::new(&here, why))?;
    if let Some(Reading::ImageUser(ImageUserReading(Some((uid, gid))))) = readings.first() {
        return Ok(format!("{uid}:{gid}"));
    }
    let Some(id) = image::on_host(site, reference).await? else {
        return Err(said::failed(
            format!("user {user} of {reference}"),
            format!("{} does not have the image yet", site.name()),
        ));
    };
    let (uid, gid) = image::note_user(site, reference, &id, user, run).await?;
    Ok(format!("{uid}:{gid}"))
}
