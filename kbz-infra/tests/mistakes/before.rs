//! Mistakes are told before anything is observed: by the command line itself, in a process of
//! its own, whose lab and hosts must not be touched.

#![allow(clippy::disallowed_methods, reason = "a test prepares its own world")]

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use async_trait::async_trait;
use kbz_infra::cli::{Cli, Declare, LabWay, NoLab, Rehearsal, Rehearsed};
use kbz_infra::effect::Removal;
use kbz_infra::ident::Digest;
use kbz_infra::prelude::*;
use kbz_infra::probe::Probe;
use kbz_infra::resource::{
    Change, Context, Group, GroupName, Impact, Op, PlanError, Planned, Reason,
};

use crate::system::System;

/// Tells the process which program to run.
const PROGRAM: &str = "KBZ_TEST_PROGRAM";
/// Tells it the words of the command line, parted by spaces.
const WORDS: &str = "KBZ_TEST_WORDS";

/// Programs that are refused, and by what.
const PROGRAMS: [(&str, Declare, &str); 4] = [
    ("input", moving_version, "kbz::versions::floating"),
    ("component", no_image, "kbz::haproxy::config"),
    ("lint", public_database, "kbz::exposure::public"),
    ("graph", declared_twice, "kbz::graph::duplicate"),
];

fn moving_version(stack: &mut Stack) -> Result<()> {
    stack.versions("versions.yaml").map(drop)
}

fn no_image(stack: &mut Stack) -> Result<()> {
    let system = System::of(stack)?;
    stack.add_each(&system.lb, Haproxy::on);
    Ok(())
}

fn public_database(stack: &mut Stack) -> Result<()> {
    let system = System::of(stack)?;
    let (haproxy, write) = system.write(stack)?;
    let entry = HetznerLb::new("lb-haproxy").private_ip([10, 0, 0, 10].into());
    stack.add(entry.public().service(&write).targets(&haproxy));
    Ok(())
}

fn declared_twice(stack: &mut Stack) -> Result<()> {
    let system = System::of(stack)?;
    stack.add(File::on(&system.lb[0].name, "/etc/motd").content("one\n"));
    stack.add(File::on(&system.lb[0].name, "/etc/motd").content("two\n"));
    Ok(())
}

/// A lab that nobody may ask for anything.
struct Untouched;

#[async_trait]
impl Rehearsal for Untouched {
    fn known(&self, _wanted: &Rehearsed) -> Option<LabWay> {
        None
    }

    fn base_image(&self) -> String {
        "debian-base:trixie-20261101".to_owned()
    }

    async fn up(
        &self,
        _wanted: &Rehearsed,
        _say: &(dyn for<'a> Fn(&'a str) + Send + Sync),
    ) -> Result<LabWay, NoLab> {
        panic!("a lab was made")
    }

    async fn find(&self, _wanted: &Rehearsed) -> Result<Option<LabWay>, NoLab> {
        panic!("a lab was looked for")
    }

    async fn command(&self, _words: &[String], _folder: Option<&Path>, _json: bool) -> ExitCode {
        panic!("a lab was called")
    }
}

/// The other process: a program with its command line, which must fail.
#[test]
fn program() {
    let (Ok(program), Ok(words)) = (std::env::var(PROGRAM), std::env::var(WORDS)) else {
        return;
    };
    let all = PROGRAMS.iter().map(|(name, declare, _)| (*name, *declare));
    let mut all = all.chain([("roll", ungated as Declare)]);
    let (_, declare) = all.find(|(name, _)| *name == program).expect("a program");
    let words = ["keybuzz"].into_iter().chain(words.split(' '));
    let code = Cli::new("keybuzz", declare)
        .rehearsed_by(Untouched)
        .run(words);
    assert_eq!(code, ExitCode::FAILURE);
}

/// Runs a program in a process of its own, in a folder for what it may write.
fn run(program: &str, words: &str, folder: &Path) -> Output {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inventory = inputs.join("../stacks/servers.tsv");
    let versions = match program {
        "input" => inputs.join("tests/mistakes/inputs/versions.yaml"),
        _ => inputs.join("../stacks/versions.yaml"),
    };
    let common = format!(
        "inventory = \"{}\"\nversions = \"{}\"\ncredentials = \"postgres.env\"\nstate = \"state\"\n",
        inventory.display(),
        versions.display()
    );
    let environments = format!(
        "default = \"lab\"\n\
         [environments.lab]\nkind = \"lab\"\n{common}\
         [environments.sim]\nkind = \"sim\"\n{common}\
         [environments.hosts]\nkind = \"hosts\"\n{common}\
         [environments.hosts.ssh]\nuser = \"root\"\n"
    );
    std::fs::write(folder.join("kbz.toml"), environments).expect("kbz.toml is written");
    let own = std::env::current_exe().expect("a path");
    Command::new(own)
        .args([
            "before::program",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PROGRAM, program)
        .env(
            WORDS,
            format!("{words} --stack-dir {} --yes", folder.display()),
        )
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .output()
        .expect("the process starts")
}

#[test]
fn nothing_is_asked_and_nothing_is_written() {
    for (program, _, code) in PROGRAMS {
        for words in [
            "preview --env sim",
            "up --env lab",
            "destroy --env lab",
            "up --env hosts",
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let output = run(program, words, folder.path());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program}, {words}:\n{said}");
            assert!(said.contains(code), "{program}, {words}:\n{said}");
            let source = match program {
                "input" => "versions.yaml:5:",
                _ => "tests/mistakes/before.rs:",
            };
            assert!(said.contains(source), "{program}, {words}:\n{said}");
            assert!(said.contains("help:"), "{program}, {words}:\n{said}");
            assert!(!folder.path().join("state").exists(), "{program}, {words}");
        }
    }
}

/// Something that restarts in every run.
#[derive(Debug)]
struct Restless(HostName);

impl kbz_infra::resource::Resource for Restless {
    fn urn(&self) -> Urn {
        Urn::on("restless", &self.0, "service")
    }

    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        Ok(Planned {
            goal: context.keyed(&Digest::of("restless")),
            change: Some(Change {
                op: Op::Update,
                reasons: vec![Reason::Missing],
                impact: Impact::Restart,
                effects: Vec::new(),
                details: Vec::new(),
            }),
        })
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn summary(&self) -> String {
        "restarts".to_owned()
    }
}

/// A group of two whose members nothing keeps apart.
#[derive(Debug)]
struct Ungated(Vec<HostName>);

impl Component for Ungated {
    fn urn(&self) -> Urn {
        Urn::global("ungated", "pair")
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let name = GroupName("pair".to_owned());
        for member in &self.0 {
            scope.add(Restless(member.clone()).member_of(&name, member));
        }
        scope.group(Group {
            name,
            members: self.0.clone(),
            gate: None,
            leadership: None,
            drain: None,
        });
        Ok(())
    }
}

fn ungated(stack: &mut Stack) -> Result<()> {
    let system = System::read(stack)?;
    stack.add(Ungated(
        system.lb.iter().map(|host| host.name.clone()).collect(),
    ));
    Ok(())
}

#[test]
fn a_plan_without_its_proof_is_not_carried_out() {
    for words in ["preview --env sim", "up --env sim"] {
        let folder = tempfile::tempdir().expect("a folder");
        let output = run("roll", words, folder.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}:\n{said}");
        assert!(said.contains("kbz::plan::no-gate"), "{words}:\n{said}");
        assert!(
            said.contains("tests/mistakes/before.rs:"),
            "{words}:\n{said}"
        );
        // The last line of a run counts its steps.
        assert!(!said.contains("done"), "{words}:\n{said}");
        assert!(!said.contains('✓'), "{words}:\n{said}");
    }
}
