//! What a Docker engine tells.

use serde::{Deserialize, Serialize};

use crate::model::ContainerSpec;

/// An image, if the engine has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageReading {
    /// The engine has no image of that name.
    Absent,
    /// The engine has it.
    Present {
        /// The image's content-addressed id (`sha256:...`).
        id: String,
    },
}

/// The numeric ids of a user inside an image; `None` while the engine does not have the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageUserReading(pub Option<(u32, u32)>);

/// A container, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerReading {
    /// There is no container of that name.
    Absent,
    /// There is one.
    Present {
        /// What runs, in the terms of a declaration: only what a declaration can say.
        spec: Box<ContainerSpec>,
        /// The id of the image that it was made from.
        image_id: String,
        /// Whether its main process runs.
        running: bool,
        /// The stack that made it (label `kbz.stack`), if one did.
        owner: Option<String>,
        /// The Docker engine's own id.
        id: String,
    },
}
