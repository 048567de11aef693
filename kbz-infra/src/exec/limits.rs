//! How much happens at the same time, and the slots that keep it so.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use super::queue::Turn;
use crate::effect::{Action, Effect};
use crate::plan::Step;
use crate::probe::Site;

/// How much a run does at the same time, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Steps at the same time. Default: 32; the command line's `--parallel` has its own.
    pub parallel: usize,
    /// Steps at the same time on one site. Half of what a connection carries, because a step
    /// may need a second exec beside the one that it waits for. Default: 4.
    pub per_site: usize,
    /// How long the effects of a step may take together where the program set no limit; the
    /// deadlines of its gates come on top. Default: 30 minutes.
    pub step_timeout: Duration,
    /// Whether the first failure keeps everything else from starting.
    pub fail_fast: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parallel: 32,
            per_site: 4,
            step_timeout: Duration::from_mins(30),
            fail_fast: false,
        }
    }
}

impl Limits {
    /// How long a step may take.
    pub(super) fn timeout_of(&self, step: &Step) -> Duration {
        let gates = step.effects.iter().map(|effect| match &effect.action {
            Action::Gate(gate) => gate.deadline,
            _ => 0,
        });
        step.timeout.map_or_else(
            || self.step_timeout + Duration::from_secs(gates.sum()),
            Duration::from_secs,
        )
    }
}

/// The sites that a step touches.
pub(super) fn sites_of(effects: &[Effect]) -> BTreeSet<&Site> {
    effects.iter().map(|effect| &effect.site).collect()
}

/// The slots of a run, and the steps that wait for one.
///
/// A step that finds a site full waits in that site's line alone, so that a freed slot looks at
/// the steps that it can serve and at no others. Whose turn it is goes first there too.
#[derive(Debug)]
pub(super) struct Slots {
    free: usize,
    per_site: usize,
    used: BTreeMap<Site, usize>,
    lines: BTreeMap<Site, BinaryHeap<Turn>>,
}

/// A site without a free slot.
#[derive(Debug)]
pub(super) struct Full<'a> {
    /// Which.
    pub(super) site: &'a Site,
    /// Steps to try again instead.
    pub(super) instead: Vec<usize>,
}

impl Slots {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            free: limits.parallel.max(1),
            per_site: limits.per_site.max(1),
            used: BTreeMap::new(),
            lines: BTreeMap::new(),
        }
    }

    /// Whether any step may start.
    pub(super) fn any_free(&self) -> bool {
        self.free > 0
    }

    /// Takes the slots that a step needs, or puts it in the line of the first full site. The
    /// step may have been called because another of its sites had room; then the next of that
    /// site's line is called in its stead.
    pub(super) fn take<'a>(
        &mut self,
        step: Turn,
        sites: &BTreeSet<&'a Site>,
    ) -> Result<(), Full<'a>> {
        if let Some(full) = sites.iter().find(|site| self.is_full(site)) {
            let line = self.lines.entry(Site::clone(full)).or_default();
            line.push(step);
            let others = sites.iter().filter(|site| *site != full);
            return Err(Full {
                site: full,
                instead: others.flat_map(|site| self.called(site)).collect(),
            });
        }
        for site in sites {
            *self.used.entry(Site::clone(site)).or_default() += 1;
        }
        self.free -= 1;
        Ok(())
    }

    /// Gives the slots of a step back, and returns the steps to try again: as many as there is
    /// room for now.
    pub(super) fn give(&mut self, sites: &BTreeSet<&Site>) -> Vec<usize> {
        self.free += 1;
        let mut again = Vec::new();
        for site in sites {
            if let Some(used) = self.used.get_mut(*site) {
                *used -= 1;
                if *used == 0 {
                    self.used.remove(*site);
                }
            }
            again.extend(self.called(site));
        }
        again
    }

    /// The steps to try instead of one that needs its slots no more.
    pub(super) fn pass(&mut self, sites: &BTreeSet<&Site>) -> Vec<usize> {
        sites.iter().flat_map(|site| self.called(site)).collect()
    }

    /// The steps of a site's line for which there is room.
    fn called(&mut self, site: &Site) -> Vec<usize> {
        let used = self.used.get(site).copied().unwrap_or_default();
        let room = self.per_site.saturating_sub(used);
        let Some(line) = self.lines.get_mut(site) else {
            return Vec::new();
        };
        let called = std::iter::from_fn(|| line.pop());
        let called = called.take(room).map(Turn::who).collect();
        if line.is_empty() {
            self.lines.remove(site);
        }
        called
    }

    fn is_full(&self, site: &Site) -> bool {
        self.used
            .get(site)
            .is_some_and(|used| *used >= self.per_site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::queue::Queue;

    #[test]
    fn in_a_line_too_the_longest_chain_goes_first() {
        let waits: [&[usize]; 4] = [&[], &[], &[], &[2]];
        let queue = Queue::new(waits.iter().map(|waits| waits.iter().copied())).unwrap();
        let site = Site::Host("db-1".parse().unwrap());
        let sites = BTreeSet::from([&site]);
        let mut slots = Slots::new(&Limits {
            per_site: 1,
            ..Limits::default()
        });
        assert!(slots.take(queue.turn(0), &sites).is_ok());
        for late in [1, 2] {
            let full = slots.take(queue.turn(late), &sites);
            assert_eq!(full.unwrap_err().instead, [0_usize; 0]);
        }
        assert_eq!(slots.give(&sites), [2]);
    }
}
