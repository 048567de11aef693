//! SVG: one box for each outermost component, with its parts in it.

use std::collections::BTreeMap;

use layout::core::base::Orientation;
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;

use super::canvas::{Canvas, INSET, LINE};
use super::outline::{Cluster, outer_arrows, outline, pieces, title};
use crate::graph::Graph;
use crate::ident::{HostName, Kind, Urn};

/// More names of one kind than this are counted instead of listed.
const LISTED: usize = 4;
/// How wide a character of a title is, generously.
const TITLE_CHAR: f64 = 7.2;
/// How wide a character of a line is.
const LINE_CHAR: f64 = 6.7;

/// The graph as a drawing.
pub fn svg(graph: &Graph) -> String {
    let top = outline(graph);
    let mut drawing = VisualGraph::new(Orientation::LeftToRight);
    let mut handles = BTreeMap::new();
    for (urn, text) in boxes(&top) {
        let shape = ShapeKind::new_box(&text);
        let element = Element::create(
            shape,
            StyleAttr::simple(),
            Orientation::LeftToRight,
            size(&text),
        );
        handles.insert(urn, drawing.add_node(element));
    }
    for (from, next) in outer_arrows(graph, &top) {
        for to in next {
            drawing.add_edge(Arrow::simple(""), handles[&from], handles[&to]);
        }
    }
    let mut canvas = Canvas::new(graph.stack().as_str());
    if !handles.is_empty() {
        drawing.do_it(false, false, false, &mut canvas);
    }
    canvas.finish()
}

/// The size of a box, with room around its text.
fn size(text: &str) -> Point {
    let wide = |line: &str, each: f64| each * count(line.chars().count());
    let title = text
        .lines()
        .next()
        .map_or(0.0, |line| wide(line, TITLE_CHAR));
    let lines = text.lines().skip(1).map(|line| wide(line, LINE_CHAR));
    let width = lines.fold(title, f64::max);
    let height = LINE * count(text.lines().count());
    Point::new(width + 2.0 * INSET, height + INSET)
}

fn count(things: usize) -> f64 {
    f64::from(u16::try_from(things).unwrap_or(u16::MAX))
}

/// The boxes with their text; the first line is the title.
fn boxes(top: &Cluster) -> Vec<(&Urn, String)> {
    let components = top.components.iter();
    let components = components.filter(|(_, cluster)| !cluster.all_resources().is_empty());
    let alone = top.resources.iter().map(|urn| (urn, title(urn)));
    components
        .map(|(urn, cluster)| {
            let lines = [title(urn)].into_iter().chain(listed(urn, cluster));
            (urn, lines.collect::<Vec<_>>().join("\n"))
        })
        .chain(alone)
        .collect()
}

/// The parts of a component, one line each; many of one kind are counted.
fn listed(component: &Urn, cluster: &Cluster) -> Vec<String> {
    let resources = cluster.all_resources();
    let mut kinds: Vec<(&Kind, Vec<&Urn>)> = Vec::new();
    for urn in resources {
        match kinds.iter_mut().find(|(kind, _)| *kind == urn.kind()) {
            Some((_, urns)) => urns.push(urn),
            None => kinds.push((urn.kind(), vec![urn])),
        }
    }
    let lines = kinds.iter().flat_map(|(kind, urns)| {
        if urns.len() > LISTED {
            vec![format!("{} × {kind}", urns.len())]
        } else {
            urns.iter().map(|urn| line(urn, component.host())).collect()
        }
    });
    lines.collect()
}

fn line(urn: &Urn, around: Option<&HostName>) -> String {
    let (kind, name) = pieces(urn, around);
    format!("{kind} {name}")
}
