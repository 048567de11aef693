//! What the values must look like. No message holds a password.

use std::collections::BTreeMap;

use super::super::input::Faults;
use super::envfile::{Assignment, Content};
use super::variables::{self, Holds, Variable};
use crate::diag::{Finding, SourceLocation, SourceText, did_you_mean};

/// PostgreSQL cuts longer names without a word.
const LONGEST_NAME: usize = 63;

/// Shorter passwords can be tried out.
const SHORTEST_PASSWORD: usize = 12;

/// Names that PostgreSQL, its `pg_hba.conf` or PgBouncer read as something else.
const RESERVED: [&str; 12] = [
    "all",
    "current_role",
    "current_user",
    "none",
    "pgbouncer",
    "public",
    "replication",
    "samegroup",
    "samerole",
    "sameuser",
    "session_user",
    "user",
];

/// Databases that every cluster has for itself.
const OWN_DATABASES: [&str; 3] = ["postgres", "template0", "template1"];

/// Roles that must not be one and the same.
const APART: [&str; 4] = [
    variables::SUPERUSER.user,
    variables::REPLICATION.user,
    variables::APP.user,
    variables::MONITOR.user,
];

/// Tells `faults` what is wrong; returns those of `variables` that can be added.
pub(super) fn check<'v>(
    source: &SourceText<'_>,
    content: &Content,
    variables: &'v [Variable],
    faults: &mut Faults,
) -> Vec<&'v Variable> {
    let assignments = &content.assignments;
    for assignment in assignments {
        if let Some(finding) = check_value(assignment) {
            faults.push(finding);
        }
    }
    check_roles_apart(assignments, faults);
    let given = |variable: &&Variable| {
        let name = variable.name;
        assignments.iter().any(|one| one.name == name)
            || content.unreadable.iter().any(|one| one == name)
    };
    let (can_be_added, missing): (Vec<_>, Vec<_>) = variables
        .iter()
        .filter(|variable| !given(variable))
        .partition(|variable| variable.added);
    let mut misspelt = misspelt(content, &missing);
    for variable in missing {
        let near = misspelt.remove(variable.name);
        faults.push(lacking(source.name(), variable, near));
    }
    can_be_added
}

/// The unknown names of the file by the missing variables that they most likely mean.
fn misspelt<'a>(content: &'a Content, missing: &[&Variable]) -> BTreeMap<&'static str, &'a str> {
    let names = content.assignments.iter().map(|one| &one.name);
    let unknown = names
        .chain(&content.unreadable)
        .filter(|name| variables::known(name).is_none());
    let missing = || missing.iter().map(|variable| variable.name);
    unknown
        .filter_map(|name| Some((did_you_mean(name, missing())?, name.as_str())))
        .collect()
}

/// The finding for a variable that the file does not give.
pub(super) fn lacking(source: &str, variable: &Variable, near: Option<&str>) -> Finding {
    let help = match near {
        Some(near) => format!("rename {near} to {}", variable.name),
        None => format!("add a line {}='…'", variable.name),
    };
    let message = format!("{source} does not give {}", variable.name);
    Finding::error("kbz::credentials::lacking", message)
        .label(SourceLocation::new(source, 1, 1, 1).withhold(), "")
        .help(help)
}

struct Wrong(&'static str, &'static str, &'static str);

fn check_value(assignment: &Assignment) -> Option<Finding> {
    let Assignment { name, value, place } = assignment;
    let Wrong(code, why, help) = match variables::known(name).map(|known| known.holds) {
        _ if value.is_empty() => Some(Wrong(
            "kbz::credentials::empty",
            "is empty",
            "write a value; for a password, remove the file to have a new one made",
        )),
        holds if is_placeholder(value, holds == Some(Holds::Password)) => Some(Wrong(
            "kbz::credentials::placeholder",
            "still holds a placeholder",
            "write the real value",
        )),
        Some(Holds::Role) => wrong_role(name, value),
        Some(Holds::Database) => wrong_database(value),
        Some(Holds::Cluster) => wrong_cluster(value),
        Some(Holds::User) => wrong_user(value),
        Some(Holds::Password) | None => wrong_password(value),
    }?;
    Some(
        Finding::error(code, format!("{name} {why}"))
            .label(place.clone(), "")
            .help(help),
    )
}

fn wrong_identifier(value: &str) -> Option<Wrong> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let code = "kbz::credentials::invalid-name";
    let form = "lower-case letters, digits and `_` make a name that never needs quotes";
    if value.len() > LONGEST_NAME {
        return Some(Wrong(
            code,
            "is longer than 63 bytes",
            "PostgreSQL would cut it",
        ));
    }
    if value.starts_with(|c: char| c.is_ascii_digit()) || !value.chars().all(is_inner) {
        return Some(Wrong(code, "is no plain name", form));
    }
    if RESERVED.contains(&value) || value.starts_with("pg_") {
        return Some(Wrong(
            code,
            "is a name with a meaning of its own",
            "choose another name",
        ));
    }
    None
}

fn wrong_role(name: &str, value: &str) -> Option<Wrong> {
    if value == "postgres" && name != variables::SUPERUSER.user {
        return Some(Wrong(
            "kbz::credentials::invalid-name",
            "is the name of the superuser that every cluster has",
            "choose another name",
        ));
    }
    wrong_identifier(value)
}

fn wrong_database(value: &str) -> Option<Wrong> {
    if OWN_DATABASES.contains(&value) {
        return Some(Wrong(
            "kbz::credentials::invalid-name",
            "is a database that PostgreSQL keeps for itself",
            "choose another name",
        ));
    }
    wrong_identifier(value)
}

fn wrong_cluster(value: &str) -> Option<Wrong> {
    // The rules for host names are the rules for Patroni's scope too.
    let is_valid = crate::ident::HostName::new(value).is_ok();
    (!is_valid).then_some(Wrong(
        "kbz::credentials::invalid-name",
        "is no name of a cluster",
        "lower-case letters, digits and inner hyphens make one, such as keybuzz-pg",
    ))
}

fn wrong_user(value: &str) -> Option<Wrong> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!value.chars().all(is_word)).then_some(Wrong(
        "kbz::credentials::invalid-name",
        "is no plain name",
        "letters, digits, `_` and `-` make a name that needs no quotes anywhere",
    ))
}

fn wrong_password(value: &str) -> Option<Wrong> {
    let is_plain = value.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    (!is_plain).then_some(Wrong(
        "kbz::credentials::characters",
        "holds characters beyond printable ASCII",
        "clients normalise such characters differently; letters and digits are enough",
    ))
}

/// Whether a value only stands for one that was never written.
fn is_placeholder(value: &str, is_password: bool) -> bool {
    let value = value.to_lowercase();
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    let parts = [
        "changeme",
        "motdepasse",
        "yourpassword",
        "yoursecret",
        "replaceme",
        "tochange",
    ];
    let words = [
        "password", "passwd", "secret", "todo", "example", "exemple", "fixme", "test",
    ];
    let is_framed = [("<", ">"), ("{{", "}}"), ("${", "}")]
        .iter()
        .any(|(open, close)| value.starts_with(open) && value.ends_with(close));
    let mut chars = value.chars();
    let first = chars.next();
    let is_one_character = chars.all(|c| Some(c) == first);
    is_framed
        || (is_password && parts.iter().any(|part| plain.contains(part)))
        || (is_password && (words.contains(&plain.as_str()) || is_one_character))
}

fn check_roles_apart(assignments: &[Assignment], faults: &mut Faults) {
    let mut first: BTreeMap<&str, &Assignment> = BTreeMap::new();
    let roles = assignments
        .iter()
        .filter(|one| APART.contains(&one.name.as_str()));
    for role in roles.filter(|role| !role.value.is_empty()) {
        let Some(other) = first.get(role.value.as_str()) else {
            first.insert(&role.value, role);
            continue;
        };
        faults.push(
            Finding::error(
                "kbz::credentials::same-role",
                format!("{} and {} name the same role", other.name, role.name),
            )
            .label(role.place.clone(), "")
            .label(other.place.clone(), "")
            .help("each needs rights that the others must not have: name them apart"),
        );
    }
}

/// What works but is weak.
pub(super) fn warnings(assignments: &[Assignment]) -> Vec<Finding> {
    let mut warnings = Vec::new();
    let mut first: BTreeMap<&str, &Assignment> = BTreeMap::new();
    let is_password = |one: &&Assignment| variables::is_secret(&one.name);
    for one in assignments.iter().filter(is_password) {
        if one.value.chars().count() < SHORTEST_PASSWORD {
            warnings.push(
                Finding::warning("kbz::credentials::short", format!("{} is short", one.name))
                    .label(one.place.clone(), "")
                    .help("`credentials rotate` makes a random one"),
            );
        }
        match first.get(one.value.as_str()) {
            Some(other) => warnings.push(
                Finding::warning(
                    "kbz::credentials::same-password",
                    format!("{} and {} are the same", other.name, one.name),
                )
                .label(one.place.clone(), "")
                .help("who learns one of them has both"),
            ),
            None => {
                first.insert(&one.value, one);
            }
        }
    }
    warnings
}
