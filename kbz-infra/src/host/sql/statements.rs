//! Statements as text: names quoted as names, values as literals.

use std::collections::BTreeSet;

use postgres_protocol::escape::{escape_identifier, escape_literal};

use crate::effect::{DatabaseGoal, RoleGoal};

/// Keeps verifiers out of the server's logs and statistics for the rest of a session. It goes
/// ahead by itself: a server decides about logging a message before it carries any of it out.
pub(super) const UNLOGGED: &str = "SET log_statement = 'none'; \
     SET log_min_duration_statement = -1; \
     SET log_min_error_statement = 'panic'; \
     SET pg_stat_statements.track_utility = off";

/// Creates a role or alters it, in one transaction; `member_of` is what it is a member of now.
pub(super) fn set_role(
    goal: &RoleGoal,
    exists: bool,
    member_of: &[String],
    verifier: Option<&str>,
) -> String {
    let name = escape_identifier(&goal.name);
    let verb = if exists { "ALTER" } else { "CREATE" };
    let flags = [
        (goal.login, "LOGIN"),
        (goal.superuser, "SUPERUSER"),
        (goal.replication, "REPLICATION"),
        (goal.create_db, "CREATEDB"),
        (goal.create_role, "CREATEROLE"),
    ];
    let flags = flags.map(|(is, word)| format!(" {}{word}", if is { "" } else { "NO" }));
    let password = verifier.map(|verifier| format!(" PASSWORD{}", literal(verifier)));
    let (flags, password) = (flags.concat(), password.unwrap_or_default());
    let more = goal
        .member_of
        .iter()
        .filter(|role| !member_of.contains(role));
    let grants = more.map(|role| format!("GRANT {} TO {name}", escape_identifier(role)));
    let less = member_of
        .iter()
        .filter(|role| !goal.member_of.contains(role));
    let revokes = less.map(|role| format!("REVOKE {} FROM {name}", escape_identifier(role)));
    let mut statements = vec![format!("{verb} ROLE {name} WITH{flags}{password}")];
    statements.extend(grants.chain(revokes));
    statements.push(format!(
        "COMMENT ON ROLE {name} IS{}",
        literal(&goal.comment)
    ));
    format!("BEGIN; {}; COMMIT", statements.join("; "))
}

/// Drops a role; one that owns something stays, and the server says what.
pub(super) fn drop_role(name: &str) -> String {
    format!("DROP ROLE IF EXISTS {}", escape_identifier(name))
}

/// Creates a database. A transaction cannot hold this.
pub(super) fn create_database(goal: &DatabaseGoal) -> String {
    let (name, owner) = (
        escape_identifier(&goal.name),
        escape_identifier(&goal.owner),
    );
    format!("CREATE DATABASE {name} OWNER {owner}")
}

/// Everything about a database that can change.
pub(super) fn alter_database(goal: &DatabaseGoal) -> String {
    let (name, owner) = (
        escape_identifier(&goal.name),
        escape_identifier(&goal.owner),
    );
    let connect = if goal.public_connect {
        format!("GRANT CONNECT ON DATABASE {name} TO PUBLIC")
    } else {
        format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    };
    format!(
        "BEGIN; ALTER DATABASE {name} OWNER TO {owner}; {connect}; \
         COMMENT ON DATABASE {name} IS{}; COMMIT",
        literal(&goal.comment)
    )
}

/// Drops a database, whoever is connected to it.
pub(super) fn drop_database(name: &str) -> String {
    format!(
        "DROP DATABASE IF EXISTS {} WITH (FORCE)",
        escape_identifier(name)
    )
}

/// Installs an extension, or updates it.
pub(super) fn set_extension(name: &str, version: Option<&str>) -> String {
    let name = escape_identifier(name);
    match version {
        Some(version) => {
            let version = escape_identifier(version);
            format!(
                "BEGIN; CREATE EXTENSION IF NOT EXISTS {name} VERSION {version}; \
                 ALTER EXTENSION {name} UPDATE TO {version}; COMMIT"
            )
        }
        None => format!(
            "BEGIN; CREATE EXTENSION IF NOT EXISTS {name}; ALTER EXTENSION {name} UPDATE; COMMIT"
        ),
    }
}

/// Takes back what `ALTER SYSTEM` set of these parameters, without any of all, one statement each;
/// the last lets the server read its files again.
pub(super) fn reset(names: &BTreeSet<String>) -> Vec<String> {
    let one = |name: &String| {
        let parts = name.split('.').map(escape_identifier);
        format!("ALTER SYSTEM RESET {}", parts.collect::<Vec<_>>().join("."))
    };
    let mut statements: Vec<String> = names.iter().map(one).collect();
    if statements.is_empty() {
        statements.push("ALTER SYSTEM RESET ALL".to_owned());
    }
    statements.push("SELECT pg_reload_conf()".to_owned());
    statements
}

/// Drops an extension that nothing depends on.
pub(super) fn drop_extension(name: &str) -> String {
    format!("DROP EXTENSION IF EXISTS {}", escape_identifier(name))
}

/// A literal with a blank before it, whatever its form.
fn literal(text: &str) -> String {
    format!(" {}", escape_literal(text).trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal() -> RoleGoal {
        RoleGoal {
            name: "it's \"me\"".to_owned(),
            login: true,
            superuser: false,
            replication: false,
            create_db: true,
            create_role: false,
            verifier: None,
            member_of: vec!["readers".to_owned(), "writers".to_owned()],
            comment: "kbz:o'brien \\ co".to_owned(),
        }
    }

    #[test]
    fn a_role_made_and_altered() {
        let made = set_role(&goal(), false, &[], Some("SCRAM-SHA-256$4096:a$b:c"));
        assert_eq!(
            made,
            "BEGIN; CREATE ROLE \"it's \"\"me\"\"\" WITH LOGIN NOSUPERUSER NOREPLICATION CREATEDB \
             NOCREATEROLE PASSWORD 'SCRAM-SHA-256$4096:a$b:c'; \
             GRANT \"readers\" TO \"it's \"\"me\"\"\"; GRANT \"writers\" TO \"it's \"\"me\"\"\"; \
             COMMENT ON ROLE \"it's \"\"me\"\"\" IS E'kbz:o''brien \\\\ co'; COMMIT"
        );
        let now = ["writers".to_owned(), "admins".to_owned()];
        let altered = set_role(&goal(), true, &now, None);
        assert!(
            altered.contains("ALTER ROLE") && !altered.contains("PASSWORD"),
            "{altered}"
        );
        assert!(altered.contains("GRANT \"readers\"") && altered.contains("REVOKE \"admins\""));
        assert!(!altered.contains("\"writers\""), "{altered}");
    }

    #[test]
    fn parameters_are_reset_one_by_one_or_all_at_once() {
        let names = ["work_mem", "pg_stat_statements.track", "a\"b"].map(str::to_owned);
        assert_eq!(
            reset(&names.into()),
            [
                "ALTER SYSTEM RESET \"a\"\"b\"",
                "ALTER SYSTEM RESET \"pg_stat_statements\".\"track\"",
                "ALTER SYSTEM RESET \"work_mem\"",
                "SELECT pg_reload_conf()",
            ]
        );
        let all = reset(&BTreeSet::new());
        assert_eq!(all, ["ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"]);
    }

    #[test]
    fn databases_and_extensions() {
        let goal = DatabaseGoal {
            name: "keybuzz".to_owned(),
            owner: "kb_app".to_owned(),
            public_connect: false,
            comment: "kbz:keybuzz".to_owned(),
        };
        assert_eq!(
            create_database(&goal),
            "CREATE DATABASE \"keybuzz\" OWNER \"kb_app\""
        );
        assert_eq!(
            alter_database(&goal),
            "BEGIN; ALTER DATABASE \"keybuzz\" OWNER TO \"kb_app\"; \
             REVOKE CONNECT ON DATABASE \"keybuzz\" FROM PUBLIC; \
             COMMENT ON DATABASE \"keybuzz\" IS 'kbz:keybuzz'; COMMIT"
        );
        assert_eq!(
            set_extension("vector", None),
            "BEGIN; CREATE EXTENSION IF NOT EXISTS \"vector\"; ALTER EXTENSION \"vector\" UPDATE; COMMIT"
        );
        assert_eq!(drop_extension("a;b"), "DROP EXTENSION IF EXISTS \"a;b\"");
        assert_eq!(
            drop_database("x"),
            "DROP DATABASE IF EXISTS \"x\" WITH (FORCE)"
        );
    }
}
