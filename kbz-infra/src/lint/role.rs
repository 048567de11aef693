//! Work that is done as a role that may do everything.

use std::collections::BTreeMap;

use super::facts::{By, Facts};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::Place;

/// One finding for each declaration and superuser.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, &str), (&By, Vec<String>)> = BTreeMap::new();
    for (superuser, role) in &facts.superusers {
        let workers = facts.workers.iter().filter(|worker| worker.role == *role);
        let workers = workers.map(|worker| (&worker.by, worker.who.clone()));
        let exported = facts.exported.iter();
        let exported = exported.filter(|(_, _, text)| logs_in_as(text, role));
        let exported = exported.map(|(by, name, _)| (by, format!("whoever uses `{name}`")));
        for (by, who) in workers.chain(exported) {
            let entry = found.entry((&by.place, role));
            entry.or_insert((superuser, Vec::new())).1.push(who);
        }
    }
    found
        .into_iter()
        .map(|((place, role), (superuser, who))| finding(place, role, superuser, &who))
        .collect()
}

fn finding(place: &Place, role: &str, superuser: &By, who: &[String]) -> Finding {
    let finding = Finding::error(
        "kbz::role::superuser",
        format!("{} would be {role}, the superuser of the cluster", and(who)),
    );
    let labels = [
        (place, format!("works as {role}")),
        (&superuser.place, format!("{role} may do everything here")),
    ];
    labelled(finding, labels).help(
        "give it a role of its own: the application's owns its database and nothing else, and \
         diagnostics only read statistics",
    )
}

/// Whether a text has a URL with this user.
fn logs_in_as(text: &str, role: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let after = rest.strip_prefix(role);
        after.is_some_and(|after| after.starts_with(['@', ':']))
    })
}
