//! A directory of a host.
//!
//! Read: what is at the path, its owner and mode, and, where the declaration asks for one, the
//! type of the file system below it. Drift seen: a missing directory, a changed owner or mode,
//! another file system. A file or a link in the way is refused, never replaced. A wrong file
//! system is refused too, since nothing here could change it without losing data;
//! [`tolerate_other_filesystem`](Directory::tolerate_other_filesystem) turns that into a remark.
//! Of a directory [`for_data`](Directory::for_data) it is read too what is in it: what nobody
//! remembers to be this stack's is refused, unless it is adopted.
//!
//! Removal takes an empty directory only, unless the declaration says that the contents go
//! with it, which is data loss.
//!
//! ```
//! use kbz_infra::effect::Owner;
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::Directory;
//!
//! let host = HostName::new("db-master-01")?;
//! let data = Directory::on(&host, "/opt/keybuzz/postgres/data")
//!     .mode(0o700)
//!     .owner(Owner::InImage {
//!         reference: "kbz/patroni:17.11-0a1b2c3d4e5f".to_owned(),
//!         user: "postgres".to_owned(),
//!     })
//!     .requires_filesystem("xfs");
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use super::file::{owner_probe, ownership_beside, ownership_drift};
use crate::effect::Removal;
use crate::effect::{Action, Effect, Owner};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{self, Entries, Filesystem, PathReading, Probe, Site};
use crate::resource::{
    Change, Claim, Context, Detail, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// A directory of a host.
#[derive(Debug, Clone)]
pub struct Directory {
    host: HostName,
    path: String,
    mode: u32,
    owner: Owner,
    filesystem: Option<String>,
    tolerate: bool,
    with_contents: bool,
    data: bool,
}

impl Directory {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "directory";

    /// A directory of `root`, mode 755, at an absolute path.
    pub fn on(host: &HostName, path: impl Into<String>) -> Self {
        Self {
            host: host.clone(),
            path: path.into(),
            mode: 0o755,
            owner: Owner::root(),
            filesystem: None,
            tolerate: false,
            with_contents: false,
            data: false,
        }
    }

    /// Permission bits, such as `0o700`. Default: `0o755`.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Owner and group. Default: `root`.
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// The type of file system that must lie below it, such as `xfs`.
    pub fn requires_filesystem(mut self, kind: impl Into<String>) -> Self {
        self.filesystem = Some(kind.into());
        self
    }

    /// A service keeps its data here: what is there already, and is not known to be this stack's,
    /// is refused.
    pub fn for_data(mut self) -> Self {
        self.data = true;
        self
    }

    /// Another file system than the required one is remarked on, not refused.
    pub fn tolerate_other_filesystem(mut self) -> Self {
        self.tolerate = true;
        self
    }

    /// Its removal takes everything in it, and so loses data.
    pub fn remove_with_contents(mut self) -> Self {
        self.with_contents = true;
        self
    }

    /// The absolute path.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn site(&self) -> Site {
        Site::Host(self.host.clone())
    }

    fn query(&self) -> probe::Path {
        probe::Path {
            path: self.path.clone(),
            content: false,
        }
    }

    fn entries_query(&self) -> Entries {
        Entries {
            path: self.path.clone(),
        }
    }

    /// Refuses data that somebody else may have left: a service that starts on it would take it
    /// for its own.
    fn judge_contents(&self, context: &Context<'_>) -> Result<(), PlanError> {
        if !self.data || context.is_owned() {
            return Ok(());
        }
        let found = &context.ask(&self.site(), &self.entries_query())?.0;
        // `mkfs.ext4` makes it.
        let found = found.iter().map(String::as_str);
        let found: Vec<&str> = found.filter(|name| *name != "lost+found").collect();
        if found.is_empty() {
            return Ok(());
        }
        let what = format!(
            "{} on {} holds data that nobody remembers to be this stack's: {}",
            self.path,
            self.host,
            found.join(", ")
        );
        Err(PlanError::foreign(&self.urn(), what))
    }

    fn filesystem_query(&self) -> Filesystem {
        Filesystem {
            path: self.path.clone(),
        }
    }

    fn change(&self, op: Op, reasons: Vec<Reason>, details: Vec<Detail>) -> Change {
        Change {
            op,
            reasons,
            impact: Impact::None,
            effects: vec![Effect::on(
                &self.host,
                Action::MakeDirectory {
                    path: self.path.clone(),
                    mode: self.mode,
                    owner: self.owner.clone(),
                },
            )],
            details,
        }
    }

    /// A remark on a file system that is tolerated; one that is not is refused.
    fn judge_filesystem(&self, context: &Context<'_>) -> Result<Vec<Detail>, PlanError> {
        let Some(wanted) = &self.filesystem else {
            return Ok(Vec::new());
        };
        let found = &context.ask(&self.site(), &self.filesystem_query())?.kind;
        if found == wanted {
            return Ok(Vec::new());
        }
        let what = format!(
            "{} on {} lies on {found}, {wanted} is required",
            self.path, self.host
        );
        if self.tolerate {
            return Ok(vec![Detail::Note(format!("WARNING: {what}; tolerated"))]);
        }
        Err(PlanError::Refused {
            what,
            help: format!(
                "mount a file system of type {wanted} there, or declare that another one is tolerated"
            ),
        })
    }
}

impl Resource for Directory {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, &self.path)
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![Probe::host(&self.host, self.query())];
        probes.extend(owner_probe(&self.host, &self.owner));
        if self.filesystem.is_some() {
            probes.push(Probe::host(&self.host, self.filesystem_query()));
        }
        if self.data {
            probes.push(Probe::host(&self.host, self.entries_query()));
        }
        probes
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let details = self.judge_filesystem(context)?;
        let change = match context.ask(&self.site(), &self.query())? {
            PathReading::Absent => Some(self.change(Op::Create, vec![Reason::Missing], details)),
            PathReading::Directory(found) => {
                self.judge_contents(context)?;
                let site = self.site();
                let reasons = ownership_drift(context, &site, &self.owner, self.mode, found)?;
                let (owner, mode) = ownership_beside(context, &self.owner, self.mode, found);
                let beside = Self {
                    mode,
                    owner,
                    ..self.clone()
                };
                (!reasons.is_empty()).then(|| beside.change(Op::Update, reasons, details))
            }
            PathReading::File(_) | PathReading::Other(_) => {
                return Err(PlanError::Refused {
                    what: format!("{} on {} is no directory", self.path, self.host),
                    help: "look at what is there, and move it away by hand".to_owned(),
                });
            }
        };
        let goal = Digest::of_parts([
            self.path.clone(),
            format!("{:o}", self.mode),
            self.owner.in_goal(),
        ]);
        Ok(Planned {
            goal: context.keyed(&goal),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal {
            probes: vec![Probe::host(&self.host, self.query())],
            effects: vec![Effect::on(
                &self.host,
                Action::RemoveDirectory {
                    path: self.path.clone(),
                    recursive: self.with_contents,
                },
            )],
            impact: if self.with_contents {
                Impact::DataLoss
            } else {
                Impact::None
            },
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&["mode", "owner"]))
    }

    fn summary(&self) -> String {
        let filesystem = match &self.filesystem {
            Some(kind) if self.tolerate => format!(" ({kind} wanted, others tolerated)"),
            Some(kind) => format!(" on {kind}"),
            None => String::new(),
        };
        format!("{:04o} {}{filesystem}", self.mode, self.owner)
    }

    fn claims(&self) -> Vec<Claim> {
        let keeps = Claim::Keeps {
            host: self.host.clone(),
            path: self.path.clone(),
            directory: true,
            owner: self.owner.on_host(),
        };
        let stores = self.filesystem.iter().map(|_| Claim::StoresData {
            host: self.host.clone(),
            path: self.path.clone(),
        });
        std::iter::once(keeps).chain(stores).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, host, of_root, removal};
    use crate::probe::{EntriesReading, FilesystemReading, ImageUser, ImageUserReading, Node};

    fn data() -> Directory {
        Directory::on(&host(), "/data").mode(0o700)
    }

    fn of_postgres() -> Directory {
        data().owner(Owner::InImage {
            reference: "pg:17-1".to_owned(),
            user: "postgres".to_owned(),
        })
    }

    fn on_xfs() -> Directory {
        data().requires_filesystem("xfs")
    }

    fn there(reading: PathReading) -> World {
        World::host(data().query(), reading)
    }

    fn mode(mode: u32) -> World {
        there(PathReading::Directory(of_root(mode)))
    }

    fn user(world: World, ids: Option<(u32, u32)>) -> World {
        let query = ImageUser {
            reference: "pg:17-1".to_owned(),
            user: "postgres".to_owned(),
        };
        world.and(query, ImageUserReading(ids))
    }

    fn filesystem(kind: &str) -> World {
        let reading = FilesystemReading {
            kind: kind.to_owned(),
            size: 1,
            available: 1,
        };
        mode(0o700).and(on_xfs().filesystem_query(), reading)
    }

    #[test]
    fn every_transition() {
        check([
            (
                data(),
                there(PathReading::Absent),
                "Create (none) is not there: MakeDirectory",
            ),
            (data(), mode(0o700), "nothing"),
            (
                data(),
                mode(0o755),
                "Update (none) mode  0755 → 0700: MakeDirectory",
            ),
            (data(), mode(0o755).ignoring("mode"), "nothing"),
            (
                data().owner(Owner::Named {
                    user: "www".to_owned(),
                    group: "www".to_owned(),
                }),
                mode(0o700),
                "Update (none) owner  root:root → www:www: MakeDirectory",
            ),
            (
                data(),
                there(PathReading::Other(Node::Symlink)),
                "refused: /data on db-1 is no directory",
            ),
            (data(), World::silent(), "unreachable"),
        ]);
    }

    #[test]
    fn data_that_nobody_remembers_is_refused() {
        let holding = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned());
            mode(0o700).and(data().entries_query(), EntriesReading(names.collect()))
        };
        check([
            (data().for_data(), holding(&[]).foreign(), "nothing"),
            (
                data().for_data(),
                holding(&["lost+found"]).foreign(),
                "nothing",
            ),
            (
                data().for_data(),
                holding(&["PG_VERSION", "base"]).foreign(),
                "refused: /data on db-1 holds data that nobody remembers to be this stack's: PG_VERSION, base",
            ),
            (data().for_data(), holding(&["base"]), "nothing"),
            (data(), holding(&["base"]).foreign(), "nothing"),
        ]);
        let refused = holding(&["base"]).foreign().plan(&data().for_data());
        let Err(PlanError::Refused { help, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert!(help.contains("`--adopt directory@db-1:/data`"), "{help}");
    }

    #[test]
    fn an_owner_is_taken_from_the_image() {
        check([
            (
                of_postgres(),
                user(mode(0o700), Some((999, 999))),
                "Update (none) owner  0:0 → 999:999: MakeDirectory",
            ),
            (of_postgres(), user(mode(0o700), Some((0, 0))), "nothing"),
            (
                of_postgres(),
                user(mode(0o700), None),
                "Update (none) owner  0:0 → postgres of the image: MakeDirectory",
            ),
            (
                of_postgres(),
                user(mode(0o700), Some((999, 999))).ignoring("owner"),
                "nothing",
            ),
        ]);
    }

    #[test]
    fn another_file_system_is_refused_or_remarked_on() {
        check([
            (on_xfs(), filesystem("xfs"), "nothing"),
            (
                on_xfs(),
                filesystem("ext4"),
                "refused: /data on db-1 lies on ext4, xfs is required",
            ),
            (
                on_xfs().tolerate_other_filesystem(),
                filesystem("ext4"),
                "nothing",
            ),
        ]);
        let tolerant = on_xfs().tolerate_other_filesystem().mode(0o750);
        let change = filesystem("ext4").plan(&tolerant).unwrap().change.unwrap();
        assert_eq!(
            change.details,
            [Detail::Note(
                "WARNING: /data on db-1 lies on ext4, xfs is required; tolerated".to_owned()
            )]
        );
        let stores = |claim: &Claim| matches!(claim, Claim::StoresData { .. });
        assert!(on_xfs().claims().iter().any(stores));
        assert!(!data().claims().iter().any(stores));
    }

    #[test]
    fn only_a_declared_removal_takes_the_contents() {
        assert_eq!(removal(&data()), "RemoveDirectory");
        let whole = data().remove_with_contents();
        assert_eq!(removal(&whole), "RemoveDirectory (data loss)");
    }
}
