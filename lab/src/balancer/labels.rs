//! Labels and label selectors, as the API defines them.

use std::collections::BTreeMap;

/// Why a label is refused, if it is.
pub(super) fn fault(labels: &BTreeMap<String, String>) -> Option<String> {
    labels.iter().find_map(|(key, value)| {
        if !is_key(key) {
            return Some(format!("label key `{key}` is not valid"));
        }
        (!is_value(value)).then(|| format!("label value `{value}` is not valid"))
    })
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some(("hcloud", _)) => false,
        Some((prefix, name)) => {
            prefix.len() <= 253 && prefix.split('.').all(is_name) && is_name(name)
        }
    }
}

fn is_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

/// 1-63 characters, alphanumeric at both ends, with `-`, `_`, `.` between.
fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// One condition of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Has(String),
    HasNot(String),
    Is(String, String),
    IsNot(String, String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

/// A parsed selector: all terms must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector(Vec<Term>);

impl Selector {
    /// Parses `a`, `!a`, `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, joined by commas.
    pub(super) fn parse(text: &str) -> Option<Self> {
        split_outside_parentheses(text)
            .into_iter()
            .map(term)
            .collect::<Option<_>>()
            .map(Self)
    }

    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|term| match term {
            Term::Has(key) => labels.contains_key(key),
            Term::HasNot(key) => !labels.contains_key(key),
            Term::Is(key, value) => labels.get(key) == Some(value),
            Term::IsNot(key, value) => labels.get(key) != Some(value),
            Term::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Term::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
        })
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn term(text: &str) -> Option<Term> {
    let text = text.trim();
    if let Some((key, set)) = text.split_once(" notin ") {
        return Some(Term::NotIn(key_of(key)?, set_of(set)?));
    }
    if let Some((key, set)) = text.split_once(" in ") {
        return Some(Term::In(key_of(key)?, set_of(set)?));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Term::IsNot(key_of(key)?, value_of(value)?));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Term::Is(key_of(key)?, value_of(value)?));
    }
    match text.strip_prefix('!') {
        Some(key) => Some(Term::HasNot(key_of(key)?)),
        None => Some(Term::Has(key_of(text)?)),
    }
}

fn key_of(text: &str) -> Option<String> {
    let key = text.trim();
    is_key(key).then(|| key.to_owned())
}

fn value_of(text: &str) -> Option<String> {
    let value = text.trim();
    is_value(value).then(|| value.to_owned())
}

fn set_of(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    inner.split(',').map(value_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn selectors_select() {
        let have = labels(&[("env", "prod"), ("kbz.stack", "keybuzz")]);
        let check = |text: &str, expected: bool| {
            let selector = Selector::parse(text).unwrap();
            assert_eq!(selector.matches(&have), expected, "{text}");
        };
        check("env", true);
        check("!env", false);
        check("env=prod", true);
        check("env==test", false);
        check("env!=test,kbz.stack=keybuzz", true);
        check("env in (test, prod)", true);
        check("env notin (test,prod)", false);
        check("other notin (a,b)", true);
        assert_eq!(Selector::parse("env in test"), None);
        assert_eq!(Selector::parse("=x"), None);
    }

    #[test]
    fn labels_are_checked() {
        assert_eq!(
            fault(&labels(&[("kbz.stack", "keybuzz"), ("example.com/a", "")])),
            None
        );
        assert!(fault(&labels(&[("hcloud/x", "1")])).is_some());
        assert!(fault(&labels(&[("-a", "1")])).is_some());
        assert!(fault(&labels(&[("a", "b c")])).is_some());
    }
}
