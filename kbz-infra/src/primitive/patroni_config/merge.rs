//! The smallest merge patch (RFC 7386) between a configuration that is there and a declared one.
//!
//! Only declared keys count, and keys that were declared once: what Patroni or a person added is
//! left alone. A leaf is everything but an object with keys; a declared null means that the key
//! must not be there. Keys are named by JSON pointers (RFC 6901), since names of parameters
//! hold dots.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// One key that differs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// The way to the key.
    pub(super) path: Vec<String>,
    /// What is there.
    pub(super) old: Option<Value>,
    /// What should be there.
    pub(super) new: Option<Value>,
}

impl Difference {
    /// The last part of the way to the key.
    pub(super) fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
}

/// Every key that differs: declared ones in their order, then those to take away.
pub(super) fn differences(
    found: &Value,
    goal: &Value,
    once_declared: &BTreeSet<String>,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let leaves = leaves(goal);
    for (path, wanted) in &leaves {
        let old = lookup(found, path);
        let new = Some(*wanted).filter(|wanted| !wanted.is_null());
        if !same(old, new) {
            differences.push(Difference {
                path: path.clone(),
                old: old.cloned(),
                new: new.cloned(),
            });
        }
    }
    let declared: BTreeSet<String> = leaves.iter().map(|(path, _)| pointer(path)).collect();
    for gone in once_declared.difference(&declared) {
        let path = parse(gone);
        let old = lookup(found, &path);
        if old.is_some() && !is_decided(&path, &leaves) {
            differences.push(Difference {
                old: old.cloned(),
                new: None,
                path,
            });
        }
    }
    differences
}

/// The pointers of all declared leaves that have a value.
pub(super) fn declared(goal: &Value) -> BTreeSet<String> {
    let leaves = leaves(goal).into_iter();
    let valued = leaves.filter(|(_, value)| !value.is_null());
    valued.map(|(path, _)| pointer(&path)).collect()
}

/// The patch that carries the differences.
pub(super) fn patch(differences: &[Difference]) -> Value {
    let mut patch = Value::Object(Map::new());
    for difference in differences {
        let value = difference.new.clone().unwrap_or(Value::Null);
        put(&mut patch, &difference.path, value);
    }
    patch
}

/// Sets the value at `path`, making objects on the way.
pub(super) fn put(target: &mut Value, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        *target = value;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(map) = target {
        put(map.entry(key).or_insert(Value::Null), rest, value);
    }
}

fn leaves(goal: &Value) -> Vec<(Vec<String>, &Value)> {
    let mut found = Vec::new();
    walk(goal, &mut Vec::new(), &mut found);
    found
}

fn walk<'a>(value: &'a Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, &'a Value)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                path.push(key.clone());
                walk(inner, path, found);
                path.pop();
            }
        }
        leaf => found.push((path.clone(), leaf)),
    }
}

/// Whether a declared leaf lies below `path`, so that taking that away would take the leaf too,
/// or above it, so that the leaf decides over it.
fn is_decided(path: &[String], leaves: &[(Vec<String>, &Value)]) -> bool {
    leaves
        .iter()
        .any(|(leaf, _)| leaf.starts_with(path) || path.starts_with(leaf))
}

fn lookup<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    let found = path.iter().try_fold(value, |value, key| value.get(key))?;
    (!found.is_null()).then_some(found)
}

/// Equal, as PostgreSQL and Patroni read them: `100` is `"100"`, and `true` is `"on"`.
fn same(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old == new || plain(old).is_some_and(|o| Some(o) == plain(new)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Bool(true) => Some("on".to_owned()),
        Value::Bool(false) => Some("off".to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if text == "true" => Some("on".to_owned()),
        Value::String(text) if text == "false" => Some("off".to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// RFC 6901.
fn pointer(path: &[String]) -> String {
    let escaped = path
        .iter()
        .map(|key| key.replace('~', "~0").replace('/', "~1"));
    escaped.fold(String::new(), |pointer, key| pointer + "/" + &key)
}

fn parse(pointer: &str) -> Vec<String> {
    let keys = pointer.split('/').skip(1);
    keys.map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// RFC 7386, section 2.
    fn apply(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        let map = target.as_object_mut().unwrap();
        for (key, value) in patch {
            if value.is_null() {
                map.remove(key);
            } else {
                apply(map.entry(key).or_insert(Value::Null), value);
            }
        }
    }

    #[track_caller]
    fn check(found: &Value, goal: &Value, once: &[&str], expected: &Value) {
        let once: BTreeSet<String> = once.iter().map(|&key| key.to_owned()).collect();
        let found_differences = differences(found, goal, &once);
        assert_eq!(patch(&found_differences), *expected);
        let mut after = found.clone();
        apply(&mut after, expected);
        assert_eq!(differences(&after, goal, &once), [], "{after}");
    }

    #[test]
    fn only_what_is_declared_counts() {
        let found = json!({"ttl": 30, "loop_wait": 10, "postgresql": {"use_slots": true}});
        check(&found, &json!({"ttl": 20}), &[], &json!({"ttl": 20}));
        check(&found, &json!({"ttl": 30}), &[], &json!({}));
        let nested = json!({"postgresql": {"parameters": {"a.b": "1"}}});
        check(&found, &nested, &[], &nested);
    }

    #[test]
    fn what_was_declared_once_is_taken_away() {
        let found = json!({"postgresql": {"parameters": {"work_mem": "4MB", "a": "1"}}});
        let goal = json!({"postgresql": {"parameters": {"a": "1"}}});
        let once = [
            "/postgresql/parameters/work_mem",
            "/postgresql/parameters/a",
            "/gone",
        ];
        let expected = json!({"postgresql": {"parameters": {"work_mem": null}}});
        check(&found, &goal, &once, &expected);
        check(
            &found,
            &json!({"postgresql": {"parameters": {"a": null}}}),
            &[],
            &json!({"postgresql": {"parameters": {"a": null}}}),
        );
    }

    #[test]
    fn spellings_of_one_value_are_one() {
        let found = json!({"a": "100", "b": "on", "c": true, "d": "5"});
        check(
            &found,
            &json!({"a": 100, "b": true, "c": "on", "d": 5}),
            &[],
            &json!({}),
        );
    }

    #[test]
    fn a_leaf_that_became_an_object_does_not_lose_it() {
        let found = json!({"slots": {"one": {"type": "physical"}}});
        let goal = json!({"slots": {"one": {"type": "physical"}}});
        check(&found, &goal, &["/slots"], &json!({}));
    }

    #[test]
    fn a_pointer_reads_back() {
        let path = vec!["a/b".to_owned(), "c~d".to_owned(), "e.f".to_owned()];
        assert_eq!(pointer(&path), "/a~1b/c~0d/e.f");
        assert_eq!(parse(&pointer(&path)), path);
    }

    fn config() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (0..3_u8).prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            "[a-c]".prop_map(Value::from),
            Just(json!(["x"])),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop::collection::btree_map("[a-c]", inner, 1..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        })
        .prop_filter("a configuration is an object", Value::is_object)
    }

    proptest! {
        #[test]
        fn after_the_patch_nothing_differs(found in config(), goal in config(), before in config()) {
            let once = declared(&before);
            let mut after = found.clone();
            apply(&mut after, &patch(&differences(&found, &goal, &once)));
            prop_assert_eq!(differences(&after, &goal, &once), []);
        }
    }
}
