//! The registry that a stack keeps on each host: `/var/lib/kbz/STACK/`.
//!
//! It holds what cannot be marked itself, so that any operator's machine, and the next run,
//! see the same: a record per object (`objects/`), what services were last started or reloaded
//! with (`stamps/`), the ids of users inside images (`users/`), the number of the newest run that
//! has changed the host (`run`), and who runs (`lease`). All files are written beside their place and renamed.
//!
//! A host's registry is trusted for that host alone: a record that speaks of another place
//! would let one host decide what is removed elsewhere, and is refused ([`belongs`]).

use std::fmt::Write as _;

use crate::effect::Record;
use crate::ident::{Digest, HostName, StackName, Urn};
use crate::probe::Site;

/// Where the registries of all stacks are.
const ROOT: &str = "/var/lib/kbz";

/// The exit code of [`fence`] when a newer run has changed the host.
pub(super) const SUPERSEDED: u32 = 77;

/// The paths of one stack's registry.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    root: String,
}

impl Registry {
    /// The registry of `stack`.
    pub(super) fn of(stack: &StackName) -> Self {
        Self {
            root: format!("{ROOT}/{stack}"),
        }
    }

    #[cfg(test)]
    pub(super) fn below(root: &str) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The stack's name.
    pub(super) fn stack(&self) -> &str {
        self.root.rsplit('/').next().unwrap_or_default()
    }

    /// The folder of the records.
    pub(super) fn objects(&self) -> String {
        format!("{}/objects", self.root)
    }

    /// Where the registries of all stacks are.
    pub(super) fn all(&self) -> &str {
        self.root.rsplit_once('/').map_or(ROOT, |(above, _)| above)
    }

    /// The record of one object. A digest, since an address may be longer than a file's name.
    pub(super) fn object(&self, urn: &Urn) -> String {
        format!("{}/{}.json", self.objects(), Digest::of(urn.to_string()))
    }

    /// A stamp.
    pub(super) fn stamp(&self, name: &str) -> String {
        format!("{}/stamps/{}", self.root, file_name(name))
    }

    /// The note of a user's ids inside an image: image id, user id, group id.
    pub(super) fn user(&self, reference: &str, user: &str) -> String {
        format!(
            "{}/users/{}",
            self.root,
            file_name(&format!("{reference} {user}"))
        )
    }

    /// The exit code of a script that finds the lease held by somebody else.
    pub(super) const HELD: u32 = 78;

    /// The note of who runs.
    pub(super) fn lease(&self) -> String {
        format!("{}/lease", self.root)
    }

    /// Shell text that ends a script with [`SUPERSEDED`] where a newer run than `run` has
    /// changed the host, and notes `run` as the newest otherwise. The lease is as new as that.
    pub(super) fn fence(&self, run: u64) -> String {
        let lease = self.lease();
        format!(
            "{}{}{}touch -c {lease} || exit 1\nexec 9>&-\n",
            self.open(),
            self.refuse_older(run),
            self.note_run(run)
        )
    }

    /// Shell text for a script that goes on after the fence: one that a newer run has overtaken
    /// meanwhile ends there, and the lease is as new as that.
    pub(super) fn fence_again(&self, run: u64) -> String {
        let lease = self.lease();
        format!("{}touch -c {lease} || exit 1\n", self.refuse_older(run))
    }

    /// Shell text that makes the registry where there is none, and locks it.
    pub(super) fn open(&self) -> String {
        let (root, all) = (&self.root, self.all());
        format!(
            "umask 077\n\
             [ -d {root} ] || {{ mkdir -p -m 755 {all} && mkdir -p {root}; }} || exit 1\n\
             exec 9>>{root}/lock && flock -w 20 9 || exit 1\n"
        )
    }

    /// Shell text that ends a script where a newer run has changed the host. Sets `$newest`.
    pub(super) fn refuse_older(&self, run: u64) -> String {
        let root = &self.root;
        format!(
            "newest=0; {{ read -r newest <{root}/run; }} 2>/dev/null\n\
             case $newest in ''|*[!0-9]*) newest=0 ;; esac\n\
             if [ \"$newest\" -gt {run} ]; then echo \"run $newest\" >&2; exit {SUPERSEDED}; fi\n"
        )
    }

    /// Shell text that notes `run` as the newest, after [`refuse_older`](Self::refuse_older).
    pub(super) fn note_run(&self, run: u64) -> String {
        let root = &self.root;
        format!(
            "if [ \"$newest\" -lt {run} ]; then\n\
             echo {run} >{root}/run.new && mv -f {root}/run.new {root}/run || exit 1\n\
             fi\n"
        )
    }
}

/// Whether a host may hold this record: it tells of that host alone.
pub(super) fn belongs(record: &Record, host: &HostName) -> bool {
    let here = |site: &Site| site.host() == Some(host);
    record.urn.host() == Some(host)
        && record
            .removal
            .effects
            .iter()
            .all(|effect| here(&effect.site))
        && record.removal.probes.iter().all(|probe| here(&probe.site))
}

/// `name` as one readable file name: what is no letter, digit, `-`, `_` or inner `.` is
/// written as `%XX`; a name too long for a file system ends in its digest.
fn file_name(name: &str) -> String {
    const LONGEST: usize = 180;
    let mut written = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if plain || (byte == b'.' && index > 0) {
            written.push(char::from(byte));
        } else {
            write!(written, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    if written.len() > LONGEST {
        written.truncate(LONGEST);
        written.push('%');
        written.push_str(&Digest::of(name).to_string());
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Action, Effect};
    use crate::effect::{Line, Removal};
    use crate::secret::Vault;

    #[test]
    fn names_become_file_names_that_differ_and_stay_below_their_folder() {
        let registry = Registry::of(&StackName::new("keybuzz").unwrap());
        assert_eq!(
            registry.stamp("patroni-docker.service.restart"),
            "/var/lib/kbz/keybuzz/stamps/patroni-docker.service.restart"
        );
        assert_eq!(
            registry.stamp("../x"),
            "/var/lib/kbz/keybuzz/stamps/%2E.%2Fx"
        );
        let long = "x".repeat(400);
        assert_ne!(registry.stamp(&long), registry.stamp(&format!("{long}x")));
        assert!(registry.stamp(&long).len() < 300);
    }

    #[test]
    fn a_record_of_another_place_does_not_belong() {
        let host = HostName::new("db-master-01").unwrap();
        let other = HostName::new("db-slave-01").unwrap();
        let removal = |host: &HostName| Removal {
            effects: vec![Effect::on(host, Action::SwapOff {})],
            ..Removal::default()
        };
        let record = |urn: Urn, removal: Removal| Record {
            urn,
            goal: Vault::new().keyed(&Digest::of("")),
            removal: removal.into(),
            depends_on: std::collections::BTreeSet::new(),
            protect: false,
            retain: false,
            line: Line::default(),
        };
        let urn = Urn::on("file", &host, "/etc/x");
        assert!(belongs(&record(urn.clone(), removal(&host)), &host));
        assert!(!belongs(&record(urn.clone(), removal(&other)), &host));
        assert!(!belongs(&record(urn, removal(&host)), &other));
    }
}
