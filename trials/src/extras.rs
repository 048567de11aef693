//! What a random change adds to the program of the stack: small things of many kinds.

use std::path::{Path, PathBuf};

use kbz_infra::prelude::*;
use kbz_infra::primitive::{FirewallRule, PgDatabase, PgExtension, PgRole, Sysctl};
use kbz_infra::probe::PgAccess;
use serde::{Deserialize, Serialize};
use trials::HOSTS;

/// One of these things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extra {
    /// Its kind, below [`KINDS`].
    pub(crate) kind: usize,
    /// Which host it is on, where it is on one.
    pub(crate) host: usize,
    /// Which of the three of its kind there.
    pub(crate) slot: usize,
    /// Which of the three forms it has.
    pub(crate) variant: usize,
}

/// How many kinds there are.
pub(crate) const KINDS: usize = 8;

/// How many there are of a kind in a place, and how many forms each has.
pub(crate) const FORMS: usize = 3;

/// Kernel parameters of a network, which each host has for itself.
const PARAMETERS: [&str; FORMS] = [
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
];

/// Extensions that come with PostgreSQL.
const EXTENSIONS: [&str; FORMS] = ["pg_trgm", "pgcrypto", "hstore"];

impl Extra {
    /// What stays the same while its form changes.
    pub(crate) fn identity(self) -> (usize, usize, usize) {
        let host = if self.kind < 5 { self.host } else { 0 };
        (self.kind, host, self.slot)
    }
}

/// Where the extras of a folder's program stand.
fn file(folder: &Path) -> PathBuf {
    folder.join("extras.json")
}

/// From now on the program of this folder has these.
#[expect(clippy::disallowed_methods, reason = "a trial prepares its own world")]
pub(crate) fn write(folder: &Path, extras: &[Extra]) {
    let text = serde_json::to_string(extras).expect("they are plain data");
    std::fs::write(file(folder), text).expect("the folder of the inputs");
}

/// Declares the extras of the program's folder.
pub(crate) fn declare(stack: &mut Stack) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(file(&stack.settings().folder)) else {
        return Ok(());
    };
    let extras: Vec<Extra> = serde_json::from_str(&text).expect("extras as they were written");
    for extra in extras {
        add(stack, extra)?;
    }
    Ok(())
}

fn add(stack: &mut Stack, extra: Extra) -> Result<()> {
    let Extra { slot, variant, .. } = extra;
    let host = HostName::new(HOSTS[extra.host])?;
    match extra.kind {
        0 => {
            let file = File::on(&host, format!("/etc/trial-{slot}.conf"));
            stack.add(file.content(format!("form {variant}\n")).mode(0o644));
        }
        1 => {
            let directory = Directory::on(&host, format!("/srv/trial-{slot}"));
            let mode = [0o755, 0o750, 0o700][variant];
            let directory = stack.add(directory.mode(mode));
            let file = File::on(&host, format!("/srv/trial-{slot}/file"));
            let file = file.content(format!("form {variant}\n"));
            stack.add(file.depends_on(&directory));
        }
        2 => {
            stack.add(Sysctl::on(&host, PARAMETERS[slot], 60 + variant));
        }
        3 => {
            let port = u16::try_from(9100 + 10 * slot + variant).expect("a small number");
            let network = "10.0.0.0/24".parse().expect("a constant network");
            stack.add(FirewallRule::tcp(&host, port).from(network));
        }
        4 => unit(stack, &host, slot, variant),
        5 => {
            let role = PgRole::at(&cluster()?, format!("trial_{slot}"));
            let role = match variant {
                0 => role,
                1 => role.create_db(),
                _ => role.in_role("pg_monitor"),
            };
            stack.add(role.after([tenant()]));
        }
        6 => {
            let owner = ["kb_app", "kb_monitor", "kb_app"][variant];
            let database = PgDatabase::at(&cluster()?, format!("trial_{slot}"), owner);
            stack.add(database.after([tenant()]));
        }
        _ => {
            let extension = PgExtension::at(&cluster()?, "keybuzz", EXTENSIONS[slot]);
            stack.add(extension.after([tenant()]));
        }
    }
    Ok(())
}

/// A service that starts anew when its file changes.
fn unit(stack: &mut Stack, host: &HostName, slot: usize, variant: usize) {
    let name = format!("trial-{slot}.service");
    let text = format!(
        "[Unit]\nDescription=A trial\n\n[Service]\nEnvironment=FORM={variant}\n\
         ExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n"
    );
    let file = File::on(host, format!("/etc/systemd/system/{name}"));
    let file = stack.add(file.content(text).mode(0o644));
    let unit = SystemdUnit::on(host, name).restart_on([file.urn().clone()]);
    stack.add(unit.depends_on(&file));
}

/// What the stack itself keeps in the cluster.
fn tenant() -> Urn {
    Urn::global("pg-tenant", "keybuzz")
}

/// The cluster, as its superuser reaches it.
fn cluster() -> Result<PgAccess> {
    Ok(PgAccess {
        via: vec![HostName::new("haproxy-01")?, HostName::new("haproxy-02")?],
        address: "10.0.0.10".to_owned(),
        port: 5432,
        user: "postgres".to_owned(),
        password: SecretRef::new("POSTGRES_SUPERPASS"),
    })
}
