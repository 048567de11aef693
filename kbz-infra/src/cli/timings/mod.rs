//! Where the time of a command went: a line with its phases, and a picture of all that happened.
//!
//! Everything is told by events that exist anyway: sites that were asked, steps that waited and
//! ran, effects within them. Nothing here measures anything but the phases themselves.

mod svg;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::Failed;
use super::live::seconds;
use super::screen::Screen;
use crate::diag::error_chain;
use crate::effect::Deed;
use crate::exec::{Event, What};
use crate::observe::ObserveEvent;
use crate::plan::StepId;
use crate::state::write_atomically;

/// A part of every command, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The program was run and checked.
    Program,
    /// The lab was made, or found to be there.
    Lab,
    /// The world was read.
    Observed,
    /// The plan was made.
    Planned,
    /// The plan was carried out.
    CarriedOut,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Lab => "lab",
            Self::Observed => "observed",
            Self::Planned => "planned",
            Self::CarriedOut => "carried out",
        }
    }
}

/// What a row of the picture tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Phase(Phase),
    Site,
    Step,
}

/// Something that took time; times are counted from the beginning of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    kind: Kind,
    label: String,
    /// Since when it could have begun, where it had to wait for its turn.
    waited: Option<Duration>,
    from: Duration,
    to: Duration,
    failed: bool,
    /// The effects of a step, one after the other.
    parts: Vec<Part>,
    /// How many of them have ended.
    ended: usize,
}

/// One effect of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    deed: Deed,
    site: String,
    from: Duration,
    to: Duration,
}

/// What is under way, or over.
#[derive(Debug, Default)]
struct Seen {
    spans: Vec<Span>,
    waiting: BTreeMap<StepId, Duration>,
    running: BTreeMap<StepId, Span>,
    /// When the run began from which its events are counted.
    run: Duration,
}

/// The times of one command.
#[derive(Debug)]
pub(super) struct Timings {
    begun: Instant,
    seen: Mutex<Seen>,
}

impl Timings {
    /// A watch that begins to run.
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            seen: Mutex::new(Seen::default()),
        }
    }

    /// A phase that began at `since` is over.
    pub(super) fn over(&self, phase: Phase, since: Instant) {
        let from = since.saturating_duration_since(self.begun);
        let span = span(Kind::Phase(phase), phase.word(), from, self.begun.elapsed());
        self.seen().spans.push(span);
    }

    /// Notes what the reading of the world tells.
    pub(super) fn observed(&self, event: &ObserveEvent) {
        let (site, elapsed, failed) = match event {
            ObserveEvent::Asked { .. } => return,
            ObserveEvent::Answered { site, elapsed, .. } => (site, elapsed, false),
            ObserveEvent::Silent { site, elapsed, .. } => (site, elapsed, true),
        };
        let to = self.begun.elapsed();
        let label = format!("read {site}");
        let span = span(Kind::Site, &label, to.saturating_sub(*elapsed), to);
        self.seen().spans.push(Span { failed, ..span });
    }

    /// Notes what a run tells.
    pub(super) fn heard(&self, event: &Event) {
        let now = self.begun.elapsed();
        let mut seen = self.seen();
        if matches!(event.what, What::RunStarted { .. }) {
            seen.run = now;
        }
        let at = seen.run + Duration::from_millis(event.at_ms);
        seen.hear(&event.what, at);
    }

    /// The phases in one line, and how long images were built within the last.
    pub(super) fn line(&self) -> String {
        let seen = self.seen();
        let phases = seen.spans.iter();
        let phases = phases.filter(|span| matches!(span.kind, Kind::Phase(_)));
        let words = phases.map(|span| format!("{} {}", span.label, told(span.took())));
        let line = words.collect::<Vec<_>>().join(" · ");
        match seen.built() {
            Some(built) => format!("{line}, images built for {}", told(built)),
            None => line,
        }
    }

    /// Says the phases, and writes the picture to the file that was asked for. Where that fails
    /// it is told: what was done is done, and has the exit code that it has.
    pub(super) fn tell(&self, title: &str, file: Option<&Path>, screen: Screen) {
        screen.say(&format!("  {}", self.line()));
        if let Err(Failed(unwritten)) = self.write(title, file) {
            screen.findings(&unwritten);
        }
    }

    /// Writes a picture of what has been so far, where one was asked for.
    pub(super) fn write(&self, title: &str, file: Option<&Path>) -> Result<(), Failed> {
        let Some(file) = file else { return Ok(()) };
        let picture = self.picture(title);
        write_atomically(file, picture.as_bytes(), 0o644).map_err(|error| {
            let help = "--timings FILE takes a file in a folder that is there";
            Failed::with_help("kbz::timings", error_chain(&error), help)
        })
    }

    fn picture(&self, title: &str) -> String {
        svg::draw(title, &self.seen().spans)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Span {
    fn took(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

impl Span {
    /// The first part that has not ended does so now. Of parts that went together the first has the
    /// time of all: nobody knows where one ended and the next began.
    fn part_ended(&mut self, at: Duration) {
        if let Some(part) = self.parts.get_mut(self.ended) {
            part.to = at;
            self.ended += 1;
        }
        if let Some(next) = self.parts.get_mut(self.ended) {
            (next.from, next.to) = (at, at);
        }
    }
}

impl Part {
    fn took(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

impl Seen {
    fn hear(&mut self, what: &What, at: Duration) {
        match what {
            What::StepWaiting { step, .. } => {
                self.waiting.entry(*step).or_insert(at);
            }
            What::StepStarted { step, urn, .. } => {
                let waited = self.waiting.remove(step);
                let span = span(Kind::Step, &urn.to_string(), at, at);
                self.running.insert(*step, Span { waited, ..span });
            }
            What::EffectStarted {
                step, site, deed, ..
            } => {
                if let Some(running) = self.running.get_mut(step) {
                    running.parts.push(Part {
                        deed: deed.clone(),
                        site: site.clone(),
                        from: at,
                        to: at,
                    });
                }
            }
            What::EffectDone { step, .. } => {
                if let Some(running) = self.running.get_mut(step) {
                    running.part_ended(at);
                }
            }
            What::StepDone { step, .. } => self.ended(*step, at, false),
            What::StepFailed { step, .. } => self.ended(*step, at, true),
            What::RunStarted { .. }
            | What::Progress { .. }
            | What::StepSkipped { .. }
            | What::Stopping { .. }
            | What::RunFinished { .. } => {}
        }
    }

    fn ended(&mut self, step: StepId, at: Duration, failed: bool) {
        let Some(mut span) = self.running.remove(&step) else {
            return;
        };
        if failed {
            span.part_ended(at);
        }
        self.spans.push(Span {
            to: at,
            failed,
            ..span
        });
    }

    /// From the begin of the first image to the end of the last; they are built side by side.
    fn built(&self) -> Option<Duration> {
        let parts = self.spans.iter().flat_map(|span| &span.parts);
        let builds = parts.filter(|part| part.deed.done == "built");
        let from = builds.clone().map(|part| part.from).min()?;
        let to = builds.map(|part| part.to).max()?;
        Some(to.saturating_sub(from))
    }
}

fn span(kind: Kind, label: &str, from: Duration, to: Duration) -> Span {
    Span {
        kind,
        label: label.to_owned(),
        waited: None,
        from,
        to,
        failed: false,
        parts: Vec::new(),
        ended: 0,
    }
}

/// `12 ms`, then as everywhere.
fn told(time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if milliseconds < 100 {
        format!("{milliseconds} ms")
    } else {
        seconds(milliseconds)
    }
}

#[cfg(test)]
mod tests;
