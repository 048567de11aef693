//! The program: what was typed, and which command it leads to.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser as _};

use super::args::{Arguments, Command, Common, FAILED};
use super::command::{Call, Wish};
use super::error::Failed;
use super::rehearsal::Rehearsal;
use super::screen::Screen;
use super::session::{Declare, Session, home, settings_file};
use crate::ident::StackName;
use crate::plan::Request;
use crate::program::Environments;
use crate::state::{Disk, LocalDisk};

/// A program with its command line.
pub struct Cli {
    stack: &'static str,
    declare: Declare,
    lab: Option<Box<dyn Rehearsal>>,
    folder: Option<PathBuf>,
    disk: Arc<dyn Disk>,
}

/// Runs a program's command line: see [`Cli`].
pub fn main(stack: &'static str, declare: Declare) -> ExitCode {
    Cli::new(stack, declare).main()
}

impl Cli {
    /// The command line of a program for the stack `stack`.
    pub fn new(stack: &'static str, declare: Declare) -> Self {
        Self {
            stack,
            declare,
            lab: None,
            folder: None,
            disk: Arc::new(LocalDisk),
        }
    }

    /// The folder of `kbz.toml` where the command line names none. Default: it is looked for
    /// from the present folder upwards, in each and its `stacks`.
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Gives the program a lab to rehearse in.
    pub fn rehearsed_by(mut self, lab: impl Rehearsal + 'static) -> Self {
        self.lab = Some(Box::new(lab));
        self
    }

    /// Keeps its state on another disk than this machine's: one that fails or kills the process,
    /// in a trial.
    pub fn on_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Runs the command line of this process.
    pub fn main(self) -> ExitCode {
        self.run(std::env::args_os())
    }

    /// Runs a command line given as words, the program's name first. What cannot be understood,
    /// and a question for help, end the process.
    pub fn run<W: Into<OsString> + Clone>(self, words: impl IntoIterator<Item = W>) -> ExitCode {
        #[cfg(feature = "mimalloc")]
        super::allocator::in_small_pages();
        let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| error.exit());
        let screen = Screen::of_process(arguments.common.color, arguments.common.json);
        let runtime = match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => {
                screen.say(&format!("× cannot start: {error}"));
                return ExitCode::from(FAILED);
            }
        };
        let code = runtime
            .block_on(self.command(&arguments, screen))
            .unwrap_or_else(|failed| {
                screen.findings(&failed.0);
                ExitCode::from(FAILED)
            });
        // What is still under way after a second Ctrl-C is left, not waited for.
        runtime.shutdown_background();
        match Screen::unwritten() {
            Some(error) => {
                Screen::remark(&format!("× the result could not be written: {error}"));
                ExitCode::from(FAILED)
            }
            None => code,
        }
    }

    async fn command(&self, arguments: &Arguments, screen: Screen) -> Result<ExitCode, Failed> {
        let common = &arguments.common;
        match &arguments.command {
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut Arguments::command(), self.stack, &mut script);
                Screen::result(&String::from_utf8_lossy(&script));
                return Ok(ExitCode::SUCCESS);
            }
            Command::Lab { arguments } => return self.lab(common, arguments).await,
            _ => {}
        }
        let call = Call {
            session: self.session(common, arguments.command.looks())?,
            lab: self.lab.as_deref(),
            common,
            screen,
        };
        call.warn(arguments.command.answer());
        let code = Self::carried_out(&call, &arguments.command).await;
        // The process is about to end: what is as large as the stack is not taken apart again.
        std::mem::forget((call.session.graph, call.session.program.declarations));
        code
    }

    async fn carried_out(call: &Call<'_>, command: &Command) -> Result<ExitCode, Failed> {
        match command {
            Command::Up {
                view,
                chosen,
                manner,
                plan,
            } => {
                let wish = Wish::new(Request::Up, *view, chosen).in_manner(manner);
                call.change(&wish.of_plan(plan.as_deref())).await
            }
            Command::Destroy {
                view,
                chosen,
                manner,
            } => {
                let wish = Wish::new(Request::Destroy, *view, chosen);
                call.change(&wish.in_manner(manner)).await
            }
            Command::Preview {
                view,
                chosen,
                detailed_exitcode,
                out,
            } => {
                let out = out.as_deref();
                call.preview(*view, chosen, *detailed_exitcode, out).await
            }
            Command::Drift { options } => call.drift(options).await,
            Command::Import { resources } => call.import(resources).await,
            Command::Outputs { name, show_secrets } => call.outputs(name.as_deref(), *show_secrets),
            Command::Graph { format } => Ok(call.graph(*format)),
            Command::Render { out } => call.render(out).await,
            Command::Why { resource } => call.why(resource).await,
            Command::Doctor => call.doctor().await,
            Command::State { command } => call.state(command).await,
            Command::Completions { .. } | Command::Lab { .. } => Ok(ExitCode::SUCCESS),
        }
    }

    fn session(&self, common: &Common, looks: bool) -> Result<Session, Failed> {
        let stack = StackName::new(self.stack)?;
        let folder = match common.stack_dir.as_ref().or(self.folder.as_ref()) {
            Some(folder) => folder.clone(),
            None => stack_folder()?.ok_or_else(|| {
                Failed::with_help(
                    "kbz::cli::folder",
                    "there is no kbz.toml here, in `stacks`, or in a folder above",
                    "name its folder with --stack-dir DIR",
                )
            })?,
        };
        Session::open(
            &stack,
            self.declare,
            &folder,
            common.env.as_deref(),
            self.lab.as_deref(),
            Arc::clone(&self.disk),
            looks,
        )
    }

    async fn lab(&self, common: &Common, arguments: &[String]) -> Result<ExitCode, Failed> {
        let lab = self.lab.as_deref().ok_or_else(|| {
            Failed::new("kbz::cli::no-lab", "this program was built without a lab")
        })?;
        let folder = self.lab_folder(common)?;
        let folder = folder.as_deref();
        Ok(lab.command(arguments, folder, common.json).await)
    }

    /// The folder in which a lab keeps its files: the program's. The program in it is not run: the lab of one that
    /// is broken can be entered and taken away. There may be none where none is typed: the lab's own
    /// balancer runs in a container.
    fn lab_folder(&self, common: &Common) -> Result<Option<PathBuf>, Failed> {
        let folder = match (&common.stack_dir, &self.folder) {
            (Some(typed), _) => Some(typed.clone()),
            (None, Some(folder)) => Some(folder.clone()).filter(|folder| folder.exists()),
            (None, None) => stack_folder()?,
        };
        let file = folder.as_deref().map(settings_file).transpose()?;
        if let (Some(file), Some(name)) = (file, &common.env)
            && let Ok(environments) = Environments::load(&file, home().as_deref())
        {
            environments.get(Some(name))?;
        }
        Ok(folder)
    }
}

/// The folder of `kbz.toml` where none is named: the first of here, `stacks`, and those above.
fn stack_folder() -> Result<Option<PathBuf>, Failed> {
    let here = std::env::current_dir()
        .map_err(|error| Failed::new("kbz::cli::folder", error.to_string()))?;
    for folder in here.ancestors() {
        for candidate in [folder.to_owned(), folder.join("stacks")] {
            if candidate.join("kbz.toml").is_file() {
                let below = candidate.strip_prefix(&here).map(PathBuf::from);
                return Ok(Some(below.unwrap_or(candidate)));
            }
        }
    }
    Ok(None)
}
