//! The name servers of a host, protected against everybody else.
//!
//! `/etc/resolv.conf` as a [`File`] that carries the immutable attribute: DHCP clients,
//! `resolvconf` and Docker's own tools all like to rewrite it. A link in its place, as
//! systemd-resolved makes one, is replaced. Read, drift and removal are those of a file.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::Resolver;
//!
//! let host = HostName::new("db-master-01")?;
//! let resolver = Resolver::on(&host, ["1.1.1.1".parse().unwrap(), "8.8.8.8".parse().unwrap()]);
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use std::fmt::Write as _;
use std::net::IpAddr;

use super::File;
use crate::effect::Removal;
use crate::ident::{HostName, Urn};
use crate::probe::Probe;
use crate::resource::{Claim, Context, FieldNames, PlanError, Planned, Resource};

/// The name servers of a host.
#[derive(Debug, Clone)]
pub struct Resolver {
    host: HostName,
    servers: Vec<IpAddr>,
    immutable: bool,
}

impl Resolver {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "resolver";

    /// Name servers in the order in which they are asked.
    pub fn on(host: &HostName, servers: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            host: host.clone(),
            servers: servers.into_iter().collect(),
            immutable: true,
        }
    }

    /// Leaves the file open to others, for file systems without the immutable attribute.
    pub fn unprotected(mut self) -> Self {
        self.immutable = false;
        self
    }

    fn file(&self) -> File {
        let mut text = String::from("# kept by kbz-infra\n");
        for server in &self.servers {
            writeln!(text, "nameserver {server}").expect("writing to a String cannot fail");
        }
        let file = File::on(&self.host, "/etc/resolv.conf")
            .content(text)
            .mode(0o644)
            .in_place_of_link();
        if self.immutable {
            file.immutable()
        } else {
            file
        }
    }
}

impl Resource for Resolver {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, "/etc/resolv.conf")
    }

    fn probes(&self) -> Vec<Probe> {
        self.file().probes()
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        self.file().plan(context)
    }

    fn removal(&self) -> Removal {
        // A host without name servers is worse than one that keeps ours.
        Removal::default()
    }

    fn field_names(&self) -> Option<FieldNames> {
        self.file().field_names()
    }

    fn summary(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        servers.join(" ")
    }

    fn claims(&self) -> Vec<Claim> {
        self.file().claims()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, file, host, removal};
    use crate::probe::{Node, Path, PathReading};

    fn resolver() -> Resolver {
        Resolver::on(&host(), ["1.1.1.1".parse().unwrap()])
    }

    fn there(reading: PathReading) -> World {
        let path = "/etc/resolv.conf".to_owned();
        World::host(
            Path {
                path,
                content: true,
            },
            reading,
        )
    }

    fn found(text: &str, immutable: bool) -> World {
        let PathReading::File(mut reading) = file(text, 0o644) else {
            panic!("a file reads as a file");
        };
        reading.immutable = immutable;
        there(PathReading::File(reading))
    }

    #[test]
    fn every_transition() {
        let ours = "# kept by kbz-infra\nnameserver 1.1.1.1\n";
        check([
            (
                resolver(),
                there(PathReading::Absent),
                "Create (none) is not there: WriteFile",
            ),
            (resolver(), found(ours, true), "nothing"),
            (
                resolver(),
                found(ours, false),
                "Update (none) immutable  false → true: WriteFile",
            ),
            (resolver().unprotected(), found(ours, false), "nothing"),
            (
                resolver(),
                found("nameserver 10.0.0.2\n", true),
                "Update (none) its content differs: WriteFile",
            ),
            (
                resolver(),
                there(PathReading::Other(Node::Symlink)),
                "Update (none) type  link → file: WriteFile",
            ),
            (
                resolver(),
                there(PathReading::Other(Node::Special)),
                "refused: /etc/resolv.conf on db-1 is no regular file",
            ),
            (resolver(), World::silent(), "unreachable"),
        ]);
    }

    #[test]
    fn removal_keeps_the_name_servers() {
        assert_eq!(removal(&resolver()), "");
    }
}
