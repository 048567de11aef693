//! Why an effect failed.

use crate::probe::Outage;

/// Why an effect failed.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// Its site does not answer; what became of the effect is not known.
    #[error("{0}")]
    Unreachable(#[from] Outage),
    /// The world has moved since the plan was made.
    #[error("{what} is not as it was when the plan was made ({found}); run `preview` again")]
    Moved {
        /// What has moved.
        what: String,
        /// What is there now.
        found: String,
    },
    /// Somebody else changes the hosts at present.
    #[error("{site} is being changed by another run: {by}")]
    Held {
        /// The host that says so.
        site: String,
        /// Who runs, and when that was last heard of.
        by: String,
    },
    /// The site carried it out and said no.
    #[error("{what}: {said}")]
    Failed {
        /// What was tried.
        what: String,
        /// What the site said, secrets taken out.
        said: String,
    },
    /// A gate that did not open in time.
    #[error("gave up after {seconds} s: {waiting}; {cure}")]
    GateClosed {
        /// How long it was waited.
        seconds: u64,
        /// What for.
        waiting: String,
        /// What a person can do.
        cure: &'static str,
    },
    /// The run was abandoned.
    #[error("the run was abandoned")]
    Cancelled,
}
