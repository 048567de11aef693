//! Faults: what goes wrong, and when.

use std::collections::BTreeMap;

use super::universe::Universe;

/// What goes wrong with one effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing of it is done.
    FailBefore,
    /// It is done, and its site says that it failed.
    FailAfter,
    /// Its request is lost: nothing is done, and nobody knows.
    LoseRequest,
    /// Its answer is lost: it is done, and nobody knows.
    LoseAnswer,
    /// It hangs until the run is abandoned, and is not done.
    Hang,
}

/// Something that happens to a world while it runs.
type Hook = Box<dyn FnOnce(&mut Universe) + Send>;

/// What goes wrong, by the number of the effect, from 1.
#[derive(Default)]
pub(super) struct Faults {
    faults: BTreeMap<u64, Fault>,
    hooks: BTreeMap<u64, Vec<Hook>>,
}

impl Faults {
    pub(super) fn plan(&mut self, effect: u64, fault: Fault) {
        self.faults.insert(effect, fault);
    }

    pub(super) fn hook(&mut self, effect: u64, hook: Hook) {
        self.hooks.entry(effect).or_default().push(hook);
    }

    /// What goes wrong with the effect of this number.
    pub(super) fn of(&mut self, effect: u64) -> Option<Fault> {
        self.faults.remove(&effect)
    }

    /// Lets happen what is to happen before the effect of this number.
    pub(super) fn before(&mut self, effect: u64, universe: &mut Universe) {
        for hook in self.hooks.remove(&effect).into_iter().flatten() {
            hook(universe);
        }
    }
}
