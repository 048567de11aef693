//! The pins: `versions.yaml`, a flat map of names to exact versions.
//!
//! A pin must say which version runs, now and in a year: `latest`, ranges and tags that move
//! (`16`, `7.2-alpine`) are refused, and so is what another YAML reader would read differently
//! (`2.10` is the number 2.1). Three numbers make a version, two for projects that number so
//! (`postgres: 16.4`); a tag with a date is exact too. A value may be a whole image reference
//! (`registry/name:tag@sha256:…`); without one the name decides the repository.
//!
//! All mistakes are found when the file is read. A pin that the program never asks for is
//! reported by [`Versions::unused`].

mod pin;
mod rules;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::InputErrors;
use super::input::{Faults, name_of, read};
use crate::diag::{Finding, SourceLocation, SourceText, did_you_mean, listed};
pub use pin::{ImagePin, PostgresVersion, Version};

use pin::POSTGRES;
use rules::Reference;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pin {
    reference: Reference,
    postgres: Option<PostgresVersion>,
    place: SourceLocation,
}

/// The pins of an environment. Clones share the memory of which pins were asked for.
#[derive(Debug, Clone)]
pub struct Versions {
    source: String,
    pins: BTreeMap<String, Pin>,
    used: Arc<Mutex<BTreeSet<String>>>,
}

impl Versions {
    /// Reads the pins at `path`.
    #[track_caller]
    pub fn load(path: &Path) -> Result<Self, InputErrors> {
        let text = read(path, "the file of pins", SourceLocation::caller())?;
        Self::parse(name_of(path), &text)
    }

    /// Reads a text; `source` names it in findings.
    pub fn parse(source: impl Into<String>, text: &str) -> Result<Self, InputErrors> {
        let source = SourceText::new(source, text);
        let mut faults = Faults::default();
        let mut pins = BTreeMap::new();
        for entry in yaml::entries(&source, &mut faults) {
            match rules::checked(&entry) {
                Ok((reference, postgres)) => {
                    let place = entry.value_place;
                    let pin = Pin {
                        reference,
                        postgres,
                        place,
                    };
                    pins.insert(entry.name, pin);
                }
                Err(finding) => faults.push(*finding),
            }
        }
        faults.unless_any(Self {
            source: source.name().to_owned(),
            pins,
            used: Arc::default(),
        })
    }

    /// The version pinned under `name`.
    #[track_caller]
    pub fn get(&self, name: &str) -> Result<Version, InputErrors> {
        let pin = self.pin(name, SourceLocation::caller())?;
        Ok(Version(pin.reference.tag.clone()))
    }

    /// The image pinned under `name`.
    #[track_caller]
    pub fn image(&self, name: &str) -> Result<ImagePin, InputErrors> {
        let pin = self.pin(name, SourceLocation::caller())?;
        let reference = &pin.reference;
        if !rules::is_tag(&reference.tag) {
            return Err(Finding::error(
                "kbz::versions::no-tag",
                format!("`{}` cannot be the tag of an image", reference.tag),
            )
            .label(pin.place.clone(), "asked for as an image")
            .help("letters, digits, `.`, `_` and `-` make a tag")
            .into());
        }
        let repository = reference.repository.as_deref();
        Ok(ImagePin {
            repository: repository.unwrap_or(rules::repository(name)).to_owned(),
            tag: reference.tag.clone(),
            digest: reference.digest.clone(),
        })
    }

    /// The version of PostgreSQL, pinned under `postgres`.
    #[track_caller]
    pub fn postgres(&self) -> Result<PostgresVersion, InputErrors> {
        let asked = SourceLocation::caller();
        let pin = self.pin(POSTGRES, asked.clone())?;
        // Every pin of this name was read as a version of PostgreSQL.
        pin.postgres.ok_or_else(|| self.no_pin(POSTGRES, asked))
    }

    /// The pins that nothing asked for, as warnings, by name.
    pub fn unused(&self) -> Vec<Finding> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.pins.iter().filter(|(name, _)| !used.contains(*name));
        let warn = |(name, pin): (&String, &Pin)| {
            Finding::warning(
                "kbz::versions::unused",
                format!("nothing uses the pin `{name}`"),
            )
            .label(pin.place.clone(), "")
            .help("remove the line, or use it in the program")
        };
        unused.map(warn).collect()
    }

    fn pin(&self, name: &str, asked: SourceLocation) -> Result<&Pin, InputErrors> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(name.to_owned());
        self.pins.get(name).ok_or_else(|| self.no_pin(name, asked))
    }

    fn no_pin(&self, name: &str, asked: SourceLocation) -> InputErrors {
        let names = || self.pins.keys().map(String::as_str);
        let help = match did_you_mean(name, names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("add the line `{name}: VERSION` to {}", self.source),
        };
        Finding::error(
            "kbz::versions::no-pin",
            format!("{} pins no version of `{name}`", self.source),
        )
        .label(asked, "asked for here")
        .note("it pins", listed(names()))
        .help(help)
        .into()
    }
}

#[cfg(test)]
mod tests;
