//! Commands that change what is remembered, and nothing that runs: `import`, `state mv`,
//! `state rm` and `state rebuild`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::change::run_number;
use super::{Call, as_json};
use crate::cli::args::{Chosen, FAILED, StateCommand, View};
use crate::cli::error::Failed;
use crate::cli::looked::Looked;
use crate::cli::preview::counted;
use crate::cli::screen::Screen;
use crate::cli::way::{Purpose, Way};
use crate::cli::why;
use crate::diag::{Finding, Report, cleaned, listed};
use crate::effect::Record;
use crate::exec::Limits;
use crate::graph::Graph;
use crate::ident::Urn;
use crate::plan::{Outcome, Pattern, Plan, Request, Selection, is_meant, remembered};
use crate::resource::{Op, Reason};
use crate::state::LockedStore;

impl Call<'_> {
    /// `import`: takes over what is there, as it is.
    pub(in crate::cli) async fn import(&self, resources: &[String]) -> Result<ExitCode, Failed> {
        let store = self.store_at_rest()?;
        let chosen = Chosen {
            target: resources.to_vec(),
            adopt: resources.to_vec(),
            ..Chosen::default()
        };
        let selection = self.selection(&chosen, store.records())?;
        let way = self.way(Purpose::Change(&store)).await?;
        let session = &self.session;
        let known = store.records();
        let looked = session
            .look(&way.interpreter, known, None, Request::Up, &selection)
            .await?;
        let graph = &session.graph;
        let meant = |urn: &Urn| is_meant(&selection.targets, graph, urn);
        let elapsed = looked.elapsed;
        let observation = looked.observation;
        let plan = looked
            .plan
            .importing(&meant)
            .map_err(|urns| missing(&urns))?;
        let looked = Looked::new(plan, observation, graph.groups(), &[]).taking(elapsed);
        self.note("import", looked, &way, store).await
    }

    /// `state`.
    pub(in crate::cli) async fn state(&self, command: &StateCommand) -> Result<ExitCode, Failed> {
        match command {
            StateCommand::List | StateCommand::Show { .. } => self.remembered(command),
            StateCommand::Mv { from, to } => self.state_mv(from, to).await,
            StateCommand::Rm { resources } => self.state_rm(resources).await,
            StateCommand::Unlock => self.state_unlock(),
            StateCommand::Rebuild => self.state_rebuild().await,
        }
    }

    /// `state mv`.
    async fn state_mv(&self, from: &str, to: &str) -> Result<ExitCode, Failed> {
        let store = self.store_at_rest()?;
        let (way, looked, known) = self.marks(&store).await?;
        let from = known_as(from, &known)?;
        let to: Urn = to.parse()?;
        may_become(&self.session.graph, &from, &to, &known)?;
        let plan = Plan::renaming(store.stack(), &known, &from, &to);
        self.note("state mv", looked.noting(plan), &way, store)
            .await
    }

    /// `state rm`.
    async fn state_rm(&self, resources: &[String]) -> Result<ExitCode, Failed> {
        let store = self.store_at_rest()?;
        let (way, looked, known) = self.marks(&store).await?;
        let mut unknown = Report::new();
        let mut patterns = Vec::new();
        for text in resources {
            let pattern = Pattern::new(text);
            if !known.keys().any(|urn| pattern.matches(urn)) {
                unknown.push(not_remembered(text, &known));
            }
            patterns.push(pattern);
        }
        if unknown.has_errors() {
            return Err(Failed(unknown));
        }
        let meant = |urn: &Urn| patterns.iter().any(|pattern| pattern.matches(urn));
        let records = known.values().filter(|record| meant(&record.urn));
        let plan = Plan::forgetting(store.stack(), records);
        self.note("state rm", looked.noting(plan), &way, store)
            .await
    }

    /// `state unlock`.
    fn state_unlock(&self) -> Result<ExitCode, Failed> {
        let store = self.session.store();
        if self.session.environment.s3.is_none() {
            let what = "the lock of a state in a folder ends with its process";
            let help = "`state list` runs without it; `up` tells who holds it";
            return Err(Failed::with_help("kbz::state::unlock", what, help));
        }
        self.agreed("state unlock")?;
        self.screen.say(&match store.unlock()? {
            Some(holder) => cleaned(&format!("✓ taken from {holder}")),
            None => "✓ nobody held it".to_owned(),
        });
        Ok(ExitCode::SUCCESS)
    }

    /// `state rebuild`.
    async fn state_rebuild(&self) -> Result<ExitCode, Failed> {
        let mut store = match self.session.store().lock() {
            Err(error) if error.is_damage() => {
                let (anew, aside) = self.session.store().begin_anew()?;
                for file in aside {
                    self.screen.say(&format!("kept as {}", file.display()));
                }
                anew
            }
            locked => {
                let store = locked?;
                self.tell_found(&store)?;
                at_rest(store)?
            }
        };
        let way = self.way(Purpose::Change(&store)).await?;
        let all = Selection::default();
        let looked = self
            .session
            .look(&way.interpreter, store.records(), None, Request::Up, &all)
            .await?;
        let known = remembered(&BTreeMap::new(), &looked.observation);
        let plan = &looked.plan;
        let there = plan.steps.iter().filter_map(unmarked_by_a_host);
        let found = known.values().chain(plan.kept.values()).chain(there);
        store.settle(found, &plan.forgotten)?;
        store.fold()?;
        let mut marks = self.session.marked(&way.interpreter).await;
        marks.found.retain(|urn| !store.records().contains_key(urn));
        self.screen.findings(&marks.findings());
        let objects = counted(store.records().len(), "object");
        let hosts = counted(self.session.hosts().len(), "host");
        let title = format!("✓ state rebuilt · {}", self.session.graph.stack());
        self.screen
            .say(&format!("{title} · {objects} found on {hosts}"));
        let silent = counted(plan.stuck.len(), "object");
        if plan.stuck.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        self.screen
            .say(&format!("× {silent} could not be looked at: run it again"));
        Ok(ExitCode::from(FAILED))
    }

    /// The right to write, while nothing of an earlier run is open.
    fn store_at_rest(&self) -> Result<LockedStore, Failed> {
        at_rest(self.locked()?)
    }

    /// What is remembered, here and by the marks on the hosts.
    async fn marks(
        &self,
        store: &LockedStore,
    ) -> Result<(Way, Looked, BTreeMap<Urn, Record>), Failed> {
        let way = self.way(Purpose::Change(store)).await?;
        let looked = self.session.marks(&way.interpreter, store.records()).await;
        let known = remembered(store.records(), &looked.observation);
        Ok((way, looked, known))
    }

    /// Carries a plan out that changes what is remembered, and says so.
    async fn note(
        &self,
        command: &str,
        looked: Looked,
        way: &Way,
        mut store: LockedStore,
    ) -> Result<ExitCode, Failed> {
        let picture = self.drawn(&looked, way, command, View::default());
        let lease = self.lease(&looked, &store);
        let number = run_number(store.next_run());
        let plan = looked.plan;
        let stuck = !plan.stuck.is_empty();
        let remembered = plan.kept.len() + plan.forgotten.len();
        if !plan.steps.is_empty() || stuck {
            self.screen.say(picture.trim_end());
        }
        let title = self.title(command);
        if plan.steps.is_empty() {
            store.settle(plan.kept.values(), &plan.forgotten)?;
            store.fold()?;
            let noted = counted(remembered, "object");
            self.screen.say(&format!("✓ {title} · {noted} noted"));
            return Ok(exit_code(!stuck));
        }
        self.agreed(command)?;
        let limits = Limits {
            parallel: self.common.parallel,
            ..Limits::default()
        };
        let run = self.carry_out(way, plan, (lease, number), store, limits, &title);
        let outcome = run.await?;
        let well = self.closed(&outcome, &title, stuck);
        if self.screen.json {
            Screen::result(&as_json(&self.head("noted", way))?);
        }
        Ok(exit_code(well))
    }
}

fn exit_code(well: bool) -> ExitCode {
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

/// A step of an object that is there, marked by what it is in rather than by its host.
fn unmarked_by_a_host(step: &crate::plan::Step) -> Option<&Record> {
    let there = matches!(step.op, Op::Update | Op::Replace | Op::Run);
    let ours = !step.reasons.contains(&Reason::Unmarked);
    match &step.outcome {
        Outcome::Remember(record) if there && ours && step.urn.host().is_none() => Some(record),
        _ => None,
    }
}

/// Refuses while the effects of a run are open: what became of them must be found out first.
fn at_rest(store: LockedStore) -> Result<LockedStore, Failed> {
    if store.recovery().is_none_or(|left| left.open.is_empty()) {
        return Ok(store);
    }
    Err(Failed::with_help(
        "kbz::state::open",
        "the last run ended without saying so, and effects of it are open",
        "`up` looks at them and goes on",
    ))
}

/// Whether what is remembered under an address may have another.
fn may_become(
    graph: &Graph,
    from: &Urn,
    to: &Urn,
    known: &BTreeMap<Urn, Record>,
) -> Result<(), Failed> {
    let refused =
        |what: String, help: &str| Err(Failed::with_help("kbz::state::mv", what, help.to_owned()));
    if known.contains_key(to) {
        let what = format!("`{to}` is remembered already");
        return refused(
            what,
            "`state rm` forgets it, if it is not an object of its own",
        );
    }
    if from.host() != to.host() {
        let what = format!("`{from}` does not become `{to}`: an object stays on its host");
        return refused(what, "declare it there, and let `up` make it");
    }
    let Some(node) = graph.node(to) else {
        return refused(
            format!("the program declares no `{to}`"),
            &undeclared(graph, to, known),
        );
    };
    if node.resource.removal().probes != known[from].removal.probes {
        let what = format!("`{to}` is declared as another object than `{from}` is");
        return refused(
            what,
            "an address is all that changes: `up` makes what is new",
        );
    }
    Ok(())
}

/// What helps against an address that nothing declares: one that is, and has no object yet.
fn undeclared(graph: &Graph, to: &Urn, known: &BTreeMap<Urn, Record>) -> String {
    let free = graph.in_order().map(|(urn, _)| urn);
    let free = free.filter(|urn| !known.contains_key(*urn));
    let free: Vec<String> = free.map(ToString::to_string).collect();
    why::meant(&to.to_string(), &free)
        .unwrap_or_else(|| "declare it under that address first".to_owned())
}

/// The remembered object of this address.
fn known_as(text: &str, known: &BTreeMap<Urn, Record>) -> Result<Urn, Failed> {
    let urn: Option<Urn> = text.parse().ok();
    let urn = urn.filter(|urn| known.contains_key(urn));
    urn.ok_or_else(|| not_remembered(text, known).into())
}

/// That nothing is remembered by a name.
pub(super) fn not_remembered(text: &str, known: &BTreeMap<Urn, Record>) -> Finding {
    let names: Vec<String> = known.keys().map(ToString::to_string).collect();
    let help = why::meant(text.trim_matches('*'), &names)
        .unwrap_or_else(|| "`state list` shows what is".to_owned());
    let what = format!("nothing is remembered of `{text}`");
    Finding::error("kbz::cli::state", what).help(help)
}

fn missing(missing: &[Urn]) -> Failed {
    let names = missing.iter().map(ToString::to_string).collect::<Vec<_>>();
    let names = listed(names.iter().map(String::as_str));
    Failed::with_help(
        "kbz::import::missing",
        format!("there is nothing to import at {names}"),
        "`up` makes it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Renderer;
    use crate::effect::Line;
    use crate::ident::{HostName, StackName};
    use crate::primitive::File;
    use crate::program::{Settings, Stack};
    use crate::resource::Resource as _;
    use crate::secret::Vault;

    fn file(name: &str) -> File {
        File::on(&HostName::new("app-1").unwrap(), format!("/etc/{name}")).content("x")
    }

    fn remembered(file: &File) -> (Urn, Record) {
        let record = Record {
            urn: file.urn(),
            goal: Vault::new().keyed(&crate::ident::Digest::of("x")),
            removal: file.removal().into(),
            depends_on: std::collections::BTreeSet::new(),
            protect: false,
            retain: false,
            line: Line::default(),
        };
        (file.urn(), record)
    }

    /// What is said of a new address for a file that is remembered as `/etc/motd`.
    fn said(declared: &[&str], to: &str) -> Result<(), String> {
        let mut stack = Stack::new(StackName::new("shop").unwrap(), Settings::new("."));
        for name in declared {
            stack.add(file(name));
        }
        let graph = Graph::new(stack.finish().unwrap().declarations).unwrap();
        let known = BTreeMap::from([remembered(&file("motd"))]);
        let may = may_become(&graph, &file("motd").urn(), &file(to).urn(), &known);
        may.map_err(|Failed(report)| Renderer::plain(&report))
    }

    #[test]
    fn an_address_that_nothing_declares_is_refused() {
        let slip = said(&["motd", "message"], "mesage").unwrap_err();
        assert!(
            slip.contains("the program declares no `file@app-1:/etc/mesage`"),
            "{slip}"
        );
        assert!(
            slip.contains("did you mean `file@app-1:/etc/message`?"),
            "{slip}"
        );
        // What it is remembered as already is no help.
        let other = said(&["motd"], "motb").unwrap_err();
        assert!(other.contains("declare it under that address"), "{other}");
    }

    #[test]
    fn an_address_of_another_object_is_refused() {
        let other = said(&["motd", "message"], "message").unwrap_err();
        assert!(other.contains("as another object"), "{other}");
    }
}
