//! Fields that options name: one that no field has would switch its option off without a word.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Finding, did_you_mean, listed};
use crate::graph::Node;
use crate::ident::{Place, Urn};
use crate::resource::{FieldNames, Resource};

/// Where a field is named, and how.
type Named<'a> = (&'a Place, &'a str);

/// What options name and nothing has. What is said of a component is said of all its parts, which
/// stand where it does: one of them has to have the field. A part that lets anything be named may
/// have it.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ident::HostName;
    use crate::primitive::{PatroniConfig, SwapOff};
    use crate::probe::{PatroniAccess, RaftAccess};
    use crate::secret::SecretRef;

    fn config() -> PatroniConfig {
        let access = PatroniAccess {
            scope: "shop-pg".to_owned(),
            members: Vec::new(),
            port: 8008,
            user: "patroni".to_owned(),
            password: SecretRef::new("REST"),
            raft: RaftAccess {
                addresses: Vec::new(),
                port: 7000,
                password: SecretRef::new("RAFT"),
            },
        };
        PatroniConfig::of(&access, json!({"ttl": 20}))
    }

    #[test]
    fn a_key_that_patroni_does_not_know_is_refused() {
        let help = |field| of(&config(), field);
        for known in ["ttl", "postgresql.parameters.work_mem", "postgresql"] {
            assert_eq!(help(known), None);
        }
        assert_eq!(help("ttll").as_deref(), Some("did you mean `ttl`?"));
        assert_eq!(
            help("postgres.parameters.work_mem").as_deref(),
            Some("did you mean `postgresql.parameters.work_mem`?")
        );
    }

    #[test]
    fn what_is_put_right_whatever_is_ignored_cannot_be_named() {
        let swap = SwapOff::on(&HostName::new("app-1").unwrap());
        assert_eq!(
            of(&swap, "in use").as_deref(),
            Some("take it out: no field of it can be named")
        );
    }

    #[test]
    fn every_key_that_is_written_can_be_named() {
        use crate::component::patroni::dcs_config::DcsConfig;
        use crate::component::patroni::parameters::Cluster;

        let names = config().field_names().unwrap();
        let written = DcsConfig::new(Cluster::new(17, 3).parameters()).to_value();
        let keys = written.as_object().unwrap().keys();
        let unknown: Vec<&String> = keys.filter(|key| !names.has(key)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
