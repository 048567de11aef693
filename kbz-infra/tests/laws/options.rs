//! What a program says of a resource besides what it is to be.

use std::collections::BTreeMap;

use kbz_infra::diag::Report;
use kbz_infra::effect::{Action, Condition, Gate, Removal};
use kbz_infra::exec::{Cancel, Limits, Run};
use kbz_infra::graph::Graph;
use kbz_infra::ident::{HostName, Urn};
use kbz_infra::model::load_balancer;
use kbz_infra::plan::{Plan, Request};
use kbz_infra::prelude::*;
use kbz_infra::primitive::{Container, HetznerLb, Image, PgRole, Sysctl};
use kbz_infra::probe::{self, Probe};
use kbz_infra::program::{Overrides, Program, Settings};
use kbz_infra::resource::{Context, Op, PlanError, Planned};
use kbz_infra::sim::{Fault, Universe};
use kbz_infra::state::Store;

use crate::cluster::postgres;
use crate::random::rig;
use crate::rig::{Rig, host, shown, stack};

const PATH: &str = "/etc/notes";

fn app() -> HostName {
    host("app-1")
}

/// A program in a few lines.
fn stating(declare: impl FnOnce(&mut Stack)) -> Program {
    let mut stack = Stack::new(stack(), Settings::new("."));
    declare(&mut stack);
    stack.finish().unwrap()
}

fn nothing() -> Program {
    stating(|_| {})
}

fn notes() -> File {
    File::on(&app(), PATH).content("notes\n")
}

fn ops(plan: &Plan) -> Vec<Op> {
    plan.steps.iter().map(|step| step.op).collect()
}

fn refused(rig: &Rig, program: &Program) -> String {
    let problems = rig.try_plan(program, Request::Up).unwrap_err();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("\n")
}

fn has(rig: &Rig, path: &str) -> bool {
    rig.world.change(|world| world.has_path(&app(), path))
}

#[test]
fn what_is_retained_is_forgotten_and_stays() {
    let program = stating(|stack| {
        stack.add(notes().retain_on_delete());
        let role = PgRole::at(&postgres(), "reader");
        stack.add(role.retain_on_delete());
    });
    for destroyed in [false, true] {
        let mut rig = rig();
        rig.up(&program);
        let plan = if destroyed {
            rig.destroy(&program)
        } else {
            rig.up(&nothing())
        };
        assert_eq!(ops(&plan), [Op::Forget], "{}", shown(&plan));
        assert!(rig.remembered.is_empty());
        assert!(has(&rig, PATH));
        let traces = rig.traces().into_iter().collect::<Vec<_>>().join("\n");
        assert!(traces.contains("reader"), "{traces}");
        assert!(!traces.contains("mark file@app-1"), "{traces}");
    }
}

#[test]
fn what_is_not_retained_any_more_goes() {
    let mut rig = rig();
    rig.up(&stating(|stack| {
        drop(stack.add(notes().retain_on_delete()));
    }));
    rig.up(&stating(|stack| drop(stack.add(notes()))));
    assert_eq!(ops(&rig.up(&nothing())), [Op::Delete]);
    assert!(!has(&rig, PATH));
}

#[test]
fn a_field_that_the_program_names_makes_the_object_anew() {
    let before = stating(|stack| drop(stack.add(notes().mode(0o644))));
    let mut rig = rig();
    rig.up(&before);
    let changed = |fields: &[&str]| {
        let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        stating(|stack| drop(stack.add(notes().mode(0o600).replace_on_changes(fields))))
    };
    assert_eq!(ops(&rig.plan(&changed(&["content"]))), [Op::Update]);
    let guarded = stating(|stack| {
        let file = notes().mode(0o600).replace_on_changes(["mode"]);
        stack.add(file.protect());
    });
    assert!(refused(&rig, &guarded).contains("it is protected and would be replaced"));
    let plan = rig.up(&changed(&["mode"]));
    assert_eq!(ops(&plan), [Op::Replace], "{}", shown(&plan));
    let effects = plan.steps[0].effects.iter();
    let done: Vec<&Action> = effects.map(|effect| &effect.action).collect();
    assert!(
        matches!(
            done.as_slice(),
            [
                Action::RemoveFile { .. },
                Action::WriteFile { .. },
                Action::Mark(_)
            ]
        ),
        "{done:?}"
    );
}

/// A file under an address that says nothing of its path.
#[derive(Debug, Clone)]
struct Note {
    name: &'static str,
    file: File,
}

impl Note {
    fn new(name: &'static str, path: &str) -> Self {
        let file = File::on(&app(), path).content("notes\n");
        Self { name, file }
    }
}

impl Resource for Note {
    fn urn(&self) -> Urn {
        Urn::on("note", &app(), self.name)
    }

    fn probes(&self) -> Vec<Probe> {
        self.file.probes()
    }

    fn plan(&self, context: &Context<'_>) -> std::result::Result<Planned, PlanError> {
        self.file.plan(context)
    }

    fn removal(&self) -> Removal {
        self.file.removal()
    }

    fn summary(&self) -> String {
        String::new()
    }
}

fn old() -> Urn {
    Urn::on("note", &app(), "old")
}

fn renamed() -> Program {
    stating(|stack| {
        let note = stack.add(Note::new("new", PATH).aliases([old()]));
        let reader = File::on(&app(), "/etc/reader").content("reads\n");
        stack.add(reader.depends_on(&note));
    })
}

/// An operator with a note under its old address.
fn noted() -> Rig {
    let mut rig = rig();
    rig.up(&stating(|stack| {
        let note = stack.add(Note::new("old", PATH));
        let reader = File::on(&app(), "/etc/reader").content("reads\n");
        stack.add(reader.depends_on(&note));
    }));
    rig
}

#[test]
fn a_renamed_object_takes_its_record_and_its_mark_along() {
    let mut rig = noted();
    let plan = rig.up(&renamed());
    assert_eq!(ops(&plan), [Op::Adopt, Op::Adopt], "{}", shown(&plan));
    let reasons = plan.steps[0].reasons.iter().map(ToString::to_string);
    assert!(
        reasons
            .into_iter()
            .any(|reason| reason == "was note@app-1:old before")
    );
    for effect in plan.steps.iter().flat_map(|step| &step.effects) {
        assert!(
            matches!(effect.action, Action::Mark(_) | Action::Unmark(_)),
            "{effect:?}"
        );
    }
    assert!(!rig.remembered.contains_key(&old()));
    // Without its memory the host's marks tell the same.
    rig.remembered.clear();
    assert!(rig.plan(&renamed()).is_empty());
    rig.up(&nothing());
    assert!(!has(&rig, PATH));
}

#[test]
fn a_rename_that_broke_off_is_ended_by_the_next_run() {
    let effects = noted().plan(&renamed());
    let effects: usize = effects.steps.iter().map(|step| step.effects.len()).sum();
    for number in 1..=u64::try_from(effects).unwrap() {
        for fault in [Fault::FailBefore, Fault::LoseAnswer] {
            let mut rig = noted();
            rig.world.fault(rig.world.effects() + number, fault);
            let plan = rig.plan(&renamed());
            assert_ne!(rig.apply(&plan), BTreeMap::new());
            rig.up(&renamed());
            rig.up(&nothing());
            assert!(!has(&rig, PATH));
            assert!(rig.remembered.is_empty());
        }
    }
}

#[test]
fn an_alias_of_another_object_is_refused_with_its_line() {
    let rig = noted();
    let moved = stating(|stack| {
        stack.add(Note::new("new", "/etc/elsewhere").aliases([old()]));
    });
    assert!(refused(&rig, &moved).contains("is another object, not the same renamed"));
    let both = stating(|stack| {
        stack.add(Note::new("old", PATH));
        stack.add(Note::new("new", PATH).aliases([old()]));
    });
    assert!(refused(&rig, &both).contains("`note@app-1:old` is declared itself"));
    let twice = stating(|stack| {
        stack.add(Note::new("one", PATH).aliases([old()]));
        stack.add(Note::new("two", "/etc/two").aliases([old()]));
    });
    assert!(refused(&rig, &twice).contains("is that of another declaration too"));
    let problems = rig.try_plan(&moved, Request::Up).unwrap_err();
    assert!(problems.iter().all(|problem| problem.declared.is_some()));
}

fn path(path: &str, condition: Condition) -> Gate {
    let query = probe::Path {
        path: path.to_owned(),
        content: false,
    };
    Gate {
        probe: Probe::host(&app(), query),
        condition,
        settle: 0,
        deadline: 5,
    }
}

#[test]
fn a_precondition_that_does_not_hold_is_refused_with_its_line() {
    let program = stating(|stack| {
        stack.add(notes().precondition(path("/etc/ready", Condition::Present)));
    });
    let mut rig = rig();
    let problems = rig.try_plan(&program, Request::Up).unwrap_err();
    let text = problems[0].to_string();
    assert!(
        text.contains("it needs path /etc/ready on app-1 to be there"),
        "{text}"
    );
    assert!(problems[0].declared.is_some());
    rig.world
        .change(|world| world.edit_file(&app(), "/etc/ready", "yes\n"));
    rig.up(&program);
    rig.world.change(|world| world.cut(&app()));
    let plan = rig.plan(&program);
    assert_eq!(plan.stuck.len(), 1, "{}", shown(&plan));
}

#[test]
fn a_change_is_done_when_its_postcondition_holds() {
    let program = stating(|stack| {
        let note = notes().postcondition(path("/etc/ready", Condition::Present));
        let note = stack.add(note);
        let reader = File::on(&app(), "/etc/reader").content("reads\n");
        stack.add(reader.depends_on(&note));
    });
    let mut rig = rig();
    let plan = rig.plan(&program);
    let failed = rig.apply(&plan);
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed.values().any(|why| why.contains("/etc/ready")));
    assert!(has(&rig, PATH) && !has(&rig, "/etc/reader"));
    rig.world
        .change(|world| world.edit_file(&app(), "/etc/ready", "yes\n"));
    rig.up(&program);
    assert!(has(&rig, "/etc/reader"));
    // It holds for what is as declared, too.
    rig.world
        .change(|world| world.remove_path(&app(), "/etc/ready"));
    let plan = rig.plan(&program);
    assert_eq!(ops(&plan), [Op::Run], "{}", shown(&plan));
}

#[test]
fn an_effect_that_failed_is_tried_again_as_often_as_the_program_says() {
    for (retries, faults, done) in [(0, 1, false), (2, 2, true), (2, 3, false)] {
        let program = stating(|stack| drop(stack.add(notes().retries(retries))));
        let mut rig = rig();
        let plan = rig.plan(&program);
        let first = rig.world.effects() + 1;
        for number in first..first + faults {
            let fault = if number == first {
                Fault::LoseAnswer
            } else {
                Fault::FailBefore
            };
            rig.world.fault(number, fault);
        }
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), stack()).lock().unwrap();
        let context = rig.context();
        let run = Run::new(plan, rig.world.clone(), store, context, Limits::default());
        let (events, _listener) = tokio::sync::mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let outcome = runtime.block_on(run.start(events, Cancel::new())).unwrap();
        assert_eq!(
            outcome.is_success(),
            done,
            "{retries} {faults}: {:?}",
            outcome.failed
        );
    }
}

/// A component with a file in it.
#[derive(Debug)]
struct Pad;

impl Component for Pad {
    fn urn(&self) -> Urn {
        Urn::global("pad", "pad")
    }

    fn expand(&self, scope: &mut kbz_infra::program::Scope<'_>) -> Result<()> {
        scope.add(notes());
        scope.add(Sysctl::on(&app(), "vm.swappiness", 1));
        Ok(())
    }
}

#[test]
fn options_of_a_component_are_those_of_its_parts_but_for_what_belongs_to_one() {
    let program = stating(|stack| drop(stack.add(Pad.retain_on_delete())));
    let (_, node) = &program.declarations.resources[0];
    assert!(node.options.retain_on_delete);
    let mut stack = Stack::new(stack(), Settings::new("."));
    stack.add(Pad.aliases([old()]));
    let report = stack.finish().unwrap_err().0;
    let finding = &report.findings()[0];
    assert_eq!(finding.code.to_string(), "kbz::options::component");
    assert_eq!(finding.labels.len(), 1);
}

/// What the world looks like after a hand on what ignores drift of some fields, and whether `up`
/// has anything to do.
fn ignored(declare: impl Fn(&mut Stack), hand: impl FnOnce(&mut Universe)) -> (Rig, Plan) {
    let program = stating(declare);
    let mut rig = rig();
    rig.up(&program);
    rig.world.change(hand);
    let plan = rig.plan(&program);
    (rig, plan)
}

fn lines(plan: &Plan) -> Vec<String> {
    let reasons = plan.steps.iter().flat_map(|step| &step.reasons);
    reasons.map(ToString::to_string).collect()
}

#[test]
fn a_state_that_the_program_ignores_is_left_as_it_is_found() {
    let unit = "service.service";
    let declare = |stack: &mut Stack| {
        let text = "[Service]\nExecStart=/usr/bin/sleep 1\n";
        let file = File::on(&app(), format!("/etc/systemd/system/{unit}"));
        let file = stack.add(file.content(text));
        let service = SystemdUnit::on(&app(), unit).restart_on([file.urn().clone()]);
        stack.add(service.depends_on(&file).ignore_changes(["state"]));
        let image = stack.add(Image::on(&app(), "kbz/app:1"));
        let container = Container::on(&app(), "app", "kbz/app:1").depends_on(&image);
        stack.add(container.ignore_changes(["state"]));
    };
    // It is made and started all the same.
    let (rig, plan) = ignored(declare, |_| {});
    assert!(plan.is_empty(), "{}", shown(&plan));
    assert!(rig.world.change(|world| world.is_running(&app(), "app")));
    let (_, plan) = ignored(declare, |world| {
        world.stop_unit(&app(), unit);
        world.stop_container(&app(), "app");
    });
    assert!(plan.is_empty(), "{}", shown(&plan));
    let (_, plan) = ignored(declare, |world| {
        world.stop_unit(&app(), unit);
        world.disable_unit(&app(), unit);
        world.remove_container(&app(), "app");
    });
    assert_eq!(
        lines(&plan),
        ["enabled  disabled → enabled", "is not there"]
    );
}

#[test]
fn targets_and_services_that_the_program_ignores_are_left_as_they_are_found() {
    let declare = |fields: &'static [&'static str]| {
        move |stack: &mut Stack| {
            let entry = HetznerLb::new("entry", "private", [10, 0, 0, 10].into());
            let entry = entry.service(load_balancer::Service::tcp(5432, 5432));
            let entry = entry.targets([[10, 0, 0, 11].into(), [10, 0, 0, 12].into()]);
            stack.add(entry.ignore_changes(fields.iter().copied()));
        }
    };
    let hand = |world: &mut Universe| {
        world.remove_target("entry", [10, 0, 0, 11].into());
        world.remove_target("entry", [10, 0, 0, 12].into());
        world.remove_service("entry", 5432);
    };
    let (_, plan) = ignored(declare(&["targets", "services"]), hand);
    assert!(plan.is_empty(), "{}", shown(&plan));
    let (mut rig, plan) = ignored(declare(&["targets.10.0.0.12", "services.5432"]), hand);
    assert_eq!(lines(&plan), ["targets.10.0.0.11  none → 10.0.0.11"]);
    rig.up(&stating(declare(&["targets.10.0.0.12", "services.5432"])));
}

#[test]
fn a_group_of_entries_that_the_program_names_makes_the_object_anew() {
    let declare = |ports: &'static [u16]| {
        move |stack: &mut Stack| {
            let entry = HetznerLb::new("entry", "private", [10, 0, 0, 10].into());
            let entry = entry.targets([[10, 0, 0, 11].into()]);
            let services = ports.iter().copied();
            let entry = services.fold(entry, |entry, port| {
                entry.service(load_balancer::Service::tcp(port, 5432))
            });
            stack.add(entry.replace_on_changes(["services"]));
        }
    };
    let mut rig = rig();
    rig.up(&stating(declare(&[5432])));
    let plan = rig.plan(&stating(declare(&[5432, 5433])));
    assert_eq!(ops(&plan), [Op::Replace], "{}", shown(&plan));
}

#[test]
fn an_entry_of_a_group_may_be_named() {
    let named = ["env.MODE", "env", "labels.kbz.tier", "state"];
    let container = Container::on(&app(), "api", "kbz/api:1");
    let mut stack = Stack::new(stack(), Settings::new("."));
    stack.add(container.ignore_changes(named));
    assert!(stack.finish().is_ok());
}

#[test]
fn a_misspelt_field_of_an_override_is_told_with_its_place() {
    let program = stating(|stack| drop(stack.add(notes())));
    let graph = || Graph::new(program.declarations.clone()).unwrap();
    let applied = |field: &str| {
        let text = format!("[lab.\"file@app-1:/etc/notes\"]\n{field} = \"0600\"\n");
        let overrides = Overrides::parse("overrides.toml", &text).unwrap();
        overrides.applied("lab", graph())
    };
    assert!(applied("mode").is_ok());
    let report = Report::from(applied("moed").unwrap_err());
    let finding = &report.findings()[0];
    assert_eq!(
        finding.message,
        "`file@app-1:/etc/notes` has no field `moed`"
    );
    assert_eq!(finding.help.as_deref(), Some("did you mean `mode`?"));
    assert_eq!(finding.labels[0].location.to_string(), "overrides.toml:1:6");
}

#[test]
fn what_is_said_of_a_component_names_a_field_of_one_of_its_parts() {
    let said = |field: &str| {
        let mut stack = Stack::new(stack(), Settings::new("."));
        stack.add(Pad.ignore_changes([field]));
        stack.finish().map_err(|error| error.0)
    };
    assert!(said("mode").is_ok());
    assert!(said("value").is_ok());
    let report = said("vlaue").unwrap_err();
    let finding = &report.findings()[0];
    assert_eq!(finding.code.to_string(), "kbz::options::unknown-field");
    assert_eq!(finding.help.as_deref(), Some("did you mean `value`?"));
}
