//! The lease of a run on a host: see `exec`.

use std::time::Duration;

use super::shell::{Change, unspeakable};
use crate::effect::{EffectError, LEASE_LASTS};
use crate::host::read::HostSite;
use crate::host::registry::Registry;
use crate::host::shell::{self, NulByte};

/// Seconds after which a lease that nothing has renewed is over.
const LASTS: u64 = LEASE_LASTS.as_secs();

/// How long the end of a run waits for a host that no longer answers: the lease there ends by
/// itself.
const AT_LEISURE: Duration = Duration::from_secs(5);

/// Takes the lease, unless somebody else holds it. Comes before the fence: a run that is refused
/// must not make the one that goes on the older one.
pub(super) fn take(site: &HostSite, holder: &str, run: u64) -> Result<Change, EffectError> {
    let script = take_script(&site.registry, holder, run).map_err(|error| unspeakable(&error))?;
    Ok(Change::new(site.name().to_string(), script).before_the_fence())
}

/// Renews the lease, if the host knows no newer run and the lease is still the holder's. Comes before
/// the fence: a host that the run has not changed yet must not take it for the newest one by that.
pub(super) fn renew(site: &HostSite, holder: &str, run: u64) -> Result<Change, EffectError> {
    let script = renew_script(&site.registry, holder, run).map_err(|error| unspeakable(&error))?;
    Ok(Change::new(site.name().to_string(), script).before_the_fence())
}

/// Gives the lease back, if it is still the holder's.
pub(super) fn give_back(site: &HostSite, holder: &str) -> Result<Change, EffectError> {
    let script = give_back_script(&site.registry, holder).map_err(|error| unspeakable(&error))?;
    Ok(Change::new(site.name().to_string(), script).within(AT_LEISURE))
}

fn take_script(registry: &Registry, holder: &str, run: u64) -> Result<String, NulByte> {
    let (holder, lease) = (shell::quote(holder)?, registry.lease());
    let held = Registry::HELD;
    Ok(format!(
        "{}{}\
         if [ -f {lease} ]; then\n\
         found=$(cat {lease}) && since=$(stat -c %Y {lease}) && now=$(date +%s) || exit 1\n\
         if [ \"$found\" != {holder} ] && [ $((now - since)) -lt {LASTS} ]; then\n\
         printf '%s, %s s ago\\n' \"$found\" $((now - since)) >&2; exit {held}\n\
         fi\n\
         fi\n\
         printf '%s\\n' {holder} >{lease}.new && mv -f {lease}.new {lease} || exit 1\n{}",
        registry.open(),
        registry.refuse_older(run),
        registry.note_run(run),
    ))
}

/// Waits for no lock and makes nothing anew: a lease that is taken or given back in between stays so.
fn renew_script(registry: &Registry, holder: &str, run: u64) -> Result<String, NulByte> {
    let (holder, lease) = (shell::quote(holder)?, registry.lease());
    Ok(format!(
        "{}\
         if [ \"$newest\" -eq {run} ] && [ \"$(cat {lease} 2>/dev/null)\" = {holder} ]; then\n\
         touch -c {lease} || exit 1\n\
         fi",
        registry.refuse_older(run),
    ))
}

fn give_back_script(registry: &Registry, holder: &str) -> Result<String, NulByte> {
    let (holder, lease) = (shell::quote(holder)?, registry.lease());
    Ok(format!(
        "if [ \"$(cat {lease} 2>/dev/null)\" = {holder} ]; then rm -f {lease}; fi"
    ))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    /// A registry in a folder of its own.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::TempDir::new().unwrap())
        }

        fn registry(&self) -> Registry {
            Registry::below(self.0.path().join("shop").to_str().unwrap())
        }

        fn sh(script: &str) -> Output {
            #[expect(
                clippy::disallowed_methods,
                reason = "a script is tried in a real shell"
            )]
            Command::new("sh").args(["-c", script]).output().unwrap()
        }

        fn take(&self, holder: &str, run: u64) -> Option<i32> {
            let script = take_script(&self.registry(), holder, run).unwrap();
            Self::sh(&script).status.code()
        }

        /// What every change of a run begins with.
        fn change(&self, run: u64) -> Option<i32> {
            Self::sh(&self.registry().fence(run)).status.code()
        }

        fn renew(&self, holder: &str, run: u64) -> Option<i32> {
            let script = renew_script(&self.registry(), holder, run).unwrap();
            Self::sh(&script).status.code()
        }

        fn give_back(&self, holder: &str, run: u64) -> Option<i32> {
            let script = give_back_script(&self.registry(), holder).unwrap();
            let fence = self.registry().fence(run);
            Self::sh(&format!("{fence}{script}")).status.code()
        }

        /// Lets the lease be so many seconds old.
        fn age(&self, seconds: u64) {
            let lease = self.registry().lease();
            let script = format!("touch -d \"@$(( $(date +%s) - {seconds} ))\" {lease}");
            assert_eq!(Self::sh(&script).status.code(), Some(0));
        }
    }

    const HELD: Option<i32> = Some(Registry::HELD.cast_signed());
    const SUPERSEDED: Option<i32> = Some(crate::host::registry::SUPERSEDED.cast_signed());

    #[test]
    fn while_one_holds_it_another_begins_nothing_and_disturbs_nothing() {
        let hosts = Folder::new();
        assert_eq!(hosts.take("ann's laptop", 5), Some(0));
        assert_eq!(hosts.take("bob@install-01", 6), HELD);
        assert_eq!(hosts.change(5), Some(0), "the run goes on");
        assert_eq!(hosts.give_back("ann's laptop", 5), Some(0));
        assert_eq!(hosts.take("bob@install-01", 6), Some(0));
    }

    #[test]
    fn who_is_refused_is_told_by_whom() {
        let hosts = Folder::new();
        hosts.take("ann $(id) 'x'", 5);
        let script = take_script(&hosts.registry(), "bob", 6).unwrap();
        let said = String::from_utf8(Folder::sh(&script).stderr).unwrap();
        assert!(said.starts_with("ann $(id) 'x', "), "{said}");
    }

    #[test]
    fn the_same_operator_goes_on_after_a_crash() {
        let hosts = Folder::new();
        assert_eq!(hosts.take("ann", 5), Some(0));
        assert_eq!(hosts.take("ann", 6), Some(0));
        assert_eq!(hosts.change(5), SUPERSEDED);
    }

    #[test]
    fn a_lease_that_nobody_renews_ends_and_its_run_is_kept_out() {
        let hosts = Folder::new();
        assert_eq!(hosts.take("ann", 5), Some(0));
        hosts.age(LASTS + 5);
        assert_eq!(hosts.take("bob", 6), Some(0));
        assert_eq!(hosts.change(5), SUPERSEDED);
        assert_eq!(hosts.give_back("ann", 5), SUPERSEDED);
        assert_eq!(hosts.take("cy", 7), HELD, "bob's lease is still there");
    }

    #[test]
    fn every_change_renews_it() {
        let hosts = Folder::new();
        assert_eq!(hosts.take("ann", 5), Some(0));
        hosts.age(LASTS - 5);
        assert_eq!(hosts.change(5), Some(0));
        hosts.age(0);
        assert_eq!(hosts.take("bob", 6), HELD);
    }

    #[test]
    fn a_run_that_lives_renews_it_as_often_as_it_likes() {
        let hosts = Folder::new();
        assert_eq!(hosts.take("ann's laptop", 5), Some(0));
        for seconds in [LASTS / 2, LASTS - 5, LASTS + 5] {
            hosts.age(seconds);
            assert_eq!(hosts.renew("ann's laptop", 5), Some(0));
            assert_eq!(hosts.take("bob", 6), HELD);
        }
    }

    #[test]
    fn who_was_overtaken_neither_renews_it_nor_takes_it_back() {
        let hosts = Folder::new();
        assert_eq!(hosts.take("ann", 5), Some(0));
        hosts.age(LASTS + 5);
        assert_eq!(hosts.take("bob", 6), Some(0));
        hosts.age(LASTS + 5);
        assert_eq!(hosts.renew("ann", 5), SUPERSEDED);
        assert_eq!(hosts.take("cy", 7), Some(0), "bob's has ended by itself");
        assert_eq!(hosts.give_back("cy", 7), Some(0));
        assert_eq!(hosts.renew("ann", 5), SUPERSEDED);
        assert_eq!(hosts.take("dan", 8), Some(0), "nobody holds it");
    }

    #[test]
    fn a_renewal_makes_nothing_and_disturbs_nobody() {
        let hosts = Folder::new();
        assert_eq!(hosts.renew("ann", 5), Some(0));
        assert!(!hosts.0.path().join("shop").exists());
        assert_eq!(hosts.take("bob", 4), Some(0));
        hosts.age(LASTS + 5);
        assert_eq!(hosts.renew("ann", 5), Some(0), "it has never been hers");
        assert_eq!(hosts.change(4), Some(0), "bob's run goes on");
        assert_eq!(hosts.give_back("bob", 4), Some(0));
        assert_eq!(hosts.renew("bob", 4), Some(0), "one that came late");
        assert_eq!(hosts.take("cy", 6), Some(0));
    }

    #[test]
    fn an_older_run_takes_nothing() {
        let hosts = Folder::new();
        assert_eq!(hosts.change(9), Some(0));
        assert_eq!(hosts.take("ann", 8), SUPERSEDED);
        assert_eq!(hosts.take("ann", 10), Some(0));
    }
}
