//! A resource described by its fields: what `#[derive(Resource)]` writes.

use std::fmt;

use super::Impact;
use super::change::Reason;
use crate::ident::{Digest, Urn};

/// A resource described by its fields.
///
/// Written by `#[derive(Resource)]`, or by hand. It gives a kind the parts of
/// [`Resource`](super::Resource) that follow from its fields alone: the address, and what
/// differs between what is and what is declared, with the reasons and the impact. What to read
/// and what to do is the kind's own.
///
/// ```
/// use kbz_infra::Resource;
/// use kbz_infra::ident::HostName;
/// use kbz_infra::resource::{Describe as _, Impact};
///
/// #[derive(Debug, Resource)]
/// #[resource(kind = "queue", host = "host", name = "name")]
/// struct Queue {
///     host: HostName,
///     name: String,
///     #[resource(impact = "reload")]
///     length: u32,
///     #[resource(replace)]
///     durable: bool,
///     #[resource(secret)]
///     password: String,
/// }
///
/// let host = HostName::new("queue-01")?;
/// let queue = |length, password: &str| Queue {
///     host: host.clone(),
///     name: "orders".to_owned(),
///     length,
///     durable: true,
///     password: password.to_owned(),
/// };
/// let (old, new) = (queue(10, "hunter2"), queue(20, "correct horse"));
/// assert_eq!(new.address().to_string(), "queue@queue-01:orders");
///
/// let difference = new.changes_from(&old.fields());
/// let reasons: Vec<String> = difference.reasons.iter().map(ToString::to_string).collect();
/// assert_eq!(reasons, ["length  10 → 20", "password  (secret) changes"]);
/// assert_eq!(difference.impact, Impact::Reload);
/// assert!(!difference.replace);
/// # Ok::<(), kbz_infra::ident::InvalidName>(())
/// ```
pub trait Describe {
    /// The kind, as it stands in addresses.
    const KIND: &'static str;

    /// The object's address.
    fn address(&self) -> Urn;

    /// The fields, in the order of their declaration.
    fn fields(&self) -> Vec<Field>;

    /// What differs from `old`: the same object's fields as they were found. A field that was
    /// not found is not compared.
    fn changes_from(&self, old: &[Field]) -> Difference {
        let mut difference = Difference::default();
        for field in self.fields() {
            let before = old.iter().find(|before| before.name == field.name);
            if let Some(before) = before.filter(|before| before.value != field.value) {
                difference.add(before, &field);
            }
        }
        difference
    }

    /// The digest of the whole goal, for the kind's own
    /// [`Planned::goal`](super::Planned::goal): keyed before it leaves the planner.
    fn goal_digest(&self) -> Digest {
        let address = self.address().to_string();
        let fields = self.fields();
        let parts = fields.iter().flat_map(|field| {
            let value = match &field.value {
                Value::Shown(text) => text.clone().into_bytes(),
                Value::Secret(digest) => digest.as_bytes().to_vec(),
            };
            [field.name.as_bytes().to_vec(), value]
        });
        Digest::of_parts([address.into_bytes()].into_iter().chain(parts))
    }
}

/// One field of a described resource.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    name: &'static str,
    value: Value,
    change: FieldChange,
}

/// The value of a field; a secret is only compared.
#[derive(Clone, PartialEq, Eq)]
enum Value {
    Shown(String),
    Secret(Digest),
}

/// What a change of a field does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldChange {
    /// The object is updated, which does this to the service.
    Update(Impact),
    /// The object is made anew.
    Replace,
}

impl Field {
    /// A field whose value may be shown.
    pub fn shown(name: &'static str, value: &dyn fmt::Display, change: FieldChange) -> Self {
        Self {
            name,
            value: Value::Shown(value.to_string()),
            change,
        }
    }

    /// A field whose value is never shown; only its digest is kept, in memory.
    pub fn secret(name: &'static str, value: &dyn fmt::Display, change: FieldChange) -> Self {
        Self {
            name,
            value: Value::Secret(Digest::of(value.to_string())),
            change,
        }
    }

    /// The field's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What a change of it does.
    pub fn change(&self) -> FieldChange {
        self.change
    }
}

/// The value as a person may see it.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Shown(text) => f.pad(text),
            Value::Secret(_) => f.pad("(secret)"),
        }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {self} ({:?})", self.name, self.change)
    }
}

/// What differs between an object as it is and as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a difference that nobody acts on stays"]
pub struct Difference {
    /// Why, each with old and new value, in the order of the fields.
    pub reasons: Vec<Reason>,
    /// The worst that one of them does to the service.
    pub impact: Impact,
    /// Whether the object must be made anew.
    pub replace: bool,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    fn add(&mut self, before: &Field, field: &Field) {
        let secret =
            matches!(field.value, Value::Secret(_)) || matches!(before.value, Value::Secret(_));
        self.reasons.push(if secret {
            Reason::SecretField {
                name: field.name.to_owned(),
            }
        } else {
            Reason::field(field.name, before, field)
        });
        let impact = match field.change {
            FieldChange::Update(impact) => impact,
            FieldChange::Replace => Impact::Recreate,
        };
        self.impact = self.impact.max(impact);
        self.replace |= field.change == FieldChange::Replace;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(Vec<Field>);

    impl Describe for Thing {
        const KIND: &'static str = "thing";

        fn address(&self) -> Urn {
            Urn::global(Self::KIND, "x")
        }

        fn fields(&self) -> Vec<Field> {
            self.0.clone()
        }
    }

    fn thing(size: u32, path: &str, password: &str) -> Thing {
        Thing(vec![
            Field::shown("size", &size, FieldChange::Update(Impact::Restart)),
            Field::shown("path", &path, FieldChange::Replace),
            Field::secret("password", &password, FieldChange::Update(Impact::None)),
        ])
    }

    #[test]
    fn the_same_fields_are_no_difference() {
        let difference = thing(1, "/a", "p").changes_from(&thing(1, "/a", "p").0);
        assert!(difference.is_empty());
    }

    #[test]
    fn the_worst_change_counts_and_one_replaces() {
        let old = thing(1, "/a", "p").0;
        let restarted = thing(2, "/a", "q").changes_from(&old);
        assert_eq!(
            (restarted.impact, restarted.replace),
            (Impact::Restart, false)
        );
        let replaced = thing(2, "/b", "p").changes_from(&old);
        assert_eq!(
            (replaced.impact, replaced.replace),
            (Impact::Recreate, true)
        );
    }

    #[test]
    fn no_value_of_a_secret_is_shown() {
        let (old, new) = (thing(1, "/a", "hunter2"), thing(1, "/a", "hunter3"));
        let shown = format!("{:?} {:?}", new.0, new.changes_from(&old.0));
        assert!(!shown.contains("hunter"), "{shown}");
        assert_ne!(old.goal_digest(), new.goal_digest());
    }

    #[test]
    fn what_was_not_found_is_not_compared() {
        let found = &thing(1, "/a", "p").0[..1];
        assert!(thing(1, "/other", "other").changes_from(found).is_empty());
    }
}
