//! Tells a story: once as it is, once with nothing going wrong, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use kbz_infra::effect::{Interpreter, Progress, RunContext};
use kbz_infra::graph::Graph;
use kbz_infra::ident::{StackName, Urn};
use kbz_infra::observe::observe;
use kbz_infra::plan::{Planner, Request, probes};
use kbz_infra::program::Program;
use kbz_infra::sim::{Universe, World};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::breach::{Breach, Law};
use crate::cluster::{Postgres, world};
use crate::hand::lay_on;
use crate::operator::{Operator, Told, Went};
use crate::story::{Act, Run, Story};

/// Tells a story; says which law it breaks, if it breaks one.
///
/// Everything happens on one thread, in a time that passes only when nothing else can: the same
/// story goes the same way every time.
/// A panic breaks a law as well.
pub fn tell(story: &Story) -> Result<(), Breach> {
    let told = AssertUnwindSafe(|| quiet().block_on(Teller::new(story).tell()));
    catch_unwind(told).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Breach::of(Law::NothingPanics, said.unwrap_or("a panic")))
    })
}

/// A runtime whose clock stands still while there is work.
fn quiet() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without threads or sockets needs nothing")
}

/// Two operators of the same world: one whom everything befalls, and one whom nothing does.
struct Teller<'a> {
    story: &'a Story,
    troubled: Operator,
    calm: Operator,
    before: BTreeSet<String>,
    /// Whether both have done the same so far.
    in_step: bool,
    /// Whether no hand came between the effects of a run.
    untouched: bool,
    /// Whether the last run left something to do.
    pending: bool,
    /// What no registry knew when the memory was lost: once no program names it, nobody does.
    unknown: BTreeSet<String>,
    /// The last program that was not refused.
    last: Run,
}

impl<'a> Teller<'a> {
    fn new(story: &'a Story) -> Self {
        let begin = if story.own_cluster {
            world().snapshot()
        } else {
            beside_another().clone()
        };
        let limits = (story.parallel, story.per_site);
        let troubled = Operator::new(begin.clone(), limits, story.schedule);
        Self {
            before: troubled.traces(),
            troubled,
            calm: Operator::new(begin, (1, 1), story.schedule ^ 0x5bd1_e995),
            story,
            // Who of a cluster's own nodes leads is the one that was there first.
            in_step: !story.own_cluster,
            untouched: true,
            pending: false,
            unknown: BTreeSet::new(),
            last: Run::default(),
        }
    }

    async fn tell(mut self) -> Result<(), Breach> {
        let story = self.story;
        let protects = story
            .runs()
            .any(|run| run.program.iter().any(|item| item.protect));
        for act in &story.acts {
            match act {
                Act::Up(run) => self.run(run, Request::Up, protects).await?,
                Act::Destroy(run) => self.run(run, Request::Destroy, protects).await?,
                Act::Hand(item) => {
                    for operator in [&mut self.troubled, &mut self.calm] {
                        operator.stage.world.change(|world| lay_on(item, world));
                        operator.touched();
                    }
                }
                // What was begun and not marked on any host is known to the memory alone.
                Act::Forget if self.pending => {}
                Act::Forget => {
                    self.unknown.extend(self.troubled.traces_without_marks());
                    self.troubled.forget();
                    self.calm.forget();
                }
            }
        }
        self.end().await
    }

    async fn run(&mut self, run: &Run, request: Request, protects: bool) -> Result<(), Breach> {
        let plain = Run::of(run.program.clone());
        let calm = self.calm.carry(&plain, request).await?;
        must_be_whole(&calm, true)?;
        self.troubled.drop_by_hand(&calm.in_the_way);
        let told = self.troubled.carry(run, request).await?;
        if self.in_step {
            Self::same_plan(&calm, &told)?;
        }
        if calm.went == Went::Whole {
            self.last = match request {
                Request::Up => plain.clone(),
                Request::Destroy => Run::default(),
            };
        }
        self.untouched &= !told.by_hand;
        self.pending = told.went == Went::Broken;
        if run.is_calm() {
            must_be_whole(&told, true)?;
        } else if self.pending && (run.again || protects) {
            let again = self.troubled.carry(&plain, request).await?;
            must_be_whole(&again, false)?;
            self.pending = false;
        }
        // Who left something undone has another history from here on.
        self.in_step &= !self.pending && !told.by_hand;
        Ok(())
    }

    /// Law 7: schedule and parallelism have no part in a plan.
    fn same_plan(calm: &Told, told: &Told) -> Result<(), Breach> {
        if told.plan.is_empty() && told.went == Went::Broken || calm.plan == told.plan {
            return Ok(());
        }
        let read = |plan: &str| serde_json::from_str::<Value>(plan).unwrap_or_default();
        let mut at = Vec::new();
        differs(
            &read(&calm.plan),
            &read(&told.plan),
            &mut String::new(),
            &mut at,
        );
        Err(Breach::of(
            Law::PlansDependOnTheirInputsAlone,
            at.join("; "),
        ))
    }

    /// The last program once more, undisturbed; then there is nothing to do, the world is that of
    /// the calm operator, and `destroy` takes everything away.
    async fn end(mut self) -> Result<(), Breach> {
        let last = self.last.clone();
        for operator in [&mut self.calm, &mut self.troubled] {
            must_be_whole(&operator.carry(&last, Request::Up).await?, false)?;
            nothing_left(operator, &last, Request::Up, Law::NothingIsLeftToDo).await?;
        }
        self.same_world()?;
        let mut free = last;
        for item in &mut free.program {
            item.protect = false;
        }
        let operator = &mut self.troubled;
        must_be_whole(&operator.carry(&free, Request::Up).await?, false)?;
        must_be_whole(&operator.carry(&free, Request::Destroy).await?, false)?;
        nothing_left(operator, &free, Request::Destroy, Law::DestroyLeavesNothing).await?;
        let mut after = operator.traces();
        after.retain(|trace| self.before.contains(trace) || !self.unknown.contains(trace));
        if after != self.before {
            let what = difference(&self.before, &after);
            return Err(Breach::of(Law::DestroyLeavesNothing, what));
        }
        Ok(())
    }

    /// Law 3 and law 4: the world is that of no crash.
    fn same_world(&self) -> Result<(), Breach> {
        let (calm, troubled) = (self.calm.traces(), self.troubled.traces());
        if calm != troubled {
            let what = difference(&calm, &troubled);
            return Err(Breach::of(Law::NothingIsLostOrMadeTwice, what));
        }
        if !(self.in_step && self.untouched) {
            return Ok(());
        }
        let (calm, troubled) = (state_of(&self.calm), state_of(&self.troubled));
        let mut at = Vec::new();
        differs(&calm, &troubled, &mut String::new(), &mut at);
        if at.is_empty() {
            return Ok(());
        }
        Err(Breach::of(Law::TheNextRunConverges, at.join("; ")))
    }
}

/// A run in which nothing went wrong is whole; where something is protected it may be refused.
fn must_be_whole(told: &Told, may_refuse: bool) -> Result<(), Breach> {
    match told.went {
        Went::Whole => Ok(()),
        Went::Refused if may_refuse => Ok(()),
        Went::Refused => Err(Breach::of(
            Law::ProtectionHolds,
            "refused what was accepted before",
        )),
        Went::Broken => {
            let what = "something is left to do though nothing went wrong";
            Err(Breach::of(Law::TheNextRunConverges, what))
        }
    }
}

async fn nothing_left(
    operator: &mut Operator,
    run: &Run,
    request: Request,
    law: Law,
) -> Result<(), Breach> {
    let told = operator.carry(run, request).await?;
    let plan: Value = serde_json::from_str(&told.plan).unwrap_or_default();
    match plan["steps"].as_array().map(Vec::as_slice) {
        Some([]) if told.went == Went::Whole => Ok(()),
        _ => {
            let left = plan["steps"].as_array().into_iter().flatten();
            let left: Vec<String> = left
                .map(|step| format!("{} {}", step["op"], step["urn"]))
                .collect();
            Err(Breach::of(law, format!("left: {}", left.join(", "))))
        }
    }
}

fn difference(calm: &BTreeSet<String>, troubled: &BTreeSet<String>) -> String {
    let missing: Vec<&String> = calm.difference(troubled).collect();
    let besides: Vec<&String> = troubled.difference(calm).collect();
    format!("missing {missing:?}; besides {besides:?}")
}

/// A world, without the numbers that count runs and objects.
fn state_of(operator: &Operator) -> Value {
    let mut value = operator
        .stage
        .world
        .to_value()
        .expect("a world is plain data");
    forget_numbers(&mut value);
    value
}

fn forget_numbers(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["newest_run", "next_id", "id", "count"] {
                map.remove(name);
            }
            // Which start of the engine it was; what counts is that it runs.
            if let Some(running) = map.get_mut("running").filter(|running| running.is_number()) {
                *running = Value::Bool(true);
            }
            map.values_mut().for_each(forget_numbers);
        }
        Value::Array(list) => list.iter_mut().for_each(forget_numbers),
        _ => {}
    }
}

/// Where two values differ.
fn differs(one: &Value, other: &Value, path: &mut String, at: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                let length = path.len();
                path.push('/');
                path.push_str(name);
                let none = Value::Null;
                let (one, other) = (one.get(name), other.get(name));
                differs(one.unwrap_or(&none), other.unwrap_or(&none), path, at);
                path.truncate(length);
            }
        }
        _ if one == other => {}
        _ => at.push(format!("{path}: {one} and {other}")),
    }
}

/// Fresh hosts, three of which hold the cluster of another stack.
fn beside_another() -> &'static Universe {
    static WORLD: OnceLock<Universe> = OnceLock::new();
    WORLD.get_or_init(|| {
        let name = StackName::new("other").expect("a good name");
        let program = Postgres::new().program_of(name);
        made(&program)
    })
}

/// What a program makes of fresh hosts, one effect after the other.
fn made(program: &Program) -> Universe {
    let world: Arc<World> = Arc::new(world());
    let interpreter: Arc<dyn Interpreter> = world.clone();
    let graph = Graph::new(program.declarations.clone()).expect("a good program");
    let remembered: BTreeMap<Urn, _> = BTreeMap::new();
    let vault = crate::secrets::vault();
    quiet().block_on(async {
        let wanted = probes(&graph, &BTreeSet::new(), &remembered);
        let seen = observe(&interpreter, wanted, &|_| {}).await;
        let plan = Planner::new(&graph, &seen, &vault, &remembered).plan(Request::Up);
        let context = RunContext {
            stack: program.declarations.stack.clone(),
            run: 1,
            vault: Arc::clone(&vault),
            progress: Progress::none(),
            cancel: CancellationToken::new(),
        };
        for step in plan.expect("nothing stands against it").steps {
            for effect in &step.effects {
                let done = interpreter.run(effect, &context).await;
                done.expect("fresh hosts take everything");
            }
        }
    });
    world.snapshot()
}
