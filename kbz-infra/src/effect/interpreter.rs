//! What carries the vocabulary out.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::action::Effect;
use super::error::EffectError;
use crate::ident::StackName;
use crate::probe::{Outage, Probe, Reading, Site};
use crate::secret::Vault;

/// The answers of one site, in the order of the questions.
pub type SiteReadings = Result<Vec<Reading>, Outage>;

/// Carries out reads and writes: on real hosts, or on a model of them.
#[async_trait]
pub trait Interpreter: Send + Sync {
    /// Answers all `probes` of one site in one go. An answer that one probe alone cannot
    /// give (a database that refuses a connection) is an outage of its site.
    async fn read(&self, site: &Site, probes: &[Probe]) -> SiteReadings;

    /// Carries one effect out, from start to end.
    async fn run(&self, effect: &Effect, run: &RunContext) -> Result<(), EffectError>;

    /// Carries out effects that go together, as [`bundle`](super::bundle()) tells, in order, and ends
    /// at the first that fails.
    async fn run_all(&self, effects: &[Effect], run: &RunContext) -> Result<(), Halt> {
        for (done, effect) in effects.iter().enumerate() {
            let outcome = self.run(effect, run).await;
            outcome.map_err(|error| Halt { done, error })?;
        }
        Ok(())
    }
}

/// Effects that went together, and did not all come to their end.
#[derive(Debug)]
pub struct Halt {
    /// How many are done; the next one failed, and those after it were not begun.
    pub done: usize,
    /// Why it failed.
    pub error: EffectError,
}

impl Halt {
    /// An error before anything was done.
    pub fn at_once(error: impl Into<EffectError>) -> Self {
        let error = error.into();
        Self { done: 0, error }
    }
}

/// What every effect of a run may need.
#[derive(Clone)]
pub struct RunContext {
    /// The stack, as it stands in the owner's marks.
    pub stack: StackName,
    /// The rising number of the run; a host refuses effects of an older one.
    pub run: u64,
    /// The secrets of the run.
    pub vault: Arc<Vault>,
    /// Where the effect tells how far it is.
    pub progress: Progress,
    /// Cancelled when the run is abandoned.
    pub cancel: CancellationToken,
}

/// Where an effect that takes long tells how far it is.
#[derive(Clone)]
pub struct Progress(Arc<Listener>);

/// A text for people, and bytes done and in all where there are any.
type Listener = dyn Fn(&str, Option<(u64, u64)>) + Send + Sync;

impl Progress {
    /// Reports to `listener`: a text for people, and bytes done and in all where there are any.
    pub fn new(listener: impl Fn(&str, Option<(u64, u64)>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Reports to nobody.
    pub fn none() -> Self {
        Self::new(|_, _| {})
    }

    /// Says what the effect is at.
    pub fn say(&self, what: &str) {
        (self.0)(what, None);
    }

    /// Says how many of how many bytes are done.
    pub fn bytes(&self, what: &str, done: u64, total: u64) {
        (self.0)(what, Some((done, total)));
    }
}
