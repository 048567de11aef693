//! From what an effect says of itself to events, no more of them than a person can follow.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::emitter::Emitter;
use super::event::What;
use crate::effect::Progress;
use crate::plan::StepId;
use crate::secret::Vault;

/// The least time between two events of one effect: what a live tree redraws in.
const PAUSE: Duration = Duration::from_millis(100);

/// What was last told of an effect.
#[derive(Default)]
struct Last {
    at: Option<Instant>,
    text: String,
}

/// A listener for one effect. Passes on the first word, then one in each pause, and always the
/// last byte.
pub(super) fn listener(step: StepId, effect: u32, emitter: Emitter, vault: Arc<Vault>) -> Progress {
    let last = Mutex::new(Last::default());
    Progress::new(move |text, bytes| {
        let complete = bytes.is_some_and(|(done, total)| done >= total);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = last.at.is_none_or(|at| at.elapsed() >= PAUSE);
        let repeats = bytes.is_none() && last.text == text;
        if repeats || !(rested || complete) {
            return;
        }
        *last = Last {
            at: Some(Instant::now()),
            text: text.to_owned(),
        };
        emitter.emit(What::Progress {
            step,
            effect,
            text: vault.redact(text),
            bytes,
        });
    })
}
