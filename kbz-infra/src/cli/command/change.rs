//! `up` and `destroy`: a plan shown, agreed to and carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio::sync::mpsc::unbounded_channel;

use super::interruption::Interruption;
use super::wish::Wish;
use super::{Call, Head, as_json};
use crate::cli::args::{ABANDONED, FAILED, STOPPED};
use crate::cli::error::Failed;
use crate::cli::live::{Live, seconds};
use crate::cli::looked::Looked;
use crate::cli::preview::counted;
use crate::cli::recovery;
use crate::cli::row::Row;
use crate::cli::screen::Screen;
use crate::cli::signal;
use crate::cli::timings::Phase;
use crate::cli::way::{Purpose, Way};
use crate::effect::{Progress, RunContext};
use crate::exec::{Cancel, Failure, FailureKind, Lease, Limits, Run, RunOutcome};
use crate::ident::Urn;
use crate::plan::{Forecast, Plan, Request, Stuck};
use crate::probe::Seen;
use crate::program::EnvironmentKind;
use crate::resource::Op;
use crate::state::{Ended, LockedStore};

/// What is about to be done, as JSON.
#[derive(Serialize)]
struct Planned<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    command: &'a str,
    kept: usize,
    create: usize,
    update: usize,
    replace: usize,
    delete: usize,
    forget: usize,
    adopt: usize,
    run: usize,
    switchover: usize,
    stuck: &'a [Stuck],
    forecast: &'a Forecast,
    left_out: usize,
}

/// What the stack offers when it is as declared, as JSON.
#[derive(Serialize)]
struct Offered<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    outputs: BTreeMap<&'a str, String>,
}

impl Call<'_> {
    /// `up` and `destroy`.
    pub(in crate::cli) async fn change(&self, wish: &Wish<'_>) -> Result<ExitCode, Failed> {
        let request = wish.request;
        let session = &self.session;
        let saved = wish.plan.map(|file| self.saved(file)).transpose()?;
        let command = match request {
            Request::Up if wish.drift_of.is_some() => "drift --revert",
            Request::Up => "up",
            Request::Destroy => "destroy",
        };
        let title = self.title(command);
        // A file that cannot be written is told before the world is changed, not after.
        session.timings.write(&title, wish.timings)?;
        let mut store = self.locked()?;
        // Taken before the look: whoever changes a host after it has a higher one, and what is
        // planned from that look is refused there.
        let number = run_number(store.next_run());
        let selection = self.selection(wish.chosen, store.records())?;
        let purpose = match request {
            Request::Up if wish.drift_of.is_none() => Purpose::Make(&store),
            Request::Up | Request::Destroy => Purpose::Change(&store),
        };
        let way = self.way(purpose).await?;
        let left = store.recovery();
        let looked = if let Some(saved) = saved {
            session
                .look_again(&way.interpreter, saved, left.as_ref())
                .await
        } else {
            let known = store.records();
            session
                .look(&way.interpreter, known, left.as_ref(), request, &selection)
                .await?
        };
        self.recovered(&mut store, &looked)?;
        let looked = match wish.drift_of {
            Some(meant) => {
                let drift = self.drift_of(looked, store.records(), meant)?;
                if drift.drifted.is_empty() && drift.looked.plan.stuck.is_empty() {
                    self.tell_no_drift(drift.pending.len());
                    return Ok(ExitCode::SUCCESS);
                }
                drift.looked
            }
            None => looked,
        };
        let picture = self.drawn(&looked, &way, command, wish.view);
        self.screen.say(picture.trim_end());
        self.tell_plan(command, &looked, &way)?;
        self.screen.findings(looked.proved()?);
        if looked.plan.is_empty() {
            store.settle(looked.plan.kept.values(), &looked.plan.forgotten)?;
            session.timings.tell(&title, wish.timings, self.screen);
            return self.offer(request, &looked.plan.left_out, &way);
        }
        if !looked.plan.steps.is_empty() {
            self.agreed(command)?;
        }
        let moved = looked.plan.has_moved();
        let stuck = looked.plan.stuck.len();
        let left_out = looked.plan.left_out.clone();
        let limits = Limits {
            parallel: self.common.parallel,
            fail_fast: wish.fail_fast,
            ..Limits::default()
        };
        let lease = self.lease(&looked, &store);
        let interruption = Interruption::of(&looked, &way);
        let outcome = self
            .carry_out(&way, looked.plan, (lease, number), store, limits, &title)
            .await?;
        let last = closing(&outcome, &title, stuck, moved).draw(self.screen.style);
        self.screen.say(&last);
        self.tell_interruption(interruption, &way).await?;
        session.timings.tell(&title, wish.timings, self.screen);
        match outcome.ended {
            Ended::Stopped => Ok(ExitCode::from(STOPPED)),
            Ended::Abandoned => Ok(ExitCode::from(ABANDONED)),
            Ended::Complete if outcome.is_success() && stuck == 0 => {
                self.offer(request, &left_out, &way)
            }
            Ended::Complete => Ok(ExitCode::from(FAILED)),
        }
    }

    /// A command with its stack and environment.
    pub(super) fn title(&self, command: &str) -> String {
        let (stack, label) = (self.session.graph.stack(), self.session.label());
        format!("{command} · {stack} · {label}")
    }

    /// Says how a run ended; whether everything was done.
    pub(super) fn closed(&self, outcome: &RunOutcome, title: &str, stuck: bool) -> bool {
        let last = closing(outcome, title, usize::from(stuck), false);
        self.screen.say(&last.draw(self.screen.style));
        outcome.ended == Ended::Complete && outcome.is_success() && !stuck
    }

    /// Carries a plan out under the eyes of a person; Ctrl-C once finishes what runs, twice leaves.
    pub(super) async fn carry_out(
        &self,
        way: &Way,
        plan: Plan,
        (lease, number): (Lease, u64),
        store: LockedStore,
        limits: Limits,
        title: &str,
    ) -> Result<RunOutcome, Failed> {
        let cancel = Cancel::new();
        let watch = signal::watch(&cancel)?;
        let context = RunContext {
            stack: self.session.graph.stack().clone(),
            run: number,
            vault: Arc::new(self.session.program.vault.clone()),
            progress: Progress::none(),
            cancel: cancel.leave().clone(),
        };
        let mut live = Live::new(self.screen, title.to_owned(), plan.steps.len());
        let (events, mut heard) = unbounded_channel();
        let run = Run::new(plan, Arc::clone(&way.interpreter), store, context, limits);
        let run = run.holding(lease);
        let showing = async {
            while let Some(event) = heard.recv().await {
                self.session.timings.heard(&event);
                live.show(&event);
            }
            live.finish();
        };
        let begun = Instant::now();
        let (outcome, ()) = tokio::join!(run.start(events, cancel), showing);
        self.session.timings.over(Phase::CarriedOut, begun);
        watch.abort();
        Ok(outcome?)
    }

    /// What a run holds: every host of the stack that answers, whether it changes that one or not,
    /// since what two runs do together may be more than a cluster bears.
    pub(super) fn lease(&self, looked: &Looked, store: &LockedStore) -> Lease {
        let mut hosts = self.session.hosts();
        let steps = looked.plan.steps.iter();
        hosts.extend(steps.filter_map(|step| step.urn.host().cloned()));
        for (probe, seen) in looked.observation.iter() {
            if let (Some(host), Seen::Unreachable(_)) = (probe.site.host(), seen) {
                hosts.remove(host);
            }
        }
        Lease {
            hosts,
            holder: store.operator(),
        }
    }

    /// Tells what an earlier run left open, and notes that it is settled.
    fn recovered(&self, store: &mut LockedStore, looked: &Looked) -> Result<(), Failed> {
        let Some(recovery) = store.recovery() else {
            return Ok(());
        };
        let fates = recovery.judge(&looked.observation, &self.session.program.vault);
        if !recovery.open.is_empty() {
            let told = recovery::draw(&recovery, &fates, self.screen.style);
            self.screen.say(told.trim_end());
        }
        store.recover(fates)?;
        Ok(())
    }

    /// Asks before real hosts are changed; without a terminal it says which flag is missing.
    pub(super) fn agreed(&self, command: &str) -> Result<(), Failed> {
        let environment = &self.session.environment;
        if self.common.yes || !environment.confirm || environment.kind != EnvironmentKind::Hosts {
            return Ok(());
        }
        if self.screen.json || !std::io::stdin().is_terminal() {
            return Err(Failed::with_help(
                "kbz::cli::confirm",
                format!("`{command}` on `{}` needs a confirmation", environment.name),
                "nobody can be asked here: add --yes",
            ));
        }
        self.screen.say(&format!(
            "type the name of the environment to go ahead: {}",
            environment.name
        ));
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if read.is_ok() && line.trim() == environment.name {
            return Ok(());
        }
        Err(Failed::new(
            "kbz::cli::confirm",
            "not confirmed: nothing was changed",
        ))
    }

    /// The plan in numbers, for machines.
    fn tell_plan(&self, command: &str, looked: &Looked, way: &Way) -> Result<(), Failed> {
        let plan = &looked.plan;
        if self.screen.json {
            Screen::result(&as_json(&Planned {
                head: self.head("planned", way),
                command,
                kept: plan.kept.len(),
                create: plan.count(Op::Create),
                update: plan.count(Op::Update),
                replace: plan.count(Op::Replace),
                delete: plan.count(Op::Delete),
                forget: plan.count(Op::Forget),
                adopt: plan.count(Op::Adopt),
                run: plan.count(Op::Run),
                switchover: plan.count(Op::Switchover),
                stuck: &plan.stuck,
                forecast: &looked.forecast,
                left_out: plan.left_out.len(),
            })?);
        }
        Ok(())
    }

    /// What the stack offers now, and where that is found on this machine.
    ///
    /// Of a part of the stack alone nothing is offered: what would be named may not be there yet.
    fn offer(
        &self,
        request: Request,
        left_out: &BTreeSet<Urn>,
        way: &Way,
    ) -> Result<ExitCode, Failed> {
        if request == Request::Destroy || !left_out.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let exports = &self.session.program.exports;
        if self.screen.json {
            let outputs = exports
                .iter()
                .map(|export| (export.name.as_str(), export.value.to_string()));
            Screen::result(&as_json(&Offered {
                head: self.head("offered", way),
                outputs: outputs.collect(),
            })?);
            return Ok(ExitCode::SUCCESS);
        }
        let names = exports.iter().map(|export| export.name.len());
        let width = names.max().unwrap_or_default();
        for export in exports {
            let value = export.value.to_string();
            let here = way
                .published
                .iter()
                .find(|(inside, _)| value.contains(&inside.to_string()));
            let mut row = Row::text(format!("{:width$}  {value}", export.name)).indent(1);
            if let Some((_, outside)) = here {
                row = row.note(format!("from this machine: {outside}"));
            }
            self.screen.say(&row.draw(self.screen.style));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The number of a run: it rises even where the operator's memory was lost, because the hosts
/// refuse what an older run asks. In microseconds, since no two operators may have the same.
pub(super) fn run_number(next: u64) -> u64 {
    let now = jiff::Timestamp::now().as_microsecond();
    next.max(u64::try_from(now).unwrap_or_default())
}

/// The last line of a run.
fn closing(outcome: &RunOutcome, title: &str, stuck: usize, moved: bool) -> Row {
    let elapsed = seconds(u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX));
    let done = outcome.done.len();
    if outcome.is_success() && stuck == 0 {
        let note = format!("{} in {elapsed}", counted(done, "step"));
        return Row::check(true, title).note(note);
    }
    let left = |failure: &&Failure| failure.kind == FailureKind::Cancelled;
    let under_way = outcome.failed.values().filter(left).count();
    let mut counts = vec![format!("{done} done")];
    for (count, word) in [
        (outcome.failed.len() - under_way, "failed"),
        (under_way, "left under way"),
        (outcome.skipped.len() + stuck, "waiting"),
    ] {
        if count > 0 {
            counts.push(format!("{count} {word}"));
        }
    }
    let next = match outcome.ended {
        Ended::Complete if moved => "the world has moved since the plan was made: preview again",
        Ended::Complete => "run it again: done work is not repeated",
        Ended::Stopped => "stopped as asked; run it again to go on",
        Ended::Abandoned => "left at once; the next run looks at what was under way",
    };
    let note = format!("{} in {elapsed} · {next}", counts.join(" · "));
    Row::check(false, title).note(note)
}
