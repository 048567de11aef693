//! How long is waited, and how often is asked.

use std::time::Duration;

use tokio::time::Instant;

use super::error::HetznerError;

/// Limits of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// One request. Default: 30 s.
    pub request: Duration,
    /// One read or one change, with all its requests, retries and polls. Default: 5 minutes.
    pub overall: Duration,
    /// The first pause before something is asked again. Default: 500 ms.
    pub first_pause: Duration,
    /// The longest pause; each is half again as long as the one before. Default: 5 s.
    pub longest_pause: Duration,
}

impl Default for Patience {
    /// Hetzner's actions on load balancers take seconds; minutes mean an incident.
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            overall: Duration::from_mins(5),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// The time that is left for one operation, and its next pause.
#[derive(Debug)]
pub(super) struct Clock {
    end: Instant,
    next: Duration,
    longest: Duration,
}

impl Clock {
    pub(super) fn start(patience: Patience) -> Self {
        Self {
            end: Instant::now() + patience.overall,
            next: patience.first_pause,
            longest: patience.longest_pause,
        }
    }

    /// The same end, pauses from the start: for the next thing that is waited for.
    pub(super) fn again(&self, patience: Patience) -> Self {
        Self {
            end: self.end,
            next: patience.first_pause,
            longest: patience.longest_pause,
        }
    }

    /// Pauses longer than the last time; an error when the end comes first.
    pub(super) async fn pause(&mut self, because: HetznerError) -> Result<(), HetznerError> {
        let pause = self.next;
        self.next = (pause + pause / 2).min(self.longest);
        self.pause_for(pause, because).await
    }

    /// Pauses for as long as was asked.
    pub(super) async fn pause_for(
        &self,
        pause: Duration,
        because: HetznerError,
    ) -> Result<(), HetznerError> {
        let until = Instant::now() + pause;
        if until > self.end {
            return Err(HetznerError::TooLate {
                cause: Box::new(because),
            });
        }
        tokio::time::sleep_until(until).await;
        Ok(())
    }
}
