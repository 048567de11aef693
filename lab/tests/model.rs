//! The model and a real host: the same random effects on both, and the same answers to all probes.
//!
//! In a lab of one host, on a subnet of its own. At the end the host starts anew, as a program asks
//! it to.

#![allow(clippy::disallowed_methods, reason = "a test prepares its own world")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use kbz_infra::effect::{
    Action, Effect, Interpreter, Line, Owner, PreImage, Progress, Record, Removal, RunContext,
    UnitVerb,
};
use kbz_infra::host::pool::Hosts;
use kbz_infra::host::{HostInterpreter, local_docker};
use kbz_infra::ident::{Digest, HostName, StackName, Urn};
use kbz_infra::model::{FirewallRule, Protocol};
use kbz_infra::probe::{
    Boot, BootReading, Entries, Firewall, Path, PathReading, Probe, Query, Reading, Registry, Site,
    Stamp, SysctlValue, Unit,
};
use kbz_infra::secret::{Text, Vault};
use kbz_infra::sim::World;
use kbz_lab::cli::LabProgram;
use kbz_lab::{Events, Lab, LabAccess, LabName, LabSpec, lock_subnet};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

const NAME: &str = "t2";
const SUBNET: &str = "10.0.2.0/24";
/// How many effects.
const MANY: usize = 150;
const SEED: u64 = 20;

const FILES: [&str; 3] = ["/srv/m/one.conf", "/srv/m/deep/two.conf", "/etc/kbz-m.conf"];
const DIRECTORIES: [&str; 2] = ["/srv/m", "/srv/m/deep"];
const UNIT: &str = "kbz-m.service";
const UNIT_FILE: &str = "/etc/systemd/system/kbz-m.service";
const UNIT_TEXT: &str = "[Service]\nExecStart=/bin/sleep infinity\n\
                         [Install]\nWantedBy=multi-user.target\n";
const SYSCTL: &str = "net.core.somaxconn";

fn name() -> LabName {
    NAME.parse().unwrap()
}

fn stack() -> StackName {
    StackName::new("model").unwrap()
}

fn on() -> HostName {
    HostName::new("db-master-01").unwrap()
}

fn spec(state: &std::path::Path) -> LabSpec {
    let program = LabProgram {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_kbz-lab")),
        balancer_command: vec!["balancer".to_owned()],
    };
    let mut spec = program.keybuzz(name()).in_subnet(SUBNET.parse().unwrap());
    state.clone_into(&mut spec.state);
    spec.hosts.retain(|host| host.name == on().as_str());
    spec.balancer = None;
    spec
}

async fn down(state: &std::path::Path) {
    let gone = Lab::down(&name(), state, false, &Events::silent()).await;
    gone.unwrap();
}

/// A real host and its model, and the run that changes both.
struct Both {
    real: HostInterpreter,
    model: World,
    run: RunContext,
    random: SmallRng,
}

impl Both {
    fn new(access: &LabAccess) -> Self {
        let hosts = || Hosts::over_ssh(access.ways().unwrap());
        let vault = Arc::new(Vault::new());
        let docker = local_docker(None).unwrap();
        let real = HostInterpreter::new(&stack(), hosts(), hosts(), docker, Arc::clone(&vault));
        let address = access.hosts[0].address.into();
        Self {
            real,
            model: World::empty(stack(), [(on(), address)]),
            run: RunContext {
                stack: stack(),
                run: 1,
                vault,
                progress: Progress::none(),
                cancel: CancellationToken::new(),
            },
            random: SmallRng::seed_from_u64(SEED),
        }
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.random_range(0..all.len())]
    }

    fn expectation(&mut self) -> PreImage {
        let contents = ["a\n", "b\n"];
        match self.random.random_range(0..6) {
            0 => PreImage::Absent,
            1 => PreImage::Content(Digest::of(self.one_of(&contents))),
            _ => PreImage::Any,
        }
    }

    /// Any change that the model and a host without images can take. Not
    /// modules, which are the machine's own, nor immutable files, which the lab's disk cannot have.
    fn invent(&mut self) -> Action {
        let mode = self.one_of(&[0o600, 0o644, 0o750]);
        let owner = Owner::Named {
            user: self.one_of(&["root", "daemon"]).to_owned(),
            group: self.one_of(&["root", "daemon"]).to_owned(),
        };
        match self.random.random_range(0..16) {
            0..=2 => Action::WriteFile {
                path: self.one_of(&FILES).to_owned(),
                content: Text::plain(self.one_of(&["a\n", "b\n"])),
                mode,
                owner,
                expect: self.expectation(),
                validate: None,
                immutable: false,
            },
            3 => Action::SetFileAttributes {
                path: self.one_of(&FILES).to_owned(),
                mode,
                owner,
                immutable: false,
            },
            4 => Action::RemoveFile {
                path: self.one_of(&FILES).to_owned(),
                expect: self.expectation(),
            },
            5 => Action::MakeDirectory {
                path: self.one_of(&DIRECTORIES).to_owned(),
                mode: self.one_of(&[0o700, 0o755]),
                owner,
            },
            6 => Action::RemoveDirectory {
                path: self.one_of(&DIRECTORIES).to_owned(),
                recursive: self.random.random_range(0..2) == 0,
            },
            7 => unit_file(),
            8 | 9 => {
                let verb = self.one_of(&[
                    UnitVerb::Enable,
                    UnitVerb::Disable,
                    UnitVerb::Start,
                    UnitVerb::Stop,
                    UnitVerb::Restart,
                    UnitVerb::DaemonReload,
                ]);
                systemd(verb)
            }
            10 => Action::SetSysctl {
                key: SYSCTL.to_owned(),
                value: self.one_of(&["4096", "2048"]).to_owned(),
            },
            11 | 12 => Action::AllowTraffic(self.rule()),
            13 => Action::RevokeTraffic(self.rule()),
            14 => Action::Stamp {
                name: "service".to_owned(),
                value: Vault::new().keyed(&Digest::of(self.one_of(&["x", "y"]))),
            },
            _ => match self.random.random_range(0..3) {
                0 => Action::RemoveStamp {
                    name: "service".to_owned(),
                },
                1 => Action::Mark(Box::new(self.record())),
                _ => Action::Unmark(self.record().urn),
            },
        }
    }

    fn rule(&mut self) -> FirewallRule {
        let from = self.one_of(&[None, Some("10.0.2.0/24")]);
        FirewallRule {
            port: self.one_of(&[5432, 6432]),
            protocol: self.one_of(&[Protocol::Tcp, Protocol::Udp]),
            from: from.map(|from| from.parse().unwrap()),
        }
    }

    fn record(&mut self) -> Record {
        let object = self.one_of(&["one", "two"]);
        Record {
            urn: Urn::on("thing", &on(), object),
            goal: Vault::new().keyed(&Digest::of(object)),
            removal: Removal::default().into(),
            depends_on: BTreeSet::new(),
            protect: self.one_of(&[true, false]),
            retain: false,
            line: Line::default(),
        }
    }

    /// Carries out the same on both: both do it, or both refuse.
    async fn act(&self, action: Action) {
        let effect = Effect::on(&on(), action);
        let real = self.real.run(&effect, &self.run).await;
        let model = self.model.run(&effect, &self.run).await;
        assert_eq!(
            real.is_ok(),
            model.is_ok(),
            "{effect:?}\nthe host: {real:?}\nthe model: {model:?}"
        );
    }

    /// Asks both the same; both answer the same.
    async fn agree(&self, after: &str) {
        let site = Site::Host(on());
        let probes: Vec<Probe> = questions().map(|query| Probe::at(&site, query)).collect();
        let real = self.real.read(&site, &probes).await.unwrap();
        let model = self.model.read(&site, &probes).await.unwrap();
        for ((probe, real), model) in probes.iter().zip(real).zip(model) {
            let (real, model) = (plain(real), plain(model));
            assert_eq!(real, model, "{probe} after {after}");
        }
    }

    async fn boot(&self) -> BootReading {
        let site = Site::Host(on());
        let probe = Probe::at(&site, Boot {});
        let mut readings = self.real.read(&site, &[probe]).await.unwrap();
        match readings.pop() {
            Some(Reading::Boot(boot)) => boot,
            other => panic!("{other:?}"),
        }
    }
}

fn unit_file() -> Action {
    Action::WriteFile {
        path: UNIT_FILE.to_owned(),
        content: Text::plain(UNIT_TEXT),
        mode: 0o644,
        owner: Owner::root(),
        expect: PreImage::Any,
        validate: None,
        immutable: false,
    }
}

fn systemd(verb: UnitVerb) -> Action {
    let unit = UNIT.to_owned();
    Action::Systemd { verb, unit }
}

fn questions() -> impl Iterator<Item = Query> {
    let paths = FILES.into_iter().chain(DIRECTORIES).chain([UNIT_FILE]);
    let paths = paths.map(|path| {
        let path = path.to_owned();
        Path {
            path,
            content: true,
        }
        .into()
    });
    let path = "/srv/m".to_owned();
    paths.chain([
        Entries { path }.into(),
        Unit {
            name: UNIT.to_owned(),
        }
        .into(),
        SysctlValue {
            key: SYSCTL.to_owned(),
        }
        .into(),
        Firewall {}.into(),
        Stamp {
            name: "service".to_owned(),
        }
        .into(),
        Registry {}.into(),
    ])
}

/// A reading without what the model leaves open: the numbers of users and groups; and whether
/// systemd wants to read a unit again, which goes by the time of the file there, and by its content
/// in the model.
fn plain(mut reading: Reading) -> Reading {
    if let Reading::Unit(unit) = &mut reading {
        unit.stale = false;
    }
    let ownership = match &mut reading {
        Reading::Path(PathReading::File(file)) => Some(&mut file.ownership),
        Reading::Path(PathReading::Directory(ownership)) => Some(ownership),
        _ => None,
    };
    if let Some(ownership) = ownership {
        (ownership.uid, ownership.gid) = (0, 0);
    }
    reading
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_is_as_a_host_is() {
    let folder = tempfile::tempdir().unwrap();
    let _lock = lock_subnet(SUBNET.parse().unwrap(), &Events::silent())
        .await
        .unwrap();
    down(folder.path()).await;
    let access = Lab::up(&spec(folder.path()), &Events::silent())
        .await
        .unwrap();
    let mut both = Both::new(&access);
    // Where the host has another value than the model, both begin with the same.
    let sysctl = Action::SetSysctl {
        key: SYSCTL.to_owned(),
        value: "4096".to_owned(),
    };
    both.act(sysctl).await;
    both.agree("the beginning").await;
    for number in 0..MANY {
        let action = both.invent();
        let said = format!("effect {number}, {action:?}");
        both.act(action).await;
        both.agree(&said).await;
    }
    a_unit_goes_with_its_file(&both, &access).await;
    a_host_that_wants_it_starts_anew(&both, &access).await;
    both.real.close().await;
    down(folder.path()).await;
}

/// A unit is stopped, disabled and its file taken away, as removals do; and so where a hand took the
/// file away before.
async fn a_unit_goes_with_its_file(both: &Both, access: &LabAccess) {
    let start = || {
        [
            unit_file(),
            systemd(UnitVerb::Enable),
            systemd(UnitVerb::Start),
        ]
    };
    let remove = || Action::RemoveFile {
        path: UNIT_FILE.to_owned(),
        expect: PreImage::Any,
    };
    let (stop, disable) = (|| systemd(UnitVerb::Stop), || systemd(UnitVerb::Disable));
    let in_turn = [stop(), disable(), remove()];
    let by_a_hand = [remove(), stop(), disable()];
    let again = [unit_file(), disable(), remove()];
    for action in start()
        .into_iter()
        .chain(in_turn)
        .chain(start())
        .chain(by_a_hand)
        .chain(again)
    {
        let said = format!("{action:?}, of a unit that goes");
        both.act(action).await;
        both.agree(&said).await;
    }
    let left = format!("find /etc/systemd/system -name {UNIT}");
    assert_eq!(ssh(access, &left), "");
}

/// Packages ask for a reboot; the host reboots once, and what is enabled runs again.
async fn a_host_that_wants_it_starts_anew(both: &Both, access: &LabAccess) {
    assert_eq!(both.boot().await.wanted_by, None);
    let asked = "echo libc6 >/run/reboot-required.pkgs; touch /run/reboot-required; \
                 systemctl is-active ssh docker";
    ssh(access, asked);
    let before = both.boot().await;
    assert_eq!(before.wanted_by, Some(vec!["libc6".to_owned()]));
    let reboot = Action::Reboot {
        since: before.id.clone(),
    };
    let effect = Effect::on(&on(), reboot);
    both.real.run(&effect, &both.run).await.unwrap();
    let after = both.boot().await;
    assert_ne!(after.id, before.id);
    assert_eq!(after.wanted_by, None);
    assert_eq!(ssh(access, "systemctl is-active docker"), "active");
    // It is as done once: this start is another.
    both.real.run(&effect, &both.run).await.unwrap();
    assert_eq!(both.boot().await.id, after.id);
}

fn ssh(access: &LabAccess, script: &str) -> String {
    let mut command = Lab::ssh(access, on().as_str(), &[script.to_owned()]).unwrap();
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
