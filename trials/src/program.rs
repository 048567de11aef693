//! The program of the stack, as the operators of the trials call it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use kbz_infra::cli::Cli;
use kbz_infra::prelude::*;
use trials::Program;
use trials::mortal::{Death, Moment, MortalDisk, Since};

use crate::{extras, keybuzz};

/// The stack, with what a random change adds to it.
fn declare(stack: &mut Stack) -> Result<()> {
    keybuzz::keybuzz(stack)?;
    extras::declare(stack)
}

/// Runs a command line of the program; it dies where it is told to.
pub(crate) fn run(death: Option<Death>, words: &[String]) -> ExitCode {
    let mut cli = Cli::new("keybuzz", declare).rehearsed_by(kbz_lab::Rehearsal);
    if let Some(death) = death {
        cli = cli.on_disk(Arc::new(MortalDisk::new(death)));
    }
    let words = words.iter().map(String::as_str);
    cli.run(std::iter::once("keybuzz").chain(words))
}

/// This executable, called as the program of the stack.
pub(crate) fn whole() -> Program {
    this().with(["operator", "--"])
}

/// The same, which dies on its way.
pub(crate) fn mortal(death: Death) -> Program {
    let since = match death.since {
        Since::Process => "process",
        Since::Run => "run",
    };
    let moment = match death.moment {
        Moment::AtOnce => "at-once",
        Moment::BeforeNext => "before-next",
    };
    let after = death.after.to_string();
    let words = [
        "operator", "--after", &after, "--since", since, "--moment", moment, "--",
    ];
    this().with(words)
}

fn this() -> Program {
    let path = std::env::current_exe().expect("the path of this program");
    Program::at(path)
}

/// The folder of the stack's inputs.
pub(crate) fn inputs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../stacks"))
}
