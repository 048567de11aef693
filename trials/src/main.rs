//! The trials: `trials kills`, `faults`, `operators`, `changes`.

#[path = "../../stacks/keybuzz.rs"]
#[expect(
    dead_code,
    reason = "the program of the stack has a main function of its own"
)]
mod keybuzz;

mod changes;
mod extras;
mod faults;
mod ground;
mod kills;
mod operators;
mod program;
mod pulse;
mod report;

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use report::Report;
use trials::mortal::{Death, Moment, Since};

/// The stack on the lab's hosts, under what goes wrong.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which trials; several are carried out in one lab
    #[arg(required = true)]
    which: Vec<Which>,
    /// Kills at every record of every step, one step at a time, instead of after one record, two,
    /// three, and so on
    #[arg(long)]
    every: bool,
    /// Only faults whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// How many random changes
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// What decides them
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Sorts of trials, in the order in which one lab can take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Which {
    /// `up` is killed at the records of its journal, of a deployment and of a rolling change
    Kills,
    /// Faults of hosts, network, bastion, load balancer and clock during `up`
    Faults,
    /// Two operators at once
    Operators,
    /// Random changes of the program
    Changes,
}

/// What this executable is called as by its own trials, and by the lab.
#[derive(Debug, Parser)]
struct Called {
    #[command(subcommand)]
    as_what: AsWhat,
}

#[derive(Debug, Subcommand)]
enum AsWhat {
    /// The program of the stack, with what random changes add to it
    Operator {
        #[command(flatten)]
        dies: Dies,
        /// Its command line
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// The lab's load balancer
    #[command(disable_help_flag = true)]
    Lab {
        /// What the lab asks of it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// Where the program of the stack dies, if it does.
#[derive(Debug, Args)]
struct Dies {
    #[arg(long, requires_all = ["since", "moment"])]
    after: Option<usize>,
    #[arg(long)]
    since: Option<Since>,
    #[arg(long)]
    moment: Option<Moment>,
}

impl Dies {
    fn death(&self) -> Option<Death> {
        Some(Death {
            after: self.after?,
            since: self.since?,
            moment: self.moment?,
        })
    }
}

fn main() -> ExitCode {
    let first = std::env::args().nth(1);
    if !matches!(first.as_deref(), Some("operator" | "lab")) {
        return carry_out(&Arguments::parse());
    }
    match Called::parse().as_what {
        AsWhat::Operator { dies, words } => program::run(dies.death(), &words),
        AsWhat::Lab { words } => program::run(None, &[vec!["lab".to_owned()], words].concat()),
    }
}

fn carry_out(arguments: &Arguments) -> ExitCode {
    let which: BTreeSet<Which> = arguments.which.iter().copied().collect();
    let operator = ground::operator();
    let mut report = Report::default();
    if which.contains(&Which::Kills) {
        kills::carry_out(&operator, arguments.every, &mut report);
    }
    ground::deploy(&operator);
    for which in which {
        match which {
            Which::Kills => {}
            Which::Faults => faults::carry_out(&operator, &arguments.only, &mut report),
            Which::Operators => operators::carry_out(&operator, &mut report),
            Which::Changes => {
                changes::carry_out(&operator, arguments.count, arguments.seed, &mut report);
            }
        }
    }
    report.end()
}
