//! Every transition of a container.

use super::*;
use crate::model::{LogLimits, Mount};
use crate::primitive::testkit::{World, check, host, removal};
use crate::probe::{ImageReading, UnitReading};
use crate::resource::Claim;

fn redis() -> Container {
    Container::on(&host(), "redis", "redis:7.2.5")
        .env("MODE", "fast")
        .reads("/etc/redis", "/conf")
        .stop_grace(30)
}

fn under_systemd() -> Container {
    redis().supervised_by(Supervision::systemd("redis.service"))
}

/// What the engine says of a container that is as declared, but for `bend`.
fn there(of: &Container, running: bool, bend: impl FnOnce(&mut ContainerSpec)) -> World {
    let mut spec = of.spec.clone();
    spec.restart = match &of.supervision {
        Supervision::Systemd { .. } => RestartPolicy::No,
        Supervision::Docker(policy) => *policy,
    };
    spec.labels
        .insert(LABEL_URN.to_owned(), of.urn().to_string());
    bend(&mut spec);
    let reading = ContainerReading::Present {
        owner: Some("shop".to_owned()),
        spec: Box::new(spec),
        image_id: "sha256:aaaa".to_owned(),
        running,
        id: "1".to_owned(),
    };
    around(of, reading, "sha256:aaaa")
}

fn around(of: &Container, reading: ContainerReading, image: &str) -> World {
    let image = ImageReading::Present {
        id: image.to_owned(),
    };
    let world = World::host(of.query(), reading).and(of.image_query(), image);
    match of.unit_query() {
        Some(unit) => world.and(unit, loaded()),
        None => world,
    }
}

fn loaded() -> UnitReading {
    UnitReading {
        load: "loaded".to_owned(),
        active: "active".to_owned(),
        enabled: "enabled".to_owned(),
        stale: false,
    }
}

fn absent(of: &Container) -> World {
    around(of, ContainerReading::Absent, "sha256:aaaa")
}

#[test]
fn docker_starts_what_it_supervises() {
    check([
        (
            redis(),
            absent(&redis()),
            "Create (none) is not there: CreateContainer, StartContainer",
        ),
        (redis(), there(&redis(), true, |_| {}), "nothing"),
        (
            redis(),
            there(&redis(), false, |_| {}),
            "Update (none) does not run (stopped): StartContainer",
        ),
        (
            redis(),
            there(&redis(), false, |_| {}).ignoring("state"),
            "nothing",
        ),
        (
            redis(),
            there(&redis(), true, |spec| spec.stop_grace = 10),
            "Replace (restart) stop_grace  10 → 30: RemoveContainer, CreateContainer, StartContainer",
        ),
        (
            redis(),
            there(&redis(), false, |spec| spec.stop_grace = 10),
            "Replace (none) stop_grace  10 → 30, does not run (stopped): \
             RemoveContainer, CreateContainer, StartContainer",
        ),
        (
            redis(),
            there(&redis(), false, |spec| spec.stop_grace = 10).ignoring("state"),
            "Replace (none) stop_grace  10 → 30: RemoveContainer, CreateContainer",
        ),
        (
            redis(),
            there(&redis(), true, |spec| spec.stop_grace = 10).ignoring("state"),
            "Replace (restart) stop_grace  10 → 30: RemoveContainer, CreateContainer, StartContainer",
        ),
        (
            redis(),
            absent(&redis()).ignoring("state"),
            "Create (none) is not there: CreateContainer, StartContainer",
        ),
        (redis(), World::silent(), "unreachable"),
    ]);
}

#[test]
fn systemd_starts_what_it_supervises() {
    let unit = under_systemd();
    check([
        (
            unit.clone(),
            absent(&unit),
            "Create (none) is not there: CreateContainer",
        ),
        (unit.clone(), there(&unit, false, |_| {}), "nothing"),
        (
            unit.clone(),
            there(&unit, true, |spec| spec.memory = 5),
            "Replace (restart) memory  5 → 0: RemoveStamp, StopUnit, RemoveContainer, CreateContainer",
        ),
        // The unit that is stopped runs, and is about to start its container again.
        (
            unit.clone(),
            there(&unit, false, |spec| spec.memory = 5),
            "Replace (restart) memory  5 → 0: RemoveStamp, StopUnit, RemoveContainer, CreateContainer",
        ),
    ]);
}

/// A field that a hand changed, and the one reason that it gives.
type Bent = (fn(&mut ContainerSpec), &'static str);

#[test]
fn every_field_is_seen_and_can_be_ignored() {
    let table: [Bent; 19] = [
        (
            |s| s.image = "redis:6".to_owned(),
            "image  redis:6 → redis:7.2.5",
        ),
        (|s| s.command = vec!["sh".to_owned()], "command  sh → none"),
        (|s| s.user = "999".to_owned(), "user  999 → none"),
        (
            |s| drop(s.env.insert("MODE".to_owned(), "slow".to_owned())),
            "env.MODE  slow → fast",
        ),
        (
            |s| drop(s.env.insert("EXTRA".to_owned(), "1".to_owned())),
            "env.EXTRA  1 → none",
        ),
        (
            |s| {
                let mount = Mount {
                    source: "/etc/redis".to_owned(),
                    read_only: false,
                };
                s.mounts.insert("/conf".to_owned(), mount);
            },
            "mounts./conf  /etc/redis (rw) → /etc/redis (ro)",
        ),
        (
            |s| drop(s.tmpfs.insert("/run".to_owned(), "mode=0755".to_owned())),
            "tmpfs./run  mode=0755 → none",
        ),
        (|s| s.shm_size = 1, "shm_size  1 → 67108864"),
        (
            |s| {
                let limit = crate::model::Ulimit { soft: 1, hard: 2 };
                s.ulimits.insert("nofile".to_owned(), limit);
            },
            "ulimits.nofile  1:2 → none",
        ),
        (|s| s.oom_score_adj = -5, "oom_score_adj  -5 → 0"),
        (|s| s.memory = 7, "memory  7 → 0"),
        (
            |s| s.cap_add = vec!["CAP_SYS_NICE".to_owned()],
            "cap_add  SYS_NICE → none",
        ),
        (
            |s| s.cap_drop = vec!["ALL".to_owned()],
            "cap_drop  ALL → none",
        ),
        (
            |s| s.restart = RestartPolicy::Always,
            "restart  Always → UnlessStopped",
        ),
        (|s| s.stop_grace = 10, "stop_grace  10 → 30"),
        (
            |s| s.stop_signal = "SIGINT".to_owned(),
            "stop_signal  SIGINT → none",
        ),
        (
            |s| {
                s.logs = LogLimits {
                    max_size: "1m".to_owned(),
                    max_file: 2,
                }
            },
            "logs  2 x 1m → 5 x 20m",
        ),
        (
            |s| {
                s.labels
                    .insert("(undeclared)".to_owned(), "privileged".to_owned());
            },
            "labels.(undeclared)  privileged → none",
        ),
        (
            |s| drop(s.labels.remove(LABEL_URN)),
            "labels.kbz.urn  none → container@db-1:redis",
        ),
    ];
    for (bend, expected) in table {
        let found = there(&redis(), true, bend).plan(&redis()).unwrap();
        let reasons = found.change.expect("drift is seen").reasons;
        let shown: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [expected]);
        let field = expected.split(['.', ' ']).next().unwrap();
        let ignoring = there(&redis(), true, bend).ignoring(field);
        assert_eq!(ignoring.plan(&redis()).unwrap().change, None, "{field}");
    }
}

#[test]
fn capabilities_are_compared_as_docker_means_them() {
    let wanted = redis().cap_add("sys_nice").cap_add("NET_ADMIN");
    let docker = |spec: &mut ContainerSpec| {
        spec.cap_add = vec!["CAP_NET_ADMIN".to_owned(), "CAP_SYS_NICE".to_owned()];
    };
    check([(wanted.clone(), there(&wanted, true, docker), "nothing")]);
}

#[test]
fn a_tag_that_means_another_image_is_seen() {
    let world = there(&redis(), true, |_| {}).and(
        redis().image_query(),
        ImageReading::Present {
            id: "sha256:bbbb".to_owned(),
        },
    );
    check([(
        redis(),
        world,
        "Replace (restart) image id  aaaa → bbbb: RemoveContainer, CreateContainer, StartContainer",
    )]);
    let untagged = there(&redis(), true, |_| {}).and(redis().image_query(), ImageReading::Absent);
    check([(redis(), untagged, "nothing")]);
}

#[test]
fn what_it_was_made_with_is_remembered_by_a_label() {
    let file = Urn::on("file", &host(), "/etc/redis/redis.conf");
    let wanted = redis().remade_on([file.clone()]);
    let first = absent(&wanted).goal(&file, "one").plan(&wanted).unwrap();
    let Action::CreateContainer(made) = &first.change.unwrap().effects[0].action else {
        panic!("a container is created");
    };
    let uses = made.labels[LABEL_USES].clone();
    let remember = move |spec: &mut ContainerSpec| {
        spec.labels.insert(LABEL_USES.to_owned(), uses);
    };
    check([
        (
            wanted.clone(),
            there(&wanted, true, remember.clone()).goal(&file, "one"),
            "nothing",
        ),
        (
            wanted.clone(),
            there(&wanted, true, remember).goal(&file, "two"),
            "Replace (restart) what it was made with has changed since: RemoveContainer, CreateContainer, StartContainer",
        ),
    ]);
}

#[test]
fn a_container_of_another_stack_is_left_alone() {
    let theirs = ContainerReading::Present {
        spec: Box::new(ContainerSpec::new("redis", "redis:7.2.5")),
        image_id: "sha256:aaaa".to_owned(),
        running: true,
        owner: Some("other".to_owned()),
        id: "1".to_owned(),
    };
    let theirs = around(&redis(), theirs, "sha256:aaaa");
    check([(
        redis(),
        theirs,
        "refused: container redis on db-1 belongs to stack other",
    )]);
}

#[test]
fn a_container_of_nobody_is_made_anew_only_when_adopted() {
    let mut spec = ContainerSpec::new("redis", "redis:7.2.5");
    spec.restart = RestartPolicy::Always;
    let nobodys = ContainerReading::Present {
        spec: Box::new(spec),
        image_id: "sha256:aaaa".to_owned(),
        running: true,
        owner: None,
        id: "1".to_owned(),
    };
    let nobodys = || around(&redis(), nobodys.clone(), "sha256:aaaa");
    check([(
        redis(),
        nobodys().foreign(),
        "refused: container redis on db-1 bears no mark of this stack, and would be made anew",
    )]);
    let adopted = nobodys().plan(&redis()).unwrap().change.unwrap();
    assert_eq!(adopted.op, Op::Replace);
}

#[test]
fn shared_memory_follows_the_host() {
    let wanted = redis().shm_size_from(|facts| facts.memory / 4);
    let facts = FactsReading {
        memory: 4096,
        cpus: 2,
        os: String::new(),
        kernel: String::new(),
        docker: None,
        clock_synchronized: None,
        clock_offset: 0.0,
    };
    let world = |bytes: u64| {
        there(&wanted, true, |spec| spec.shm_size = bytes).and(Facts::PLAIN, facts.clone())
    };
    check([
        (wanted.clone(), world(1024), "nothing"),
        (
            wanted.clone(),
            world(64),
            "Replace (restart) shm_size  64 → 1024: RemoveContainer, CreateContainer, StartContainer",
        ),
    ]);
}

#[test]
fn removal_and_claims() {
    assert_eq!(removal(&redis()), "RemoveContainer (service ends)");
    let claims = redis().command(["redis-server"]).claims();
    let readable: Vec<&str> = claims
        .iter()
        .filter_map(|claim| match claim {
            Claim::Says { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(readable, ["MODE=fast", "redis-server"]);
}
