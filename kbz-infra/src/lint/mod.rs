//! Independent checks: of what a program declares, before any host is contacted, and of a plan,
//! before any effect runs.
//!
//! [`lint`] reads the claims of a graph ([`Claim`]) and nothing else: it
//! knows no kinds, no hosts and no readings, so that a kind written elsewhere is judged like the
//! ones of this crate. One module per family of mistakes; each finding has a code, labels at the
//! declarations, and a cure, and all findings are made at once. Declarations that share a source
//! line, such as those of one `add_each`, share a finding.
//!
//! [`plan`] proves of a finished plan that no schedule it allows disturbs two members of a group
//! together. It shares no code with the planner, so that it can catch the planner's mistakes.
//!
//! Limits: what no claim says is not seen. A secret's value is never known here, so clear text is
//! recognised by the names that stand before it.

mod address;
mod balance;
mod check;
mod circle;
mod container;
mod data;
mod endpoint;
mod exposure;
mod facts;
mod firewall;
mod image;
mod label;
mod port;
mod proxy;
mod records;
mod role;
mod schedule;
mod secret;
#[cfg(test)]
mod tests;
mod voters;

#[cfg(test)]
pub(crate) use schedule::testkit;
pub use schedule::{plan, plan_observed};

use crate::diag::{Finding, Report};
use crate::graph::Graph;
use crate::ident::{Place, Urn};
use crate::resource::Claim;
use facts::Facts;

/// A family of checks.
type Family = fn(&Facts) -> Vec<Finding>;

/// Every family.
const FAMILIES: [Family; 15] = [
    circle::check,
    port::check,
    address::check,
    balance::check,
    check::check,
    proxy::check,
    endpoint::check,
    exposure::check,
    firewall::check,
    secret::check,
    role::check,
    data::check,
    container::check,
    voters::check,
    image::check,
];

/// Everything that is wrong with what a program declares, in the order of the source.
pub fn lint(graph: &Graph) -> Report {
    claims(graph.claims())
}

/// The same of claims, each with who states it and where: also those of a program whose
/// declarations are no graph.
pub fn claims(claims: Vec<(Urn, Place, Claim)>) -> Report {
    let facts = Facts::of(claims);
    let found = FAMILIES.iter().flat_map(|family| family(&facts));
    found.collect::<Report>().by_place()
}
