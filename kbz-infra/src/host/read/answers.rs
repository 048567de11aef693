//! The answer to each question, from the frames that a host sent.

use std::time::SystemTime;

use super::files::Files;
use super::firewall;
use super::frames::Frames;
use super::script::Script;
use super::system::{self, SmallFiles};
use crate::effect::Record;
use crate::host::registry::{Registry, belongs};
use crate::ident::{HostName, StackName};
use crate::probe::{
    ClaimsReading, Entry, Query, Reading, RegistryReading, StampReading, SysctlReading,
};
use crate::secret::KeyedHash;

/// What a host said, ready to be asked.
pub(super) struct Answers<'a> {
    host: &'a HostName,
    registry: &'a Registry,
    script: &'a Script,
    frames: &'a Frames,
    files: Files<'a>,
    small: SmallFiles<'a>,
    arrived: SystemTime,
}

impl<'a> Answers<'a> {
    /// The answer in `frames` to `script`, which arrived at `arrived`.
    pub(super) fn new(
        host: &'a HostName,
        registry: &'a Registry,
        script: &'a Script,
        frames: &'a Frames,
        arrived: SystemTime,
    ) -> Self {
        Self {
            host,
            registry,
            script,
            frames,
            files: Files::of(frames),
            small: SmallFiles::of(frames, script),
            arrived,
        }
    }

    /// The reading for `query`, or why the host gave none; `None` where not the host's script
    /// answers, but its Docker engine, its HAProxy, its systemd or another kind of site.
    pub(super) fn reading(&self, query: &Query) -> Option<Result<Reading, String>> {
        Some(match query {
            Query::Path(query) => self
                .files
                .reading(&query.path, query.content)
                .map(Reading::from),
            Query::Entries(query) => self.files.entries(&query.path).map(Reading::from),
            Query::SysctlValue(query) => {
                Ok(SysctlReading(system::sysctl(&self.small, &query.key)).into())
            }
            Query::Swap(_) => system::swap(&self.small).map(Reading::from),
            Query::Firewall(_) => Ok(firewall::reading(self.frames, &self.small).into()),
            Query::Facts(query) => {
                let facts = system::facts(self.frames, &self.small, self.arrived);
                facts.map(|mut facts| {
                    // Who did not ask is not told, whoever else did.
                    let told = facts.clock_synchronized.filter(|_| query.clock_keeper);
                    facts.clock_synchronized = told;
                    facts.into()
                })
            }
            Query::Boot(_) => system::boot(self.frames).map(Reading::from),
            Query::Filesystem(query) => {
                let index = self.script.filesystem_index(&query.path);
                system::filesystem(self.frames, index).map(Reading::from)
            }
            Query::Module(query) => system::module(self.frames, &query.name).map(Reading::from),
            Query::Stamp(query) => self.stamp(&query.name).map(Reading::from),
            Query::Registry(_) => self.records().map(Reading::from),
            Query::Claims(_) => Ok(self.claims().into()),
            Query::ImageUser(_)
            | Query::ImageTag(_)
            | Query::Container(_)
            | Query::Drain(_)
            | Query::Unit(_)
            | Query::Role(_)
            | Query::Database(_)
            | Query::Extension(_)
            | Query::Contexts(_)
            | Query::Cluster(_)
            | Query::Dcs(_)
            | Query::Marked(_)
            | Query::LoadBalancer(_) => return None,
        })
    }

    /// What the registry notes of a user inside an image: the image's id, and the user's.
    pub(super) fn noted_user(&self, reference: &str, user: &str) -> Option<(&'a str, u32, u32)> {
        let line = self.small.first(&self.registry.user(reference, user))?;
        let mut words = line.split_whitespace();
        let (image, uid, gid) = (words.next()?, words.next()?, words.next()?);
        Some((image, uid.parse().ok()?, gid.parse().ok()?))
    }

    fn stamp(&self, name: &str) -> Result<StampReading, String> {
        let Some(line) = self.small.first(&self.registry.stamp(name)) else {
            return Ok(StampReading(None));
        };
        let value = serde_json::Value::from(line.trim());
        let stamp: KeyedHash = serde_json::from_value(value)
            .map_err(|error| format!("the stamp {name} cannot be read: {error}"))?;
        Ok(StampReading(Some(stamp)))
    }

    fn records(&self) -> Result<RegistryReading, String> {
        let folder = self.registry.objects();
        let lines = self.frames.get("files").unwrap_or_default().lines();
        // `FOLDER/DIGEST.json:RECORD`
        let lines = lines.filter_map(|line| {
            let (_, record) = line.strip_prefix(&folder)?.split_once(".json:")?;
            Some(record).filter(|record| !record.trim().is_empty())
        });
        let entries: Result<Vec<Entry>, String> = lines.map(|line| self.entry(line)).collect();
        Ok(RegistryReading(entries?))
    }

    /// `FOLDER/STACK/objects/DIGEST.json` of every stack but this one.
    fn claims(&self) -> ClaimsReading {
        let own = self.registry.stack();
        let lines = self.frames.get("claims").unwrap_or_default().lines();
        let claim = |line: &str| {
            let inside = line.strip_prefix(self.registry.all())?.strip_prefix('/')?;
            let (stack, object) = inside.split_once("/objects/")?;
            let digest = object.strip_suffix(".json")?.parse().ok()?;
            Some((digest, StackName::new(stack).ok()?))
        };
        let claims = lines.filter_map(claim);
        ClaimsReading(claims.filter(|(_, stack)| stack.as_str() != own).collect())
    }

    fn entry(&self, line: &str) -> Result<Entry, String> {
        let folder = self.registry.objects();
        let record: Record = serde_json::from_str(line)
            .map_err(|error| format!("a record in {folder} cannot be read: {error}"))?;
        if !belongs(&record, self.host) {
            let urn = &record.urn;
            return Err(format!(
                "its registry was tampered with: {folder} holds a record of {urn}, which this \
                 host must not decide about; remove it there"
            ));
        }
        Ok(Entry::from(&record))
    }
}
