//! Facts of a host that must hold before anything is changed on it.
//!
//! Read: memory, Docker and clock of the host, and the file systems asked for. A preflight does
//! nothing; when a fact does not hold, the plan is refused, with every fact that fails and its
//! cure at once. It has no place on the host, so it leaves nothing there.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::Preflight;
//!
//! let host = HostName::new("db-master-01")?;
//! let ready = Preflight::on(&host)
//!     .docker_at_least("20.10")
//!     .memory_at_least(2 << 30)
//!     .clock_within(2.0)
//!     .filesystem("/opt/keybuzz/postgres/data", "xfs");
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use std::collections::BTreeMap;

use super::version;
use crate::effect::Removal;
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Facts, FactsReading, Filesystem, FilesystemReading, Probe, Site};
use crate::resource::{Context, FieldNames, PlanError, Planned, Resource};

/// Facts of a host that must hold.
#[derive(Debug, Clone)]
pub struct Preflight {
    host: HostName,
    docker: Option<String>,
    memory: Option<u64>,
    clock_within: Option<f64>,
    keeps_own_clock: bool,
    filesystems: BTreeMap<String, String>,
    free: BTreeMap<String, u64>,
}

/// A fact that does not hold.
struct Unmet {
    what: String,
    cure: &'static str,
}

impl Preflight {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "preflight";

    /// A preflight that asks for nothing yet.
    pub fn on(host: &HostName) -> Self {
        Self {
            host: host.clone(),
            docker: None,
            memory: None,
            clock_within: None,
            keeps_own_clock: true,
            filesystems: BTreeMap::new(),
            free: BTreeMap::new(),
        }
    }

    /// A Docker engine answers, of this version or a later one.
    pub fn docker_at_least(mut self, version: impl Into<String>) -> Self {
        self.docker = Some(version.into());
        self
    }

    /// The host has this many bytes of memory.
    pub fn memory_at_least(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// The clock is synchronised, as far as the host can tell, and at most so many seconds away
    /// from the operator's. RAFT leases compare the clocks of two hosts.
    pub fn clock_within(mut self, seconds: f64) -> Self {
        self.clock_within = Some(seconds);
        self
    }

    /// The host shares the clock of another machine that keeps it, as a container does: it has
    /// none of its own to synchronise.
    pub fn shares_a_clock(mut self) -> Self {
        self.keeps_own_clock = false;
        self
    }

    /// The file system that holds a path is of this type.
    pub fn filesystem(mut self, path: impl Into<String>, kind: impl Into<String>) -> Self {
        self.filesystems.insert(path.into(), kind.into());
        self
    }

    /// The file system that holds a path has this many bytes free.
    pub fn free_at_least(mut self, path: impl Into<String>, bytes: u64) -> Self {
        self.free.insert(path.into(), bytes);
        self
    }

    fn site(&self) -> Site {
        Site::Host(self.host.clone())
    }

    fn facts(&self) -> Facts {
        Facts {
            clock_keeper: self.clock_within.is_some() && self.keeps_own_clock,
        }
    }

    fn judge(&self, context: &Context<'_>) -> Result<Vec<Unmet>, PlanError> {
        let facts = context.ask(&self.site(), &self.facts())?;
        let mut unmet = Vec::new();
        unmet.extend(self.docker.as_ref().and_then(|least| docker(facts, least)));
        unmet.extend(self.memory.and_then(|least| memory(facts, least)));
        let clock = |limit| clock(facts, limit, self.keeps_own_clock);
        unmet.extend(self.clock_within.and_then(clock));
        for (path, kind) in &self.filesystems {
            unmet.extend(filesystem(path, kind, self.at(context, path)?));
        }
        for (path, least) in &self.free {
            unmet.extend(free(path, *least, self.at(context, path)?));
        }
        Ok(unmet)
    }

    fn at<'a>(
        &self,
        context: &Context<'a>,
        path: &str,
    ) -> Result<&'a FilesystemReading, PlanError> {
        let path = path.to_owned();
        context.ask(&self.site(), &Filesystem { path })
    }
}

impl Resource for Preflight {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, self.host.as_str())
    }

    fn probes(&self) -> Vec<Probe> {
        let paths = self.filesystems.keys().chain(self.free.keys());
        let paths = paths.map(|path| Probe::host(&self.host, Filesystem { path: path.clone() }));
        std::iter::once(Probe::host(&self.host, self.facts()))
            .chain(paths)
            .collect()
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let unmet = self.judge(context)?;
        if unmet.is_empty() {
            return Ok(Planned {
                goal: context.keyed(&Digest::of(self.summary())),
                change: None,
            });
        }
        let facts: Vec<&str> = unmet.iter().map(|unmet| unmet.what.as_str()).collect();
        let cures: Vec<&str> = unmet.iter().map(|unmet| unmet.cure).collect();
        Err(PlanError::Refused {
            what: format!("{} is not ready: {}", self.host, facts.join("; ")),
            help: cures.join("; "),
        })
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[]))
    }

    fn summary(&self) -> String {
        let mut wanted = Vec::new();
        wanted.extend(self.docker.iter().map(|least| format!("docker {least}")));
        wanted.extend(self.memory.map(|least| format!("memory {}", bytes(least))));
        wanted.extend(self.clock_within.map(|limit| format!("clock {limit} s")));
        let filesystems = self.filesystems.iter();
        wanted.extend(filesystems.map(|(path, kind)| format!("{kind} on {path}")));
        let free = self.free.iter();
        wanted.extend(free.map(|(path, least)| format!("{} free on {path}", bytes(*least))));
        wanted.join(", ")
    }
}

fn docker(facts: &FactsReading, least: &str) -> Option<Unmet> {
    let what = match &facts.docker {
        None => "no Docker engine answers".to_owned(),
        Some(found) if !version::at_least(found, least) => {
            format!("Docker is {found}, at least {least} is needed")
        }
        Some(_) => return None,
    };
    Some(Unmet {
        what,
        cure: "install a current Docker engine (docs.docker.com/engine/install) and enable it",
    })
}

fn memory(facts: &FactsReading, least: u64) -> Option<Unmet> {
    (facts.memory < least).then(|| Unmet {
        what: format!(
            "{} of memory, at least {} is needed",
            bytes(facts.memory),
            bytes(least)
        ),
        cure: "choose a larger host",
    })
}

fn clock(facts: &FactsReading, limit: f64, keeps_own: bool) -> Option<Unmet> {
    let what = if facts.clock_offset.abs() > limit {
        format!(
            "its clock is {:+.1} s away, at most {limit} s is allowed",
            facts.clock_offset
        )
    } else if keeps_own && facts.clock_synchronized == Some(false) {
        "its clock is not synchronised".to_owned()
    } else {
        return None;
    };
    Some(Unmet {
        what,
        cure: "switch time synchronisation on (timedatectl set-ntp true)",
    })
}

fn filesystem(path: &str, wanted: &str, found: &FilesystemReading) -> Option<Unmet> {
    (found.kind != wanted).then(|| Unmet {
        what: format!("{path} lies on {}, {wanted} is required", found.kind),
        cure: "mount a file system of the required type there",
    })
}

fn free(path: &str, least: u64, found: &FilesystemReading) -> Option<Unmet> {
    (found.available < least).then(|| Unmet {
        what: format!(
            "{} free on {path}, at least {} is needed",
            bytes(found.available),
            bytes(least)
        ),
        cure: "make room or mount a larger file system",
    })
}

/// Bytes as people read them.
fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(size, _)| count >= *size);
    match unit {
        Some((size, name)) => {
            let tenths = u128::from(count) * 10 / u128::from(*size);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, host};

    fn preflight() -> Preflight {
        Preflight::on(&host())
            .docker_at_least("20.10")
            .memory_at_least(2 << 30)
            .clock_within(2.0)
            .filesystem("/data", "xfs")
            .free_at_least("/data", 1 << 30)
    }

    fn good() -> FactsReading {
        FactsReading {
            memory: 4 << 30,
            cpus: 2,
            os: "Debian".to_owned(),
            kernel: "6.1".to_owned(),
            docker: Some("20.10.24+dfsg1".to_owned()),
            clock_synchronized: Some(true),
            clock_offset: 0.1,
        }
    }

    fn world(facts: FactsReading, kind: &str, available: u64) -> World {
        let reading = FilesystemReading {
            kind: kind.to_owned(),
            size: 10 << 30,
            available,
        };
        let path = "/data".to_owned();
        let with_keeper = Facts { clock_keeper: true };
        World::host(with_keeper, facts.clone())
            .and(Facts::PLAIN, facts)
            .and(Filesystem { path }, reading)
    }

    fn facts(bend: impl FnOnce(&mut FactsReading)) -> World {
        let mut facts = good();
        bend(&mut facts);
        world(facts, "xfs", 2 << 30)
    }

    #[test]
    fn every_fact() {
        check([
            (preflight(), facts(|_| {}), "nothing"),
            (
                preflight(),
                facts(|f| f.docker = None),
                "refused: db-1 is not ready: no Docker engine answers",
            ),
            (
                preflight(),
                facts(|f| f.docker = Some("19.3".to_owned())),
                "refused: db-1 is not ready: Docker is 19.3, at least 20.10 is needed",
            ),
            (
                preflight(),
                facts(|f| f.memory = 1 << 30),
                "refused: db-1 is not ready: 1.0 GiB of memory, at least 2.0 GiB is needed",
            ),
            (
                preflight(),
                facts(|f| f.clock_offset = -3.25),
                "refused: db-1 is not ready: its clock is -3.2 s away, at most 2 s is allowed",
            ),
            (
                preflight(),
                facts(|f| f.clock_synchronized = Some(false)),
                "refused: db-1 is not ready: its clock is not synchronised",
            ),
            (
                preflight(),
                facts(|f| f.clock_synchronized = None),
                "nothing",
            ),
            (
                preflight(),
                world(good(), "ext4", 1 << 20),
                "refused: db-1 is not ready: /data lies on ext4, xfs is required; \
                 1.0 MiB free on /data, at least 1.0 GiB is needed",
            ),
            (preflight(), World::silent(), "unreachable"),
        ]);
        assert!(preflight().removal().effects.is_empty());
    }
}
