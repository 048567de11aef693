//! Keeps the walls between the rooms of the library.
//!
//! Reads the sources of each room, without comments and tests, and compares what they name with
//! what the room may know. A name is a path through `crate::` or enough `super::` to leave the
//! room. Limits: what a macro of another crate expands to is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The rooms, and what each may know besides itself. Data flows down this list.
///
/// `resource`, `probe` and `effect` are one vocabulary: a record is read and written, a gate
/// reads. They may know each other; otherwise no two rooms do.
const ROOMS: &[(&str, &str)] = &[
    ("ident", ""),
    ("secret", "ident resource"),
    ("diag", "ident"),
    ("resource", "ident secret probe effect"),
    ("probe", "ident secret resource effect"),
    ("effect", "ident secret resource probe"),
    ("graph", "ident resource"),
    ("program", "ident secret diag resource graph"),
    ("primitive", "ident secret resource probe effect"),
    (
        "component",
        "ident secret diag resource probe effect program primitive",
    ),
    ("plan", "ident secret resource probe effect graph"),
    ("lint", "ident diag resource probe effect graph plan"),
    ("observe", "ident secret resource probe effect"),
    ("state", "ident secret resource probe effect plan"),
    ("exec", "ident secret resource probe effect plan state"),
    ("host", "ident secret diag resource probe effect"),
    ("sim", "ident secret resource probe effect"),
    // The command line puts everything together; nobody knows it.
    (
        "cli",
        "ident secret diag resource probe effect graph program primitive component plan lint \
         observe state exec host sim",
    ),
];

/// The vocabulary, whose rooms may know each other. `secret` names the text that holds its
/// placeholders.
const VOCABULARY: [&str; 4] = ["secret", "resource", "probe", "effect"];

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

struct Source {
    /// The path below `src`, such as `plan/order.rs`.
    path: String,
    /// The modules that lead to it, such as `plan`, `order`.
    modules: Vec<String>,
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        &self.modules[0]
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
        .iter()
        .filter_map(|path| source(&root, path))
        .collect()
}

/// A source, unless it is that of tests or of the crate's own root.
fn source(root: &Path, path: &PathBuf) -> Option<Source> {
    let below = path.strip_prefix(root).unwrap();
    let mut modules: Vec<String> = below
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    let test = |name: &String| {
        ["tests", "testing", "testkit"].contains(&name.as_str()) || name.ends_with("_tests")
    };
    if modules.iter().any(test) || modules == ["lib"] {
        return None;
    }
    if modules.last().is_some_and(|last| last == "mod") {
        modules.pop();
    }
    Some(Source {
        path: below.to_str().unwrap().to_owned(),
        modules,
        text: code(&std::fs::read_to_string(path).unwrap()),
    })
}

/// The lines of code of a source, without comments and without its tests.
fn code(text: &str) -> String {
    let mut lines = Vec::new();
    let mut source = text.lines().peekable();
    while let Some(line) = source.next() {
        let tests = source
            .peek()
            .is_some_and(|next| next.starts_with("mod tests {"));
        if line == "#[cfg(test)]" && tests {
            break;
        }
        if !line.trim_start().starts_with("//") {
            lines.push(line.split(" // ").next().unwrap_or(line));
        }
    }
    lines.join("\n")
}

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
            let vocabulary = VOCABULARY.contains(room) && VOCABULARY.contains(&known);
            assert!(
                vocabulary || above.contains(known),
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
