//! What makes a version exact.

use super::pin::{POSTGRES, PostgresVersion};
use super::yaml::Entry;
use crate::diag::Finding;

/// The parts of `[repository:]tag[@sha256:…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) repository: Option<String>,
    pub(super) tag: String,
    pub(super) digest: Option<String>,
}

/// Projects whose complete version has two numbers.
const TWO_NUMBERS: [&str; 3] = ["debian", "pgbackrest", POSTGRES];

/// Repositories that are not named like the software.
const REPOSITORIES: [(&str, &str); 5] = [
    ("k3s", "rancher/k3s"),
    ("mariadb-galera", "mariadb"),
    ("minio", "minio/minio"),
    ("proxysql", "proxysql/proxysql"),
    ("vault", "hashicorp/vault"),
];

/// Versions below which a program must not go, and why.
const OLDEST: [(&str, [u32; 3], &str); 2] = [
    (
        "patroni",
        [4, 0, 0],
        "the roles, endpoints and RAFT settings that are written need Patroni 4",
    ),
    (
        "pysyncobj",
        [0, 3, 17],
        "older ones can lose RAFT terms and votes when all members restart",
    ),
];

/// The majors of PostgreSQL that this library is tested with.
const POSTGRES_MAJORS: [u16; 2] = [16, 17];

/// The repository of an image by the name of its pin.
pub(super) fn repository(name: &str) -> &str {
    let known = REPOSITORIES.iter().find(|(known, _)| *known == name);
    known.map_or(name, |(_, repository)| *repository)
}

/// Whether a registry would take this tag.
pub(super) fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128
        && text.starts_with(is_word)
        && text.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

type Checked = (Reference, Option<PostgresVersion>);

/// The parts of a pin, or what is wrong with it.
pub(super) fn checked(entry: &Entry) -> Result<Checked, Box<Finding>> {
    check(entry).map_err(|wrong| {
        let Wrong {
            code,
            message,
            label,
            help,
        } = wrong;
        let place = entry.value_place.clone();
        Box::new(Finding::error(code, message).label(place, label).help(help))
    })
}

struct Wrong {
    code: &'static str,
    message: String,
    label: String,
    help: String,
}

impl Wrong {
    fn new(code: &'static str, message: String, label: &str, help: impl Into<String>) -> Self {
        Self {
            code,
            message,
            label: label.to_owned(),
            help: help.into(),
        }
    }
}

fn check(entry: &Entry) -> Result<Checked, Wrong> {
    let Entry { name, value, .. } = entry;
    present(entry)?;
    if entry.plain {
        read_alike(name, value)?;
    }
    let reference = reference(name, value)?;
    no_range(name, &reference.tag)?;
    no_moving_tag(name, &reference.tag)?;
    new_enough(name, &reference.tag)?;
    let postgres = match name.as_str() {
        POSTGRES => Some(postgres(&reference.tag)?),
        _ => None,
    };
    Ok((reference, postgres))
}

fn present(entry: &Entry) -> Result<(), Wrong> {
    let Entry {
        name, value, plain, ..
    } = entry;
    // What YAML takes for no value or for a truth value.
    let words = ["", "~", "null", "true", "false", "yes", "no", "on", "off"];
    let is_word = *plain && words.contains(&value.to_lowercase().as_str());
    if value.trim().is_empty() || is_word {
        return Err(Wrong::new(
            "kbz::versions::no-version",
            format!("`{name}` has no version"),
            "",
            format!("write `{name}: VERSION`"),
        ));
    }
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Wrong::new(
            "kbz::versions::no-version",
            format!("the version of `{name}` is more than one word"),
            "",
            "a version has no spaces",
        ));
    }
    Ok(())
}

/// Refuses what another YAML reader takes for something else and prints differently.
fn read_alike(name: &str, value: &str) -> Result<(), Wrong> {
    let Some(read_as) = misread(value) else {
        return Ok(());
    };
    Err(Wrong::new(
        "kbz::versions::misread",
        format!("`{name}: {value}` is no text in YAML"),
        &format!("read as {read_as}"),
        format!("quote it: `{name}: \"{value}\"`"),
    ))
}

fn misread(value: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = value.trim_start_matches(['+', '-']);
    if let Some((whole, fraction)) = unsigned.split_once('.')
        && digits(whole)
        && digits(fraction)
    {
        let number = unsigned.parse::<f64>().ok()?.to_string();
        return (number != value).then(|| format!("the number {number}"));
    }
    let parts: Vec<_> = value.split('-').collect();
    if let [year, month, day] = parts[..]
        && [year, month, day].into_iter().all(digits)
        && (year.len(), month.len(), day.len()) == (4, 2, 2)
    {
        return Some("a date".to_owned());
    }
    let clock: Vec<_> = value.split(':').collect();
    if clock.len() > 1 && clock.into_iter().all(digits) {
        return Some("a number of seconds".to_owned());
    }
    let is_radix = ["0x", "0o", "0b"]
        .iter()
        .any(|radix| unsigned.starts_with(radix));
    let is_octal = digits(unsigned) && unsigned.len() > 1 && unsigned.starts_with('0');
    let starts_as_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let is_float =
        starts_as_number && unsigned.contains(['e', 'E']) && unsigned.parse::<f64>().is_ok();
    let spaced = unsigned.replace('_', "");
    let is_spaced = spaced != unsigned && digits(&spaced);
    (is_radix || is_octal || is_float || is_spaced).then(|| "a number".to_owned())
}

/// Parts a reference; the repository ends at the last colon behind the last slash.
fn reference(name: &str, value: &str) -> Result<Reference, Wrong> {
    let (rest, digest) = match value.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (value, None),
    };
    if let Some(digest) = digest
        && !is_digest(digest)
    {
        return Err(Wrong::new(
            "kbz::versions::digest",
            format!("`{name}` has no valid digest"),
            "",
            "a digest is `sha256:` and 64 hexadecimal digits",
        ));
    }
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    let (repository, tag) = match rest[last..].rfind(':') {
        Some(at) => (Some(&rest[..last + at]), &rest[last + at + 1..]),
        None if last > 0 || rest.is_empty() => (Some(rest), ""),
        None => (None, rest),
    };
    if tag.is_empty() || repository.is_some_and(str::is_empty) {
        return Err(Wrong::new(
            "kbz::versions::no-tag",
            format!("`{name}` names an image without a tag"),
            "without a tag it is `latest`",
            format!("write `{name}: {}:VERSION`", repository.unwrap_or(name)),
        ));
    }
    Ok(Reference {
        repository: repository.map(str::to_owned),
        tag: tag.to_owned(),
        digest: digest.map(str::to_owned),
    })
}

fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:");
    hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn no_range(name: &str, tag: &str) -> Result<(), Wrong> {
    let is_open = |part: &str| matches!(part, "x" | "X" | "*");
    if !tag.contains(['^', '~', '<', '>', '=', '*', ',', '|', '!']) && !tag.split('.').any(is_open)
    {
        return Ok(());
    }
    Err(Wrong::new(
        "kbz::versions::range",
        format!("`{name}` is pinned to a range, `{tag}`"),
        "another version tomorrow",
        "write the one version that is to run",
    ))
}

/// The numbers that a version starts with, and what follows them.
fn numbers(tag: &str) -> (Vec<&str>, &str) {
    let bare = match tag.strip_prefix('v') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => tag,
    };
    let end = bare
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(bare.len());
    let numbers = bare[..end]
        .split('.')
        .filter(|part| !part.is_empty())
        .collect();
    (numbers, &bare[end..])
}

/// Whether a date stands in the tag: 20251103, 2024-10-02.
fn is_dated(tag: &str) -> bool {
    let undashed = tag.replace('-', "");
    let runs = undashed.split(|c: char| !c.is_ascii_digit());
    runs.into_iter().any(|run| run.len() >= 8)
}

fn no_moving_tag(name: &str, tag: &str) -> Result<(), Wrong> {
    let (numbers, _) = numbers(tag);
    let needed = if TWO_NUMBERS.contains(&name) { 2 } else { 3 };
    if numbers.len() >= needed || is_dated(tag) {
        return Ok(());
    }
    let label = match numbers.len() {
        0 => "a name that moves to each new version".to_owned(),
        _ => format!("moves to each new {}.x", numbers.join(".")),
    };
    let example = match (name, needed) {
        (POSTGRES, _) => "16.4".to_owned(),
        _ if numbers.is_empty() => "1.2.3".to_owned(),
        (_, needed) => {
            let known = numbers.iter().map(|number| (*number).to_owned());
            let full: Vec<_> = known
                .chain(std::iter::repeat("N".to_owned()))
                .take(needed)
                .collect();
            full.join(".")
        }
    };
    Err(Wrong::new(
        "kbz::versions::floating",
        format!("`{name}` is pinned to `{tag}`, which moves"),
        &label,
        format!("write the complete version, such as {example}"),
    ))
}

fn new_enough(name: &str, tag: &str) -> Result<(), Wrong> {
    let Some((_, oldest, why)) = OLDEST.iter().find(|(known, ..)| *known == name) else {
        return Ok(());
    };
    let (given, _) = numbers(tag);
    let given: Vec<u32> = given
        .iter()
        .map_while(|number| number.parse().ok())
        .collect();
    if given.as_slice() >= oldest.as_slice() {
        return Ok(());
    }
    let oldest = oldest.map(|number| number.to_string()).join(".");
    Err(Wrong::new(
        "kbz::versions::too-old",
        format!("`{name}` {tag} is too old"),
        why,
        format!("pin {oldest} or later"),
    ))
}

fn postgres(tag: &str) -> Result<PostgresVersion, Wrong> {
    let (given, suffix) = numbers(tag);
    let wrong = |label: &str, help: &str| {
        Wrong::new(
            "kbz::versions::postgres",
            format!("PostgreSQL {tag} cannot be run"),
            label,
            help,
        )
    };
    if suffix.contains("alpine") {
        return Err(wrong(
            "Alpine has no apt, and sorts text differently from Debian",
            "pin the same version without the suffix: the image is built on Debian",
        ));
    }
    let is_form = suffix.is_empty() || suffix.starts_with('-');
    let [major, minor] = given[..] else {
        return Err(wrong(
            "two numbers make a version of PostgreSQL",
            "write one such as 16.4",
        ));
    };
    match (major.parse::<u16>(), minor.parse::<u16>()) {
        (Ok(major), Ok(minor)) if is_form && POSTGRES_MAJORS.contains(&major) => {
            Ok(PostgresVersion { major, minor })
        }
        (Ok(_), Ok(_)) if is_form => Err(wrong(
            "this library is tested with 16 and 17",
            "pin a version of 16 or 17",
        )),
        _ => Err(wrong("no released version", "write one such as 16.4")),
    }
}
