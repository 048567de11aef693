//! Looks again and again whether something answers, while something else is done.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::effect::Interpreter;
use crate::probe::Probe;

/// Between two looks.
const BETWEEN: Duration = Duration::from_millis(100);

/// What watching something found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watched {
    /// The longest time from one answer to the next, a look that takes its usual time included.
    pub longest: Duration,
    /// How often it answered.
    pub answers: u32,
    /// How often it did not.
    pub silences: u32,
}

/// Asks `probe`, which has just been answered, ten times a second until `stop`, and tells for how
/// long it went unanswered, at the end too.
pub async fn watch(
    interpreter: Arc<dyn Interpreter>,
    probe: Probe,
    stop: CancellationToken,
) -> Watched {
    let mut watched = Watched::default();
    let mut answered = Instant::now();
    while !stop.is_cancelled() {
        let look = interpreter.read(&probe.site, std::slice::from_ref(&probe));
        let found = tokio::select! {
            () = stop.cancelled() => break,
            found = look => found,
        };
        if found.is_ok() {
            let now = Instant::now();
            watched.longest = watched.longest.max(now - answered);
            watched.answers += 1;
            answered = now;
        } else {
            watched.silences += 1;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    watched.longest = watched.longest.max(answered.elapsed());
    watched
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::effect::{Effect, EffectError, RunContext, SiteReadings};
    use crate::probe::{Outage, Site, Swap, SwapReading};

    /// Somebody who is silent from the second second to the fourth, and after the eighth.
    struct Faltering(Instant);

    #[async_trait]
    impl Interpreter for Faltering {
        async fn read(&self, site: &Site, _: &[Probe]) -> SiteReadings {
            let since = self.0.elapsed().as_secs();
            if (2..4).contains(&since) || since >= 8 {
                return Err(Outage::new(site, "silent"));
            }
            Ok(vec![SwapReading(Vec::new()).into()])
        }

        async fn run(&self, _: &Effect, _: &RunContext) -> Result<(), EffectError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_silence_is_told() {
        let stop = CancellationToken::new();
        let probe = Probe::at(&Site::Operator, Swap {});
        let faltering = Arc::new(Faltering(Instant::now()));
        let watching = tokio::spawn(watch(faltering, probe, stop.clone()));
        tokio::time::sleep(Duration::from_secs(6)).await;
        stop.cancel();
        let watched = watching.await.unwrap();
        let off = watched.longest.abs_diff(Duration::from_millis(2_100));
        assert!(off <= BETWEEN, "{watched:?}");
        assert_eq!(watched.silences, 20);
        assert!(watched.answers >= 39, "{watched:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_that_has_not_ended_counts() {
        let stop = CancellationToken::new();
        let probe = Probe::at(&Site::Operator, Swap {});
        let faltering = Arc::new(Faltering(Instant::now()));
        let watching = tokio::spawn(watch(faltering, probe, stop.clone()));
        tokio::time::sleep(Duration::from_secs(13)).await;
        stop.cancel();
        let longest = watching.await.unwrap().longest;
        assert!(
            longest.abs_diff(Duration::from_secs(5)) <= 2 * BETWEEN,
            "{longest:?}"
        );
    }
}
