//! Tells stories: `stories --seeds 100000`, or `stories --seed 4711` for one again.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use stories::invent::story;
use stories::many::{many, report};

/// The engine under random programs, faults and crashes.
#[derive(Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One seed alone, with its whole story.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// How many broken stories are enough.
    #[arg(long, default_value_t = 5)]
    enough: usize,
}

#[expect(clippy::disallowed_macros, reason = "this program is for the terminal")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = match arguments.seed {
        Some(seed) => {
            println!("the story of seed {seed}:\n{}", story(seed));
            seed..seed + 1
        }
        None => arguments.from..arguments.from + arguments.seeds,
    };
    let begun = Instant::now();
    let told = AtomicU64::new(0);
    let each = || {
        let count = told.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(10_000) {
            println!("{count} told in {} s", begun.elapsed().as_secs());
        }
    };
    let broken = many(seeds, arguments.enough, &each);
    for broken in &broken {
        println!("{}", report(broken));
    }
    println!(
        "{} stories told in {:.1} s, {} break a law",
        told.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64(),
        broken.len(),
    );
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
