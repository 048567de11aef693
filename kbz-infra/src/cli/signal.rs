//! What a person, or a system that shuts down, asks of a run.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::Failed;
use crate::exec::Cancel;

/// Presses `cancel` whenever Ctrl-C is pressed, or the process is asked to end, or its terminal
/// goes away. From now on none of these ends the process by itself.
pub(super) fn watch(cancel: &Cancel) -> Result<JoinHandle<()>, Failed> {
    let heard = |kind| {
        signal(kind).map_err(|error| {
            let what = format!("cannot listen for signals: {error}");
            Failed::new("kbz::cli::signal", what)
        })
    };
    let mut signals = [
        heard(SignalKind::interrupt())?,
        heard(SignalKind::terminate())?,
        heard(SignalKind::hangup())?,
    ];
    let pressed = cancel.clone();
    Ok(tokio::spawn(async move {
        let mut last: Option<Instant> = None;
        while any(&mut signals).await.is_some() {
            if last.is_none_or(|last| last.elapsed() >= ECHO) {
                last = Some(Instant::now());
                pressed.press();
            }
        }
    }))
}

/// What follows sooner is the same key press, passed on once more by a program around this one.
const ECHO: Duration = Duration::from_millis(100);

async fn any(signals: &mut [Signal; 3]) -> Option<()> {
    let [interrupt, terminate, hangup] = signals;
    tokio::select! {
        heard = interrupt.recv() => heard,
        heard = terminate.recv() => heard,
        heard = hangup.recv() => heard,
    }
}
