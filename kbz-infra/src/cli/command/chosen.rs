//! Which objects a command is for, as it was typed.

use std::collections::BTreeMap;

use super::Call;
use crate::cli::args::Chosen;
use crate::cli::error::Failed;
use crate::cli::why;
use crate::diag::{Finding, Report};
use crate::effect::Record;
use crate::ident::Urn;
use crate::plan::{Pattern, Selection};

impl Call<'_> {
    /// The selection that was typed. Who is meant by no address is told before any host is asked.
    pub(super) fn selection(
        &self,
        chosen: &Chosen,
        remembered: &BTreeMap<Urn, Record>,
    ) -> Result<Selection, Failed> {
        let patterns = |texts: &[String]| texts.iter().map(Pattern::new).collect();
        let selection = Selection {
            targets: patterns(&chosen.target),
            excludes: patterns(&chosen.exclude),
            adopted: patterns(&chosen.adopt),
        };
        let graph = &self.session.graph;
        let unknown = selection.unknown(graph, remembered);
        if unknown.is_empty() {
            return Ok(selection);
        }
        let declared = graph.in_order().map(|(urn, _)| urn);
        let components = graph.components().map(|(urn, _)| urn);
        let known = declared.chain(components).chain(remembered.keys());
        let known: Vec<String> = known.map(ToString::to_string).collect();
        let report: Report = unknown
            .into_iter()
            .map(|pattern| finding(pattern, &known))
            .collect();
        Err(Failed(report))
    }
}

fn finding(pattern: &Pattern, known: &[String]) -> Finding {
    let text = pattern.to_string();
    let help = why::meant(text.trim_matches('*'), known).unwrap_or_else(|| {
        "an address reads KIND@HOST:NAME or KIND:NAME, `*` stands for any text; `graph` shows all"
            .to_owned()
    });
    let what = format!("nothing that is declared or remembered is called `{pattern}`");
    Finding::error("kbz::cli::target", what).help(help)
}
