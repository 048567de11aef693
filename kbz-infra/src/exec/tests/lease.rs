//! How long a run holds its hosts.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::*;
use crate::effect::{EffectError, LEASE_LASTS, SiteReadings};
use crate::probe::{Outage, Probe};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// The note of who runs on a host, and what else its registry knows of runs.
#[derive(Debug, Clone, PartialEq)]
struct Note {
    holder: String,
    run: u64,
    renewed: Instant,
}

/// Hosts that keep leases, and on which every other effect takes an hour.
#[derive(Default)]
struct Hosts {
    notes: Mutex<BTreeMap<Site, Note>>,
    /// Never answers a renewal.
    hangs: Option<Site>,
    /// Answers no renewal.
    silent: Option<Site>,
    /// When something was asked for last.
    asked: Mutex<Option<Instant>>,
}

impl Hosts {
    fn note(&self, site: &Site) -> Option<Note> {
        self.notes.lock().unwrap().get(site).cloned()
    }

    /// Takes the lease of a host, if it has ended.
    fn take(&self, site: &Site, holder: &str, run: u64) -> Result<(), EffectError> {
        let mut notes = self.notes.lock().unwrap();
        match notes.get(site) {
            Some(note) if note.holder != holder && note.renewed.elapsed() < LEASE_LASTS => {
                return Err(EffectError::Held {
                    site: site.to_string(),
                    by: note.holder.clone(),
                });
            }
            _ => {}
        }
        let note = Note {
            holder: holder.to_owned(),
            run,
            renewed: Instant::now(),
        };
        notes.insert(site.clone(), note);
        Ok(())
    }

    /// Somebody else takes all leases, as if they had ended.
    fn overtake(&self) {
        for note in self.notes.lock().unwrap().values_mut() {
            *note = Note {
                holder: "bob".to_owned(),
                run: note.run + 1,
                renewed: Instant::now(),
            };
        }
    }
}

#[async_trait]
impl Interpreter for Hosts {
    async fn read(&self, site: &Site, _probes: &[Probe]) -> SiteReadings {
        Err(Outage::new(site, "these hosts are only written to"))
    }

    async fn run(&self, effect: &Effect, run: &RunContext) -> Result<(), EffectError> {
        let site = &effect.site;
        *self.asked.lock().unwrap() = Some(Instant::now());
        match &effect.action {
            Action::TakeLease { holder } => self.take(site, holder, run.run),
            Action::RenewLease { .. } if self.hangs.as_ref() == Some(site) => {
                std::future::pending().await
            }
            Action::RenewLease { .. } if self.silent.as_ref() == Some(site) => {
                Err(Outage::new(site, "no answer").into())
            }
            Action::RenewLease { .. } => {
                let mut notes = self.notes.lock().unwrap();
                if let Some(note) = notes.get_mut(site).filter(|note| note.run == run.run) {
                    note.renewed = Instant::now();
                }
                Ok(())
            }
            Action::GiveLeaseBack { holder } => {
                let mut notes = self.notes.lock().unwrap();
                if notes.get(site).is_some_and(|note| note.holder == *holder) {
                    notes.remove(site);
                }
                Ok(())
            }
            _ => {
                sleep(HOUR).await;
                Ok(())
            }
        }
    }
}

/// A run of an hour on the first of two hosts, both of which it holds.
async fn an_hour(hosts: &Arc<Hosts>, cancel: Cancel) -> RunOutcome {
    let base = tempfile::tempdir().unwrap();
    let plan = plan(&[short(&[0], &[])]);
    let limits = Limits {
        step_timeout: 2 * HOUR,
        ..Limits::default()
    };
    let names = [host(0), host(1)];
    let lease = Lease {
        hosts: names.iter().filter_map(Site::host).cloned().collect(),
        holder: "ann".to_owned(),
    };
    let (sender, _events) = unbounded_channel();
    let run = run(plan, Arc::clone(hosts) as _, locked(base.path()), limits);
    run.holding(lease).start(sender, cancel).await.unwrap()
}

/// What happens every minute, for as long as nothing else does.
async fn each_minute(look: impl Fn()) -> ! {
    loop {
        sleep(MINUTE).await;
        look();
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_holds_its_hosts_for_as_long_as_an_effect_takes() {
    let (hosts, begun) = (Arc::new(Hosts::default()), Instant::now());
    let rival = each_minute(|| {
        for site in [host(0), host(1)] {
            let refused = hosts.take(&site, "bob", 9).unwrap_err();
            assert!(matches!(refused, EffectError::Held { .. }), "{refused}");
        }
    });
    let outcome = tokio::select! {
        biased;
        outcome = an_hour(&hosts, Cancel::new()) => outcome,
        _ = rival => unreachable!(),
    };
    assert!(outcome.is_success());
    assert!(begun.elapsed() < HOUR + MINUTE, "{:?}", begun.elapsed());
    let asked = *hosts.asked.lock().unwrap();
    sleep(HOUR).await;
    assert_eq!(*hosts.asked.lock().unwrap(), asked, "it is over");
    assert_eq!((hosts.note(&host(0)), hosts.note(&host(1))), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_overtaken_takes_nothing_back() {
    let (hosts, begun) = (Arc::new(Hosts::default()), Instant::now());
    let overtaken = async {
        sleep(HOUR / 2).await;
        hosts.overtake();
    };
    tokio::join!(an_hour(&hosts, Cancel::new()), overtaken);
    for site in [host(0), host(1)] {
        let note = hosts.note(&site).unwrap();
        assert_eq!(note.holder, "bob");
        assert!(note.renewed - begun < HOUR / 2 + MINUTE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_holds_nothing_up() {
    let faulty = [
        Hosts {
            hangs: Some(host(1)),
            ..Hosts::default()
        },
        Hosts {
            silent: Some(host(1)),
            ..Hosts::default()
        },
    ];
    for hosts in faulty.map(Arc::new) {
        let begun = Instant::now();
        let rival = each_minute(|| {
            hosts.take(&host(0), "bob", 9).unwrap_err();
        });
        let outcome = tokio::select! {
            biased;
            outcome = an_hour(&hosts, Cancel::new()) => outcome,
            _ = rival => unreachable!(),
        };
        assert!(outcome.is_success());
        assert!(begun.elapsed() < HOUR + MINUTE, "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_left_under_way_is_renewed_no_more_and_not_given_back() {
    let (hosts, cancel) = (Arc::new(Hosts::default()), Cancel::new());
    let left = async {
        sleep(HOUR / 2 + MINUTE).await;
        cancel.press();
        cancel.press();
    };
    let (outcome, ()) = tokio::join!(an_hour(&hosts, cancel.clone()), left);
    assert_eq!(outcome.ended, Ended::Abandoned);
    // It was renewed a minute before.
    sleep(LEASE_LASTS * 9 / 10).await;
    hosts.take(&host(1), "bob", 9).unwrap_err();
    sleep(2 * MINUTE).await;
    hosts.take(&host(1), "bob", 9).unwrap();
}
