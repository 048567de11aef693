//! A queue of things that wait for each other. Knows nothing of steps.
//!
//! Linear in things and waits. Of what is ready, the thing comes first that the longest chain of
//! others waits for; among equals the one with the lower number, so that two runs go alike.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Who comes first of two that could go: who has the longer chain of others waiting, then the lower
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    chain: usize,
    who: Reverse<usize>,
}

impl Turn {
    /// Whose.
    pub(super) fn who(self) -> usize {
        self.who.0
    }
}

/// Things numbered from 0, some of which wait for others of a lower number.
#[derive(Debug)]
pub(super) struct Queue {
    /// How many others each waits for still.
    waits: Vec<usize>,
    followers: Vec<Vec<usize>>,
    /// How long the chain is that waits for each.
    chain: Vec<usize>,
    ready: BinaryHeap<Turn>,
    dropped: Vec<bool>,
}

/// A thing that waits for itself, for a later one, or for one that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disorder {
    /// Who waits.
    pub(super) who: usize,
    /// For what.
    pub(super) waits_for: usize,
}

impl Queue {
    /// A queue of things, each given by what it waits for.
    pub(super) fn new<W>(things: impl ExactSizeIterator<Item = W>) -> Result<Self, Disorder>
    where
        W: IntoIterator<Item = usize>,
    {
        let mut followers = vec![Vec::new(); things.len()];
        let mut waits = vec![0; things.len()];
        for (who, waited) in things.enumerate() {
            for waits_for in waited {
                if waits_for >= who {
                    return Err(Disorder { who, waits_for });
                }
                followers[waits_for].push(who);
                waits[who] += 1;
            }
        }
        let mut chain = vec![0; followers.len()];
        for who in (0..followers.len()).rev() {
            let longest = followers[who].iter().map(|later| chain[*later] + 1).max();
            chain[who] = longest.unwrap_or_default();
        }
        let mut queue = Self {
            dropped: vec![false; waits.len()],
            waits,
            followers,
            chain,
            ready: BinaryHeap::new(),
        };
        for who in 0..queue.waits.len() {
            if queue.waits[who] == 0 {
                queue.put_back(who);
            }
        }
        Ok(queue)
    }

    /// Takes the next that waits for nothing.
    pub(super) fn pop(&mut self) -> Option<usize> {
        while let Some(turn) = self.ready.pop() {
            if !self.dropped[turn.who()] {
                return Some(turn.who());
            }
        }
        None
    }

    /// Puts back what was taken and could not be used yet.
    pub(super) fn put_back(&mut self, who: usize) {
        self.ready.push(self.turn(who));
    }

    /// When it is a thing's turn, beside others.
    pub(super) fn turn(&self, who: usize) -> Turn {
        Turn {
            chain: self.chain[who],
            who: Reverse(who),
        }
    }

    /// Tells that a thing is done; those that waited for it alone become ready.
    pub(super) fn done(&mut self, who: usize) {
        for later in std::mem::take(&mut self.followers[who]) {
            self.waits[later] -= 1;
            if self.waits[later] == 0 {
                self.put_back(later);
            }
        }
    }

    /// Drops all that waits, however indirectly, for a thing that will not be done; returns it,
    /// what was dropped before not among it.
    pub(super) fn drop_followers(&mut self, who: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut next = std::mem::take(&mut self.followers[who]);
        while let Some(later) = next.pop() {
            if !std::mem::replace(&mut self.dropped[later], true) {
                found.push(later);
                next.append(&mut self.followers[later]);
            }
        }
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(waits: &[&[usize]]) -> Queue {
        Queue::new(waits.iter().map(|waits| waits.iter().copied())).unwrap()
    }

    #[test]
    fn the_longest_chain_goes_first_then_the_lower_number() {
        let mut queue = queue(&[&[], &[], &[], &[2], &[3]]);
        assert_eq!(queue.pop(), Some(2));
        assert_eq!(queue.pop(), Some(0));
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop(), None);
        queue.done(2);
        assert_eq!(queue.pop(), Some(3));
    }

    #[test]
    fn a_failure_drops_what_depends_on_it_and_no_more() {
        let mut queue = queue(&[&[], &[], &[0], &[1], &[2, 3], &[1]]);
        assert_eq!(queue.pop(), Some(0));
        assert_eq!(queue.drop_followers(0), [2, 4]);
        assert_eq!(queue.pop(), Some(1));
        queue.done(1);
        assert_eq!(queue.pop(), Some(3));
        assert!(queue.drop_followers(3).is_empty());
        assert_eq!(queue.pop(), Some(5));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn waiting_for_a_later_one_is_refused() {
        let waits: [&[usize]; 2] = [&[1], &[]];
        let refused = Queue::new(waits.iter().map(|waits| waits.iter().copied()));
        let expected = Disorder {
            who: 0,
            waits_for: 1,
        };
        assert_eq!(refused.unwrap_err(), expected);
    }

    #[test]
    fn a_hundred_thousand_in_one_chain_and_as_many_beside_each_other() {
        let count = 100_000;
        let waits = (0..count).map(|who: usize| who.checked_sub(1).filter(|_| who < count / 2));
        let mut queue = Queue::new(waits.collect::<Vec<_>>().into_iter()).unwrap();
        let mut taken = 0;
        while let Some(who) = queue.pop() {
            queue.done(who);
            taken += 1;
        }
        assert_eq!(taken, count);
    }
}
