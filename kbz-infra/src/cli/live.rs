//! A run while it goes on: a live tree on a terminal, plain lines otherwise, events as JSON
//! for machines.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize as _;

use super::screen::Screen;
use crate::diag::cleaned;
use crate::exec::{Because, Event, What};
use crate::ident::Urn;
use crate::plan::StepId;

/// Shows the events of one run.
pub(super) struct Live {
    screen: Screen,
    title: String,
    begun: Instant,
    total: u64,
    done: u64,
    tree: Option<Tree>,
    running: BTreeMap<StepId, Running>,
}

/// The part of a terminal that is drawn again and again.
struct Tree {
    bars: MultiProgress,
    head: ProgressBar,
}

struct Running {
    urn: Urn,
    begun: Instant,
    bar: Option<ProgressBar>,
    last: String,
}

/// Columns before the text of a step that runs.
const SPINNER: usize = 4;

/// Shorter steps leave no line behind on a terminal: they would scroll away what matters.
const WORTH_A_LINE: Duration = Duration::from_millis(1500);

impl Live {
    /// A display for a run; `title` says of what, such as `up · keybuzz · lab`.
    pub(super) fn new(screen: Screen, title: String, total: usize) -> Self {
        let tree = screen.live.then(|| {
            let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let head = bars.add(ProgressBar::new_spinner());
            head.set_style(plain_style());
            Tree { bars, head }
        });
        let mut live = Self {
            screen,
            title,
            begun: Instant::now(),
            total: total as u64,
            done: 0,
            tree,
            running: BTreeMap::new(),
        };
        live.head();
        live
    }

    /// Shows one event.
    pub(super) fn show(&mut self, event: &Event) {
        if self.screen.json {
            if let Ok(line) = serde_json::to_string(event) {
                Screen::result(&format!("{line}\n"));
            }
            return;
        }
        match &event.what {
            What::StepStarted { step, urn, .. } => self.started(*step, urn),
            What::Progress { step, text, bytes, .. } => self.progress(*step, text, *bytes),
            What::StepDone { step, urn, elapsed_ms } => {
                self.ended(*step, "✓", urn, &seconds(*elapsed_ms), *elapsed_ms);
            }
            What::StepFailed { step, urn, failure, elapsed_ms } => {
                let note = format!("{} after {}", failure.error, seconds(*elapsed_ms));
                self.ended(*step, "×", urn, &note, u64::MAX);
            }
            What::StepSkipped { urn, because, .. } => self.skipped(urn, because),
            What::Stopping { running } => self.line(&format!(
                "stopping: {running} under way will be finished; press Ctrl-C again to leave at once"
            )),
            What::RunStarted { .. }
            | What::StepWaiting { .. }
            | What::EffectStarted { .. }
            | What::EffectDone { .. }
            | What::RunFinished { .. } => {}
        }
        self.head();
    }

    /// Takes the live part away, so that what follows stands below all lines.
    pub(super) fn finish(self) {
        if let Some(tree) = self.tree {
            tree.head.finish_and_clear();
            drop(tree.bars.clear());
        }
    }

    fn head(&mut self) {
        let Some(tree) = &self.tree else { return };
        let elapsed = self.begun.elapsed().as_secs();
        tree.head.set_message(format!(
            "{}    {} of {} · {}:{:02}",
            self.title,
            self.done,
            self.total,
            elapsed / 60,
            elapsed % 60
        ));
        tree.head.tick();
    }

    fn started(&mut self, step: StepId, urn: &Urn) {
        let bar = self.tree.as_ref().map(|tree| {
            let bar = tree.bars.add(ProgressBar::new_spinner());
            bar.set_style(spinner_style());
            bar.set_message(name(urn));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let running = Running {
            urn: urn.clone(),
            begun: Instant::now(),
            bar,
            last: String::new(),
        };
        self.running.insert(step, running);
    }

    fn progress(&mut self, step: StepId, text: &str, bytes: Option<(u64, u64)>) {
        let Some(running) = self.running.get_mut(&step) else {
            return;
        };
        let seconds = running.begun.elapsed().as_secs();
        let said = match bytes {
            Some((done, total)) => transferred(done, total),
            None => cleaned(text).replace('\n', " "),
        };
        if let Some(bar) = &running.bar {
            let room = self.screen.style.width.saturating_sub(SPINNER);
            let told = format!("    {said}   {seconds} s");
            bar.set_message(beside(&name(&running.urn), &told, room));
        } else if bytes.is_none() && running.last != text {
            let line = format!("  … {}  {text}", running.urn);
            text.clone_into(&mut running.last);
            self.line(&line);
        }
    }

    fn ended(&mut self, step: StepId, mark: &str, urn: &Urn, note: &str, elapsed_ms: u64) {
        self.done += 1;
        if let Some(running) = self.running.remove(&step)
            && let Some(bar) = running.bar
        {
            bar.finish_and_clear();
        }
        let worth = self.tree.is_none() || u128::from(elapsed_ms) >= WORTH_A_LINE.as_millis();
        if worth {
            let (mark, told) = (self.painted(mark), cleaned(&format!("{urn}    {note}")));
            self.drawn(&format!("  {mark} {told}"));
        }
    }

    fn skipped(&mut self, urn: &Urn, because: &Because) {
        self.done += 1;
        let why = match because {
            Because::Dependency { urn, .. } => format!("waits for {urn}"),
            Because::Silent { site } => format!("{site} does not answer"),
            Because::FailFast { .. } => "another step failed".to_owned(),
            Because::Stopped => "not begun".to_owned(),
            Because::NoJournal => "the journal cannot be written".to_owned(),
        };
        self.line(&format!("  · {urn}    {why}"));
    }

    fn painted(&self, mark: &str) -> String {
        match (self.screen.style.color, mark) {
            (true, "✓") => mark.green().to_string(),
            (true, "×") => mark.red().to_string(),
            _ => mark.to_owned(),
        }
    }

    /// Shows a line without what a terminal would obey.
    fn line(&self, text: &str) {
        self.drawn(&cleaned(text));
    }

    /// Shows a line that may hold colours of its own.
    fn drawn(&self, text: &str) {
        match &self.tree {
            Some(tree) => drop(tree.bars.println(text)),
            None => self.screen.say(text),
        }
    }
}

/// The address of what runs, as it is drawn.
fn name(urn: &Urn) -> String {
    cleaned(&urn.to_string()).replace('\n', " ")
}

/// A name and what is told of it in so many columns: the name is cut first.
fn beside(name: &str, told: &str, room: usize) -> String {
    const SHORTEST: usize = 24;
    let left = room.saturating_sub(told.chars().count()).max(SHORTEST);
    if name.chars().count() <= left {
        return format!("{name}{told}");
    }
    let cut: String = name.chars().take(left - 1).collect();
    format!("{cut}…{told}")
}

/// `████░░░░  200 / 400 MB`.
fn transferred(done: u64, total: u64) -> String {
    const CELLS: u64 = 16;
    let full = (done.min(total) * CELLS)
        .checked_div(total)
        .unwrap_or_default();
    let cells = (0..CELLS).map(|cell| if cell < full { '█' } else { '░' });
    let cells: String = cells.collect();
    format!("{cells}  {} / {} MB", done / 1_000_000, total / 1_000_000)
}

fn plain_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn spinner_style() -> ProgressStyle {
    ProgressStyle::with_template("  {spinner} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// `0.4 s`, `1 min 12 s`.
pub(super) fn seconds(milliseconds: u64) -> String {
    if milliseconds < 60_000 {
        let tenths = milliseconds / 100;
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds / 1000 % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_stays_where_a_name_is_cut() {
        let told = format!("    {}   7 s", transferred(200_000_000, 400_000_000));
        assert_eq!(told, "    ████████░░░░░░░░  200 / 400 MB   7 s");
        let name = "image@haproxy-01:kbz-haproxy:3.0.11-f6870e36c3d6";
        let narrow = beside(name, &told, 76);
        assert_eq!(narrow.chars().count(), 76);
        assert!(narrow.starts_with("image@haproxy-01:") && narrow.ends_with(&told));
        assert_eq!(beside(name, &told, 120), format!("{name}{told}"));
    }
}
