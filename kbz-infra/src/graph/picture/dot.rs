//! DOT, as Graphviz reads it.

use std::fmt::Write as _;

use super::outline::{Cluster, arrows, outline, pieces, title};
use crate::graph::Graph;
use crate::ident::{HostName, Urn};

/// The graph in DOT.
pub fn dot(graph: &Graph) -> String {
    let mut text = format!(
        "digraph {} {{\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\", \
         fontsize=10];\n  graph [fontname=\"sans-serif\", fontsize=11, style=rounded];\n",
        quoted(graph.stack().as_str())
    );
    write_parts(&mut text, &outline(graph), None, 1);
    for (from, next) in arrows(graph) {
        for to in next {
            let (from, to) = (quoted(&from.to_string()), quoted(&to.to_string()));
            let _ = writeln!(text, "  {from} -> {to};");
        }
    }
    text.push_str("}\n");
    text
}

fn write_parts(text: &mut String, cluster: &Cluster, around: Option<&HostName>, depth: usize) {
    let indent = "  ".repeat(depth);
    for (urn, inner) in &cluster.components {
        let name = quoted(&format!("cluster {urn}"));
        let _ = writeln!(text, "{indent}subgraph {name} {{");
        let _ = writeln!(text, "{indent}  label={};", quoted(&title(urn)));
        write_parts(text, inner, urn.host(), depth + 1);
        let _ = writeln!(text, "{indent}}}");
    }
    for urn in &cluster.resources {
        write_resource(text, urn, around, &indent);
    }
}

fn write_resource(text: &mut String, urn: &Urn, around: Option<&HostName>, indent: &str) {
    let (kind, name) = pieces(urn, around);
    let label = quoted(&format!("{kind}\n{name}"));
    let _ = writeln!(
        text,
        "{indent}{} [label={label}];",
        quoted(&urn.to_string())
    );
}

fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
