//! Drift that was adopted: `overrides.toml`, beside `kbz.toml`.
//!
//! ```toml
//! [lab."sysctl@db-master-01:vm.swappiness"]
//! value = "60"
//! ```
//!
//! says that in the environment `lab` the field `value` of this object stays as it is, as long as
//! it is found to be `60`. `drift --adopt` writes the file as a whole; entries may be taken out by
//! hand. An entry of an object that the program does not declare is a mistake, and so is a field that
//! the object does not have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::InputErrors;
use super::fields;
use super::input::{Faults, name_of, read};
use crate::diag::{Finding, SourceLocation, SourceText};
use crate::graph::Graph;
use crate::ident::Urn;

/// What the file begins with.
const HEAD: &str = "\
# Drift that was adopted: these fields stay as they were found, as long as they are found so.
# Written by `drift --adopt`. Without its entry, a field is put right again.
";

/// Fields with the values that they keep.
type Fields = BTreeMap<String, String>;

/// Drift that was adopted, by environment and object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    all: BTreeMap<String, BTreeMap<Urn, Fields>>,
    places: BTreeMap<(String, Urn), SourceLocation>,
}

impl Overrides {
    /// The name of the file.
    pub const FILE: &'static str = "overrides.toml";

    /// Reads the file at `path`; where there is none, nothing was adopted.
    #[track_caller]
    pub fn load(path: &Path) -> Result<Self, InputErrors> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = read(path, "the file of overrides", SourceLocation::caller())?;
        Self::parse(name_of(path), &text)
    }

    /// Reads a text; `source` names it in findings.
    pub fn parse(source: impl Into<String>, text: &str) -> Result<Self, InputErrors> {
        let source = SourceText::new(source, text);
        let (table, errors) = DeTable::parse_recoverable(source.text());
        let mut reader = Reader {
            source: &source,
            faults: Faults::default(),
            read: Self::default(),
        };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let what = format!("{} is no TOML: {}", source.short_name(), error.message());
            reader.fault(
                what,
                span,
                "mend it, or remove the file: then all drift is seen",
            );
        }
        reader.environments(table.get_ref());
        let Reader { faults, read, .. } = reader;
        faults.unless_any(read)
    }

    /// What stays as it is found in an environment.
    pub fn of(&self, environment: &str) -> BTreeMap<Urn, Fields> {
        self.all.get(environment).cloned().unwrap_or_default()
    }

    /// Adds fields of an object, over what is said of them already.
    pub fn adopt(&mut self, environment: &str, urn: &Urn, fields: Fields) {
        let environment = self.all.entry(environment.to_owned()).or_default();
        environment.entry(urn.clone()).or_default().extend(fields);
    }

    /// A graph in which the objects of an environment keep what was adopted.
    pub fn applied(&self, environment: &str, graph: Graph) -> Result<Graph, InputErrors> {
        let adopted = self.of(environment);
        let mut faults = Faults::default();
        for (urn, kept) in &adopted {
            let Some(node) = graph.node(urn) else {
                continue;
            };
            for field in kept.keys() {
                let Some(help) = fields::of(&*node.resource, field) else {
                    continue;
                };
                let what = format!("`{urn}` has no field `{field}`");
                let finding = Finding::error("kbz::overrides::unknown-field", what).help(help);
                let place = self.places.get(&(environment.to_owned(), urn.clone()));
                faults.push(match place {
                    Some(place) => finding.label(place.clone(), "one of its fields here"),
                    None => finding,
                });
            }
        }
        for urn in adopted.keys().filter(|urn| graph.node(urn).is_none()) {
            let what = format!("`{urn}` is overridden, and not declared in `{environment}`");
            let place = self.places.get(&(environment.to_owned(), urn.clone()));
            let finding = Finding::error("kbz::overrides::unknown", what);
            let finding = finding.help("take its entry out; `graph` shows what is declared");
            faults.push(match place {
                Some(place) => finding.label(place.clone(), "nothing has this address"),
                None => finding,
            });
        }
        faults.unless_any(())?;
        Ok(graph.adopting(adopted))
    }

    /// The file as it is written.
    pub fn to_toml(&self) -> String {
        let mut text = HEAD.to_owned();
        for (environment, objects) in &self.all {
            for (urn, fields) in objects {
                let _ = write!(text, "\n[{}.{}]\n", quoted(environment), quoted(urn));
                for (name, value) in fields {
                    let _ = writeln!(text, "{} = {}", quoted(name), quoted(value));
                }
            }
        }
        text
    }
}

/// A text as a basic string of TOML, which every string of JSON is.
fn quoted(text: impl std::fmt::Display) -> String {
    serde_json::Value::from(text.to_string()).to_string()
}

/// Reads one file.
struct Reader<'a> {
    source: &'a SourceText<'a>,
    faults: Faults,
    read: Overrides,
}

impl Reader<'_> {
    fn fault(&mut self, what: String, span: std::ops::Range<usize>, help: &str) {
        let finding = Finding::error("kbz::overrides::format", what);
        let finding = finding.label(self.source.at_bytes(span), "here");
        self.faults.push(finding.help(help));
    }

    fn environments(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            if let Some(objects) = self.table(value, "an environment with its objects") {
                self.objects(name.get_ref(), objects);
            }
        }
    }

    fn objects(&mut self, environment: &str, objects: &DeTable<'_>) {
        for (name, value) in objects {
            let Some(fields) = self.table(value, "an object with its fields") else {
                continue;
            };
            match name.get_ref().parse::<Urn>() {
                Ok(urn) => {
                    let fields = self.fields(fields);
                    self.read.adopt(environment, &urn, fields);
                    let place = self.source.at_bytes(name.span());
                    self.read
                        .places
                        .insert((environment.to_owned(), urn), place);
                }
                Err(error) => {
                    self.fault(
                        error.to_string(),
                        name.span(),
                        "`state list` shows addresses",
                    );
                }
            }
        }
    }

    fn fields(&mut self, table: &DeTable<'_>) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in table {
            match value.get_ref().as_str() {
                Some(text) => drop(fields.insert(name.get_ref().to_string(), text.to_owned())),
                None => self.fault(
                    format!("the value of `{}` is no text", name.get_ref()),
                    value.span(),
                    "write it in quotes, as `drift` shows it",
                ),
            }
        }
        fields
    }

    fn table<'t>(
        &mut self,
        value: &'t Spanned<DeValue<'_>>,
        wanted: &str,
    ) -> Option<&'t DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.fault(
                format!("here {wanted} is expected"),
                value.span(),
                "read `drift --help`",
            );
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Report;
    use crate::graph::testkit::Program;

    const TEXT: &str = "[lab.\"file@h1:/conf\"]\nmode = \"0600\"\n";

    fn graph() -> Graph {
        Program::new("a b\n")
            .resource("a", "file@h1:/conf", None, &[], [])
            .graph()
    }

    fn wrong(text: &str) -> Vec<String> {
        let read = Overrides::parse("overrides.toml", text);
        let found = read.and_then(|read| read.applied("lab", graph()));
        let report = Report::from(found.unwrap_err());
        let findings = report.findings().iter();
        findings
            .map(|finding| format!("{} {}", finding.labels[0].location, finding.message))
            .collect()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut overrides = Overrides::parse("overrides.toml", TEXT).unwrap();
        let odd: Urn = "file@h1:/a \"b\"\n[c]".parse().unwrap();
        let fields = [("content".to_owned(), "x\\\"y\n= 1".to_owned())];
        overrides.adopt("production", &odd, fields.into());
        let again = Overrides::parse("overrides.toml", &overrides.to_toml()).unwrap();
        assert_eq!(again.all, overrides.all);
        assert_eq!(again.of("production")[&odd]["content"], "x\\\"y\n= 1");
        assert_eq!(again.of("elsewhere"), BTreeMap::new());
    }

    #[test]
    fn what_was_adopted_stands_in_the_options_of_its_object() {
        let overrides = Overrides::parse("overrides.toml", TEXT).unwrap();
        let urn: Urn = "file@h1:/conf".parse().unwrap();
        let adopted = |environment: &str| {
            let graph = overrides.applied(environment, graph()).unwrap();
            graph.node(&urn).unwrap().options.adopted.clone()
        };
        assert_eq!(adopted("lab")["mode"], "0600");
        assert_eq!(adopted("production"), Fields::new());
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        assert_eq!(
            wrong("[lab.\"file@h9:/conf\"]\nmode = \"0600\"\n"),
            ["overrides.toml:1:6 `file@h9:/conf` is overridden, and not declared in `lab`"]
        );
        let all =
            wrong("x = 1\n[lab]\ny = 2\n[lab.\"nothing\"]\n[lab.\"file@h1:/conf\"]\nmode = 6\n");
        assert_eq!(all.len(), 4, "{all:#?}");
        let torn = wrong("[lab.");
        assert!(torn[0].contains("is no TOML"), "{torn:?}");
    }
}
