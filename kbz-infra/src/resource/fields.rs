//! The names of fields, as a program says what is to be left alone.

/// What follows the name of a group of entries.
const ENTRIES: &str = ".*";

/// The fields of an object that can be left alone, by the names that a preview shows.
///
/// ```
/// use kbz_infra::resource::FieldNames;
///
/// let names = FieldNames(&["image", "env.*"]);
/// assert!(names.has("image") && names.has("env") && names.has("env.PGDATA"));
/// assert!(!names.has("imgae"));
/// assert!(names.plain().eq(["image", "env"]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldNames(
    /// The names; `env.*` stands for `env` and for each of its entries, such as `env.PGDATA`.
    pub &'static [&'static str],
);

impl FieldNames {
    /// Whether a field, or a group of them, has this name.
    pub fn has(self, name: &str) -> bool {
        self.0
            .iter()
            .any(|known| match known.strip_suffix(ENTRIES) {
                Some(group) => head(name) == group,
                None => *known == name,
            })
    }

    /// The names, those of groups without their entries.
    pub fn plain(self) -> impl Iterator<Item = &'static str> {
        let names = self.0.iter();
        names.map(|name| name.strip_suffix(ENTRIES).unwrap_or(name))
    }

    /// The names of groups that have entries.
    pub fn groups(self) -> impl Iterator<Item = &'static str> {
        let names = self.0.iter();
        names.filter_map(|name| name.strip_suffix(ENTRIES))
    }
}

/// The name of a field without that of its entry.
fn head(name: &str) -> &str {
    name.split_once('.').map_or(name, |(head, _)| head)
}
