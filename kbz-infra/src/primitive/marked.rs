//! What bears the stack's mark where no registry notes it: roles and databases of a cluster, load
//! balancers of a project. An extension bears no mark, and goes with its database.
//!
//! A mark tells whose an object is, and not whether it was to stay when its declaration went. So
//! what is found by its mark alone is told, and never removed.

use std::collections::BTreeSet;

use super::hetzner_lb::{HetznerLb, LABEL_STACK};
use super::pg::{PgDatabase, PgRole, mark_of};
use crate::ident::{StackName, Urn};
use crate::probe::{Marked, MarkedReading, Probe, Query, Site};

/// Asks those of the sites that have no registry for all that bears the stack's mark.
pub fn marked<'a>(stack: &StackName, sites: impl IntoIterator<Item = &'a Site>) -> BTreeSet<Probe> {
    let mark = |site: &Site| match site {
        Site::Postgres(_) => Some(mark_of(stack.as_str())),
        Site::Hetzner => Some(format!("{LABEL_STACK}={stack}")),
        Site::Operator | Site::Host(_) | Site::Patroni(_) => None,
    };
    let asked = sites.into_iter().filter_map(|site| {
        let mark = mark(site)?;
        Some(Probe::at(site, Marked { mark }))
    });
    asked.collect()
}

/// The addresses of what was found by its mark.
pub fn addresses(found: &MarkedReading) -> impl Iterator<Item = Urn> + '_ {
    found.0.iter().filter_map(|object| match object {
        Query::Role(role) => Some(Urn::global(PgRole::KIND, &role.name)),
        Query::Database(database) => Some(Urn::global(PgDatabase::KIND, &database.name)),
        Query::LoadBalancer(balancer) => Some(Urn::global(HetznerLb::KIND, &balancer.name)),
        _ => None,
    })
}

/// How a person takes away what was found by its mark.
pub fn by_hand(urn: &Urn) -> String {
    let statement = |what: &str| format!("`DROP {what} \"{}\"`", urn.name().replace('"', "\"\""));
    match urn.kind().as_str() {
        PgRole::KIND => statement("ROLE"),
        PgDatabase::KIND => statement("DATABASE"),
        _ => "Hetzner's console".to_owned(),
    }
}
