//! The one script that asks a host everything that no program there is asked by its own API.
//!
//! However many the questions, the host starts a handful of programs: one `stat`, one `tail` of all
//! contents, one `sha256sum` of the rest, one `grep` that prints every small file that matters and the
//! whole registry, one `df`. It needs a POSIX shell, coreutils, grep and
//! systemd, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::host::registry::Registry;
use crate::host::shell::{self, NulByte};
use crate::probe::{EntriesReading, Query};

/// The largest file whose content is shown.
pub(super) const CONTENT_LIMIT: u64 = 256 << 10;

/// Files that tell about a host.
pub(super) const MEMINFO: &str = "/proc/meminfo";
pub(super) const CPUS: &str = "/sys/devices/system/cpu/online";
pub(super) const OS_RELEASE: &str = "/etc/os-release";
pub(super) const KERNEL: &str = "/proc/sys/kernel/osrelease";
pub(super) const SWAPS: &str = "/proc/swaps";
pub(super) const UFW_CONF: &str = "/etc/ufw/ufw.conf";
pub(super) const UFW_RULES: &str = "/etc/ufw/user.rules";
pub(super) const UFW_RULES6: &str = "/etc/ufw/user6.rules";

/// Why a question cannot be put to a shell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unaskable {
    /// It holds a NUL byte.
    #[error(transparent)]
    Nul(#[from] NulByte),
    /// It is no absolute path of one line.
    #[error("{0:?} is no absolute path of one line")]
    Path(String),
}

/// Adds a frame to what is said; and runs a command for one, named `…-failed` when it fails. All of
/// it is printed at once, at the end: what comes drop by drop waits on its way, 40 ms each time that
/// one side of a connection holds a small packet back for the other's word.
const FUNCTIONS: &str = r#"said=
put() { said="$said@$1 ${#2}
$2
"; }
ask() { key=$1; shift; if out=$("$@" 2>&1); then put "$key" "$out"; else put "$key-failed" "$out"; fi; }
"#;
/// Ends what is said, and prints it.
const SAY: &str = r#"put end ''
printf %s "$said"
"#;

/// What a script asks.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Paths, and whether their content is wanted.
    paths: BTreeMap<String, bool>,
    files: BTreeSet<String>,
    directories: BTreeSet<String>,
    filesystems: BTreeSet<String>,
    modules: BTreeSet<String>,
    objects: Option<String>,
    registries: Option<String>,
    firewall: bool,
    boot: bool,
    /// Whether facts are asked for, and among them whether something keeps the clock.
    facts: Option<bool>,
}

impl Script {
    /// The script for `queries`, those that Docker, HAProxy and systemd answer left out.
    pub(super) fn of<'a>(
        queries: impl IntoIterator<Item = &'a Query>,
        registry: &Registry,
    ) -> Self {
        let mut script = Self::default();
        for query in queries {
            script.add(query, registry);
        }
        script
    }

    fn add(&mut self, query: &Query, registry: &Registry) {
        match query {
            Query::Path(query) => {
                *self.paths.entry(query.path.clone()).or_default() |= query.content;
            }
            Query::Entries(query) => {
                self.directories.insert(query.path.clone());
            }
            Query::SysctlValue(query) => self.file(sysctl_path(&query.key)),
            Query::Swap(_) => self.file(SWAPS),
            Query::Firewall(_) => {
                self.firewall = true;
                self.add_files(&[UFW_CONF, UFW_RULES, UFW_RULES6]);
            }
            Query::Facts(query) => {
                *self.facts.get_or_insert_default() |= query.clock_keeper;
                self.add_files(&[MEMINFO, CPUS, OS_RELEASE, KERNEL]);
            }
            Query::Boot(_) => self.boot = true,
            Query::Filesystem(query) => {
                self.filesystems.insert(query.path.clone());
            }
            Query::Module(query) => {
                self.modules.insert(module_name(&query.name));
            }
            Query::Stamp(query) => self.file(registry.stamp(&query.name)),
            Query::Registry(_) => self.objects = Some(registry.objects()),
            Query::Claims(_) => self.registries = Some(registry.all().to_owned()),
            Query::ImageUser(query) => self.file(registry.user(&query.reference, &query.user)),
            Query::ImageTag(_)
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
            | Query::LoadBalancer(_) => {}
        }
    }

    fn file(&mut self, path: impl Into<String>) {
        self.files.insert(path.into());
    }

    fn add_files(&mut self, paths: &[&str]) {
        for path in paths {
            self.file(*path);
        }
    }

    /// Whether there is nothing to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
            && self.files.is_empty()
            && self.directories.is_empty()
            && self.registries.is_none()
            && self.filesystems.is_empty()
            && self.modules.is_empty()
            && !self.boot
            && self.objects.is_none()
    }

    /// The files of which each line is printed after the file's path.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Which of the file systems asked for is that of `path`.
    pub(super) fn filesystem_index(&self, path: &str) -> usize {
        let before = self.filesystems.iter().take_while(|known| *known != path);
        before.count()
    }

    /// The script as text.
    pub(super) fn text(&self) -> Result<String, Unaskable> {
        let paths = self
            .paths
            .keys()
            .chain(&self.files)
            .chain(&self.directories)
            .chain(&self.filesystems);
        for path in paths {
            if !path.starts_with('/') || path.contains(['\n', '\r']) {
                return Err(Unaskable::Path(path.clone()));
            }
        }
        let mut body = String::new();
        self.write_paths(&mut body)?;
        self.write_lists(&mut body)?;
        self.write_directories(&mut body)?;
        self.write_filesystems(&mut body)?;
        self.write_modules(&mut body)?;
        if self.boot {
            line(&mut body, format_args!("put boot \"$({BOOT_ID})\""));
            body.push_str(REBOOT);
        }
        if self.firewall {
            body.push_str(FIREWALL);
        }
        if let Some(registries) = &self.registries {
            let registries = shell::quote(registries)?;
            line(
                &mut body,
                format_args!("set -- {registries}/*/objects/*.json"),
            );
            body.push_str(CLAIMS);
        }
        // Late, so that the answer is under way for as short as can be.
        let now = if self.facts.is_some() {
            "put now \"$(date +%s.%N)\"\n"
        } else {
            ""
        };
        if self.facts != Some(true) {
            return Ok(format!("{FUNCTIONS}{body}{now}{SAY}"));
        }
        // It starts a service on the host, so it runs beside the rest.
        let clock = "timedatectl show -p NTPSynchronized --value 2>/dev/null";
        Ok(format!(
            "{FUNCTIONS}{clock} | {{\n{body}put synchronized \"$(cat)\"\n{now}{SAY}}}\n"
        ))
    }

    fn write_paths(&self, body: &mut String) -> Result<(), Unaskable> {
        if self.paths.is_empty() {
            return Ok(());
        }
        let wanted = self.paths.iter().filter(|(_, content)| **content);
        let wanted: Vec<&str> = wanted.map(|(path, _)| path.as_str()).collect();
        let wanted = format!("\n{}\n", wanted.join("\n"));
        line(body, format_args!("want={}", shell::quote(&wanted)?));
        line(
            body,
            format_args!("set -- {}", shell::join(self.paths.keys())?),
        );
        line(body, format_args!("limit={CONTENT_LIMIT}"));
        body.push_str(PATHS);
        Ok(())
    }

    fn write_lists(&self, body: &mut String) -> Result<(), Unaskable> {
        let mut files = shell::join(&self.files)?;
        if let Some(objects) = &self.objects {
            // One that is empty stands for itself, and there is no such file.
            write!(files, " {}/*.json", shell::quote(objects)?)
                .expect("writing to a String cannot fail");
        }
        if !files.is_empty() {
            line(
                body,
                format_args!("put files \"$(grep -asH '' -- {files})\""),
            );
        }
        Ok(())
    }

    fn write_directories(&self, body: &mut String) -> Result<(), Unaskable> {
        if self.directories.is_empty() {
            return Ok(());
        }
        let paths = shell::join(&self.directories)?;
        line(body, format_args!("most={}", EntriesReading::MOST));
        line(body, format_args!("for path in {paths}; do"));
        body.push_str(ENTRIES);
        Ok(())
    }

    fn write_filesystems(&self, body: &mut String) -> Result<(), Unaskable> {
        if self.filesystems.is_empty() {
            return Ok(());
        }
        let paths = shell::join(&self.filesystems)?;
        line(body, format_args!("set --\nfor path in {paths}; do"));
        body.push_str(ANCESTORS);
        Ok(())
    }

    fn write_modules(&self, body: &mut String) -> Result<(), Unaskable> {
        if self.modules.is_empty() {
            return Ok(());
        }
        let names = shell::join(&self.modules)?;
        line(body, format_args!("found=\nfor name in {names}; do"));
        body.push_str(MODULES);
        Ok(())
    }
}

/// `$@` holds the paths. A second `stat`, for its complaints, only where something is missing. Of a
/// file that is told as a whole nobody needs the hash. Contents go as they are where the shell can
/// hold them, which is seen by their length: it drops NUL bytes. A head of `tail` is ten bytes
/// longer than its path, the empty line before it counted.
const PATHS: &str = r#"if stats=$(stat -c '%f %u %g %s %U %G %n|' -- "$@" 2>/dev/null); then complaints=; else
complaints=$(stat -- "$@" 2>&1 >/dev/null); fi
put stat "$stats"
put stat-complaints "$complaints"
nl='
'
regular= told= hashed= bytes=0
IFS=$nl; set -f
for line in $stats; do
case $line in 8???' '*) ;; *) continue ;; esac
size=${line#* * * }; size=${size%% *}
name=${line#* * * * * * }; name=${name%|}
regular=$regular$nl$name
case $want in *"$nl$name$nl"*) if [ "$size" -le "$limit" ]; then
told=$told$nl$name; bytes=$((bytes + ${#name} + 10 + size)); continue
fi ;; esac
hashed=$hashed$nl$name
done
set -- $hashed; [ $# -eq 0 ] || ask hashes sha256sum -- "$@"
set -- $regular; [ $# -eq 0 ] || put attributes "$(lsattr -d -- "$@" 2>/dev/null)"
set -- $told; if [ $# -gt 0 ]; then
all=$(tail -v -c +1 -- "$@"; echo .)
if [ ${#all} -eq "$bytes" ]; then put contents "${all%.}"; else
put contents-base64 "$(tail -v -c +1 -- "$@" | base64 -w0)"; fi
fi
unset IFS; set +f
"#;

/// What is in a directory, hidden or not, by the shell alone. A name of two lines is two.
const ENTRIES: &str = r#"found=
if [ -d "$path" ]; then
left=$most
for entry in "$path"/..?* "$path"/.[!.]* "$path"/*; do
[ -e "$entry" ] || [ -L "$entry" ] || continue
[ "$left" -gt 0 ] || break
found="$found
${entry##*/}"
left=$((left - 1))
done
fi
put entries "$path$found"
done
"#;

/// The nearest ancestor that exists, of each path.
const ANCESTORS: &str = r#"while [ ! -e "$path" ] && [ "$path" != / ]; do path=${path%/*}; path=${path:-/}; done
set -- "$@" "$path"
done
ask filesystems df -B1 --output=fstype,size,avail -- "$@"
"#;

/// Modules that are loaded, or built in, with parameters or without. What the kernel can do
/// without telling of a module, a file system, is there too.
const MODULES: &str = r#"if [ -d "/sys/module/$name" ] || grep -qs "[[:space:]]$name\$" /proc/filesystems; then
found="$found $name"; continue; fi
file=$(printf %s "$name" | sed 's/_/[-_]/g')
if grep -qs "/$file\.ko" "/lib/modules/$(uname -r)/modules.builtin"; then found="$found $name"; fi
done
put modules "$found"
"#;

/// Prints what tells this start of a host from any other: that of its kernel, and when its first
/// process began, which differs where hosts share a kernel.
/// No program is started for it, and it takes the shell's arguments.
pub(in crate::host) const BOOT_ID: &str = r#"read -r kernel </proc/sys/kernel/random/boot_id; read -r first </proc/1/stat
set -- ${first##*) }; shift 19; printf '%s-%s' "$kernel" "$1""#;

/// Paths, a line each, by the shell alone; one that stands for none is no record of anybody.
const CLAIMS: &str = r#"IFS='
'
put claims "$*"
unset IFS
"#;

/// Whether packages ask for a reboot, and which.
const REBOOT: &str = r#"if [ -e /run/reboot-required ]; then
put reboot-required "$(sort -u /run/reboot-required.pkgs 2>/dev/null | head -n 20)"
fi
"#;

/// Whether UFW is installed, and whether its rules are in the kernel for good: while a timer waits to
/// undo a change, whoever was to stop the timer may be gone, and the change with it. Such a timer
/// has a file; without one nobody needs to be asked.
const FIREWALL: &str = r#"if command -v ufw >/dev/null; then put ufw installed; fi
set -- /run/systemd/transient/kbz-revert-firewall-*.timer
if [ -e "$1" ] && systemctl --quiet is-active 'kbz-revert-firewall-*.timer' 2>/dev/null; then :
elif iptables -w 5 -S ufw-user-input >/dev/null 2>&1; then put ufw-chain present; fi
"#;

fn line(body: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(body, "{text}").expect("writing to a String cannot fail");
}

/// Where the kernel shows a parameter. As in `sysctl`, the first separator decides which one
/// of `.` and `/` separates.
pub(in crate::host) fn sysctl_path(key: &str) -> String {
    let first = key.chars().find(|c| matches!(c, '.' | '/'));
    let swapped: String = match first {
        Some('/') => key.to_owned(),
        _ => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
    };
    format!("/proc/sys/{swapped}")
}

/// A module's name as the kernel writes it.
pub(super) fn module_name(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    /// What is said of a firewall that is on, with a timer that waits or not.
    fn told(timer: &str) -> String {
        let programs = tempfile::TempDir::new().unwrap();
        for (name, does) in [("ufw", ":"), ("iptables", ":"), ("systemctl", timer)] {
            let path = programs.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let timers = programs.path().display().to_string();
        std::fs::write(programs.path().join("kbz-revert-firewall-shop.timer"), "").unwrap();
        let asked = FIREWALL.replace("/run/systemd/transient", &timers);
        let script = format!("put() {{ echo \"$1\"; }}\n{asked}");
        let mut shell = Command::new("/bin/sh");
        let output = shell
            .arg("-c")
            .arg(script)
            .env("PATH", programs.path())
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    #[test]
    fn a_firewall_that_a_timer_will_switch_off_is_not_in_force() {
        assert_eq!(told("exit 3"), "ufw\nufw-chain\n");
        assert_eq!(told("exit 0"), "ufw\n");
    }
}
