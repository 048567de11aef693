//! The image of a PostgreSQL node: PostgreSQL, Patroni with RAFT, pgvector and a supervisor.
//!
//! PostgreSQL comes from the base: Docker's official image (any exact version, `pgvector` from
//! PGDG, which that image already has as a package source), or plain Debian, whose packages hold
//! one major version. Patroni comes from PyPI into an environment of its own, every package at an
//! exact version: pysyncobj below 0.3.16 forgets RAFT terms and votes when all members restart,
//! and Debian's is older.
//!
//! The user `postgres` is the base's; its number is whatever the base gave it, and is read from
//! the image where a directory on the host must belong to it. The image holds no secret, and
//! neither does the environment or the command line of its containers.
//!
//! The first process is a supervisor (`supervise.py`), so that Patroni can be restarted, or crash,
//! without taking PostgreSQL with it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::node_config::paths;
use crate::component::context::{self, BuildContext, InvalidContext};
use crate::component::marked::{self, RenderError};

const TEMPLATE: &str = include_str!("Dockerfile.tera");
const SUPERVISE: &str = include_str!("supervise.py");

/// PostgreSQL's major version in the packages of Debian 13.
const DEBIAN_MAJOR: u16 = 17;

/// What the image is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Docker's official image on Debian 12, by PostgreSQL's exact version, such as `16.4`. The
    /// suite is part of the tag: a floating one changed the C library, and with it the order of
    /// text in indexes.
    Official {
        /// PostgreSQL's version.
        version: String,
    },
    /// A Debian 13 of the operator's own, with the packages that Debian has.
    Debian {
        /// The image, with a tag.
        reference: String,
    },
}

/// The exact versions of what comes from PyPI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// Patroni.
    pub patroni: String,
    /// The RAFT implementation.
    pub pysyncobj: String,
    /// The PostgreSQL driver, with its own libpq.
    pub psycopg: String,
}

impl Default for Pins {
    fn default() -> Self {
        Self {
            patroni: "4.1.5".to_owned(),
            pysyncobj: "0.3.17".to_owned(),
            psycopg: "3.3.9".to_owned(),
        }
    }
}

/// What Patroni, pysyncobj and psycopg need, and what builds pysyncobj.
const FURTHER_PINS: &[(&str, &str)] = &[
    ("certifi", "2026.10.18"),
    ("cffi", "2.1.1"),
    ("charset-normalizer", "3.5.2"),
    ("click", "8.5.1"),
    ("cryptography", "50.0.2"),
    ("idna", "3.20"),
    ("prettytable", "3.18.0"),
    ("psutil", "7.2.2"),
    ("py-consul", "1.8.0"),
    ("pycparser", "3.12"),
    ("python-dateutil", "4.0.0"),
    ("PyYAML", "6.0.3"),
    ("requests", "2.34.2"),
    ("typing_extensions", "4.16.0"),
    ("tzdata", "2026.6"),
    ("urllib3", "2.8.0"),
    ("wcwidth", "0.9.4"),
    ("ydiff", "1.4.2"),
];

const BUILD_PINS: &[(&str, &str)] = &[("setuptools", "84.2.1"), ("wheel", "0.48.0")];

/// The image of a PostgreSQL node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatroniImageSpec {
    /// What it is made from.
    pub base: Base,
    /// PostgreSQL's major version.
    pub major: u16,
    /// The versions of what comes from PyPI.
    pub pins: Pins,
    /// Whether pgvector is in it.
    pub pgvector: bool,
}

/// Why an image cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum PatroniImageError {
    /// A version is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidContext),
    /// The Dockerfile cannot be written.
    #[error("the Dockerfile cannot be written")]
    Render(#[from] RenderError),
}

impl PatroniImageSpec {
    /// The image on Docker's official one.
    pub fn official(version: &str) -> Result<Self, InvalidContext> {
        let numbers = context::exact("PostgreSQL", version, 2..=2, "16.4")?;
        Ok(Self {
            base: Base::Official {
                version: version.to_owned(),
            },
            major: u16::try_from(numbers[0]).unwrap_or(u16::MAX),
            pins: Pins::default(),
            pgvector: true,
        })
    }

    /// The image on a Debian of the operator's own.
    pub fn debian(reference: &str) -> Self {
        Self {
            base: Base::Debian {
                reference: reference.to_owned(),
            },
            major: DEBIAN_MAJOR,
            pins: Pins::default(),
            pgvector: true,
        }
    }

    /// What the image is built from.
    pub fn build_context(&self) -> Result<BuildContext, PatroniImageError> {
        let from = self.from()?;
        self.validate_pins()?;
        let data = Context {
            from: &from,
            from_debian: matches!(self.base, Base::Debian { .. }),
            major: self.major,
            pgvector: self.pgvector,
            data_mount: paths::DATA_MOUNT,
            raft_dir: paths::RAFT_DIR,
            run_dir: paths::RUN_DIR,
            config_dir: paths::CONFIG_DIR,
            config_file: paths::CONFIG_FILE,
            build: BUILD_PINS
                .iter()
                .map(|(name, version)| format!("{name}=={version}"))
                .collect(),
        };
        let dockerfile = marked::template("Dockerfile", TEMPLATE, &data)?.to_string();
        Ok(BuildContext::new("kbz-patroni", dockerfile)
            .with("requirements.txt", &self.requirements())
            .with("supervise.py", SUPERVISE))
    }

    fn from(&self) -> Result<String, InvalidContext> {
        match &self.base {
            Base::Official { version } => Ok(format!("postgres:{version}-bookworm")),
            Base::Debian { reference } => {
                context::pinned(reference)?;
                if self.major != DEBIAN_MAJOR {
                    return Err(InvalidContext::Major {
                        wanted: self.major,
                        available: DEBIAN_MAJOR,
                    });
                }
                Ok(reference.clone())
            }
        }
    }

    fn validate_pins(&self) -> Result<(), InvalidContext> {
        let pins = &self.pins;
        context::exact("psycopg", &pins.psycopg, 3..=3, "3.3.9")?;
        if context::exact("Patroni", &pins.patroni, 3..=3, "4.1.5")? < vec![4, 1, 0] {
            return Err(InvalidContext::OldPatroni(pins.patroni.clone()));
        }
        if context::exact("pysyncobj", &pins.pysyncobj, 3..=3, "0.3.17")? < vec![0, 3, 17] {
            return Err(InvalidContext::ForgetfulRaft(pins.pysyncobj.clone()));
        }
        Ok(())
    }

    fn requirements(&self) -> String {
        let mut all: BTreeMap<&str, &str> = FURTHER_PINS.iter().copied().collect();
        all.extend([
            ("patroni[raft]", self.pins.patroni.as_str()),
            ("psycopg", self.pins.psycopg.as_str()),
            ("psycopg-binary", self.pins.psycopg.as_str()),
            ("pysyncobj", self.pins.pysyncobj.as_str()),
        ]);
        let lines: Vec<String> = all
            .into_iter()
            .map(|(name, version)| format!("{name}=={version}\n"))
            .collect();
        lines.concat()
    }
}

#[derive(Serialize)]
struct Context<'a> {
    from: &'a str,
    from_debian: bool,
    major: u16,
    pgvector: bool,
    data_mount: &'static str,
    raft_dir: &'static str,
    run_dir: &'static str,
    config_dir: &'static str,
    config_file: &'static str,
    build: Vec<String>,
}
