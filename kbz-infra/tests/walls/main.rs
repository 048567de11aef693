//! Keeps the walls between the rooms of the library.
//!
//! Reads the sources of each room, without comments and tests, and compares what they name with
//! what the room may know. A name is a path through `crate::` or enough `super::` to leave the
//! room. Limits: what a macro of another crate expands to is not seen.

mod circles;
mod pages;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use sources::{Source, code, sources};

/// The rooms, and what each may know besides itself. Data flows down this list: a room knows
/// only rooms that stand above it.
const ROOMS: &[(&str, &str)] = &[
    ("ident", ""),
    ("secret", "ident"),
    ("diag", "ident"),
    ("model", "ident"),
    ("probe", "ident secret model"),
    ("effect", "ident secret model probe"),
    ("resource", "ident secret model probe effect"),
    ("graph", "ident resource"),
    ("program", "ident secret diag effect resource graph"),
    ("primitive", "ident secret model probe effect resource"),
    (
        "component",
        "ident secret diag model probe effect resource program primitive",
    ),
    ("plan", "ident secret probe effect resource graph"),
    ("lint", "ident diag model probe effect resource graph plan"),
    ("observe", "ident secret probe effect resource"),
    ("state", "ident secret model probe effect resource plan"),
    ("exec", "ident secret probe effect resource plan state"),
    ("host", "ident secret diag model probe effect"),
    ("sim", "ident secret model probe effect"),
    // The command line puts everything together; nobody knows it.
    (
        "cli",
        "ident secret diag model probe effect resource graph program primitive component plan \
         lint observe state exec host sim",
    ),
];

/// Words that only some rooms may use.
const DOORS: &[(&str, &[&str], &[&str])] = &[
    (
        "only `cli` prints",
        &["println!", "print!", "dbg!", "io::stdout", "io::stderr"],
        &["cli"],
    ),
    (
        "only `host` opens connections and runs programs",
        &[
            "russh::",
            "bollard::",
            "reqwest::",
            "tokio_postgres::",
            "TcpStream",
            "UnixStream",
            "TcpListener",
            "Command::new",
        ],
        &["host"],
    ),
    (
        "only `state` and the making of credentials write local files",
        &[
            "fs::write",
            "File::create",
            "OpenOptions",
            "DirBuilder",
            "fs::create_dir",
            "fs::remove_",
            "fs::rename",
            "fs::copy",
            "set_permissions",
        ],
        &["state", "program/credentials"],
    ),
    (
        "descriptions and decisions are no async code",
        &["async fn", "async move", ".await", "tokio::", "async_trait"],
        &["effect", "observe", "exec", "state", "host", "sim", "cli"],
    ),
    (
        "time is an argument of what decides",
        &[
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
        ],
        &["observe", "exec", "state", "host", "sim", "cli"],
    ),
    (
        "chance is an argument of what decides",
        &["rand::"],
        &["program/credentials", "state", "exec", "host", "cli"],
    ),
];

/// The rooms that a source names.
fn named(source: &Source) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in source.text.match_indices("crate::") {
        let foreign = source.text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !foreign {
            names.extend(heads(&source.text[at + "crate::".len()..]));
        }
    }
    for (at, _) in source.text.match_indices("super::") {
        let before = &source.text[..at];
        if before.ends_with("super::") {
            continue;
        }
        let mut rest = &source.text[at..];
        let mut up = 0;
        while let Some(further) = rest.strip_prefix("super::") {
            rest = further;
            up += 1;
        }
        if up >= source.modules.len() {
            names.extend(heads(rest));
        }
    }
    names.retain(|name| name != source.room());
    names
}

/// The first names of a path: one, or those of a group in braces.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let word = |c: &char| c.is_alphanumeric() || *c == '_';
        text.trim_start().chars().take_while(word).collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut heads = vec![name(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rooms = ROOMS.iter();
    rooms
        .map(|(room, may)| (*room, may.split_whitespace().collect()))
        .collect()
}

#[test]
fn each_room_knows_what_it_may_know() {
    let allowed = allowed();
    let mut broken = Vec::new();
    for source in sources() {
        let Some(may) = allowed.get(source.room()) else {
            broken.push(format!(
                "{}: the room `{}` is not in the table",
                source.path,
                source.room()
            ));
            continue;
        };
        for name in named(&source) {
            // What is no room is an item that the crate's root re-exports; there is none.
            if !may.contains(name.as_str()) {
                broken.push(format!(
                    "{}: `{}` must not know `{name}`",
                    source.path,
                    source.room()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "walls broken:\n{}", broken.join("\n"));
}

#[test]
fn no_circle_leads_through_the_rooms() {
    let mut above: BTreeSet<&str> = BTreeSet::new();
    for (room, may) in ROOMS {
        for known in may.split_whitespace() {
            assert!(
                above.contains(known),
                "`{room}` may know `{known}`, which does not stand above it"
            );
        }
        above.insert(room);
    }
}

#[test]
fn each_door_is_used_by_its_rooms_alone() {
    let mut broken = Vec::new();
    for source in sources() {
        for (rule, words, rooms) in DOORS {
            let inside = |room: &str| {
                source.path.starts_with(&format!("{room}/")) || source.path == format!("{room}.rs")
            };
            if rooms.iter().any(|room| inside(room)) {
                continue;
            }
            let used = words.iter().filter(|word| uses(&source.text, word));
            broken.extend(used.map(|word| format!("{}: `{word}`: {rule}", source.path)));
        }
    }
    assert!(broken.is_empty(), "doors broken:\n{}", broken.join("\n"));
}

/// Whether a text uses a word: not as the end of a longer one.
fn uses(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"'))
}

#[test]
fn names_are_read_as_the_compiler_reads_them() {
    let source = |modules: &[&str], text: &str| Source {
        path: String::new(),
        modules: modules.iter().map(ToString::to_string).collect(),
        text: code(text),
    };
    let check = |modules: &[&str], text: &str, wanted: &[&str]| {
        let names: Vec<String> = named(&source(modules, text)).into_iter().collect();
        assert_eq!(names, wanted, "{text}");
    };
    check(
        &["plan", "order"],
        "use crate::{graph::{A, B}, ident, effect::C};",
        &["effect", "graph", "ident"],
    );
    check(&["plan", "order"], "use super::super::host::X;", &["host"]);
    check(&["plan", "order"], "use super::planner::X;", &[]);
    check(&["plan"], "use super::host::X;", &["host"]);
    check(
        &["plan"],
        "// crate::host::X\nfn f() { crate::cli::g() }",
        &["cli"],
    );
    check(
        &["plan"],
        "f();\n#[cfg(test)]\nmod tests {\n    use crate::sim;\n}\n",
        &[],
    );
    check(&["plan"], "use other_crate::x;", &[]);
}
