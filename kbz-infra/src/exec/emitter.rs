//! How events leave a run.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::event::{Event, SCHEMA, What};

/// Sends events, each with the time since the run began. Nobody has to listen.
#[derive(Debug, Clone)]
pub(super) struct Emitter {
    events: UnboundedSender<Event>,
    begun: Instant,
}

impl Emitter {
    pub(super) fn new(events: UnboundedSender<Event>) -> Self {
        Self {
            events,
            begun: Instant::now(),
        }
    }

    pub(super) fn emit(&self, what: What) {
        let event = Event {
            schema: SCHEMA,
            at_ms: millis(self.elapsed()),
            what,
        };
        // Who no longer listens misses nothing that the outcome does not tell.
        let _ = self.events.send(event);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// A time in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
