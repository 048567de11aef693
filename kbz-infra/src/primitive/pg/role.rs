//! A role of a PostgreSQL cluster.
//!
//! Read: its attributes, memberships, stored password verifier and comment. Drift seen: all of
//! them. The password is compared by its verifier, which is the same for everybody who knows
//! the credentials file, and neither is ever shown.
//!
//! Removal drops the role; PostgreSQL refuses that while it owns something.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::PgRole;
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
//! let app = PgRole::at(&cluster, "kb_app").password(&SecretRef::new("POSTGRES_APP_PASS"));
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use super::mark::{judge_mark, mark};
use crate::effect::Removal;
use crate::effect::{Action, Effect, RoleGoal};
use crate::ident::{Digest, Urn};
use crate::probe::{PgAccess, Probe, Role, RoleReading, Site};
use crate::resource::{
    Change, Claim, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};
use crate::secret::{Form, SecretRef};

/// A role of a PostgreSQL cluster.
#[derive(Debug, Clone)]
pub struct PgRole {
    site: Site,
    goal: RoleGoal,
}

impl PgRole {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "pg-role";

    /// A role that can neither log in nor do anything yet.
    pub fn at(cluster: &PgAccess, name: impl Into<String>) -> Self {
        Self {
            site: Site::from(cluster.clone()),
            goal: RoleGoal {
                name: name.into(),
                login: false,
                superuser: false,
                replication: false,
                create_db: false,
                create_role: false,
                verifier: None,
                member_of: Vec::new(),
                comment: String::new(),
            },
        }
    }

    /// Logs in with a password.
    pub fn password(mut self, password: &SecretRef) -> Self {
        self.goal.login = true;
        self.goal.verifier = Some(password.form(Form::ScramVerifier));
        self
    }

    /// Logs in without a password of its own, by a certificate or the like.
    pub fn login(mut self) -> Self {
        self.goal.login = true;
        self
    }

    /// May do everything.
    pub fn superuser(mut self) -> Self {
        self.goal.superuser = true;
        self
    }

    /// May read the write-ahead log.
    pub fn replication(mut self) -> Self {
        self.goal.replication = true;
        self
    }

    /// May create databases.
    pub fn create_db(mut self) -> Self {
        self.goal.create_db = true;
        self
    }

    /// May create roles.
    pub fn create_role(mut self) -> Self {
        self.goal.create_role = true;
        self
    }

    /// Is a member of another role, and has its rights.
    pub fn in_role(mut self, role: impl Into<String>) -> Self {
        self.goal.member_of.push(role.into());
        self.goal.member_of.sort();
        self.goal.member_of.dedup();
        self
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        &self.goal.name
    }

    fn query(&self) -> Role {
        Role {
            name: self.goal.name.clone(),
        }
    }

    fn create(&self, context: &Context<'_>) -> Change {
        self.change(context, Op::Create, vec![Reason::Missing], &self.goal)
    }

    fn change(
        &self,
        context: &Context<'_>,
        op: Op,
        reasons: Vec<Reason>,
        goal: &RoleGoal,
    ) -> Change {
        let goal = RoleGoal {
            comment: mark(context),
            ..goal.clone()
        };
        Change {
            op,
            reasons,
            impact: Impact::None,
            effects: vec![Effect::new(self.site.clone(), Action::SetRole(goal))],
            details: Vec::new(),
        }
    }

    /// What the role is to be where some fields stay as they are found.
    fn goal_beside(&self, context: &Context<'_>, found: &RoleReading) -> RoleGoal {
        let mut goal = self.goal.clone();
        let RoleReading::Present {
            login,
            superuser,
            replication,
            create_db,
            create_role,
            member_of,
            ..
        } = found
        else {
            return goal;
        };
        for (name, found, goal) in [
            ("login", *login, &mut goal.login),
            ("superuser", *superuser, &mut goal.superuser),
            ("replication", *replication, &mut goal.replication),
            ("createdb", *create_db, &mut goal.create_db),
            ("createrole", *create_role, &mut goal.create_role),
        ] {
            if context.ignores(name) {
                *goal = found;
            }
        }
        if context.ignores("member_of") {
            goal.member_of.clone_from(member_of);
        }
        if context.ignores("password") {
            // Without a verifier the password stays as it is.
            goal.verifier = None;
        }
        goal
    }

    fn drift(&self, context: &Context<'_>, found: &RoleReading) -> Result<Vec<Reason>, PlanError> {
        let RoleReading::Present {
            login,
            superuser,
            replication,
            create_db,
            create_role,
            verifier,
            member_of,
            comment: _,
        } = found
        else {
            return Ok(Vec::new());
        };
        let goal = &self.goal;
        let flags = [
            ("login", *login, goal.login),
            ("superuser", *superuser, goal.superuser),
            ("replication", *replication, goal.replication),
            ("createdb", *create_db, goal.create_db),
            ("createrole", *create_role, goal.create_role),
        ];
        let mut reasons: Vec<Reason> = flags
            .into_iter()
            .filter(|(name, old, new)| old != new && !context.ignores(name))
            .map(|(name, old, new)| Reason::field(name, old, new))
            .collect();
        if *member_of != goal.member_of && !context.ignores("member_of") {
            let text = |roles: &[String]| match roles {
                [] => "none".to_owned(),
                roles => roles.join(" "),
            };
            reasons.push(Reason::field(
                "member_of",
                text(member_of),
                text(&goal.member_of),
            ));
        }
        if self.password_differs(context, verifier.as_deref())? {
            reasons.push(Reason::SecretField {
                name: "password".to_owned(),
            });
        }
        Ok(reasons)
    }

    fn password_differs(
        &self,
        context: &Context<'_>,
        found: Option<&str>,
    ) -> Result<bool, PlanError> {
        let Some(wanted) = &self.goal.verifier else {
            return Ok(false);
        };
        let wanted = context.vault().resolve(wanted)?;
        Ok(found != Some(wanted.as_str()) && !context.ignores("password"))
    }

    fn update(
        &self,
        context: &Context<'_>,
        found: &RoleReading,
    ) -> Result<Option<Change>, PlanError> {
        let RoleReading::Present { comment, .. } = found else {
            return Ok(Some(self.create(context)));
        };
        let what = format!("role {}", self.goal.name);
        let unmarked = judge_mark(context, &what, comment.as_deref())?;
        let mut reasons = self.drift(context, found)?;
        let op = if reasons.is_empty() {
            Op::Adopt
        } else {
            Op::Update
        };
        reasons.extend(unmarked);
        let goal = self.goal_beside(context, found);
        Ok((!reasons.is_empty()).then(|| self.change(context, op, reasons, &goal)))
    }
}

impl Resource for PgRole {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.goal.name)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::at(&self.site, self.query())]
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let secret = match &self.goal.verifier {
            Some(verifier) => context.vault().resolve(verifier)?,
            None => zeroize::Zeroizing::default(),
        };
        let goal = Digest::of_parts([format!("{:?}", self.goal).as_str(), secret.as_str()]);
        let change = match context.read(&self.site, &self.query())? {
            None => Some(self.create(context)),
            Some(found) => self.update(context, found)?,
        };
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
                Action::DropRole {
                    name: self.goal.name.clone(),
                },
            )],
            impact: Impact::ServiceEnds,
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[
            "login",
            "superuser",
            "replication",
            "createdb",
            "createrole",
            "member_of",
            "password",
        ]))
    }

    fn summary(&self) -> String {
        let goal = &self.goal;
        let words = [
            (goal.login, "login"),
            (goal.superuser, "superuser"),
            (goal.replication, "replication"),
            (goal.create_db, "createdb"),
            (goal.create_role, "createrole"),
        ];
        let words: Vec<&str> = words
            .into_iter()
            .filter_map(|(is, word)| is.then_some(word))
            .collect();
        if words.is_empty() {
            "nologin".to_owned()
        } else {
            words.join(", ")
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let role = self.goal.name.clone();
        vec![if self.goal.superuser {
            Claim::Superuser { role }
        } else {
            Claim::WorksAs {
                role,
                who: "a plain role".to_owned(),
            }
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::pg::tests::{access, site};
    use crate::primitive::testkit::{World, check, line, removal};
    use crate::secret::Vault;

    const PASSWORD: &str = "canary password";

    fn app() -> PgRole {
        PgRole::at(&access(), "app")
            .password(&SecretRef::new("PASS"))
            .in_role("readers")
    }

    fn verifier() -> String {
        let mut vault = Vault::new();
        vault.insert("PASS", secrecy::SecretString::from(PASSWORD.to_owned()));
        let form = SecretRef::new("PASS").form(Form::ScramVerifier);
        vault.resolve(&form).unwrap().to_string()
    }

    fn world(reading: RoleReading) -> World {
        World::at(&site(), app().query(), reading).secret("PASS", PASSWORD)
    }

    /// A role in the fields that a hand may change.
    struct Found {
        superuser: bool,
        verifier: Option<String>,
        member_of: Vec<String>,
        comment: Option<String>,
    }

    fn there(bend: impl FnOnce(&mut Found)) -> World {
        let mut found = Found {
            superuser: false,
            verifier: Some(verifier()),
            member_of: vec!["readers".to_owned()],
            comment: Some("kbz:shop".to_owned()),
        };
        bend(&mut found);
        world(RoleReading::Present {
            login: true,
            superuser: found.superuser,
            replication: false,
            create_db: false,
            create_role: false,
            verifier: found.verifier,
            member_of: found.member_of,
            comment: found.comment,
        })
    }

    #[test]
    fn every_transition() {
        let create = "Create (none) is not there: SetRole";
        let password = "Update (none) password  (secret) changes: SetRole";
        check([
            (app(), world(RoleReading::Absent), create),
            (
                app(),
                World::without_parent().secret("PASS", PASSWORD),
                create,
            ),
            (
                app(),
                World::silent().secret("PASS", PASSWORD),
                "unreachable",
            ),
            (app(), there(|_| {}), "nothing"),
            (
                app(),
                there(|f| f.superuser = true),
                "Update (none) superuser  true → false: SetRole",
            ),
            (
                app(),
                there(|f| f.superuser = true).ignoring("superuser"),
                "nothing",
            ),
            (
                app(),
                there(|f| f.member_of.clear()),
                "Update (none) member_of  none → readers: SetRole",
            ),
            (app(), there(|f| f.verifier = None), password),
            (
                app(),
                there(|f| f.verifier = Some("SCRAM-SHA-256$1:x$y:z".to_owned())),
                password,
            ),
            (
                app(),
                there(|f| f.verifier = None).ignoring("password"),
                "nothing",
            ),
            (
                app(),
                there(|f| f.comment = None),
                "Adopt (none) bears no mark of this stack: SetRole",
            ),
            (
                app(),
                there(|f| f.comment = Some("kbz:other".to_owned())),
                "refused: role app belongs to stack other",
            ),
        ]);
        assert_eq!(removal(&app()), "DropRole (service ends)");
    }

    #[test]
    fn nothing_of_a_plan_holds_the_password() {
        let planned = there(|f| f.verifier = None).plan(&app());
        assert!(line(&planned).contains("SetRole"));
        let shown = format!("{planned:?}");
        assert!(!shown.contains("canary") && !shown.contains(&verifier()));
    }

    #[test]
    fn an_unknown_secret_is_an_error() {
        let world = World::at(&site(), app().query(), RoleReading::Absent);
        let error = line(&world.plan(&app()));
        assert_eq!(error, "error: no credentials file holds the secret `PASS`");
    }
}
