//! One command's view of the world: the environment, the program, the way to its hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::checked::{Checked, checked};
use super::error::Failed;
use super::looked::Looked;
use super::marks::{self, Marks};
use super::memory;
use super::rehearsal::{Rehearsal, Rehearsed, RehearsedBalancer, RehearsedHost};
use super::timings::{Phase, Timings};
use crate::effect::Record;
use crate::effect::{Action, Effect, Interpreter};
use crate::graph::Graph;
use crate::ident::{HostName, StackName, Urn};
use crate::observe::{follow_up, observe};
use crate::plan::{Plan, Planner, Request, Selection, by_mark, probes, searches};
use crate::probe::{Observation, Probe, Registry, Seen, Site};
use crate::program::{
    BaseImages, Environment, EnvironmentKind, Environments, ImageBase, Overrides, Program,
    Settings, Stack,
};
use crate::resource::Claim;
use crate::state::{Disk, ReadAhead, Recovery, SavedPlan, Snapshot, Store, StoreError};

/// A program: what it declares on a stack.
pub type Declare = fn(&mut Stack) -> crate::program::Result<()>;

/// The environment and the program in it, before any host is asked.
pub(super) struct Session {
    pub(super) environment: Environment,
    /// The name of an environment whose hosts are simulated, if there is one.
    pub(super) simulated: Option<String>,
    pub(super) program: Program,
    pub(super) graph: Graph,
    /// Drift that was adopted.
    pub(super) overrides: Overrides,
    pub(super) folder: PathBuf,
    /// The operator's own memory of the stack.
    store: Store,
    /// A read of it that was begun before the program was run.
    ahead: Mutex<Option<ReadAhead>>,
    /// Where the time of the command goes.
    pub(super) timings: Timings,
}

impl Session {
    /// Reads `kbz.toml`, runs the program, checks what it declares. Where nothing is going to be
    /// changed, what is remembered is read meanwhile.
    pub(super) fn open(
        name: &StackName,
        declare: Declare,
        folder: &Path,
        environment: Option<&str>,
        lab: Option<&dyn Rehearsal>,
        disk: Arc<dyn Disk>,
        looks: bool,
    ) -> Result<Self, Failed> {
        let timings = Timings::new();
        let begun = Instant::now();
        let file = settings_file(folder)?;
        let environments = Environments::load(&file, home().as_deref())?;
        let simulated = environments.of_kind(EnvironmentKind::Sim);
        let environment = environments.get(environment)?.clone();
        let (disk, base) = memory::of(&environment, disk)?;
        let store = Store::on(disk, base, name.clone());
        let ahead = looks.then(|| ReadAhead::begin(store.clone()));
        let settings = settings(&environment, folder, lab)?;
        let Checked { program, graph } = checked(name, settings, declare).map_err(Failed)?;
        #[cfg(feature = "mimalloc")]
        super::allocator::for_objects(graph.len());
        let overrides = Overrides::load(&folder.join(Overrides::FILE))?;
        let graph = overrides.applied(&environment.name, graph)?;
        timings.over(Phase::Program, begun);
        Ok(Self {
            environment,
            simulated: simulated.map(|environment| environment.name.clone()),
            program,
            graph,
            overrides,
            folder: folder.to_owned(),
            store,
            ahead: Mutex::new(ahead),
            timings,
        })
    }

    /// The environment as every screen names it.
    pub(super) fn label(&self) -> String {
        let name = &self.environment.name;
        match self.environment.kind {
            EnvironmentKind::Sim => format!("{name} (simulated)"),
            EnvironmentKind::Lab | EnvironmentKind::Hosts => name.clone(),
        }
    }

    /// The operator's own memory of the stack.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// What is remembered.
    pub(super) fn recall(&self) -> Result<Snapshot, StoreError> {
        let ahead = self.ahead.lock().ok().and_then(|mut ahead| ahead.take());
        ahead.map_or_else(|| self.store.read(), ReadAhead::finish)
    }

    /// The hosts that hold something of the stack.
    pub(super) fn hosts(&self) -> BTreeSet<HostName> {
        self.graph
            .in_order()
            .filter_map(|(urn, _)| urn.host().cloned())
            .collect()
    }

    /// Reads the world and plans. What an earlier run left open is looked at in the same round.
    pub(super) async fn look(
        &self,
        interpreter: &Arc<dyn Interpreter>,
        remembered: &BTreeMap<Urn, Record>,
        left: Option<&Recovery>,
        request: Request,
        selection: &Selection,
    ) -> Result<Looked, Failed> {
        let looked = self
            .examine(interpreter, remembered, left, request, selection)
            .await
            .agreed()?;
        if request == Request::Up && looked.plan.is_empty() && looked.plan.kept.is_empty() {
            nothing_chosen(selection)?;
        }
        Ok(looked)
    }

    /// Reads the world and plans; what was seen is there even where no plan is.
    pub(super) async fn examine(
        &self,
        interpreter: &Arc<dyn Interpreter>,
        remembered: &BTreeMap<Urn, Record>,
        left: Option<&Recovery>,
        request: Request,
        selection: &Selection,
    ) -> Looked {
        let begun = Instant::now();
        let heard = |event| self.timings.observed(&event);
        let mut asked = probes(&self.graph, &self.hosts(), remembered);
        asked.extend(left.into_iter().flat_map(Recovery::probes));
        let known = |urn: &Urn| self.graph.node(urn).is_some() || remembered.contains_key(urn);
        if remembered.is_empty() {
            asked.extend(marks::asked(&self.graph, &self.environment));
        }
        let observation = observe(interpreter, asked, &heard).await;
        let observation = follow_up(interpreter, observation, &known, &heard).await;
        let elapsed = begun.elapsed();
        self.timings.over(Phase::Observed, begun);
        let (marks, observation) = Marks::taken_from(observation);
        let found = marks.found.iter().cloned();
        let (declared, unknown) = by_mark(&self.graph, &self.program.vault, found);
        let unknown = marks.unknown(unknown);
        let remembered = if remembered.is_empty() {
            &declared
        } else {
            remembered
        };
        let looked = self.weighed(&self.graph, observation, remembered, request, selection);
        looked.taking(elapsed).telling(unknown.findings())
    }

    /// What bears the stack's mark where no registry notes it.
    pub(super) async fn marked(&self, interpreter: &Arc<dyn Interpreter>) -> Marks {
        let heard = |event| self.timings.observed(&event);
        let asked = marks::asked(&self.graph, &self.environment);
        Marks::taken_from(observe(interpreter, asked, &heard).await).0
    }

    /// Reads the marks on the hosts, and nothing else.
    pub(super) async fn marks(
        &self,
        interpreter: &Arc<dyn Interpreter>,
        remembered: &BTreeMap<Urn, Record>,
    ) -> Looked {
        let begun = Instant::now();
        let heard = |event| self.timings.observed(&event);
        let mut hosts = self.hosts();
        hosts.extend(remembered.keys().filter_map(|urn| urn.host().cloned()));
        let asked = hosts.iter().map(|host| Probe::host(host, Registry {}));
        let observation = observe(interpreter, asked.collect(), &heard).await;
        let elapsed = begun.elapsed();
        self.timings.over(Phase::Observed, begun);
        let nothing = Plan::forgetting(self.graph.stack(), []);
        Looked::new(nothing, observation, self.graph.groups(), &[]).taking(elapsed)
    }

    /// Plans from what was seen.
    pub(super) fn planned(
        &self,
        graph: &Graph,
        observation: Observation,
        remembered: &BTreeMap<Urn, Record>,
        request: Request,
        selection: &Selection,
    ) -> Result<Looked, Failed> {
        self.weighed(graph, observation, remembered, request, selection)
            .agreed()
    }

    /// Plans from what was seen, or says what stands against a plan.
    fn weighed(
        &self,
        graph: &Graph,
        observation: Observation,
        remembered: &BTreeMap<Urn, Record>,
        request: Request,
        selection: &Selection,
    ) -> Looked {
        let begun = Instant::now();
        let planner = Planner::new(graph, &observation, &self.program.vault, remembered);
        let (plan, problems) = match planner.choosing(selection).plan(request) {
            Ok(plan) => (plan, Vec::new()),
            Err(problems) => (Plan::forgetting(graph.stack(), []), problems),
        };
        self.timings.over(Phase::Planned, begun);
        let searches = searches(graph);
        Looked::new(plan, observation, graph.groups(), &searches).refused(problems)
    }

    /// Reads what a plan was decided from, and plans nothing: what of it still holds is done.
    pub(super) async fn look_again(
        &self,
        interpreter: &Arc<dyn Interpreter>,
        saved: SavedPlan,
        left: Option<&Recovery>,
    ) -> Looked {
        let begun = Instant::now();
        let heard = |event| self.timings.observed(&event);
        let vault = &self.program.vault;
        let mut asked = saved.probes(vault);
        asked.extend(left.into_iter().flat_map(Recovery::probes));
        let observation = observe(interpreter, asked, &heard).await;
        let elapsed = begun.elapsed();
        self.timings.over(Phase::Observed, begun);
        let since = saved.since(&observation, vault);
        let plan = saved.plan.reduced(&since.done, &since.refused);
        let searches = searches(&self.graph);
        Looked::new(plan, observation, &saved.groups, &searches).taking(elapsed)
    }

    /// Every file that the program generates, by `HOST/PATH`, and the context of every image;
    /// secrets by name. Facts are those of the hosts; of a host that does not answer nothing is
    /// written that depends on them.
    pub(super) async fn generated(
        &self,
        interpreter: &Arc<dyn Interpreter>,
    ) -> Result<BTreeMap<String, String>, Failed> {
        let asked = probes(&self.graph, &self.hosts(), &BTreeMap::new());
        let observation = observe(interpreter, asked, &|_| {}).await;
        // As if nothing but the facts were there: then the plan makes every file.
        let facts: Observation = observation
            .iter()
            .map(|(probe, seen)| {
                let seen = match seen {
                    Seen::Read(reading) => Seen::Read(reading.as_if_absent()),
                    Seen::Unreachable(outage) => Seen::Unreachable(outage.clone()),
                };
                (probe.clone(), seen)
            })
            .collect();
        let nothing = BTreeMap::new();
        let planner = Planner::new(&self.graph, &facts, &self.program.vault, &nothing);
        let plan = planner.plan(Request::Up)?;
        let effects = plan.steps.into_iter().flat_map(|step| step.effects);
        Ok(effects.flat_map(generated_by).collect())
    }

    /// What a lab must offer for the program.
    pub(super) fn rehearsed(&self) -> Rehearsed {
        let mut data: BTreeMap<HostName, BTreeSet<String>> = BTreeMap::new();
        let mut balancers: BTreeMap<String, RehearsedBalancer> = BTreeMap::new();
        for (_, _, claim) in self.graph.claims() {
            match claim {
                Claim::StoresData { host, path } => {
                    data.entry(host).or_default().insert(path);
                }
                Claim::Balances {
                    balancer, entry, ..
                } => {
                    balancers
                        .entry(balancer.clone())
                        .or_insert_with(|| RehearsedBalancer {
                            name: balancer,
                            address: entry.address,
                            ports: BTreeSet::new(),
                        })
                        .ports
                        .insert(entry.port);
                }
                _ => {}
            }
        }
        let used = self.hosts();
        let hosts = self
            .program
            .hosts
            .iter()
            .filter(|host| used.contains(&host.name));
        Rehearsed {
            folder: self.folder.clone(),
            hosts: hosts
                .map(|host| RehearsedHost {
                    name: host.name.clone(),
                    address: host.address,
                    data: data.remove(&host.name).unwrap_or_default(),
                })
                .collect(),
            balancers: balancers.into_values().collect(),
        }
    }
}

/// The file `kbz.toml` in a folder that was named.
pub(super) fn settings_file(folder: &Path) -> Result<PathBuf, Failed> {
    let file = folder.join("kbz.toml");
    if file.exists() {
        return Ok(file);
    }
    Err(Failed::with_help(
        "kbz::cli::folder",
        format!("there is no {}", file.display()),
        "name the folder of kbz.toml with --stack-dir DIR",
    ))
}

/// Refuses a selection of nothing: it would read as a stack that is as declared.
fn nothing_chosen(selection: &Selection) -> Result<(), Failed> {
    if selection.is_everything() {
        return Ok(());
    }
    Err(Failed::with_help(
        "kbz::cli::target",
        "nothing is chosen: --exclude takes out all that there is to do",
        "what depends on an excluded object is left out with it; exclude less",
    ))
}

/// The texts that an effect writes.
fn generated_by(effect: Effect) -> Vec<(String, String)> {
    match (effect.site, effect.action) {
        (Site::Host(host), Action::WriteFile { path, content, .. }) => {
            vec![(format!("{host}{path}"), content.to_string())]
        }
        (_, Action::BuildImage(context)) => {
            let folder = context.reference().replace([':', '/'], "_");
            let files = context.files.into_iter();
            files
                .map(|(path, file)| (format!("images/{folder}/{path}"), file.content))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// How many files a container may have open.
const FILES: i64 = 65_536;
/// The same in a lab, where it must fit into the limit of the machine that the hosts share.
const LAB_FILES: i64 = 16_384;

fn settings(
    environment: &Environment,
    folder: &Path,
    lab: Option<&dyn Rehearsal>,
) -> Result<Settings, Failed> {
    let images = match &environment.base_images {
        BaseImages::Official => ImageBase::Official,
        BaseImages::Debian {
            reference: Some(reference),
        } => ImageBase::Debian {
            reference: reference.clone(),
        },
        BaseImages::Debian { reference: None } => {
            let lab = lab.ok_or_else(|| {
                Failed::with_help(
                    "kbz::cli::no-lab",
                    format!(
                        "the environment `{}` builds on the lab's image",
                        environment.name
                    ),
                    "this program was built without a lab: name an image in kbz.toml",
                )
            })?;
            ImageBase::Debian {
                reference: lab.base_image(),
            }
        }
    };
    // All hosts of a lab share one machine; each database gets an equal part of the budget.
    let memory_budget = match environment.kind {
        EnvironmentKind::Lab => environment.memory.map(|bytes| bytes / 6),
        EnvironmentKind::Hosts | EnvironmentKind::Sim => environment.memory,
    };
    Ok(Settings {
        inventory: environment.inventory.clone(),
        versions: environment.versions.clone(),
        credentials: environment.credentials.clone(),
        age_identity: environment.age_identity.clone(),
        images,
        memory_budget,
        postgresql: environment.postgresql.clone(),
        shared_clock: environment.kind == EnvironmentKind::Lab,
        open_files: if environment.kind == EnvironmentKind::Lab {
            LAB_FILES
        } else {
            FILES
        },
        immutable_files: environment.kind != EnvironmentKind::Lab,
        tolerate_other_filesystems: environment.tolerate_other_filesystems,
        ..Settings::new(folder)
    })
}

/// The operator's home folder, where `~/` of `kbz.toml` leads.
pub(super) fn home() -> Option<PathBuf> {
    std::env::home_dir()
}
