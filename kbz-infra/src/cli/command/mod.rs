//! The commands, each on one opened program.

mod change;
mod chosen;
mod drift;
mod index;
mod interruption;
mod look;
mod saved;
mod tell;
mod wish;

use std::mem::ManuallyDrop;

use serde::Serialize;

use super::args::{Answer, Chosen, Common, View};
use super::error::Failed;
use super::looked::Looked;
use super::preview::{self, Heading};
use super::recovery;
use super::rehearsal::Rehearsal;
use super::screen::Screen;
use super::session::Session;
use super::way::{self, Purpose, Way};
use crate::diag::{Finding, Report};
use crate::plan::Request;
use crate::state::{Cut, Holder, LockedStore, Snapshot, StoreError};

pub(super) use wish::Wish;

/// The version of what the command line itself writes as JSON.
const SCHEMA: u32 = 1;

/// A command that was typed: the program in its environment, and where to write.
pub(super) struct Call<'a> {
    pub(super) session: Session,
    pub(super) lab: Option<&'a dyn Rehearsal>,
    pub(super) common: &'a Common,
    pub(super) screen: Screen,
}

impl Call<'_> {
    /// Shows what the program is warned of, where the answer to machines does not hold it.
    pub(super) fn warn(&self, answer: Answer) {
        let report: Report = self.session.program.warnings.iter().cloned().collect();
        match answer {
            Answer::Document if self.screen.json => {}
            Answer::Bare => self.screen.findings_beside(&report),
            Answer::Lines | Answer::Document => self.screen.findings(&report),
        }
    }

    /// What there is to be warned of: of the program, and of what was seen.
    fn warnings<'b>(&'b self, looked: &'b Looked) -> Vec<&'b Finding> {
        let seen = looked.proved().ok().map(Report::findings);
        let seen = seen.into_iter().flatten();
        self.session.program.warnings.iter().chain(seen).collect()
    }

    /// The way to the hosts.
    async fn way(&self, purpose: Purpose<'_>) -> Result<Way, Failed> {
        way::find(&self.session, self.lab, purpose, self.screen).await
    }

    /// Finds the way, and reads and plans along it.
    async fn look(&self, chosen: &Chosen) -> Result<(Way, Looked), Failed> {
        let recalled = self.recall()?;
        // As much is not taken apart again for a process that is about to end.
        let remembered = ManuallyDrop::new(recalled.records);
        let selection = self.selection(chosen, &remembered)?;
        let way = self.way(Purpose::Look).await?;
        let looked = self
            .session
            .look(&way.interpreter, &remembered, None, Request::Up, &selection)
            .await?;
        Ok((way, looked.held_by(recalled.held_by)))
    }

    /// What is remembered, read without the lock; that somebody has it is told.
    fn recall(&self) -> Result<Snapshot, StoreError> {
        let recalled = self.session.recall()?;
        if let Some(holder) = &recalled.held_by {
            self.screen.say(&recovery::held(holder));
        }
        Ok(recalled)
    }

    /// The right to write. How the state was found is told at once: it is put right by that.
    fn locked(&self) -> Result<LockedStore, Failed> {
        let store = self.session.store().lock()?;
        self.tell_found(&store)?;
        Ok(store)
    }

    /// Tells how the state was found; nothing where it was given back whole.
    fn tell_found(&self, store: &LockedStore) -> Result<(), Failed> {
        if self.screen.json {
            return self.tell_recovered(store);
        }
        let told_later = store.recovery().filter(|left| !left.open.is_empty());
        let told_later = told_later.map(|left| left.holder);
        let predecessor = store.predecessor();
        let predecessor = predecessor.filter(|holder| told_later.as_ref() != Some(holder));
        let found = recovery::draw_found(predecessor, store.cut(), self.screen.style);
        if !found.is_empty() {
            self.screen.say(found.trim_end());
        }
        Ok(())
    }

    /// How the state was found, for machines.
    fn tell_recovered(&self, store: &LockedStore) -> Result<(), Failed> {
        let open = store.recovery().map_or(0, |left| left.open.len());
        let (cut, predecessor) = (store.cut(), store.predecessor());
        if open > 0 || cut.is_some() || predecessor.is_some() {
            // The way to the hosts is not known yet.
            let simulated = way::remark(self.session.environment.kind).is_some();
            Screen::result(&as_json(&Recovered {
                head: self.head_of("recovered", simulated),
                predecessor,
                cut,
                open,
            })?);
        }
        Ok(())
    }

    fn heading(&self, looked: &Looked, way: &Way, command: &str) -> Heading {
        Heading {
            command: command.to_owned(),
            environment: self.session.label(),
            hosts: self.session.hosts().len(),
            objects: self.session.graph.len(),
            elapsed: Some(looked.elapsed),
            remark: way.remark.clone(),
            forecast: looked.forecast.clone(),
            proved: looked.is_proved(),
        }
    }

    fn drawn(&self, looked: &Looked, way: &Way, command: &str, view: View) -> String {
        let heading = self.heading(looked, way, command);
        let detail = view.detail();
        let style = match command {
            "preview" => self.screen.result_style,
            _ => self.screen.style,
        };
        preview::draw(&looked.plan, &self.session.graph, &heading, detail, style)
    }

    /// What every JSON line of the command line itself begins with.
    fn head<'b>(&'b self, event: &'b str, way: &Way) -> Head<'b> {
        self.head_of(event, way.remark.is_some())
    }

    fn head_of<'b>(&'b self, event: &'b str, simulated: bool) -> Head<'b> {
        Head {
            schema: SCHEMA,
            event,
            stack: self.session.graph.stack().as_str(),
            environment: &self.session.environment.name,
            simulated,
        }
    }
}

/// What every JSON line of the command line itself begins with.
#[derive(Serialize)]
struct Head<'a> {
    schema: u32,
    event: &'a str,
    stack: &'a str,
    environment: &'a str,
    /// Whether the hosts are a model.
    simulated: bool,
}

/// How the state was found and put right, as JSON.
#[derive(Serialize)]
struct Recovered<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Who held the lock and died with it.
    predecessor: Option<&'a Holder>,
    /// What was cut from the end of the journal.
    cut: Option<Cut>,
    /// How many effects of the last run were open.
    open: usize,
}

/// A value as one line of JSON.
fn as_json(value: &impl Serialize) -> Result<String, Failed> {
    let mut text = serde_json::to_string(value)
        .map_err(|error| Failed::new("kbz::cli::json", error.to_string()))?;
    text.push('\n');
    Ok(text)
}
