//! A database of a PostgreSQL cluster.
//!
//! Read: owner, encoding, whether everybody may connect, comment. Drift seen: all of them.
//! Everybody's right to connect, which PostgreSQL grants by itself, is revoked unless declared.
//! An encoding cannot be changed, so another one than the declared is refused.
//!
//! Removal drops the database with all that is in it, which is data loss.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::PgDatabase;
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
//! let database = PgDatabase::at(&cluster, "keybuzz", "kb_app");
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use super::mark::{judge_mark, mark};
use crate::effect::Removal;
use crate::effect::{Action, DatabaseGoal, Effect};
use crate::ident::{Digest, Urn};
use crate::probe::{Database, DatabaseReading, PgAccess, Probe, Site};
use crate::resource::{
    Change, Claim, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// A database of a PostgreSQL cluster.
#[derive(Debug, Clone)]
pub struct PgDatabase {
    site: Site,
    name: String,
    owner: String,
    encoding: String,
    public_connect: bool,
}

impl PgDatabase {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "pg-database";

    /// A database in UTF-8 with its owner, to which nobody else may connect.
    pub fn at(cluster: &PgAccess, name: impl Into<String>, owner: impl Into<String>) -> Self {
        Self {
            site: Site::from(cluster.clone()),
            name: name.into(),
            owner: owner.into(),
            encoding: "UTF8".to_owned(),
            public_connect: false,
        }
    }

    /// Lets every role connect.
    pub fn public_connect(mut self) -> Self {
        self.public_connect = true;
        self
    }

    /// The encoding that it has to have, where it exists already. Default: `UTF8`.
    pub fn encoding(mut self, encoding: impl Into<String>) -> Self {
        self.encoding = encoding.into();
        self
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn query(&self) -> Database {
        Database {
            name: self.name.clone(),
        }
    }

    fn create(&self, context: &Context<'_>) -> Change {
        let public_connect = self.public_connect;
        self.change(
            context,
            Op::Create,
            vec![Reason::Missing],
            (&self.owner, public_connect),
        )
    }

    fn change(
        &self,
        context: &Context<'_>,
        op: Op,
        reasons: Vec<Reason>,
        (owner, public_connect): (&str, bool),
    ) -> Change {
        let goal = DatabaseGoal {
            name: self.name.clone(),
            owner: owner.to_owned(),
            public_connect,
            comment: mark(context),
        };
        Change {
            op,
            reasons,
            impact: Impact::None,
            effects: vec![Effect::new(self.site.clone(), Action::SetDatabase(goal))],
            details: Vec::new(),
        }
    }

    fn update(
        &self,
        context: &Context<'_>,
        found: &DatabaseReading,
    ) -> Result<Option<Change>, PlanError> {
        let DatabaseReading::Present {
            owner,
            encoding,
            public_connect,
            comment,
        } = found
        else {
            return Ok(Some(self.create(context)));
        };
        let what = format!("database {}", self.name);
        let unmarked = judge_mark(context, &what, comment.as_deref())?;
        if *encoding != self.encoding && !context.ignores("encoding") {
            return Err(PlanError::Refused {
                what: format!(
                    "{what} is encoded in {encoding}, {} is declared",
                    self.encoding
                ),
                help: "dump it and restore it into a new database, or declare its encoding"
                    .to_owned(),
            });
        }
        let mut reasons = Vec::new();
        if *owner != self.owner && !context.ignores("owner") {
            reasons.push(Reason::field("owner", owner, &self.owner));
        }
        if *public_connect != self.public_connect && !context.ignores("public_connect") {
            reasons.push(Reason::field(
                "public_connect",
                public_connect,
                self.public_connect,
            ));
        }
        let op = if reasons.is_empty() {
            Op::Adopt
        } else {
            Op::Update
        };
        reasons.extend(unmarked);
        let goal = (
            if context.ignores("owner") {
                owner.as_str()
            } else {
                &self.owner
            },
            if context.ignores("public_connect") {
                *public_connect
            } else {
                self.public_connect
            },
        );
        Ok((!reasons.is_empty()).then(|| self.change(context, op, reasons, goal)))
    }
}

impl Resource for PgDatabase {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.name)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::at(&self.site, self.query())]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let change = match context.read(&self.site, &self.query())? {
            None => Some(self.create(context)),
            Some(found) => self.update(context, found)?,
        };
        let public = self.public_connect.to_string();
        let goal = Digest::of_parts([&self.name, &self.owner, &self.encoding, &public]);
        Ok(Planned {
            goal: context.keyed(&goal),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal {
            probes: self.probes(),
            effects: vec![Effect::new(
                self.site.clone(),
                Action::DropDatabase {
                    name: self.name.clone(),
                },
            )],
            impact: Impact::DataLoss,
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&["owner", "encoding", "public_connect"]))
    }

    fn summary(&self) -> String {
        let public = if self.public_connect {
            ", open to every role"
        } else {
            ""
        };
        format!("owned by {}{public}", self.owner)
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::WorksAs {
            role: self.owner.clone(),
            who: format!("the owner of the database {}", self.name),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::pg::tests::{access, site};
    use crate::primitive::testkit::{World, check, removal};

    fn shop() -> PgDatabase {
        PgDatabase::at(&access(), "shop", "app")
    }

    fn world(reading: DatabaseReading) -> World {
        World::at(&site(), shop().query(), reading)
    }

    fn there(owner: &str, encoding: &str, public_connect: bool, comment: &str) -> World {
        world(DatabaseReading::Present {
            owner: owner.to_owned(),
            encoding: encoding.to_owned(),
            public_connect,
            comment: (!comment.is_empty()).then(|| comment.to_owned()),
        })
    }

    #[test]
    fn every_transition() {
        let create = "Create (none) is not there: SetDatabase";
        check([
            (shop(), world(DatabaseReading::Absent), create),
            (shop(), World::without_parent(), create),
            (shop(), World::silent(), "unreachable"),
            (shop(), there("app", "UTF8", false, "kbz:shop"), "nothing"),
            (
                shop(),
                there("root", "UTF8", false, "kbz:shop"),
                "Update (none) owner  root → app: SetDatabase",
            ),
            (
                shop(),
                there("root", "UTF8", false, "kbz:shop").ignoring("owner"),
                "nothing",
            ),
            (
                shop(),
                there("app", "UTF8", true, "kbz:shop"),
                "Update (none) public_connect  true → false: SetDatabase",
            ),
            (
                shop().public_connect(),
                there("app", "UTF8", true, "kbz:shop"),
                "nothing",
            ),
            (
                shop(),
                there("app", "UTF8", false, "the shop's data"),
                "Adopt (none) bears no mark of this stack: SetDatabase",
            ),
            (
                shop(),
                there("app", "UTF8", false, "kbz:other"),
                "refused: database shop belongs to stack other",
            ),
            (
                shop(),
                there("app", "LATIN1", false, "kbz:shop"),
                "refused: database shop is encoded in LATIN1, UTF8 is declared",
            ),
            (
                shop().encoding("LATIN1"),
                there("app", "LATIN1", false, "kbz:shop"),
                "nothing",
            ),
        ]);
        assert_eq!(removal(&shop()), "DropDatabase (data loss)");
    }
}
