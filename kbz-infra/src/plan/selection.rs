//! Which objects a plan is for: all of them, or those that addresses choose.
//!
//! A chosen object takes along what has to be done before it; one that is left out takes out
//! what would have to be done after it. So a plan for some objects never builds on one that
//! nobody looked after, and what it leaves out stays as it is, in the world and in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::memory::Memory;
use crate::effect::Record;
use crate::graph::Graph;
use crate::ident::Urn;

/// What a plan is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The world as declared.
    Up,
    /// Nothing of the stack left.
    Destroy,
}

/// An address, or many: `*` stands for any text.
///
/// ```
/// use kbz_infra::plan::Pattern;
///
/// let patroni = "container@db-slave-01:patroni".parse()?;
/// assert!(Pattern::new("container@db-slave-01:patroni").matches(&patroni));
/// assert!(Pattern::new("*@db-*:patroni").matches(&patroni));
/// assert!(!Pattern::new("container@db-slave-01").matches(&patroni));
/// # Ok::<(), kbz_infra::ident::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern; every text is one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The pattern of one address alone.
    pub fn of(urn: &Urn) -> Self {
        Self(urn.to_string())
    }

    /// Whether an address is meant.
    pub fn matches(&self, urn: &Urn) -> bool {
        self.holds(&urn.to_string())
    }

    fn holds(&self, text: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(last) = pieces.next_back() else {
            return text == first;
        };
        let inner = text.strip_prefix(first);
        let Some(mut inner) = inner.and_then(|rest| rest.strip_suffix(last)) else {
            return false;
        };
        for piece in pieces {
            let Some(at) = inner.find(piece) else {
                return false;
            };
            inner = &inner[at + piece.len()..];
        }
        true
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which objects a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// What is chosen, with what has to be done before it; none chooses everything.
    pub targets: Vec<Pattern>,
    /// What is left out, with what would have to be done after it.
    pub excludes: Vec<Pattern>,
    /// What may be taken over as it is found, though nobody remembers that it is this stack's.
    pub adopted: Vec<Pattern>,
}

impl Selection {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.excludes.is_empty()
    }

    /// The patterns that mean nothing that is declared or remembered: slips of the pen.
    pub fn unknown(&self, graph: &Graph, remembered: &BTreeMap<Urn, Record>) -> Vec<&Pattern> {
        let all = self.targets.iter().chain(&self.excludes);
        let all = all.chain(&self.adopted);
        all.filter(|pattern| {
            let known = graph.in_order().map(|(urn, _)| urn);
            let components = graph.components().map(|(urn, _)| urn);
            let mut known = known.chain(components).chain(remembered.keys());
            !known.any(|urn| pattern.matches(urn))
        })
        .collect()
    }

    /// Whether an object, as a part of what is named, may be taken over.
    pub(super) fn adopts(&self, graph: &Graph, urn: &Urn) -> bool {
        !self.adopted.is_empty() && is_meant(&self.adopted, graph, urn)
    }

    /// What is left out.
    pub(super) fn left_out(
        &self,
        request: Request,
        graph: &Graph,
        memory: &Memory<'_>,
    ) -> BTreeSet<Urn> {
        if self.is_everything() {
            return BTreeSet::new();
        }
        let order = Order::of(request, graph, memory);
        let meant = |patterns: &[Pattern]| -> BTreeSet<&Urn> {
            let all = order.all.iter().copied();
            all.filter(|urn| is_meant(patterns, graph, urn)).collect()
        };
        let chosen = match self.targets.as_slice() {
            [] => order.all.clone(),
            targets => closure(meant(targets), &order.before),
        };
        let out = closure(meant(&self.excludes), &order.after);
        let left = order.all.iter().copied();
        left.filter(|urn| !chosen.contains(urn) || out.contains(urn))
            .cloned()
            .collect()
    }
}

/// Whether patterns mean an object, or a component that it is part of.
pub fn is_meant(patterns: &[Pattern], graph: &Graph, urn: &Urn) -> bool {
    let means = |urn: &Urn| patterns.iter().any(|pattern| pattern.matches(urn));
    let mut above = graph.node(urn).and_then(|node| node.parent.as_ref());
    let mut found = means(urn);
    while let Some(component) = above.filter(|_| !found) {
        found = means(component);
        above = graph
            .component(component)
            .and_then(|node| node.parent.as_ref());
    }
    found
}

type Edges<'a> = BTreeMap<&'a Urn, Vec<&'a Urn>>;

/// Everything that a plan could be for, and what comes before what.
struct Order<'a> {
    all: BTreeSet<&'a Urn>,
    before: Edges<'a>,
    after: Edges<'a>,
}

impl<'a> Order<'a> {
    /// What is made comes after what it depends on; what goes, after all that were recorded to
    /// use it.
    fn of(request: Request, graph: &'a Graph, memory: &'a Memory<'_>) -> Self {
        let made = |urn: &Urn| request == Request::Up && graph.node(urn).is_some();
        let declared = graph.in_order().map(|(urn, _)| urn);
        let remembered = memory.urns();
        let mut order = Self {
            all: declared
                .filter(|urn| made(urn))
                .chain(remembered.iter().copied())
                .collect(),
            before: BTreeMap::new(),
            after: BTreeMap::new(),
        };
        for (urn, _) in graph.in_order().filter(|(urn, _)| made(urn)) {
            for used in graph.dependencies(urn) {
                order.waits(urn, used);
            }
        }
        for user in remembered {
            let used = memory.depends_on(graph, user).into_iter().flatten();
            for used in used.filter(|used| memory.knows(used) && !made(used)) {
                order.waits(used, user);
            }
        }
        order
    }

    fn waits(&mut self, later: &'a Urn, earlier: &'a Urn) {
        self.before.entry(later).or_default().push(earlier);
        self.after.entry(earlier).or_default().push(later);
    }
}

/// A set with all that is reached from it.
fn closure<'a>(mut reached: BTreeSet<&'a Urn>, edges: &Edges<'a>) -> BTreeSet<&'a Urn> {
    let mut next: Vec<&Urn> = reached.iter().copied().collect();
    while let Some(urn) = next.pop() {
        for further in edges.get(urn).into_iter().flatten() {
            if reached.insert(further) {
                next.push(further);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Line, Removal};
    use crate::graph::testkit::Program;
    use crate::probe::Observation;
    use crate::secret::Vault;

    const TEXT: &str = "image a b c\n";

    /// A service of two files on each of two hosts; the services share an image.
    fn graph() -> Graph {
        Program::new(TEXT)
            .component("a", "service@h1:a", None)
            .component("b", "service@h2:b", None)
            .resource("image", "image:base", None, &[], [])
            .resource("a", "file@h1:/conf", Some("service@h1:a"), &[], [])
            .resource(
                "a",
                "unit@h1:a",
                Some("service@h1:a"),
                &["file@h1:/conf", "image:base"],
                [],
            )
            .resource("b", "file@h2:/conf", Some("service@h2:b"), &[], [])
            .resource(
                "b",
                "unit@h2:b",
                Some("service@h2:b"),
                &["file@h2:/conf", "image:base"],
                [],
            )
            .resource("c", "check:all", None, &["unit@h1:a", "unit@h2:b"], [])
            .graph()
    }

    /// What is remembered: objects with what they depend on.
    fn remembered(objects: &[(&str, &[&str])]) -> BTreeMap<Urn, Record> {
        let parsed = |urn: &str| -> Urn { urn.parse().unwrap() };
        let goal = Vault::new().keyed(&crate::ident::Digest::of("goal"));
        let record = |(urn, used): &(&str, &[&str])| Record {
            urn: parsed(urn),
            goal: goal.clone(),
            removal: Removal::default().into(),
            depends_on: used.iter().map(|urn| parsed(urn)).collect(),
            protect: false,
            retain: false,
            line: Line::default(),
        };
        let records = objects.iter().map(record);
        records.map(|record| (record.urn.clone(), record)).collect()
    }

    /// What is done of all, for `targets` and without `excludes`.
    fn done(
        request: Request,
        remembered: &BTreeMap<Urn, Record>,
        targets: &[&str],
        excludes: &[&str],
    ) -> String {
        let graph = graph();
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(*text)).collect();
        let selection = Selection {
            targets: patterns(targets),
            excludes: patterns(excludes),
            adopted: Vec::new(),
        };
        let nothing = Observation::default();
        let memory = Memory::new(remembered, &nothing);
        let out = selection.left_out(request, &graph, &memory);
        let all = Order::of(request, &graph, &memory).all;
        let done = all.into_iter().filter(|urn| !out.contains(*urn));
        done.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    fn up(targets: &[&str], excludes: &[&str]) -> String {
        done(Request::Up, &BTreeMap::new(), targets, excludes)
    }

    #[test]
    fn a_target_takes_along_what_it_depends_on_and_nothing_else() {
        assert_eq!(
            up(&["unit@h1:a"], &[]),
            "file@h1:/conf image:base unit@h1:a"
        );
        assert_eq!(up(&["file@*"], &[]), "file@h1:/conf file@h2:/conf");
        assert_eq!(up(&["*"], &[]).split(' ').count(), 6);
    }

    #[test]
    fn a_component_stands_for_its_parts() {
        assert_eq!(
            up(&["service@h2:*"], &[]),
            "file@h2:/conf image:base unit@h2:b"
        );
        assert_eq!(
            up(&[], &["service@h2:b"]),
            "file@h1:/conf image:base unit@h1:a"
        );
    }

    #[test]
    fn what_is_left_out_takes_out_what_depends_on_it() {
        assert_eq!(
            up(&[], &["file@h1:/conf"]),
            "file@h2:/conf image:base unit@h2:b"
        );
        assert_eq!(up(&["unit@h1:a"], &["image:base"]), "file@h1:/conf");
        assert_eq!(up(&[], &["*"]), "");
    }

    #[test]
    fn what_goes_takes_its_users_along_and_stays_with_them() {
        let made = remembered(&[
            ("image:base", &[]),
            ("file@h1:/conf", &[]),
            ("unit@h1:a", &["file@h1:/conf", "image:base"]),
        ]);
        let destroyed =
            |targets: &[&str], excludes: &[&str]| done(Request::Destroy, &made, targets, excludes);
        assert_eq!(destroyed(&["unit@h1:a"], &[]), "unit@h1:a");
        assert_eq!(
            destroyed(&["file@h1:/conf"], &[]),
            "file@h1:/conf unit@h1:a"
        );
        assert_eq!(destroyed(&[], &["unit@h1:a"]), "");
        assert_eq!(destroyed(&[], &["file@h1:/conf"]), "image:base unit@h1:a");
    }

    #[test]
    fn what_is_no_longer_declared_is_chosen_by_its_address_and_waits_for_its_user() {
        let made = remembered(&[
            ("file@h1:/old", &[]),
            ("unit@h1:a", &["file@h1:/old", "image:base"]),
        ]);
        let done =
            |targets: &[&str], excludes: &[&str]| done(Request::Up, &made, targets, excludes);
        assert_eq!(
            done(&["file@h1:/old"], &[]),
            "file@h1:/conf file@h1:/old image:base unit@h1:a"
        );
        assert_eq!(
            done(&[], &["unit@h1:a"]),
            "file@h1:/conf file@h2:/conf image:base unit@h2:b"
        );
    }

    #[test]
    fn a_slip_of_the_pen_is_seen() {
        let selection = Selection {
            targets: vec![Pattern::new("unit@h1:a"), Pattern::new("unit@h1:x*")],
            excludes: vec![Pattern::new("service@h3:*"), Pattern::new("*:all")],
            adopted: vec![Pattern::new("unit@h9:a")],
        };
        let graph = graph();
        let unknown = selection.unknown(&graph, &BTreeMap::new());
        let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        assert_eq!(unknown, ["unit@h1:x*", "service@h3:*", "unit@h9:a"]);
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, matches) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("ab*ba", "aba", false),
            ("**", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).holds(text),
                matches,
                "{pattern} {text}"
            );
        }
    }
}
