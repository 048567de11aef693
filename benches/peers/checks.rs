//! What the peers check: the files, directories, units and kernel parameters that the stack keeps on
//! the lab's hosts, as they are there.
//!
//! Everything is read from the hosts when they are as declared, so that the peers find nothing to do.
//! What the peers have no module of their own for (images, containers, the firewall, the cluster, its
//! databases, the load balancer) they do not check: they do less than the stack does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use benches::desk::Failure;
use kbz_infra::host::pool::Hosts;
use kbz_infra::host::shell;
use kbz_infra::host::transport::Exec;
use kbz_infra::ident::{HostName, Urn};
use kbz_infra::primitive::{Directory, File, Sysctl, SystemdUnit};
use serde::Serialize;

const PATIENCE: Duration = Duration::from_mins(1);

/// What is checked on one host.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Checks {
    pub(crate) files: Vec<FileCheck>,
    pub(crate) directories: Vec<DirectoryCheck>,
    pub(crate) units: Vec<UnitCheck>,
    pub(crate) parameters: Vec<ParameterCheck>,
}

/// A file with this content.
#[derive(Debug, Serialize)]
pub(crate) struct FileCheck {
    /// Where the content is on this machine.
    pub(crate) src: PathBuf,
    pub(crate) dest: String,
    #[serde(flatten)]
    pub(crate) access: Access,
}

/// A directory.
#[derive(Debug, Serialize)]
pub(crate) struct DirectoryCheck {
    pub(crate) path: String,
    #[serde(flatten)]
    pub(crate) access: Access,
}

/// Whose it is, where the host has a name for that.
#[derive(Debug, Serialize)]
pub(crate) struct Access {
    pub(crate) mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
}

/// A unit.
#[derive(Debug, Serialize)]
pub(crate) struct UnitCheck {
    pub(crate) name: String,
    pub(crate) running: bool,
    /// Where it can be either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
}

/// A kernel parameter.
#[derive(Debug, Serialize)]
pub(crate) struct ParameterCheck {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Checks {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.files.len() + self.directories.len() + self.units.len() + self.parameters.len()
    }
}

/// What is checked on each host: the objects of `urns`, as the hosts have them now. Contents go
/// below `folder`.
pub(crate) async fn read(
    hosts: &Hosts,
    urns: &[Urn],
    folder: &Path,
) -> Result<BTreeMap<HostName, Checks>, Failure> {
    let mut all = BTreeMap::new();
    for host in hosts.names() {
        let own = urns.iter().filter(|urn| urn.host() == Some(host));
        let own: Vec<&Urn> = own.filter(|urn| question(urn).is_some()).collect();
        let script: String = own.iter().filter_map(|urn| question(urn)).collect();
        let answer = hosts.get(host)?.exec(Exec::new(script, PATIENCE)).await?;
        let text = answer.text();
        let mut lines = text.lines();
        let mut checks = Checks::default();
        for urn in own {
            add(&mut checks, urn, &mut lines, &folder.join(host.as_str()))
                .ok_or_else(|| format!("{urn} cannot be read"))?;
        }
        all.insert(host.clone(), checks);
    }
    Ok(all)
}

/// What tells of an object, in one line or two; nothing where the peers do not check it.
fn question(urn: &Urn) -> Option<String> {
    let name = shell::quote(urn.name()).ok()?;
    match urn.kind().as_str() {
        File::KIND => Some(format!(
            "stat -c '%a %U %G' -- {name}\nprintf '%s\\n' \"$(base64 -w0 -- {name})\"\n"
        )),
        Directory::KIND => Some(format!("stat -c '%a %U %G' -- {name}\n")),
        SystemdUnit::KIND => Some(format!(
            "printf '%s %s\\n' \"$(systemctl is-active -- {name})\" \
             \"$(systemctl is-enabled -- {name} 2>/dev/null)\"\n"
        )),
        Sysctl::KIND => Some(format!("sysctl -n -- {name}\n")),
        _ => None,
    }
}

fn add<'a>(
    checks: &mut Checks,
    urn: &Urn,
    lines: &mut impl Iterator<Item = &'a str>,
    folder: &Path,
) -> Option<()> {
    let name = urn.name().to_owned();
    let line = lines.next()?;
    match urn.kind().as_str() {
        File::KIND => {
            let src = folder.join(name.trim_start_matches('/'));
            std::fs::create_dir_all(src.parent()?).ok()?;
            std::fs::write(&src, BASE64.decode(lines.next()?).ok()?).ok()?;
            let (dest, access) = (name, access(line)?);
            checks.files.push(FileCheck { src, dest, access });
        }
        Directory::KIND => {
            let (path, access) = (name, access(line)?);
            checks.directories.push(DirectoryCheck { path, access });
        }
        SystemdUnit::KIND => {
            let (active, enabled) = line.split_once(' ')?;
            // A unit that nobody has is stopped too; the peers refuse to look at one.
            if active != "active" {
                return Some(());
            }
            checks.units.push(UnitCheck {
                name,
                running: active == "active",
                enabled: match enabled {
                    "enabled" => Some(true),
                    "disabled" => Some(false),
                    _ => None,
                },
            });
        }
        _ => {
            let value = line.to_owned();
            checks.parameters.push(ParameterCheck { key: name, value });
        }
    }
    Some(())
}

/// `MODE USER GROUP`, as `stat` tells them.
fn access(line: &str) -> Option<Access> {
    let mut words = line.split(' ');
    let mode = format!("{:0>4}", words.next()?);
    let known = |name: &str| (name != "UNKNOWN").then(|| name.to_owned());
    Some(Access {
        mode,
        user: known(words.next()?),
        group: known(words.next()?),
    })
}
