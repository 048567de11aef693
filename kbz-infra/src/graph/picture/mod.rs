//! Pictures of a graph: DOT and Mermaid, where components are clusters, and SVG, where each
//! outermost component is one box that lists its parts, and those that are alike share a box.
//!
//! An arrow leads from what is done first to what waits for it. Only arrows that tell something
//! are drawn: one that follows from others is left out (transitive reduction).
//!
//! Limits: the SVG is an overview, laid out by layers; for every single resource there are the
//! other two.

mod canvas;
mod dot;
mod mermaid;
mod outline;
mod reduce;
mod svg;
#[cfg(test)]
mod tests;

pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::svg;
