//! What a lab is made of: plain data, checked before anything is touched.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The name of a lab: lower-case letters, digits and dashes, at most 20 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabName(String);

impl LabName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LabName {
    fn default() -> Self {
        Self("kbz".to_owned())
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<LabName> for String {
    fn from(name: LabName) -> Self {
        name.0
    }
}

impl TryFrom<String> for LabName {
    type Error = SpecError;

    fn try_from(name: String) -> Result<Self, SpecError> {
        if name.len() <= 20 && is_word(&name) {
            return Ok(Self(name));
        }
        Err(SpecError::Name { name })
    }
}

impl FromStr for LabName {
    type Err = SpecError;

    fn from_str(name: &str) -> Result<Self, SpecError> {
        Self::try_from(name.to_owned())
    }
}

/// A lab's description does not hold together.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// A name cannot be used.
    #[error("{name:?} is no name: use lower-case letters, digits and dashes, a letter first")]
    Name {
        /// The name.
        name: String,
    },
    /// Two machines have the same name.
    #[error("two machines are named {name}")]
    SameName {
        /// The name.
        name: String,
    },
    /// Two machines have the same address.
    #[error("two machines have the address {address}")]
    SameAddress {
        /// The address.
        address: Ipv4Addr,
    },
    /// An address is not usable in the lab's network.
    #[error("{name} has the address {address}, which is no host address of {subnet}")]
    Outside {
        /// The machine.
        name: String,
        /// Its address.
        address: Ipv4Addr,
        /// The lab's network.
        subnet: Ipv4Net,
    },
    /// The gateway's address is taken by Docker although nothing listens there.
    #[error("{name} has the address {address}, which Docker reserves for the gateway")]
    Gateway {
        /// The machine.
        name: String,
        /// Its address.
        address: Ipv4Addr,
    },
    /// A data directory is not absolute or leaves its place.
    #[error("the data directory of {name} has to be an absolute path without `..`: {path}")]
    DataDirectory {
        /// The machine.
        name: String,
        /// The path.
        path: PathBuf,
    },
}

/// A whole lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabSpec {
    /// Its name; several labs live beside each other if their subnets differ.
    pub name: LabName,
    /// The private network. It exists inside the lab alone, the machine has no route to it.
    pub subnet: Ipv4Net,
    /// The way in.
    pub bastion: BastionSpec,
    /// The machines that a program manages.
    pub hosts: Vec<HostSpec>,
    /// The load balancer, if the lab has one.
    pub balancer: Option<BalancerSpec>,
    /// Folder below which the lab keeps keys and SSH settings (`STATE/labs/NAME`).
    pub state: PathBuf,
}

/// The bastion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BastionSpec {
    /// Its name.
    pub name: String,
    /// Its address in the private network.
    pub address: Ipv4Addr,
    /// The 127.0.0.1 port of its sshd, if free; otherwise any free port is taken.
    pub port: u16,
}

/// A managed machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpec {
    /// Its name.
    pub name: String,
    /// Its address in the private network.
    pub address: Ipv4Addr,
    /// Where its XFS data disk is mounted, if it has one.
    pub data: Option<DataDisk>,
}

/// An XFS file system of its own, in a sparse file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDisk {
    /// Mount point.
    pub directory: PathBuf,
    /// Size in MiB; takes no space on the machine before it is used.
    pub mebibytes: u64,
}

/// The load balancer: a program in a container of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerSpec {
    /// Its name.
    pub name: String,
    /// Its address in the private network.
    pub address: Ipv4Addr,
    /// The executable that runs in the container; the calling program by default.
    pub program: PathBuf,
    /// The words before the load balancer's own options (`lab balancer`).
    pub command: Vec<String>,
    /// Port of its API, and the 127.0.0.1 port it is published on.
    pub api: Publish,
    /// Services, published on 127.0.0.1 ports too.
    pub services: Vec<Publish>,
}

/// A container's port on the machine's loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// Port inside the lab.
    pub port: u16,
    /// Port on 127.0.0.1, if free; otherwise any free port is taken.
    pub preferred: u16,
}

const DB_DATA: &str = "/opt/keybuzz/postgres/data";
const HAPROXY_DATA: &str = "/opt/keybuzz/haproxy/data";

impl LabSpec {
    /// Production's five hosts, bastion and load balancer in 10.0.0.0/24.
    pub fn keybuzz(name: LabName, program: PathBuf) -> Self {
        let at = |last| Ipv4Addr::new(10, 0, 0, last);
        let host = |name: &str, last, directory: &str, mebibytes| HostSpec {
            name: name.to_owned(),
            address: at(last),
            data: Some(DataDisk {
                directory: PathBuf::from(directory),
                mebibytes,
            }),
        };
        Self {
            name,
            subnet: Ipv4Net::new_assert(at(0), 24),
            bastion: BastionSpec {
                name: "install-01".to_owned(),
                address: at(5),
                port: 12_222,
            },
            hosts: vec![
                host("db-master-01", 120, DB_DATA, 10_240),
                host("db-slave-01", 121, DB_DATA, 10_240),
                host("db-slave-02", 122, DB_DATA, 10_240),
                host("haproxy-01", 11, HAPROXY_DATA, 1_024),
                host("haproxy-02", 12, HAPROXY_DATA, 1_024),
            ],
            balancer: Some(BalancerSpec::keybuzz(at(10), program)),
            state: PathBuf::from(".kbz"),
        }
    }

    /// The same lab in another /24 or smaller network: every machine keeps its last byte.
    pub fn in_subnet(mut self, subnet: Ipv4Net) -> Self {
        let moved = |address: Ipv4Addr| {
            let [a, b, c, _] = subnet.network().octets();
            Ipv4Addr::new(a, b, c, address.octets()[3])
        };
        self.subnet = subnet;
        self.bastion.address = moved(self.bastion.address);
        for host in &mut self.hosts {
            host.address = moved(host.address);
        }
        if let Some(balancer) = &mut self.balancer {
            balancer.address = moved(balancer.address);
        }
        self
    }

    /// The folder of this lab's files.
    pub fn directory(&self) -> PathBuf {
        lab_directory(&self.state, &self.name)
    }

    /// Checks that names, addresses and paths are usable and belong together.
    pub fn check(&self) -> Result<(), SpecError> {
        let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for (name, address) in self.machines() {
            if !is_word(name) {
                return Err(SpecError::Name {
                    name: name.to_owned(),
                });
            }
            if !names.insert(name) {
                return Err(SpecError::SameName {
                    name: name.to_owned(),
                });
            }
            if !addresses.insert(address) {
                return Err(SpecError::SameAddress { address });
            }
            self.check_address(name, address)?;
        }
        self.hosts.iter().try_for_each(check_data)
    }

    /// Name and address of every machine.
    pub fn machines(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        let hosts = self
            .hosts
            .iter()
            .map(|host| (host.name.as_str(), host.address));
        let balancer = self
            .balancer
            .iter()
            .map(|one| (one.name.as_str(), one.address));
        std::iter::once((self.bastion.name.as_str(), self.bastion.address))
            .chain(hosts)
            .chain(balancer)
    }

    fn check_address(&self, name: &str, address: Ipv4Addr) -> Result<(), SpecError> {
        let subnet = self.subnet;
        let edge = address == subnet.network() || address == subnet.broadcast();
        if edge || !subnet.contains(&address) {
            return Err(SpecError::Outside {
                name: name.to_owned(),
                address,
                subnet,
            });
        }
        if subnet.hosts().next() == Some(address) {
            return Err(SpecError::Gateway {
                name: name.to_owned(),
                address,
            });
        }
        Ok(())
    }
}

impl BalancerSpec {
    fn keybuzz(address: Ipv4Addr, program: PathBuf) -> Self {
        Self {
            name: "lb-haproxy".to_owned(),
            address,
            program,
            command: vec!["lab".to_owned(), "balancer".to_owned()],
            api: Publish {
                port: 80,
                preferred: 18_080,
            },
            services: [5432, 5433, 6432]
                .map(|port| Publish {
                    port,
                    preferred: 10_000 + port,
                })
                .to_vec(),
        }
    }
}

/// The folder of a lab's files below the state folder of a stack.
pub fn lab_directory(state: &Path, name: &LabName) -> PathBuf {
    state.join("labs").join(name.as_str())
}

fn check_data(host: &HostSpec) -> Result<(), SpecError> {
    let Some(disk) = &host.data else {
        return Ok(());
    };
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let text = disk.directory.as_os_str().as_encoded_bytes();
    let straight = !disk
        .directory
        .components()
        .any(|part| part.as_os_str() == "..");
    if disk.directory.is_absolute() && straight && text.iter().copied().all(safe) {
        return Ok(());
    }
    Err(SpecError::DataDirectory {
        name: host.name.clone(),
        path: disk.directory.clone(),
    })
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> LabSpec {
        LabSpec::keybuzz(LabName::default(), PathBuf::from("/bin/true"))
    }

    fn check(change: impl FnOnce(&mut LabSpec)) -> Result<(), SpecError> {
        let mut spec = lab();
        change(&mut spec);
        spec.check()
    }

    #[test]
    fn production_is_a_valid_lab_in_any_subnet() {
        assert_eq!(lab().check(), Ok(()));
        let moved = lab().in_subnet("10.0.7.0/24".parse().unwrap());
        assert_eq!(moved.check(), Ok(()));
        assert_eq!(moved.hosts[0].address, Ipv4Addr::new(10, 0, 7, 120));
    }

    #[test]
    fn mistakes_are_named() {
        use SpecError as E;
        assert!(matches!(
            check(|lab| lab.hosts[0].name.push('_')),
            Err(E::Name { .. })
        ));
        assert!(matches!(
            check(|lab| lab.hosts[1].name = lab.hosts[0].name.clone()),
            Err(E::SameName { .. })
        ));
        assert!(matches!(
            check(|lab| lab.hosts[1].address = lab.hosts[0].address),
            Err(E::SameAddress { .. })
        ));
        let set = |address: &str| {
            let address = address.parse().unwrap();
            check(|lab| lab.hosts[1].address = address)
        };
        assert!(matches!(set("10.0.1.7"), Err(E::Outside { .. })));
        assert!(matches!(set("10.0.0.255"), Err(E::Outside { .. })));
        assert!(matches!(set("10.0.0.1"), Err(E::Gateway { .. })));
        for path in ["data", "/opt/../etc", "/opt/a b", "/opt/$(reboot)"] {
            let disk = DataDisk {
                directory: PathBuf::from(path),
                mebibytes: 512,
            };
            let checked = check(|lab| lab.hosts[0].data = Some(disk));
            assert!(matches!(checked, Err(E::DataDirectory { .. })), "{path}");
        }
    }

    #[test]
    fn a_lab_name_is_a_short_word() {
        for bad in [
            "",
            "Kbz",
            "a b",
            "-a",
            "a-",
            "1a",
            "a_b",
            "a-very-long-name-for-a-lab",
        ] {
            assert!(LabName::from_str(bad).is_err(), "{bad}");
        }
        assert!(LabName::from_str("t1").is_ok());
    }
}
