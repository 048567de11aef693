//! What was foretold of writes, beside what was seen of them.

use std::sync::Arc;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Call, Head, as_json};
use crate::cli::error::Failed;
use crate::cli::live::seconds;
use crate::cli::looked::Looked;
use crate::cli::row::Row;
use crate::cli::screen::Screen;
use crate::cli::way::Way;
use crate::observe::{Watched, watch};
use crate::plan::Span;
use crate::probe::{Probe, Query, Seen, Site};

/// What was seen of writes while a plan that stops them was carried out, as JSON.
#[derive(Serialize)]
struct Interrupted<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Where it was looked.
    through: &'a str,
    /// The longest time without an answer, in milliseconds.
    longest_ms: u64,
    answers: u32,
    silences: u32,
    foretold: Span,
}

/// A look at the way in to a leader, again and again while a plan is carried out.
pub(super) struct Interruption {
    through: Site,
    foretold: Span,
    watching: JoinHandle<Watched>,
    stop: DropGuard,
}

impl Interruption {
    /// Begins to watch, where writes are foretold to stop and somebody answers now who would show
    /// it.
    pub(super) fn of(looked: &Looked, way: &Way) -> Option<Self> {
        let foretold = looked.forecast.writes_stop;
        if foretold.is_none() {
            return None;
        }
        let mut answered = looked.observation.iter();
        let (probe, _) = answered.find(|(probe, seen)| shows_writes(probe, seen))?;
        let stop = CancellationToken::new();
        let looks = watch(Arc::clone(&way.interpreter), probe.clone(), stop.clone());
        Some(Self {
            through: probe.site.clone(),
            foretold,
            watching: tokio::spawn(looks),
            stop: stop.drop_guard(),
        })
    }
}

/// Whether a question goes to the leader, whichever it is, and has an answer.
fn shows_writes(probe: &Probe, seen: &Seen) -> bool {
    matches!(probe.site, Site::Postgres(_))
        && matches!(probe.query, Query::Role(_))
        && matches!(seen, Seen::Read(_))
}

impl Call<'_> {
    /// Tells what was seen, beside what was foretold.
    pub(super) async fn tell_interruption(
        &self,
        interruption: Option<Interruption>,
        way: &Way,
    ) -> Result<(), Failed> {
        let Some(interruption) = interruption else {
            return Ok(());
        };
        let Interruption {
            through,
            foretold,
            watching,
            stop,
        } = interruption;
        drop(stop);
        let Ok(watched) = watching.await else {
            return Ok(());
        };
        let longest_ms = u64::try_from(watched.longest.as_millis()).unwrap_or(u64::MAX);
        let through = through.to_string();
        if self.screen.json {
            Screen::result(&as_json(&Interrupted {
                head: self.head("interrupted", way),
                through: &through,
                longest_ms,
                answers: watched.answers,
                silences: watched.silences,
                foretold,
            })?);
            return Ok(());
        }
        let said = format!("writes were away for {} at most", seconds(longest_ms));
        let row = Row::text(said).note(format!("foretold: {foretold}; seen through {through}"));
        self.screen.say(&row.draw(self.screen.style));
        Ok(())
    }
}
