//! A seed makes a story.

use kbz_infra::sim::Fault;

use crate::chance::Chance;
use crate::items::{CLUSTER, Item, KINDS};
use crate::story::{Act, Death, Mishap, Moment, Run, Story};

/// What may go wrong with an effect.
const FAULTS: [Fault; 5] = [
    Fault::FailBefore,
    Fault::FailAfter,
    Fault::LoseRequest,
    Fault::LoseAnswer,
    Fault::Hang,
];

/// The story of a seed.
pub fn story(seed: u64) -> Story {
    Inventor {
        chance: Chance::new(seed),
        program: Vec::new(),
        own_cluster: false,
    }
    .story()
}

struct Inventor {
    chance: Chance,
    program: Vec<Item>,
    own_cluster: bool,
}

impl Inventor {
    fn story(mut self) -> Story {
        self.own_cluster = self.chance.percent(6);
        let schedule = self.chance.next() % 1_000_000;
        let parallel = self.chance.of(&[1, 2, 3, 8, 32]);
        let per_site = self.chance.of(&[1, 2, 4]);
        let items = 1 + self.chance.below(5);
        for _ in 0..items {
            self.add();
        }
        if self.own_cluster {
            self.add_cluster();
        }
        let mut acts = vec![self.run()];
        for _ in 0..self.chance.below(4) {
            self.between(&mut acts);
            self.change();
            let act = self.run();
            acts.push(act);
        }
        Story {
            own_cluster: self.own_cluster,
            schedule,
            parallel,
            per_site,
            acts,
        }
    }

    fn item(&mut self) -> Item {
        let mut kind = u8::try_from(self.chance.below(usize::from(KINDS))).unwrap_or_default();
        // What lives in another's cluster needs one.
        if self.own_cluster && (13..=15).contains(&kind) {
            kind = 0;
        }
        Item {
            kind,
            host: self.chance.below(2),
            slot: self.chance.below(3),
            variant: self.chance.below(3),
            waits: self.waits(),
            protect: false,
        }
    }

    fn waits(&mut self) -> Vec<usize> {
        (0..self.chance.below(3))
            .map(|_| self.chance.below(12))
            .collect()
    }

    fn add(&mut self) {
        let item = self.item();
        let known = |other: &Item| other.identity() == item.identity();
        if !self.program.iter().any(known) {
            let place = self.chance.below(self.program.len() + 1);
            self.program.insert(place, item);
        }
    }

    fn add_cluster(&mut self) {
        let place = self.chance.below(self.program.len() + 1);
        let cluster = Item {
            kind: CLUSTER,
            host: 0,
            slot: self.chance.below(3),
            variant: self.chance.below(2),
            waits: Vec::new(),
            protect: false,
        };
        self.program.insert(place, cluster);
    }

    /// What happens between two runs.
    fn between(&mut self, acts: &mut Vec<Act>) {
        if self.chance.percent(20) && !self.program.is_empty() {
            let item = self.program[self.chance.below(self.program.len())].clone();
            acts.push(Act::Hand(item));
        }
        if self.chance.percent(8) {
            acts.push(Act::Forget);
            // What nothing but the memory knows, such as a role, is only found while declared.
            let mut run = Run::of(self.program.clone());
            run.again = true;
            acts.push(Act::Up(run));
        }
    }

    /// Another program than before.
    fn change(&mut self) {
        for _ in 0..=self.chance.below(3) {
            let places = self.program.len();
            if places == 0 {
                self.add();
                continue;
            }
            let place = self.chance.below(places);
            match self.chance.below(8) {
                0 | 1 => self.add(),
                2 | 3 => drop(self.program.remove(place)),
                4 => {
                    let other = self.chance.below(places);
                    self.program.swap(place, other);
                }
                5 => self.program[place].waits = self.waits(),
                6 if self.chance.percent(30) => {
                    let item = &mut self.program[place];
                    item.protect = !item.protect;
                }
                _ => self.program[place].variant = self.chance.below(3),
            }
        }
    }

    fn run(&mut self) -> Act {
        let mut run = Run::of(self.program.clone());
        if self.chance.percent(65) {
            self.trouble(&mut run);
        }
        if self.chance.percent(8) {
            run.again = true;
            return Act::Destroy(run);
        }
        Act::Up(run)
    }

    fn trouble(&mut self, run: &mut Run) {
        run.again = self.chance.percent(60);
        match self.chance.below(10) {
            0..=3 => {
                for _ in 0..=self.chance.below(2) {
                    let fault = Mishap::Fault(self.chance.of(&FAULTS));
                    run.mishaps.push((self.effect(), fault));
                }
            }
            4 if !self.program.is_empty() => {
                let item = self.program[self.chance.below(self.program.len())].clone();
                run.mishaps.push((self.effect(), Mishap::Hand(item)));
            }
            5 => run.disk_full = Some(1 + self.chance.below(25)),
            6 | 7 => {
                run.death = Some(Death::AtEffect {
                    number: self.effect(),
                    happened: self.chance.percent(50),
                    power: self.power(),
                });
            }
            _ => {
                let moment = match self.chance.below(4) {
                    0 => Moment::Before,
                    1 => Moment::After,
                    _ => Moment::Within(self.chance.below(2000)),
                };
                run.death = Some(Death::AtWrite {
                    number: 1 + self.chance.below(25),
                    moment,
                    power: self.power(),
                });
            }
        }
    }

    fn effect(&mut self) -> usize {
        let end = if self.own_cluster { 80 } else { 16 };
        1 + self.chance.below(end)
    }

    fn power(&mut self) -> Option<usize> {
        self.chance.percent(40).then(|| self.chance.below(3000))
    }
}
