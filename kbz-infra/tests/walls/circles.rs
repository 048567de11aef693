//! No circle leads through the files either.
//!
//! A file depends on another when it names something that lives there. A name that a `mod.rs`
//! only passes on (`pub use`) is followed to the file that it comes from.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::sources::{Source, code, sources};

/// A path as it is written, cut at `::`.
type Names = Vec<String>;

/// What the files are, and what each passes on.
struct House {
    files: BTreeSet<Names>,
    /// For a module and a name in it, the path that it stands for.
    passed_on: BTreeMap<(Names, String), Names>,
}

impl House {
    fn of(sources: &[Source]) -> Self {
        let files = sources
            .iter()
            .map(|source| source.modules.clone())
            .collect();
        let mut house = Self {
            files,
            passed_on: BTreeMap::new(),
        };
        for source in sources {
            for path in uses(&source.text) {
                let Some(name) = path.last() else { continue };
                if let Some(target) = house.absolute(source, &path)
                    && target.len() > 1
                {
                    let key = (source.modules.clone(), name.clone());
                    house.passed_on.insert(key, target);
                }
            }
        }
        house
    }

    /// A path from the crate's root; `None` for one that leaves the crate.
    fn absolute(&self, source: &Source, path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let base: &[String] = match first.as_str() {
            "crate" => &[],
            "self" => &source.modules,
            "super" => {
                let up = path.iter().take_while(|name| *name == "super").count();
                let base = &source.modules[..source.modules.len().checked_sub(up)?];
                return Some(base.iter().chain(&path[up..]).cloned().collect());
            }
            child => {
                let mut module = source.modules.clone();
                module.push(child.to_owned());
                if !self.files.contains(&module) {
                    return None;
                }
                return Some(module.into_iter().chain(rest.iter().cloned()).collect());
            }
        };
        Some(base.iter().chain(rest).cloned().collect())
    }

    /// The file in which what a path names lives.
    fn home(&self, path: &[String]) -> Option<Names> {
        let mut path = path.to_vec();
        // Each step leads to another module; a chain of them is short.
        for _ in 0..8 {
            let depth = (1..=path.len())
                .rev()
                .find(|depth| self.files.contains(&path[..*depth]))?;
            let (file, rest) = path.split_at(depth);
            let Some(name) = rest.first() else {
                return Some(file.to_vec());
            };
            match self.passed_on.get(&(file.to_vec(), name.clone())) {
                Some(further) if *further != path => {
                    path = further.iter().chain(&rest[1..]).cloned().collect();
                }
                _ => return Some(file.to_vec()),
            }
        }
        None
    }

    /// The files that a source depends on, without those that it only passes on or opens.
    fn known(&self, source: &Source) -> BTreeSet<Names> {
        let inside = |home: &Names| *home != source.modules;
        paths(&source.text)
            .iter()
            .filter_map(|path| self.home(&self.absolute(source, path)?))
            .filter(inside)
            .collect()
    }
}

/// Every path that begins at the crate's root or in a module above, groups taken apart.
fn paths(text: &str) -> Vec<Names> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = &text[..at];
            let within = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            // `pub(in crate::host)` names who may see, not what is used.
            if !before.ends_with(within) && !before.ends_with("(in ") {
                found.extend(spread(&text[at..]));
            }
        }
    }
    found.extend(uses(text));
    found
}

/// The paths of all `use` declarations.
fn uses(text: &str) -> Vec<Names> {
    let mut found = Vec::new();
    for (at, word) in text.match_indices("use ") {
        let line = text[..at].rsplit('\n').next().unwrap_or_default().trim();
        if line.is_empty() || line == "pub" || (line.starts_with("pub(") && line.ends_with(')')) {
            found.extend(spread(&text[at + word.len()..]));
        }
    }
    found
}

/// The paths that one written path stands for: `a::{b, c::d}` are two.
fn spread(text: &str) -> Vec<Names> {
    let mut names = Names::new();
    let mut rest = text.trim_start();
    loop {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        if !name.is_empty() {
            names.push(name.to_owned());
        }
        let Some(further) = after.strip_prefix("::") else {
            return vec![names];
        };
        if let Some(group) = further.strip_prefix('{') {
            let inner = parts(group).into_iter().flat_map(spread);
            return inner
                .map(|path| {
                    // `a::{self}` is `a` itself.
                    let own = path.iter().filter(|name| *name != "self");
                    names.iter().chain(own).cloned().collect()
                })
                .collect();
        }
        rest = further;
    }
}

/// The parts of a group, up to its closing brace.
fn parts(group: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut begin) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[begin..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The circles among files: those that lead back to where they began.
fn circles(sources: &[Source]) -> Vec<String> {
    let house = House::of(sources);
    let named: Vec<(String, BTreeSet<String>)> = sources
        .iter()
        .map(|source| {
            let known = house.known(source);
            (
                source.modules.join("::"),
                known.iter().map(|home| home.join("::")).collect(),
            )
        })
        .collect();
    let mut graph = DiGraphMap::<&str, ()>::new();
    for (file, known) in &named {
        graph.add_node(file);
        for other in known {
            graph.add_edge(file, other, ());
        }
    }
    let knots = tarjan_scc(&graph).into_iter();
    knots
        .filter(|knot| knot.len() > 1)
        .map(|mut knot| {
            knot.sort_unstable();
            knot.join(", ")
        })
        .collect()
}

#[test]
fn no_circle_leads_through_the_files() {
    let found = circles(&sources());
    assert!(found.is_empty(), "circles of files:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_seen_through_what_a_module_passes_on() {
    let source = |modules: &[&str], text: &str| Source {
        path: String::new(),
        modules: modules.iter().map(ToString::to_string).collect(),
        text: code(text),
    };
    let house = |leaf: &str| {
        [
            source(
                &["a"],
                "mod x;\nmod y;\npub use x::X;\npub use y::{Y, Z as W};",
            ),
            source(&["a", "x"], "use crate::b::B;\npub struct X;"),
            source(&["a", "y"], leaf),
            source(&["b"], "use super::a::Y;\nfn f() { crate::c::g() }"),
            source(&["c"], ""),
        ]
    };
    assert_eq!(circles(&house("")), Vec::<String>::new());
    assert_eq!(circles(&house("use super::X;")), ["a::x, a::y, b"]);
    assert_eq!(circles(&house("use super::x::{X};")), ["a::x, a::y, b"]);
}
