//! What no program that asks hosts over SSH can take less than.

use std::time::{Duration, Instant};

use kbz_infra::host::pool::Hosts;
use kbz_infra::host::transport::Exec;

use crate::desk::Failure;

const PATIENCE: Duration = Duration::from_mins(1);

/// Connects to every host and runs one command on each, all at once: how long that took.
///
/// # Errors
/// When a host cannot be reached or cannot run `true`.
pub async fn floor(hosts: Hosts) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let answers = hosts.exec_on_all(&Exec::new("true", PATIENCE)).await;
    let elapsed = begun.elapsed();
    for answer in answers.into_values() {
        if !answer?.status.success() {
            return Err("a host cannot run `true`".into());
        }
    }
    hosts.close().await;
    Ok(elapsed)
}
