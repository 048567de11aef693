//! The content of a file: text, or text made from facts of the host.

use std::fmt;
use std::sync::Arc;

use super::context::{Context, PlanError};
use crate::probe::Probe;
use crate::secret::Text;

/// What makes a text from facts.
type Make = dyn Fn(&Context<'_>) -> Result<Text, PlanError> + Send + Sync;

/// The content of a file.
#[derive(Clone)]
pub enum Content {
    /// Known before anything is read.
    Text(Text),
    /// A pure function of facts, evaluated after observation.
    FromFacts {
        /// What the function reads.
        facts: Vec<Probe>,
        /// The function.
        make: Arc<Make>,
    },
}

impl Content {
    /// Content that depends on facts; `make` may read the answers to `facts` and nothing else.
    pub fn from_facts(
        facts: impl IntoIterator<Item = Probe>,
        make: impl Fn(&Context<'_>) -> Result<Text, PlanError> + Send + Sync + 'static,
    ) -> Self {
        Self::FromFacts {
            facts: facts.into_iter().collect(),
            make: Arc::new(make),
        }
    }

    /// What has to be read to know the content.
    pub fn facts(&self) -> &[Probe] {
        match self {
            Content::Text(_) => &[],
            Content::FromFacts { facts, .. } => facts,
        }
    }

    /// The text.
    pub fn text(&self, context: &Context<'_>) -> Result<Text, PlanError> {
        match self {
            Content::Text(text) => Ok(text.clone()),
            Content::FromFacts { make, .. } => make(context),
        }
    }
}

impl<T: Into<Text>> From<T> for Content {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Content::FromFacts { facts, .. } => f
                .debug_struct("FromFacts")
                .field("facts", facts)
                .finish_non_exhaustive(),
        }
    }
}
