//! What bears the stack's mark where no registry notes it.

use std::collections::BTreeSet;

use crate::diag::{Finding, Report};
use crate::graph::Graph;
use crate::ident::Urn;
use crate::primitive::{addresses, by_hand, marked};
use crate::probe::{Observation, Outage, Probe, Query, Reading, Seen, Site};
use crate::program::{Environment, EnvironmentKind};

/// What was found by its mark alone.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) found: BTreeSet<Urn>,
    /// Why the load balancers of the project are not among it.
    silent: Option<Outage>,
}

/// Asks for marks wherever the program declares something, and in the project whose API the
/// environment names.
pub(super) fn asked(graph: &Graph, environment: &Environment) -> BTreeSet<Probe> {
    let declared = graph.in_order();
    let probes = declared.flat_map(|(_, node)| node.resource.probes());
    let sites: BTreeSet<Site> = probes.map(|probe| probe.site).collect();
    // A lab and a model have a project of their own.
    let hosts = environment.kind == EnvironmentKind::Hosts;
    let project = !hosts || environment.hetzner.is_some();
    let project = project.then_some(&Site::Hetzner);
    marked(graph.stack(), sites.iter().chain(project))
}

impl Marks {
    /// Takes the answers to [`asked`] out of what was seen: nothing else is decided from them.
    pub(super) fn taken_from(seen: Observation) -> (Self, Observation) {
        let mut marks = Self::default();
        let mut rest = Observation::default();
        for (probe, seen) in seen {
            match (&probe.query, &seen) {
                (Query::Marked(_), Seen::Read(Reading::Marked(found))) => {
                    marks.found.extend(addresses(found));
                }
                // A cluster that is silent is told with what is declared to live in it.
                (Query::Marked(_), Seen::Unreachable(outage)) => {
                    if probe.site == Site::Hetzner {
                        marks.silent = Some(outage.clone());
                    }
                }
                _ => rest.extend([(probe, seen)]),
            }
        }
        (marks, rest)
    }

    /// The same without what is known.
    pub(super) fn unknown(self, found: BTreeSet<Urn>) -> Self {
        Self { found, ..self }
    }

    /// What is told of objects that neither the program nor anybody's memory knows.
    pub(super) fn findings(&self) -> Report {
        let told = self.found.iter().map(|urn| {
            let what =
                format!("{urn} bears the mark of this stack, and nobody knows what it is for");
            Finding::warning("kbz::state::unknown", what).help(format!(
                "nothing is done to it: declare it to keep it, or take it away by hand ({}); \
                 whether it was to stay is forgotten with the state",
                by_hand(urn)
            ))
        });
        let silent = self.silent.iter().map(|outage| {
            let what = format!("load balancers without a declaration would not be found: {outage}");
            Finding::warning("kbz::state::unknown", what).help("run `state rebuild` once it does")
        });
        told.chain(silent).collect()
    }
}
