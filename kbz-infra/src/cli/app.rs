//! The commands.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser as _};
use tokio::sync::mpsc::unbounded_channel;

use super::args::{Arguments, Command, Common, FAILED, PENDING, Picture, StateCommand, View};
use super::error::Failed;
use super::live::{Live, seconds};
use super::preview::{self, Heading, counted};
use super::rehearsal::Rehearsal;
use super::screen::Screen;
use super::session::{Declare, Looked, Session};
use super::way::{self, Missing, Way};
use crate::effect::{Progress, RunContext};
use crate::exec::{Cancel, Limits, Run, RunOutcome};
use crate::ident::{StackName, Urn};
use crate::plan::{Plan, Request};
use crate::program::EnvironmentKind;
use crate::resource::{Record, Text};
use crate::state::LockedStore;

/// A program with its command line.
pub struct Cli {
    stack: &'static str,
    declare: Declare,
    lab: Option<Box<dyn Rehearsal>>,
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
        }
    }

    /// Gives the program a lab to rehearse in.
    pub fn rehearsed_by(mut self, lab: impl Rehearsal + 'static) -> Self {
        self.lab = Some(Box::new(lab));
        self
    }

    /// Runs the command line of this process.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::parse();
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
        code
    }

    async fn command(&self, arguments: &Arguments, screen: Screen) -> Result<ExitCode, Failed> {
        let common = &arguments.common;
        match &arguments.command {
            Command::Up { view, fail_fast } => {
                self.change(common, screen, *view, Request::Up, *fail_fast)
                    .await
            }
            Command::Destroy { view } => {
                self.change(common, screen, *view, Request::Destroy, false)
                    .await
            }
            Command::Preview {
                view,
                detailed_exitcode,
            } => {
                self.preview(common, screen, *view, *detailed_exitcode)
                    .await
            }
            Command::Outputs { name, show_secrets } => {
                self.outputs(common, screen, name.as_deref(), *show_secrets)
            }
            Command::Graph { format } => self.graph(common, *format),
            Command::Render { out } => self.render(common, screen, out).await,
            Command::Why { resource } => self.why(common, screen, resource).await,
            Command::Doctor => self.doctor(common, screen).await,
            Command::State { command } => self.state(common, command),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut Arguments::command(), self.stack, &mut script);
                Screen::result(&String::from_utf8_lossy(&script));
                Ok(ExitCode::SUCCESS)
            }
            Command::Lab { arguments } => self.lab(common, arguments).await,
        }
    }

    fn session(&self, common: &Common) -> Result<Session, Failed> {
        let stack = StackName::new(self.stack)?;
        let folder = stack_folder(common)?;
        Session::open(
            &stack,
            self.declare,
            &folder,
            common.env.as_deref(),
            self.lab.as_deref(),
        )
    }

    async fn preview(
        &self,
        common: &Common,
        screen: Screen,
        view: View,
        detailed: bool,
    ) -> Result<ExitCode, Failed> {
        let session = self.session(common)?;
        warn(&session, screen);
        let way = way::find(&session, self.lab.as_deref(), Missing::Imagine, screen).await?;
        let remembered = session.store().read()?.records;
        let looked = session
            .look(&way.interpreter, &remembered, Request::Up)
            .await?;
        if screen.json {
            Screen::result(&as_json(&looked.plan)?);
        } else {
            Screen::result(&drawn(&session, &looked, &way, "preview", view, screen));
        }
        Ok(
            match (looked.plan.is_empty(), looked.plan.stuck.is_empty()) {
                (true, _) => ExitCode::SUCCESS,
                (_, false) => ExitCode::from(FAILED),
                _ if detailed => ExitCode::from(PENDING),
                _ => ExitCode::SUCCESS,
            },
        )
    }

    /// `up` and `destroy`.
    async fn change(
        &self,
        common: &Common,
        screen: Screen,
        view: View,
        request: Request,
        fail_fast: bool,
    ) -> Result<ExitCode, Failed> {
        let command = match request {
            Request::Up => "up",
            Request::Destroy => "destroy",
        };
        let session = self.session(common)?;
        warn(&session, screen);
        let mut store = session.store().lock()?;
        let missing = match request {
            Request::Up => Missing::Make,
            Request::Destroy => Missing::Imagine,
        };
        let way = way::find(&session, self.lab.as_deref(), missing, screen).await?;
        let looked = session
            .look(&way.interpreter, store.records(), request)
            .await?;
        recovered(&mut store, &looked, &session, screen)?;
        let picture = drawn(&session, &looked, &way, command, view, screen);
        if looked.plan.is_empty() {
            store.settle(looked.plan.kept.values(), &looked.plan.forgotten)?;
            screen.say(picture.trim_end());
            if request == Request::Up {
                offered(&session, &way, screen);
            }
            return Ok(ExitCode::SUCCESS);
        }
        screen.say(picture.trim_end());
        if !looked.plan.steps.is_empty() {
            agreed(&session, common, command, screen)?;
        }
        let stuck = looked.plan.stuck.len();
        let title = format!(
            "{command} · {} · {}",
            session.graph.stack(),
            session.environment.name
        );
        let limits = Limits {
            parallel: common.parallel,
            fail_fast,
            ..Limits::default()
        };
        let outcome = carry_out(&session, &way, looked.plan, store, limits, &title, screen).await?;
        let done = outcome.is_success() && stuck == 0;
        screen.say(&closing(&outcome, &title, stuck));
        if done && request == Request::Up {
            offered(&session, &way, screen);
        }
        Ok(if done {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAILED)
        })
    }

    fn outputs(
        &self,
        common: &Common,
        screen: Screen,
        name: Option<&str>,
        show_secrets: bool,
    ) -> Result<ExitCode, Failed> {
        let session = self.session(common)?;
        let shown = |value: &Text| -> Result<String, Failed> {
            if show_secrets {
                let text = value.resolve(&session.program.vault);
                let text = text.map_err(|error| Failed::new("kbz::secret", error.to_string()))?;
                Ok(text.to_string())
            } else {
                Ok(value.to_string())
            }
        };
        let exports = &session.program.exports;
        if let Some(name) = name {
            let export = exports
                .iter()
                .find(|export| export.name == name)
                .ok_or_else(|| {
                    let known = exports.iter().map(|export| export.name.as_str());
                    Failed::with_help(
                        "kbz::cli::output",
                        format!("the stack has no output `{name}`"),
                        format!("it has {}", crate::diag::listed(known)),
                    )
                })?;
            Screen::result(&format!("{}\n", shown(&export.value)?));
            return Ok(ExitCode::SUCCESS);
        }
        let mut all = BTreeMap::new();
        for export in exports {
            all.insert(export.name.as_str(), shown(&export.value)?);
        }
        if screen.json {
            Screen::result(&as_json(&all)?);
        } else {
            let width = all.keys().map(|name| name.len()).max().unwrap_or_default();
            for (name, value) in all {
                Screen::result(&format!("{name:width$}  {value}\n"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn graph(&self, common: &Common, format: Picture) -> Result<ExitCode, Failed> {
        let session = self.session(common)?;
        Screen::result(&match format {
            Picture::Dot => crate::graph::picture::dot(&session.graph),
            Picture::Mermaid => crate::graph::picture::mermaid(&session.graph),
            Picture::Svg => crate::graph::picture::svg(&session.graph),
        });
        Ok(ExitCode::SUCCESS)
    }

    async fn render(
        &self,
        common: &Common,
        screen: Screen,
        out: &std::path::Path,
    ) -> Result<ExitCode, Failed> {
        let session = self.session(common)?;
        let way = way::find(&session, self.lab.as_deref(), Missing::Imagine, screen).await?;
        let files = session.generated(&way.interpreter).await?;
        let count = files.len();
        for (path, content) in files {
            crate::state::write_atomically(&out.join(path), content.as_bytes(), 0o644).map_err(
                |error| Failed::new("kbz::render", crate::component::error_chain(&error)),
            )?;
        }
        screen.say(&format!("{} in {}", counted(count, "file"), out.display()));
        Ok(ExitCode::SUCCESS)
    }

    async fn why(
        &self,
        common: &Common,
        screen: Screen,
        resource: &str,
    ) -> Result<ExitCode, Failed> {
        let session = self.session(common)?;
        let urn: Urn = resource.parse()?;
        let node = session.graph.node(&urn).ok_or_else(|| {
            let known = session.graph.in_order().map(|(urn, _)| urn.to_string());
            let known: Vec<String> = known.collect();
            let meant = crate::diag::did_you_mean(resource, known.iter().map(String::as_str));
            Failed::with_help(
                "kbz::cli::resource",
                format!("the program declares no `{resource}`"),
                meant.map_or_else(
                    || "`graph` shows all that it declares".to_owned(),
                    |meant| format!("did you mean `{meant}`?"),
                ),
            )
        })?;
        let way = way::find(&session, self.lab.as_deref(), Missing::Imagine, screen).await?;
        let remembered = session.store().read()?.records;
        let looked = session
            .look(&way.interpreter, &remembered, Request::Up)
            .await?;
        let mut lines = vec![urn.to_string(), format!("  declared at {}", node.declared)];
        lines.extend(
            node.parent
                .iter()
                .map(|parent| format!("  part of {parent}")),
        );
        let dependencies = session.graph.dependencies(&urn).iter();
        lines.extend(dependencies.map(|dependency| format!("  after {dependency}")));
        match looked.plan.steps.iter().find(|step| step.urn == urn) {
            Some(step) => {
                let (mark, impact) = (step.op.mark(), step.impact);
                lines.push(format!("  {mark} in the plan, impact {impact}"));
                let reasons = step.reasons.iter();
                lines.extend(reasons.map(|reason| format!("    because {reason}")));
            }
            None => lines.push("  as declared".to_owned()),
        }
        let text = lines.join("\n") + "\n";
        Screen::result(&text);
        Ok(ExitCode::SUCCESS)
    }

    fn state(&self, common: &Common, command: &StateCommand) -> Result<ExitCode, Failed> {
        let session = self.session(common)?;
        let snapshot = session.store().read()?;
        match command {
            StateCommand::List => {
                for urn in snapshot.records.keys() {
                    Screen::result(&format!("{urn}\n"));
                }
            }
            StateCommand::Show { resource } => {
                let urn: Urn = resource.parse()?;
                let record: &Record = snapshot.records.get(&urn).ok_or_else(|| {
                    Failed::with_help(
                        "kbz::cli::state",
                        format!("nothing is remembered of `{urn}`"),
                        "`state list` shows what is",
                    )
                })?;
                Screen::result(&as_json(record)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn doctor(&self, common: &Common, screen: Screen) -> Result<ExitCode, Failed> {
        let session = self.session(common)?;
        let way = way::find(&session, self.lab.as_deref(), Missing::Imagine, screen).await?;
        let remembered = session.store().read()?.records;
        let looked = session
            .look(&way.interpreter, &remembered, Request::Up)
            .await?;
        let checks = super::doctor::checks(&session, &looked);
        Screen::result(&super::doctor::draw(&checks, screen));
        let well = checks.iter().all(|check| check.fault.is_none());
        Ok(if well {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAILED)
        })
    }

    async fn lab(&self, common: &Common, arguments: &[String]) -> Result<ExitCode, Failed> {
        let lab = self.lab.as_deref().ok_or_else(|| {
            Failed::new("kbz::cli::no-lab", "this program was built without a lab")
        })?;
        // The lab's own balancer runs where there is no program to read.
        let wanted = self.session(common).ok().map(|session| session.rehearsed());
        Ok(lab.command(arguments, wanted.as_ref()).await)
    }
}

/// Carries a plan out under the eyes of a person; Ctrl-C once finishes what runs, twice leaves.
async fn carry_out(
    session: &Session,
    way: &Way,
    plan: Plan,
    store: LockedStore,
    limits: Limits,
    title: &str,
    screen: Screen,
) -> Result<RunOutcome, Failed> {
    let cancel = Cancel::new();
    let pressed = cancel.clone();
    let watch = tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            pressed.press();
        }
    });
    let context = RunContext {
        stack: session.graph.stack().clone(),
        run: run_number(store.next_run()),
        vault: Arc::new(session.program.vault.clone()),
        progress: Progress::none(),
        cancel: cancel.leave().clone(),
    };
    let mut live = Live::new(screen, title.to_owned(), plan.steps.len());
    let (events, mut heard) = unbounded_channel();
    let run = Run::new(plan, Arc::clone(&way.interpreter), store, context, limits);
    let showing = async {
        while let Some(event) = heard.recv().await {
            live.show(&event);
        }
        live.finish();
    };
    let (outcome, ()) = tokio::join!(run.start(events, cancel), showing);
    watch.abort();
    Ok(outcome?)
}

/// The number of a run: it rises even where the operator's memory was lost, because the hosts
/// refuse what an older run asks.
fn run_number(next: u64) -> u64 {
    let now = jiff::Timestamp::now().as_second();
    next.max(u64::try_from(now).unwrap_or_default())
}

/// Tells what an earlier run left open, and notes that it is settled.
fn recovered(
    store: &mut LockedStore,
    looked: &Looked,
    session: &Session,
    screen: Screen,
) -> Result<(), Failed> {
    let Some(recovery) = store.recovery() else {
        return Ok(());
    };
    let fates = recovery.judge(&looked.observation, &session.program.vault);
    if !recovery.open.is_empty() {
        screen.say(&super::recovery::draw(&recovery, &fates));
    }
    store.recover(fates)?;
    Ok(())
}

fn drawn(
    session: &Session,
    looked: &Looked,
    way: &Way,
    command: &str,
    view: View,
    screen: Screen,
) -> String {
    let heading = Heading {
        command: command.to_owned(),
        environment: session.environment.name.clone(),
        hosts: session.hosts().len(),
        objects: session.graph.len(),
        elapsed: Some(looked.elapsed),
        remark: way.remark.clone(),
    };
    let detail = preview::Detail {
        expand: view.expand,
        contents: view.contents,
    };
    preview::draw(&looked.plan, &session.graph, &heading, detail, screen.style)
}

/// Asks before real hosts are changed; without a terminal it says which flag is missing.
fn agreed(session: &Session, common: &Common, command: &str, screen: Screen) -> Result<(), Failed> {
    let environment = &session.environment;
    if common.yes || !environment.confirm || environment.kind != EnvironmentKind::Hosts {
        return Ok(());
    }
    if screen.json || !std::io::stdin().is_terminal() {
        return Err(Failed::with_help(
            "kbz::cli::confirm",
            format!("`{command}` on `{}` needs a confirmation", environment.name),
            "nobody can be asked here: add --yes",
        ));
    }
    screen.say(&format!(
        "type the name of the environment to go ahead: {}",
        environment.name
    ));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && line.trim() == environment.name {
        return Ok(());
    }
    Err(Failed::new(
        "kbz::cli::confirm",
        "not confirmed: nothing was changed",
    ))
}

/// The last lines of a run.
fn closing(outcome: &RunOutcome, title: &str, stuck: usize) -> String {
    let elapsed = seconds(u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX));
    if outcome.is_success() && stuck == 0 {
        return format!(
            "✓ {title}            {} in {elapsed}",
            counted(outcome.done.len(), "step")
        );
    }
    let mut counts = vec![format!("{} done", outcome.done.len())];
    for (count, word) in [
        (outcome.failed.len(), "failed"),
        (outcome.skipped.len() + stuck, "waiting"),
    ] {
        if count > 0 {
            counts.push(format!("{count} {word}"));
        }
    }
    format!(
        "× {title}    {} in {elapsed} · run it again: done work is not repeated",
        counts.join(" · ")
    )
}

/// What the stack offers, and where that is found on this machine.
fn offered(session: &Session, way: &Way, screen: Screen) {
    let exports = &session.program.exports;
    let width = exports
        .iter()
        .map(|export| export.name.len())
        .max()
        .unwrap_or_default();
    for export in exports {
        let value = export.value.to_string();
        let here = way
            .published
            .iter()
            .find(|(inside, _)| value.contains(&inside.to_string()));
        let note = here
            .map(|(_, outside)| format!("      from this machine: {outside}"))
            .unwrap_or_default();
        screen.say(&format!("  {:width$}  {value}{note}", export.name));
    }
}

fn warn(session: &Session, screen: Screen) {
    let mut report = crate::diag::Report::new();
    for warning in &session.program.warnings {
        report.push(warning.clone());
    }
    if !screen.json {
        screen.findings(&report);
    }
}

fn as_json(value: &impl serde::Serialize) -> Result<String, Failed> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Failed::new("kbz::cli::json", error.to_string()))?;
    text.push('\n');
    Ok(text)
}

/// The folder of `kbz.toml`: the one named, else the first of here, `stacks`, and those above.
fn stack_folder(common: &Common) -> Result<PathBuf, Failed> {
    if let Some(folder) = &common.stack_dir {
        return Ok(folder.clone());
    }
    let here = std::env::current_dir()
        .map_err(|error| Failed::new("kbz::cli::folder", error.to_string()))?;
    for folder in here.ancestors() {
        for candidate in [folder.to_owned(), folder.join("stacks")] {
            if candidate.join("kbz.toml").is_file() {
                return Ok(candidate
                    .strip_prefix(&here)
                    .map(PathBuf::from)
                    .unwrap_or(candidate));
            }
        }
    }
    Err(Failed::with_help(
        "kbz::cli::folder",
        "there is no kbz.toml here, in `stacks`, or in a folder above",
        "name its folder with --stack-dir DIR",
    ))
}
