//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::preview::Detail;

/// Exit code of a run that failed, or that could not do everything.
pub(super) const FAILED: u8 = 1;
/// Exit code of `preview --detailed-exitcode` when changes are pending.
pub(super) const PENDING: u8 = 2;
/// Exit code of a run that was asked to stop and finished what it had begun.
pub(super) const STOPPED: u8 = 3;
/// Exit code of a run that was left at once: that of every program that Ctrl-C ends.
pub(super) const ABANDONED: u8 = 130;

const EXIT_CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    failed, or not everything could be done
  2    changes pending (--detailed-exitcode), or a command line that makes no sense
  3    stopped by Ctrl-C: what had begun was finished, `up` goes on from there
  130  left at once by a second Ctrl-C; the next run looks at what was under way";

/// Infrastructure as a typed Rust program.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    /// The folder that holds kbz.toml and the program's inputs
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) stack_dir: Option<PathBuf>,
    /// The environment of kbz.toml to work on
    #[arg(long, global = true, value_name = "NAME", env = "KBZ_ENV")]
    pub(super) env: Option<String>,
    /// Goes ahead without asking; needed for real hosts where nobody can be asked
    #[arg(long, short = 'y', global = true)]
    pub(super) yes: bool,
    /// Events, results and warnings as JSON, one value a line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
    /// How many steps run at once
    #[arg(long, global = true, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub(super) parallel: usize,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one step has to run at a time".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("it must be a number, such as 16".to_owned()),
    }
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal that can, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Brings the world to what the program declares
    Up {
        #[command(flatten)]
        view: View,
        #[command(flatten)]
        chosen: Chosen,
        #[command(flatten)]
        manner: Manner,
        /// Carries out this plan, kept by `preview --out`, and plans nothing
        #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "exclude", "adopt"])]
        plan: Option<PathBuf>,
    },
    /// Shows what `up` would do, and changes no host; passwords that are missing are made, and told
    Preview {
        #[command(flatten)]
        view: View,
        #[command(flatten)]
        chosen: Chosen,
        /// Exit code 2 when changes are pending
        #[arg(long)]
        detailed_exitcode: bool,
        /// Keeps the plan in this file, for `up --plan`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Takes away everything that the stack has made
    Destroy {
        #[command(flatten)]
        view: View,
        #[command(flatten)]
        chosen: Chosen,
        #[command(flatten)]
        manner: Manner,
    },
    /// Shows what others have changed since it was done, puts it right or keeps it so
    Drift {
        #[command(flatten)]
        options: DriftOptions,
    },
    /// Takes over objects that are there already, as they are; `up` then makes them as declared
    Import {
        /// Their addresses, or those of components; `*` stands for any text
        #[arg(required = true, value_name = "ADDRESS")]
        resources: Vec<String>,
    },
    /// Shows what the stack offers to its users
    Outputs {
        /// Only this one, bare, for a script
        name: Option<String>,
        /// Shows secrets in them
        #[arg(long)]
        show_secrets: bool,
    },
    /// Draws the resources and what depends on what
    Graph {
        /// The language of the picture
        #[arg(long, default_value = "mermaid")]
        format: Picture,
    },
    /// Writes every generated file to a folder, secrets by name
    Render {
        /// The folder
        #[arg(long, short, value_name = "DIR", default_value = "rendered")]
        out: PathBuf,
    },
    /// Tells why a resource is in the plan, or in the program at all
    Why {
        /// Its address, such as `file@db-master-01:/etc/patroni/patroni.yml`
        resource: String,
    },
    /// Looks at the running system: one line a check
    Doctor,
    /// What is remembered of the stack
    State {
        #[command(subcommand)]
        command: StateCommand,
    },
    /// Writes a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The lab: production on one machine
    #[command(disable_help_flag = true)]
    Lab {
        /// See `lab help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum StateCommand {
    /// Lists the objects
    List,
    /// Shows one object
    Show {
        /// Its address
        resource: String,
    },
    /// Gives an object another address, as `aliases` in the program does
    Mv {
        /// Its address
        from: String,
        /// The address that it is to have
        to: String,
    },
    /// Forgets objects, and takes their marks away; they stay as they are
    Rm {
        /// Their addresses; `*` stands for any text
        #[arg(required = true, value_name = "ADDRESS")]
        resources: Vec<String>,
    },
    /// Frees it from a run that was lost on another machine, where it is in a bucket
    Unlock,
    /// Makes it anew from the marks on the hosts, where it is lost or damaged
    Rebuild,
}

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct View {
    /// Shows every host by itself, also where several are alike
    #[arg(long)]
    pub(super) expand: bool,
    /// Shows the whole content of new files
    #[arg(long)]
    pub(super) contents: bool,
}

/// How a plan is carried out.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Manner {
    /// Stops at the first failure instead of finishing what does not depend on it
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// Draws where the time went, into this file (SVG)
    #[arg(long, value_name = "FILE")]
    pub(super) timings: Option<PathBuf>,
}

impl Command {
    /// Whether it tells what would have to be done, and changes nothing that is remembered.
    pub(super) fn looks(&self) -> bool {
        match self {
            Command::Preview { .. } => true,
            Command::Drift { options } => !options.revert,
            _ => false,
        }
    }
}

/// What machines get of a command on stdout, and so where warnings are told to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Values, one a line: warnings are among them.
    Lines,
    /// One value that has a place for warnings.
    Document,
    /// What a script takes as it is: warnings are on stderr, one a line.
    Bare,
}

impl Command {
    /// What machines get of it.
    pub(super) fn answer(&self) -> Answer {
        match self {
            Command::Preview { .. } => Answer::Document,
            Command::Drift { options } if !options.revert => Answer::Document,
            Command::Outputs { .. }
            | Command::Graph { .. }
            | Command::Why { .. }
            | Command::State {
                command: StateCommand::List | StateCommand::Show { .. },
            } => Answer::Bare,
            _ => Answer::Lines,
        }
    }
}

impl View {
    pub(super) fn detail(self) -> Detail {
        Detail {
            expand: self.expand,
            contents: self.contents,
        }
    }
}

/// What is to become of drift. Without `--revert` or `--adopt` it is shown.
#[derive(Debug, Clone, Default, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the flags that can be typed"
)]
pub(super) struct DriftOptions {
    #[command(flatten)]
    pub(super) view: View,
    /// Only this object or component; may be given several times, `*` stands for any text
    #[arg(long, value_name = "ADDRESS")]
    pub(super) target: Vec<String>,
    /// Puts right what has drifted, and carries out nothing else that the program wants
    #[arg(long, conflicts_with = "adopt")]
    pub(super) revert: bool,
    /// Keeps what has drifted as it is found: writes it to overrides.toml, and shows what the
    /// program would have to say
    #[arg(long)]
    pub(super) adopt: bool,
    /// With --adopt: only shows it
    #[arg(long, requires = "adopt")]
    pub(super) print: bool,
    /// Exit code 2 when something has drifted
    #[arg(long)]
    pub(super) detailed_exitcode: bool,
    /// With --revert: stops at the first failure
    #[arg(long, requires = "revert")]
    pub(super) fail_fast: bool,
    /// With --revert: draws where the time went, into this file (SVG)
    #[arg(long, value_name = "FILE", requires = "revert")]
    pub(super) timings: Option<PathBuf>,
}

/// Which objects a command is for. Without either option: all of them.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Chosen {
    /// Only this object, with what has to be done before it; may be given several times
    ///
    /// An address such as `container@db-slave-01:patroni`, that of a component, or a pattern
    /// in which `*` stands for any text, such as `*@db-slave-01:*`.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) target: Vec<String>,
    /// Without this object and what depends on it; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub(super) exclude: Vec<String>,
    /// Takes over this object as it is found, though it bears no mark of this stack, or another
    /// stack's; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub(super) adopt: Vec<String>,
}

/// The languages of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Picture {
    /// Graphviz
    Dot,
    /// Mermaid, for Markdown
    Mermaid,
    /// A picture to open in a browser
    Svg,
}
