//! Fields that options name: one that no field has would switch its option off without a word.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Finding, did_you_mean, listed};
use crate::graph::Node;
use crate::ident::{Place, Urn};
use crate::resource::{FieldNames, Resource};

/// Where a field is named, and how.
type Named<'a> = (&'a Place, &'a str);

/// What options name and nothing has. What is said of a component is said of all its parts, which
/// stand where it does: one of them has to have the field.
pub(super) fn unknown(resources: &[(Urn, Node)]) -> Vec<Finding> {
    let mut said: BTreeMap<Named<'_>, Vec<&(Urn, Node)>> = BTreeMap::new();
    for resource in resources {
        let (_, node) = resource;
        let options = &node.options;
        let fields: BTreeSet<&String> = options
            .ignore_changes
            .union(&options.replace_on_changes)
            .collect();
        for field in fields {
            let place = (&node.declared, field.as_str());
            said.entry(place).or_default().push(resource);
        }
    }
    let unknown = said.into_iter().filter_map(|((place, field), all)| {
        let names = all.iter().map(|(_, node)| node.resource.field_names());
        let names = names.collect::<Option<Vec<FieldNames>>>()?;
        (!names.iter().any(|names| names.has(field))).then(|| finding(place, field, &all, &names))
    });
    unknown.collect()
}

fn finding(place: &Place, field: &str, all: &[&(Urn, Node)], names: &[FieldNames]) -> Finding {
    let what = match all {
        [(urn, _)] => format!("`{urn}` has no field `{field}`"),
        many => format!("none of these {} objects has a field `{field}`", many.len()),
    };
    Finding::error("kbz::options::unknown-field", what)
        .label(place.into(), "an option names it here")
        .help(help(field, names))
}

/// What is wrong with a field that something of an object names, if there is no such field; and
/// what cures it.
pub(super) fn of(resource: &dyn Resource, field: &str) -> Option<String> {
    let names = resource.field_names()?;
    (!names.has(field)).then(|| help(field, &[names]))
}

fn help(field: &str, names: &[FieldNames]) -> String {
    if let Some(meant) = names.iter().find_map(|names| meant(field, *names)) {
        return format!("did you mean `{meant}`?");
    }
    let all: BTreeSet<&str> = names.iter().flat_map(|names| names.plain()).collect();
    if all.is_empty() {
        return "take it out: no field of it can be named".to_owned();
    }
    format!("there are {}", listed(all))
}

/// The name that may be meant by one that no field has.
fn meant(field: &str, names: FieldNames) -> Option<String> {
    if let Some(meant) = did_you_mean(field, names.plain()) {
        return Some(meant.to_owned());
    }
    let (group, entry) = field.split_once('.')?;
    did_you_mean(group, names.groups()).map(|group| format!("{group}.{entry}"))
}
