//! Who owns a file, as `chown` wants it.

use super::said;
use crate::effect::{EffectError, Owner};
use crate::host::read::{self, HostSite};
use crate::probe::{ImageUser, ImageUserReading, Outage, Query, Reading, Site};

/// `USER:GROUP`, or `UID:GID` for a user that only an image knows.
pub(super) async fn numeric_or_named(
    site: &HostSite,
    owner: &Owner,
) -> Result<String, EffectError> {
    match owner {
        Owner::Named { user, group } => Ok(format!("{user}:{group}")),
        Owner::InImage { reference, user } => in_image(site, reference, user).await,
    }
}

async fn in_image(site: &HostSite, reference: &str, user: &str) -> Result<String, EffectError> {
    let query = Query::from(ImageUser {
        reference: reference.to_owned(),
        user: user.to_owned(),
    });
    let readings = read::answer(site, &[&query]).await;
    let here = Site::Host(site.name().clone());
    let readings = readings.map_err(|why| Outage::new(&here, why))?;
    match readings.first() {
        Some(Reading::ImageUser(ImageUserReading(Some((uid, gid))))) => Ok(format!("{uid}:{gid}")),
        _ => Err(said::failed(
            format!("user {user} of {reference}"),
            format!("{} does not have the image yet", site.name()),
        )),
    }
}
