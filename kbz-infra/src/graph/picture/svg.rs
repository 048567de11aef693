//! SVG: one box for each outermost component, with its parts in it; components that are alike on
//! several hosts share a box.

use std::collections::{BTreeMap, BTreeSet};

use layout::core::base::Orientation;
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;

use super::canvas::{Canvas, INSET, LINE};
use super::outline::{Cluster, outer_arrows, outline, pieces, title};
use super::reduce::{Arrows, reduced};
use crate::graph::Graph;
use crate::ident::{HostName, Kind, Urn};

/// More names of one kind than this are counted instead of listed.
const LISTED: usize = 4;
/// Longer lines lose their middle, so that the drawing fits on a page.
const WIDEST: usize = 40;
/// How many hosts stand on one line.
const HOSTS: usize = 2;
/// How wide a character of a title is, generously.
const TITLE_CHAR: f64 = 7.2;
/// How wide a character of a line is.
const LINE_CHAR: f64 = 6.7;

/// The graph as a drawing, from top to bottom: so it is as wide as a page.
pub fn svg(graph: &Graph) -> String {
    let top = outline(graph);
    let boxes = boxes(&top);
    let mut drawing = VisualGraph::new(Orientation::TopToBottom);
    let mut handles = BTreeMap::new();
    for (urns, text) in &boxes {
        let shape = ShapeKind::new_box(text);
        let look = StyleAttr::simple();
        let element = Element::create(shape, look, Orientation::TopToBottom, size(text));
        let handle = drawing.add_node(element);
        handles.extend(urns.iter().map(|urn| ((*urn).clone(), handle)));
    }
    for (from, to) in between_boxes(&boxes, &outer_arrows(graph, &top)) {
        drawing.add_edge(Arrow::simple(""), handles[&from], handles[&to]);
    }
    let mut canvas = Canvas::new(graph.stack().as_str());
    if !handles.is_empty() {
        drawing.do_it(false, false, false, &mut canvas);
    }
    canvas.finish()
}

/// The arrows between different boxes, each once, by the first address of a box.
fn between_boxes(boxes: &[Drawn<'_>], arrows: &Arrows<Urn>) -> BTreeSet<(Urn, Urn)> {
    let first: BTreeMap<&Urn, &Urn> = boxes
        .iter()
        .flat_map(|(urns, _)| urns.iter().map(|urn| (*urn, urns[0])))
        .collect();
    let mut folded: Arrows<Urn> = BTreeMap::new();
    for (from, next) in arrows {
        let others = next.iter().filter(|to| first[from] != first[to]);
        let others = others.map(|to| first[to].clone());
        folded
            .entry(first[from].clone())
            .or_default()
            .extend(others);
    }
    reduced(&folded)
        .into_iter()
        .flat_map(|(from, next)| next.into_iter().map(move |to| (from.clone(), to)))
        .collect()
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

/// A box: what it stands for, and its text, whose first line is the title.
type Drawn<'a> = (Vec<&'a Urn>, String);

/// The boxes. Components of one kind that have the same parts on several hosts share one; what
/// one of them has for all, such as the building of their image, is listed too.
fn boxes(top: &Cluster) -> Vec<Drawn<'_>> {
    let mut alike: Vec<(Vec<&Urn>, Vec<String>, Vec<String>)> = Vec::new();
    for (urn, cluster) in &top.components {
        let (own, shared): (Vec<&Urn>, Vec<&Urn>) = cluster
            .all_resources()
            .into_iter()
            .partition(|part| belongs(part, urn.host()));
        if own.is_empty() && shared.is_empty() {
            continue;
        }
        let (own, shared) = (listed(urn, &own), listed(urn, &shared));
        let same = |(urns, lines, _): &&mut (Vec<&Urn>, Vec<String>, Vec<String>)| {
            urn.host().is_some() && urns[0].kind() == urn.kind() && *lines == own
        };
        match alike.iter_mut().find(same) {
            Some((urns, _, all)) => {
                urns.push(urn);
                all.extend(shared);
            }
            None => alike.push((vec![urn], own, shared)),
        }
    }
    let alone = top.resources.iter().map(|urn| (vec![urn], title(urn)));
    alike
        .into_iter()
        .map(|(urns, own, shared)| {
            let lines = heading(&urns).into_iter().chain(shared).chain(own);
            let text = lines.collect::<Vec<_>>().join("\n");
            (urns, text)
        })
        .chain(alone)
        .collect()
}

/// Whether a part is the component's own: on its host, or named after it.
fn belongs(part: &Urn, host: Option<&HostName>) -> bool {
    host.is_none_or(|host| part.host().is_some() || part.name() == host.as_str())
}

/// The title of a box, and the hosts where there are several.
fn heading(urns: &[&Urn]) -> Vec<String> {
    if let [urn] = urns {
        return vec![title(urn)];
    }
    let mut lines = vec![format!("{} × {}", urns[0].kind(), urns.len())];
    let hosts: Vec<&str> = urns
        .iter()
        .filter_map(|urn| urn.host().map(HostName::as_str))
        .collect();
    lines.extend(hosts.chunks(HOSTS).map(|some| some.join(", ")));
    lines
}

/// The parts of a component, one line each; many of one kind are counted.
fn listed(component: &Urn, resources: &[&Urn]) -> Vec<String> {
    let mut kinds: Vec<(&Kind, Vec<&Urn>)> = Vec::new();
    for urn in resources.iter().copied() {
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
    match around {
        // It is named after its host, which the box names already.
        Some(host) if host.as_str() == name => kind,
        _ => shortened(&format!("{kind} {name}")),
    }
}

/// A long line without its middle: kinds are told by the start, names by the end.
fn shortened(line: &str) -> String {
    let length = line.chars().count();
    if length <= WIDEST {
        return line.to_owned();
    }
    let start: String = line.chars().take(WIDEST / 2 - 1).collect();
    let end: String = line.chars().skip(length - WIDEST / 2).collect();
    format!("{start}…{end}")
}
