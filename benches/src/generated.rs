//! A program of any size.

use std::net::{IpAddr, Ipv4Addr};

use kbz_infra::ident::{HostName, InvalidName, StackName, Urn};
use kbz_infra::primitive::{Directory, File, FirewallRule, Sysctl, SystemdUnit};
use kbz_infra::program::{DeclareExt as _, Program, ProgramError, Settings, Stack};

/// How many hosts a generated program has.
const HOSTS: u8 = 5;
/// How many files are in a directory.
const FILES: usize = 16;
/// How many resources belong together: a directory with its files, a unit with its file, a
/// kernel parameter and, at first, a rule of the firewall.
const CLUMP: usize = FILES + 5;
/// The ports that rules open are counted from here.
const FIRST_PORT: u16 = 20_000;
/// More rules than this no host has: UFW itself is slow with them.
const RULES: usize = 50;

/// The hosts of every generated program.
pub fn hosts() -> Result<Vec<(HostName, IpAddr)>, InvalidName> {
    let numbers = 1..=HOSTS;
    numbers
        .map(|number| {
            let address = Ipv4Addr::new(10, 0, 0, number);
            Ok((HostName::new(format!("host-{number}"))?, address.into()))
        })
        .collect()
}

/// A program of exactly `count` resources over five hosts: directories with files, of which each
/// waits for the one before, units that restart on their file, kernel parameters, rules of the
/// firewall. `edition` is part of every second file: another one makes them change.
pub fn generated(count: usize, edition: u32) -> Result<Program, ProgramError> {
    let mut stack = Stack::new(StackName::new("generated")?, Settings::new("."));
    let hosts = hosts()?;
    for number in 0..count {
        let clump = number / CLUMP;
        let (host, _) = &hosts[clump % hosts.len()];
        let part = Part {
            host,
            clump,
            edition,
        };
        part.declare(number % CLUMP, &mut stack);
    }
    stack.finish()
}

/// A clump of resources on one host.
struct Part<'a> {
    host: &'a HostName,
    clump: usize,
    edition: u32,
}

impl Part<'_> {
    fn declare(&self, place: usize, stack: &mut Stack) {
        const UNIT_FILE: usize = FILES + 1;
        const UNIT: usize = FILES + 2;
        const PARAMETER: usize = FILES + 3;
        let clump = self.clump;
        match place {
            0 => drop(stack.add(Directory::on(self.host, self.directory()))),
            1..=FILES => self.file(place, stack),
            UNIT_FILE => {
                let text = "[Service]\nExecStart=/usr/bin/sleep infinity\n";
                drop(stack.add(File::on(self.host, self.unit_file()).content(text)));
            }
            UNIT => {
                let file = self.urn(&self.unit_file());
                let unit = SystemdUnit::on(self.host, format!("generated-{clump}.service"));
                drop(stack.add(unit.restart_on([file.clone()]).after([file])));
            }
            PARAMETER => {
                let key = format!("net.generated.number_{clump}");
                drop(stack.add(Sysctl::on(self.host, key, "1")));
            }
            _ => self.last(stack),
        }
    }

    fn file(&self, place: usize, stack: &mut Stack) {
        let edition = if place.is_multiple_of(2) {
            self.edition
        } else {
            0
        };
        let content = format!("number = {place}\nedition = {edition}\n");
        let before = if place == 1 {
            Urn::on(Directory::KIND, self.host, self.directory())
        } else {
            self.urn(&self.path(place - 1))
        };
        let file = File::on(self.host, self.path(place)).content(content);
        drop(stack.add(file.after([before])));
    }

    /// A rule of the firewall while there are few, then one more directory.
    fn last(&self, stack: &mut Stack) {
        let turn = self.clump / usize::from(HOSTS);
        match u16::try_from(turn) {
            Ok(number) if turn < RULES => {
                drop(stack.add(FirewallRule::tcp(self.host, FIRST_PORT + number)));
            }
            _ => drop(stack.add(Directory::on(
                self.host,
                format!("/srv/extra-{}", self.clump),
            ))),
        }
    }

    fn directory(&self) -> String {
        format!("/srv/clump-{}", self.clump)
    }

    fn path(&self, place: usize) -> String {
        format!("{}/file-{place}", self.directory())
    }

    fn unit_file(&self) -> String {
        format!("/etc/systemd/system/generated-{}.service", self.clump)
    }

    fn urn(&self, path: &str) -> Urn {
        Urn::on(File::KIND, self.host, path)
    }
}
