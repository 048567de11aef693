//! An extension in a database.
//!
//! Read: the installed version and the one that the server's files offer. Drift seen: a removed
//! extension, another version than the declared one. Without a declared version, the extension
//! follows the files: a later image brings a later extension. It never goes back by itself,
//! since extensions know no way back.
//!
//! Removal drops the extension; PostgreSQL refuses that while something uses it.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::PgExtension;
//! use kbz_infra::probe::PgAccess;
//! use kbz_infra::secret::SecretRef;
//!
//! let cluster = PgAccess {
//!     via: vec![HostName::new("haproxy-01")?],
//!     address: "10.0.0.10".to_owned(),
//!     port: 5432,
//!     user: "postgres".to_owned(),
//!     password: SecretRef::new("POSTGRES_SUPERPASS"),
//! };
//! let vector = PgExtension::at(&cluster, "keybuzz", "vector");
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, Urn};
use crate::primitive::version;
use crate::probe::{Extension, ExtensionReading, PgAccess, Probe, Site};
use crate::resource::{
    Change, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// An extension in a database.
#[derive(Debug, Clone)]
pub struct PgExtension {
    site: Site,
    database: String,
    name: String,
    version: Option<String>,
}

impl PgExtension {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "pg-extension";

    /// An extension, in the version that the server's files offer.
    pub fn at(cluster: &PgAccess, database: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            site: Site::from(cluster.clone()),
            database: database.into(),
            name: name.into(),
            version: None,
        }
    }

    /// Exactly this version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    fn query(&self) -> Extension {
        Extension {
            database: self.database.clone(),
            name: self.name.clone(),
        }
    }

    fn change(&self, op: Op, reason: Reason) -> Change {
        let set = Action::SetExtension {
            database: self.database.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
        };
        Change {
            op,
            reasons: vec![reason],
            impact: Impact::None,
            effects: vec![Effect::new(self.site.clone(), set)],
            details: Vec::new(),
        }
    }

    /// The version to update to, where the installed one is not the wanted one.
    fn wanted<'a>(&'a self, installed: &str, available: Option<&'a str>) -> Option<&'a str> {
        match &self.version {
            Some(version) => (version != installed).then_some(version),
            None => available.filter(|available| version::later(available, installed)),
        }
    }
}

impl Resource for PgExtension {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, format!("{}/{}", self.database, self.name))
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::at(&self.site, self.query())]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let change = match context.read(&self.site, &self.query())? {
            None | Some(ExtensionReading::Absent) => Some(self.change(Op::Create, Reason::Missing)),
            Some(ExtensionReading::Present {
                version, available, ..
            }) => self
                .wanted(version, available.as_deref())
                .filter(|_| !context.ignores("version"))
                .map(|wanted| self.change(Op::Update, Reason::field("version", version, wanted))),
        };
        let version = self.version.as_deref().unwrap_or_default();
        let goal = Digest::of_parts([&self.database, &self.name, version]);
        Ok(Planned {
            goal: context.keyed(&goal),
            change,
        })
    }

    fn removal(&self) -> Removal {
        let drop = Action::DropExtension {
            database: self.database.clone(),
            name: self.name.clone(),
        };
        Removal {
            probes: self.probes(),
            effects: vec![Effect::new(self.site.clone(), drop)],
            impact: Impact::ServiceEnds,
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&["version"]))
    }

    fn summary(&self) -> String {
        match &self.version {
            Some(version) => format!("{version} in {}", self.database),
            None => format!("in {}", self.database),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::pg::tests::{access, site};
    use crate::primitive::testkit::{World, check, removal};

    fn vector() -> PgExtension {
        PgExtension::at(&access(), "shop", "vector")
    }

    fn world(reading: ExtensionReading) -> World {
        World::at(&site(), vector().query(), reading)
    }

    fn there(version: &str, available: &str) -> World {
        world(ExtensionReading::Present {
            version: version.to_owned(),
            available: Some(available.to_owned()),
            schema: "public".to_owned(),
        })
    }

    #[test]
    fn every_transition() {
        let create = "Create (none) is not there: SetExtension";
        check([
            (vector(), world(ExtensionReading::Absent), create),
            (vector(), World::without_parent(), create),
            (vector(), World::silent(), "unreachable"),
            (vector(), there("0.8.0", "0.8.0"), "nothing"),
            (
                vector(),
                there("0.8.0", "0.8.1"),
                "Update (none) version  0.8.0 → 0.8.1: SetExtension",
            ),
            (vector(), there("0.8.1", "0.8.0"), "nothing"),
            (
                vector().version("0.8.1"),
                there("0.8.0", "0.8.1"),
                "Update (none) version  0.8.0 → 0.8.1: SetExtension",
            ),
            (
                vector().version("0.8.1"),
                there("0.8.0", "0.8.1").ignoring("version"),
                "nothing",
            ),
        ]);
        assert_eq!(removal(&vector()), "DropExtension (service ends)");
        assert_eq!(vector().urn().to_string(), "pg-extension:shop/vector");
    }
}
