//! Where the operator's memory of a stack is kept.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::Failed;
use crate::program::{Bucket, Environment};
use crate::state::Disk;

/// The disk of an environment's state, and the folder on it: `local` where no bucket is named.
pub(super) fn of(
    environment: &Environment,
    local: Arc<dyn Disk>,
) -> Result<(Arc<dyn Disk>, PathBuf), Failed> {
    match &environment.s3 {
        None => Ok((local, environment.state.clone())),
        Some(bucket) => Ok((in_bucket(bucket)?, PathBuf::new())),
    }
}

#[cfg(feature = "s3")]
fn in_bucket(bucket: &Bucket) -> Result<Arc<dyn Disk>, Failed> {
    use crate::state::s3::{S3Disk, S3Settings};

    let settings = S3Settings {
        bucket: bucket.name.clone(),
        prefix: bucket.prefix.clone(),
        endpoint: bucket.endpoint.clone(),
        region: bucket.region.clone(),
        access_key: variable("AWS_ACCESS_KEY_ID")?,
        secret_key: variable("AWS_SECRET_ACCESS_KEY")?.into(),
    };
    let disk = S3Disk::new(&settings)
        .map_err(|error| Failed::new("kbz::state::bucket", crate::diag::error_chain(&error)))?;
    Ok(Arc::new(disk))
}

#[cfg(not(feature = "s3"))]
fn in_bucket(bucket: &Bucket) -> Result<Arc<dyn Disk>, Failed> {
    Err(Failed::with_help(
        "kbz::state::bucket",
        format!(
            "the state is in the bucket {}, and this program cannot use one",
            bucket.name
        ),
        "build it with the feature `s3` of kbz-infra",
    ))
}

#[cfg(feature = "s3")]
fn variable(name: &str) -> Result<String, Failed> {
    std::env::var(name).map_err(|_| {
        Failed::with_help(
            "kbz::state::bucket",
            format!("the variable {name} does not say who may use the bucket of the state"),
            "export it, with the key of somebody who may read, write, list and delete there",
        )
    })
}
