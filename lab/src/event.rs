//! What a lab says while it works: typed events, printed by nobody but [`crate::cli`].

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// Something that happened to a lab; serialisable, so that machines can follow too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LabEvent {
    /// Another run works on the same lab or image; this one waits for it.
    Waiting {
        /// What the other run holds.
        on: String,
    },
    /// Debian packages are installed on the machine.
    Installing {
        /// The packages.
        packages: Vec<String>,
    },
    /// An image was there already.
    ImageCached {
        /// Its tag.
        image: String,
    },
    /// An image is being made from Debian packages.
    ImageBuilding {
        /// Its tag.
        image: String,
        /// How many packages its recipe names.
        packages: usize,
    },
    /// One line of the image's making.
    ImageProgress {
        /// Its tag.
        image: String,
        /// What the package tool says.
        line: String,
    },
    /// An image was made.
    ImageBuilt {
        /// Its tag.
        image: String,
        /// How long it took.
        took: Duration,
    },
    /// A network was made.
    NetworkMade {
        /// Its name.
        network: String,
    },
    /// A container that does not fit the lab any more is made again.
    Remaking {
        /// Its name in the lab.
        host: String,
        /// Why.
        because: String,
    },
    /// A container boots.
    Starting {
        /// Its name in the lab.
        host: String,
    },
    /// A host answers.
    Ready {
        /// Its name in the lab.
        host: String,
        /// How long that took since its start.
        took: Duration,
    },
    /// Something of the lab was removed.
    Removed {
        /// What: `container NAME`, `network NAME`, `volume NAME`, `loop device NAME`, `image NAME`.
        what: String,
    },
    /// The lab is as declared.
    Up {
        /// The lab.
        lab: String,
        /// Whether anything had to be done for that.
        changed: bool,
        /// How long it took.
        took: Duration,
    },
    /// Nothing of the lab is left.
    Down {
        /// The lab.
        lab: String,
        /// How many things were removed.
        removed: usize,
    },
}

/// Where events go. Cheap to clone, called from many tasks.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(LabEvent) + Send + Sync>);

impl Events {
    /// Sends every event to a function.
    pub fn new(sink: impl Fn(LabEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops every event.
    pub fn silent() -> Self {
        Self::new(drop)
    }

    pub(crate) fn send(&self, event: LabEvent) {
        (self.0)(event);
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}
