//! One table of the file: each key is asked for once, with the type that it must have; what was
//! never asked for is a mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::input::Faults;
use crate::diag::{Finding, SourceLocation, SourceText, did_you_mean, listed};

/// Where relative paths start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bases<'a> {
    pub(super) folder: &'a Path,
    pub(super) home: Option<&'a Path>,
}

/// A table that is being read.
pub(super) struct Section<'a, 'f> {
    source: &'a SourceText<'a>,
    bases: Bases<'a>,
    table: &'a DeTable<'a>,
    /// The keys that lead here.
    path: String,
    place: SourceLocation,
    faults: &'f mut Faults,
    asked: BTreeSet<String>,
}

type Named<'a> = Vec<(String, SourceLocation, &'a DeTable<'a>)>;

impl<'a, 'f> Section<'a, 'f> {
    pub(super) fn root(
        source: &'a SourceText<'a>,
        bases: Bases<'a>,
        table: &'a DeTable<'a>,
        faults: &'f mut Faults,
    ) -> Self {
        let place = SourceLocation::new(source.name(), 1, 1, 1);
        Self::new(source, bases, table, String::new(), place, faults)
    }

    pub(super) fn new(
        source: &'a SourceText<'a>,
        bases: Bases<'a>,
        table: &'a DeTable<'a>,
        path: String,
        place: SourceLocation,
        faults: &'f mut Faults,
    ) -> Self {
        Self {
            source,
            bases,
            table,
            path,
            place,
            faults,
            asked: BTreeSet::new(),
        }
    }

    /// The place of the table's name.
    pub(super) fn place(&self) -> SourceLocation {
        self.place.clone()
    }

    /// Tells a mistake.
    pub(super) fn fault(
        &mut self,
        code: &'static str,
        message: String,
        place: SourceLocation,
        help: &str,
    ) {
        self.faults
            .push(Finding::error(code, message).label(place, "").help(help));
    }

    fn get(&mut self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.insert(key.to_owned());
        let mut entries = self.table.iter();
        entries
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value)
    }

    fn place_of(&self, value: &Spanned<DeValue<'_>>) -> SourceLocation {
        self.source.at_bytes(value.span())
    }

    fn wrong_type(&mut self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let place = self.place_of(value);
        let message = format!("`{key}` must be {wanted}");
        let help = format!("{} stands there now", with_article(value.get_ref()));
        self.fault("kbz::environment::type", message, place, &help);
    }

    pub(super) fn string(&mut self, key: &str) -> Option<(String, SourceLocation)> {
        let value = self.get(key)?;
        match value.get_ref().as_str() {
            Some("") => {
                let place = self.place_of(value);
                let message = format!("`{key}` is empty");
                self.fault(
                    "kbz::environment::empty",
                    message,
                    place,
                    "give a value, or remove it",
                );
                None
            }
            Some(text) => Some((text.to_owned(), self.place_of(value))),
            None => {
                self.wrong_type(key, value, "a text");
                None
            }
        }
    }

    pub(super) fn required_string(&mut self, key: &str) -> Option<String> {
        if self.get(key).is_none() {
            self.missing(key, "");
        }
        self.string(key).map(|(text, _)| text)
    }

    fn missing(&mut self, key: &str, form: &str) {
        let message = format!("[{}] has no `{key}`", self.path);
        let help = format!("add a line `{key} = …`{form}");
        let place = self.place();
        self.fault("kbz::environment::missing", message, place, &help);
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let (given, place) = self.string(key)?;
        let found = choices.iter().find(|(word, _)| *word == given);
        if found.is_none() {
            let words = || choices.iter().map(|(word, _)| *word);
            let help = match did_you_mean(&given, words()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it is one of {}", listed(words())),
            };
            let message = format!("`{key}` cannot be `{given}`");
            self.fault("kbz::environment::choice", message, place, &help);
        }
        found.map(|(_, choice)| *choice)
    }

    pub(super) fn required_choice<T: Copy>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        if self.get(key).is_none() {
            let words = listed(choices.iter().map(|(word, _)| *word));
            self.missing(key, &format!(": one of {words}"));
        }
        self.choice(key, choices)
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong_type(key, value, "true or false");
        }
        found
    }

    pub(super) fn port(&mut self, key: &str) -> Option<u16> {
        let value = self.get(key)?;
        let number = value.get_ref().as_integer();
        let number =
            number.and_then(|number| u16::from_str_radix(number.as_str(), number.radix()).ok());
        let port = number.filter(|port| *port != 0);
        if port.is_none() {
            self.wrong_type(key, value, "a number from 1 to 65535");
        }
        port
    }

    /// An amount of memory such as `6GiB`.
    pub(super) fn bytes(&mut self, key: &str) -> Option<u64> {
        let (text, place) = self.string(key)?;
        let found = bytes(&text);
        if found.is_none() {
            let message = format!("`{key}` is no amount of memory: `{text}`");
            self.fault(
                "kbz::environment::memory",
                message,
                place,
                "write one such as 6GiB or 512MiB",
            );
        }
        found
    }

    /// A length of time such as `200ms`.
    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let (text, place) = self.string(key)?;
        let parsed = text.parse::<jiff::SignedDuration>().ok();
        let found = parsed.and_then(|signed| Duration::try_from(signed).ok());
        if found.is_none() {
            let message = format!("`{key}` is no length of time: `{text}`");
            let help = "write one such as 200ms or 2s";
            self.fault("kbz::environment::duration", message, place, help);
        }
        found
    }

    /// A path, from where relative ones start.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let (text, place) = self.string(key)?;
        if text.contains("://") {
            let message = format!("`{key}` is the path of a file or folder");
            self.fault(
                "kbz::environment::path",
                message,
                place,
                "addresses are not supported here",
            );
            return None;
        }
        if text.starts_with("~/") && self.bases.home.is_none() {
            let message = format!("`{key}` starts from a home folder, and there is none");
            self.fault(
                "kbz::environment::path",
                message,
                place,
                "set HOME, or write the whole path",
            );
            return None;
        }
        Some(self.resolve(&text))
    }

    pub(super) fn resolve(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), self.bases.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.bases.folder.join(text),
        }
    }

    /// A table inside this one.
    pub(super) fn section(&mut self, key: &str) -> Option<Section<'a, '_>> {
        let value = self.get(key)?;
        let place = self.key_place(key);
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(key, value, "a table");
            return None;
        };
        let path = format!("{}.{key}", self.path);
        Some(Section::new(
            self.source,
            self.bases,
            table,
            path,
            place,
            self.faults,
        ))
    }

    /// The values of the table `key` as texts, by their names.
    pub(super) fn values(&mut self, key: &str) -> BTreeMap<String, String> {
        let Some(value) = self.get(key) else {
            return BTreeMap::new();
        };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(key, value, "a table");
            return BTreeMap::new();
        };
        let mut values = BTreeMap::new();
        for (name, value) in table {
            match plain(value.get_ref()) {
                Some(text) => drop(values.insert(name.get_ref().to_string(), text)),
                None => self.wrong_type(name.get_ref(), value, "a text, a number, true or false"),
            }
        }
        values
    }

    /// The tables inside the table `key`, by their names.
    pub(super) fn tables(&mut self, key: &str) -> Named<'a> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(key, value, "a table");
            return Vec::new();
        };
        let mut named = Vec::new();
        for (name, value) in table {
            match value.get_ref().as_table() {
                Some(inner) => {
                    let place = self.source.at_bytes(name.span());
                    named.push((name.get_ref().to_string(), place, inner));
                }
                None => self.wrong_type(name.get_ref(), value, "a table"),
            }
        }
        named
    }

    fn key_place(&self, key: &str) -> SourceLocation {
        let mut keys = self.table.iter().map(|(name, _)| name);
        let name = keys.find(|name| name.get_ref() == key);
        name.map_or(self.place(), |name| self.source.at_bytes(name.span()))
    }

    /// Refuses a key that means nothing here.
    pub(super) fn refuse(&mut self, key: &str, why: &str) {
        if self.get(key).is_some() {
            let message = format!("`{key}` counts for nothing in [{}]: {why}", self.path);
            let place = self.key_place(key);
            self.fault("kbz::environment::ignored", message, place, "remove it");
        }
    }

    /// Refuses every key that was never asked for.
    pub(super) fn finish(self) {
        for (name, _) in self.table {
            let key: &str = name.get_ref();
            if self.asked.contains(key) {
                continue;
            }
            let known = || self.asked.iter().map(String::as_str);
            let help = match did_you_mean(key, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the keys here are {}", listed(known())),
            };
            let place = self.source.at_bytes(name.span());
            let message = match self.path.as_str() {
                "" => format!("unknown key `{key}`"),
                path => format!("unknown key `{key}` in [{path}]"),
            };
            self.faults.push(
                Finding::error("kbz::environment::unknown-key", message)
                    .label(place, "")
                    .help(help),
            );
        }
    }
}

fn plain(value: &DeValue<'_>) -> Option<String> {
    let number = || value.as_integer().map(|number| number.as_str().to_owned());
    let flag = || value.as_bool().map(|flag| flag.to_string());
    value
        .as_str()
        .map(str::to_owned)
        .or_else(number)
        .or_else(flag)
}

fn with_article(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}

fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim_start() {
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0)
}
