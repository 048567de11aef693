//! A story: programs, one after the other, and what goes wrong meanwhile.

use std::fmt;

use kbz_infra::sim::Fault;

use crate::items::Item;

/// What happens, from the first program to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Whether the stack brings its own cluster, instead of finding another's.
    pub own_cluster: bool,
    /// What decides how long each effect takes, and with it what overtakes what.
    pub schedule: u64,
    /// Steps at the same time.
    pub parallel: usize,
    /// Steps at the same time on one site.
    pub per_site: usize,
    /// What happens, in turn.
    pub acts: Vec<Act>,
}

/// One thing that happens in a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// `up` of a program.
    Up(Run),
    /// `destroy` of a program.
    Destroy(Run),
    /// Somebody changes, by hand, what an item of the program made.
    Hand(Item),
    /// The operator's own memory is lost.
    Forget,
}

/// One run of a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// What the program declares, in its order.
    pub program: Vec<Item>,
    /// What goes wrong, by the number of the effect, from 1.
    pub mishaps: Vec<(usize, Mishap)>,
    /// How the operator's process dies, if it does.
    pub death: Option<Death>,
    /// From which write on the operator's disk is full, if it is.
    pub disk_full: Option<usize>,
    /// Whether the same is run again, undisturbed, before the story goes on.
    pub again: bool,
}

/// What goes wrong with one effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// The site fails.
    Fault(Fault),
    /// Just before it, somebody changes what an item of the program made.
    Hand(Item),
}

/// How the operator's process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// At a write to the operator's disk.
    AtWrite {
        /// Which, from 1.
        number: usize,
        /// At which moment of it.
        moment: Moment,
        /// After a failure of the power: what was not synced is lost, up to so many bytes.
        power: Option<usize>,
    },
    /// At an effect: once its intent is on the disk, or once it has happened.
    AtEffect {
        /// Which, from 1.
        number: usize,
        /// Whether it has happened.
        happened: bool,
        /// After a failure of the power: what was not synced is lost, up to so many bytes.
        power: Option<usize>,
    },
}

/// A moment of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of it is written.
    Before,
    /// It breaks off at a byte.
    Within(usize),
    /// All of it is written.
    After,
}

impl Death {
    /// Whether the power fails, and how much of what was not synced is left.
    pub(crate) fn power(self) -> Option<usize> {
        match self {
            Self::AtWrite { power, .. } | Self::AtEffect { power, .. } => power,
        }
    }
}

impl Run {
    /// A run of a program in which nothing goes wrong.
    pub fn of(program: Vec<Item>) -> Self {
        Self {
            program,
            ..Self::default()
        }
    }

    /// Whether nothing goes wrong.
    pub fn is_calm(&self) -> bool {
        self.mishaps.is_empty() && self.death.is_none() && self.disk_full.is_none()
    }
}

impl Story {
    /// A story with these acts, one step at a time.
    pub fn of(acts: Vec<Act>) -> Self {
        Self {
            own_cluster: false,
            schedule: 0,
            parallel: 1,
            per_site: 1,
            acts,
        }
    }

    /// The runs, in turn.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.acts.iter().filter_map(|act| match act {
            Act::Up(run) | Act::Destroy(run) => Some(run),
            Act::Hand(_) | Act::Forget => None,
        })
    }

    /// The same, to be changed.
    pub(crate) fn runs_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.acts.iter_mut().filter_map(|act| match act {
            Act::Up(run) | Act::Destroy(run) => Some(run),
            Act::Hand(_) | Act::Forget => None,
        })
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} step(s) at a time, {} on one site; schedule {}{}",
            self.parallel,
            self.per_site,
            self.schedule,
            if self.own_cluster {
                "; empty hosts"
            } else {
                ""
            },
        )?;
        for (number, act) in (1..).zip(&self.acts) {
            match act {
                Act::Up(run) => write!(f, "{number}. up{run}")?,
                Act::Destroy(run) => write!(f, "{number}. destroy{run}")?,
                Act::Hand(item) => writeln!(f, "{number}. a hand changes: {item}")?,
                Act::Forget => writeln!(f, "{number}. the operator's state is lost")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.program.is_empty() {
            f.write_str(" of an empty program")?;
        }
        writeln!(f)?;
        for item in &self.program {
            writeln!(f, "     - {item}")?;
        }
        for (number, mishap) in &self.mishaps {
            match mishap {
                Mishap::Fault(fault) => writeln!(f, "   effect {number}: {}", words(*fault))?,
                Mishap::Hand(item) => {
                    writeln!(f, "   just before effect {number} a hand changes: {item}")?;
                }
            }
        }
        if let Some(number) = self.disk_full {
            writeln!(f, "   the disk is full from write {number} on")?;
        }
        if let Some(death) = self.death {
            writeln!(f, "   {death}")?;
        }
        if self.again {
            writeln!(f, "   and once more, undisturbed")?;
        }
        Ok(())
    }
}

fn words(fault: Fault) -> &'static str {
    match fault {
        Fault::FailBefore => "fails, and nothing of it is done",
        Fault::FailAfter => "is done, and its site says that it failed",
        Fault::LoseRequest => "its request is lost",
        Fault::LoseAnswer => "is done, and its answer is lost",
        Fault::Hang => "hangs",
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.power() {
            Some(left) => write!(
                f,
                "the power fails (of what is not synced, {left} bytes stay) "
            )?,
            None => f.write_str("the process is killed ")?,
        }
        match self {
            Self::AtWrite { number, moment, .. } => {
                match moment {
                    Moment::Before => write!(f, "before"),
                    Moment::Within(byte) => write!(f, "at byte {byte} of"),
                    Moment::After => write!(f, "after"),
                }?;
                write!(f, " write {number} to the disk")
            }
            Self::AtEffect {
                number, happened, ..
            } => {
                let when = if *happened { "when" } else { "before" };
                write!(f, "{when} effect {number} has happened")
            }
        }
    }
}
