//! The image of a cluster's nodes, built once.

use super::image::{PatroniImageSpec, Pins};
use crate::component::service_image::ServiceImage;
use crate::diag::{Finding, SourceLocation};
use crate::program::{ImageBase, PostgresVersion, ProgramError, Result, Scope, Settings};

/// pgvector, for [`PatroniImage::with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgVector;

/// The image of a cluster's nodes: PostgreSQL, Patroni and extensions, built once on the
/// operator's machine and named by its content.
#[derive(Debug, Clone)]
pub struct PatroniImage {
    pub(super) postgres: PostgresVersion,
    pub(super) pins: Pins,
    pub(super) pgvector: bool,
}

impl PatroniImage {
    /// The component's name in addresses.
    pub const KIND: &'static str = "patroni-image";

    /// An image with a version of PostgreSQL.
    pub fn new(postgres: PostgresVersion) -> Self {
        Self {
            postgres,
            pins: Pins::default(),
            pgvector: false,
        }
    }

    /// The version of Patroni.
    pub fn patroni(mut self, version: impl Into<String>) -> Self {
        self.pins.patroni = version.into();
        self
    }

    /// The version of pysyncobj, Patroni's RAFT.
    pub fn pysyncobj(mut self, version: impl Into<String>) -> Self {
        self.pins.pysyncobj = version.into();
        self
    }

    /// Adds an extension's files.
    pub fn with(mut self, _extension: PgVector) -> Self {
        self.pgvector = true;
        self
    }

    /// PostgreSQL's major version.
    pub fn major(&self) -> u16 {
        self.postgres.major
    }

    /// Where the image comes from in an environment.
    pub(super) fn source(&self, settings: &Settings) -> Result<ServiceImage, String> {
        let mut spec = match &settings.images {
            ImageBase::Official => PatroniImageSpec::official(&self.postgres.to_string())
                .map_err(|error| error.to_string())?,
            ImageBase::Debian { reference } => PatroniImageSpec::debian(reference),
        };
        if spec.major != self.postgres.major {
            return Err(format!(
                "the Debian packages hold PostgreSQL {}, and versions.yaml asks for {}",
                spec.major, self.postgres
            ));
        }
        spec.pins = self.pins.clone();
        spec.pgvector = self.pgvector;
        let context = spec.build_context().map_err(|error| error.to_string())?;
        Ok(ServiceImage::Built(context.versioned(format!(
            "pg{}-patroni{}",
            spec.major, spec.pins.patroni
        ))))
    }

    /// The same, with a finding that names the declaration.
    pub(super) fn source_in(&self, scope: &Scope<'_>) -> Result<ServiceImage> {
        self.source(scope.settings()).map_err(|why| {
            ProgramError::from(
                Finding::error("kbz::patroni::image", why)
                    .label(SourceLocation::from(scope.place()), "declared here")
                    .help("pin a supported version in versions.yaml, and give that"),
            )
        })
    }
}
