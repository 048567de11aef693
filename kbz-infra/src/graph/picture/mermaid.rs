//! Mermaid, as many sites draw it from Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::outline::{Cluster, arrows, outline, pieces, title};
use crate::graph::Graph;
use crate::ident::{HostName, Urn};

/// The graph as a Mermaid flowchart.
pub fn mermaid(graph: &Graph) -> String {
    let mut chart = Chart::default();
    chart.text.push_str("flowchart LR\n");
    chart.write_parts(&outline(graph), None, 1);
    for (from, next) in arrows(graph) {
        for to in next {
            let (from, to) = (&chart.ids[&from], &chart.ids[&to]);
            let _ = writeln!(chart.text, "  {from} --> {to}");
        }
    }
    chart.text
}

/// A chart in the making; addresses hold characters that Mermaid's ids must not.
#[derive(Default)]
struct Chart {
    text: String,
    ids: BTreeMap<Urn, String>,
    clusters: usize,
}

impl Chart {
    fn write_parts(&mut self, cluster: &Cluster, around: Option<&HostName>, depth: usize) {
        let indent = "  ".repeat(depth);
        for (urn, inner) in &cluster.components {
            self.clusters += 1;
            let (id, label) = (self.clusters, escaped(&title(urn)));
            let _ = writeln!(self.text, "{indent}subgraph c{id}[\"{label}\"]");
            self.write_parts(inner, urn.host(), depth + 1);
            let _ = writeln!(self.text, "{indent}end");
        }
        for urn in &cluster.resources {
            let id = format!("r{}", self.ids.len() + 1);
            let (kind, name) = pieces(urn, around);
            let label = format!("{}<br/>{}", escaped(&kind), escaped(&name));
            let _ = writeln!(self.text, "{indent}{id}[\"{label}\"]");
            self.ids.insert(urn.clone(), id);
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "#amp;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}
