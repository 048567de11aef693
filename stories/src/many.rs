//! Many seeds, on all processors.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::breach::Breach;
use crate::invent::story;
use crate::shrink::shrink;
use crate::tell::tell;

/// A seed whose story breaks a law.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// What it breaks.
    pub breach: Breach,
}

/// Tells the stories of all seeds; gives those that break a law, in the order of the seeds, and
/// stops early once there are `enough`. `each` hears of every story that was told.
pub fn many(seeds: Range<u64>, enough: usize, each: &(dyn Fn() + Sync)) -> Vec<Broken> {
    let next = AtomicU64::new(seeds.start);
    let broken = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || broken.lock().is_ok_and(|all| all.len() >= enough) {
                        return;
                    }
                    if let Err(breach) = tell(&story(seed))
                        && let Ok(mut broken) = broken.lock()
                    {
                        broken.push(Broken { seed, breach });
                    }
                    each();
                }
            });
        }
    });
    let mut broken = broken.into_inner().unwrap_or_default();
    broken.sort_by_key(|broken| broken.seed);
    broken
}

/// What a person needs to understand a seed that breaks a law: the smallest story that breaks it
/// too, and how to tell it again.
pub fn report(broken: &Broken) -> String {
    let (smallest, breach) = shrink(story(broken.seed), broken.breach.clone());
    format!(
        "seed {}: {}\n\nthe smallest story that breaks this law:\n{smallest}\nbreaks it:\n{breach}\n\n\
         again: cargo run -p stories -- --seed {}\n",
        broken.seed, broken.breach.law, broken.seed,
    )
}
