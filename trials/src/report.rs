//! What the trials came to: a table, and whether all of it held.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use benches::table;
use trials::Written;

/// The outcome of a trial in which something did not hold.
const BROKEN: &str = "broken, see above";

/// What a trial came to.
pub(crate) struct Outcome {
    /// How often something was done to the system.
    pub(crate) times: usize,
    /// How it ended.
    pub(crate) ended: String,
    /// The writes meanwhile, where there were any.
    pub(crate) written: Option<Written>,
}

/// All trials so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Vec<String>>,
    broken: usize,
}

impl Report {
    /// Carries a trial out; what does not hold panics, and is told.
    #[expect(clippy::disallowed_macros, reason = "this program is for the terminal")]
    pub(crate) fn trial(&mut self, kind: &str, trial: impl FnOnce() -> Outcome) {
        println!("· {kind}");
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(trial)).unwrap_or_else(|_| Outcome {
            times: 1,
            ended: BROKEN.to_owned(),
            written: None,
        });
        let lost = outcome
            .written
            .as_ref()
            .is_some_and(|written| !written.lost.is_empty());
        let broken = lost || outcome.ended == BROKEN;
        let mark = if broken { '×' } else { '✓' };
        println!(
            "{mark} {kind}: {}, {} s",
            outcome.ended,
            begun.elapsed().as_secs()
        );
        self.broken += usize::from(broken);
        self.rows.push(row(kind, &outcome));
    }

    /// Shows the table.
    #[expect(clippy::disallowed_macros, reason = "this program is for the terminal")]
    pub(crate) fn end(self) -> ExitCode {
        let heading = [
            "kind",
            "times",
            "outcome",
            "writes acknowledged",
            "writes lost",
        ];
        println!("\n{}", table::draw(&heading, &self.rows));
        if self.broken == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn row(kind: &str, outcome: &Outcome) -> Vec<String> {
    let count = |of: fn(&Written) -> usize| {
        let written = outcome.written.as_ref();
        written.map_or(String::new(), |written| of(written).to_string())
    };
    vec![
        kind.to_owned(),
        outcome.times.to_string(),
        outcome.ended.clone(),
        count(|written| written.acknowledged.len()),
        count(|written| written.lost.len()),
    ]
}
