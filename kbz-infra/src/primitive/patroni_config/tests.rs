//! Every transition of the dynamic configuration and of the restarts that it needs.

use serde_json::{Value, json};

use super::restart::settings_at;
use super::*;
use crate::effect::Action;
use crate::ident::Urn;
use crate::primitive::testkit::{World, check, file, host, removal};
use crate::probe::{
    Cluster, ClusterMember, ClusterReading, Contexts, ContextsReading, Dcs, DcsReading, MemberRole,
    PatroniAccess, PgAccess, RaftAccess, Site,
};
use crate::secret::SecretRef;

fn access() -> PatroniAccess {
    PatroniAccess {
        scope: "shop-pg".to_owned(),
        members: vec![host()],
        port: 8008,
        user: "patroni".to_owned(),
        password: SecretRef::new("REST"),
        raft: RaftAccess {
            addresses: Vec::new(),
            port: 7000,
            password: SecretRef::new("PATRONI_RAFT_PASS"),
        },
    }
}

fn config() -> PatroniConfig {
    let goal = json!({
        "ttl": 20,
        "postgresql": {"parameters": {"max_connections": 200, "work_mem": "8MB"}},
    });
    PatroniConfig::of(&access(), goal).for_postgres(16)
}

/// The configuration of a cluster as declared, beside Patroni's own, but for `bend`.
fn there(bend: impl FnOnce(&mut Value)) -> World {
    let mut found = json!({
        "ttl": 20,
        "loop_wait": 10,
        "postgresql": {"parameters": {"max_connections": "200", "work_mem": "8MB", "theirs": 1}},
        "kbz": {"stack": "shop", "keys": [
            "/postgresql/parameters/max_connections", "/postgresql/parameters/work_mem", "/ttl",
        ]},
    });
    bend(&mut found);
    dcs(Some(found))
}

fn dcs(config: Option<Value>) -> World {
    World::at(&Site::from(access()), Dcs {}, DcsReading(config))
}

fn patch_of(world: &World) -> Value {
    let change = world.plan(&config()).unwrap().change.unwrap();
    match &change.effects[0].action {
        Action::PatchDcs { patch } => patch.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_transition() {
    let create = "Create (none) is not there: PatchDcs";
    check([
        (config(), dcs(None), create),
        (config(), World::without_parent(), create),
        (config(), World::silent(), "unreachable"),
        (config(), there(|_| {}), "nothing"),
        (
            config(),
            there(|found| found["ttl"] = json!(30)),
            "Update (reload) ttl  30 → 20: PatchDcs",
        ),
        (
            config(),
            there(|found| found["ttl"] = json!(30)).ignoring("ttl"),
            "nothing",
        ),
        (
            config(),
            there(|found| found["postgresql"]["parameters"]["work_mem"] = json!("4MB"))
                .ignoring("postgresql.parameters"),
            "nothing",
        ),
        (
            config(),
            there(|found| found["postgresql"]["parameters"]["max_connections"] = json!(100)),
            "Update (reload) postgresql.parameters.max_connections  100 → 200: PatchDcs",
        ),
        (
            config(),
            there(|found| found["postgresql"]["parameters"]["work_mem"] = Value::Null),
            "Update (reload) postgresql.parameters.work_mem  none → 8MB: PatchDcs",
        ),
        (
            config(),
            there(|found| found["kbz"] = Value::Null),
            "Adopt (none) bears no mark of this stack: PatchDcs",
        ),
        (
            config(),
            there(|found| found["kbz"]["stack"] = json!("other")),
            "refused: cluster shop-pg belongs to stack other",
        ),
    ]);
    assert_eq!(removal(&config()), "");
}

#[test]
fn what_is_no_longer_declared_is_taken_away() {
    let world = || {
        there(|found| {
            found["postgresql"]["parameters"]["old"] = json!("x");
            found["kbz"]["keys"] = json!(["/postgresql/parameters/old", "/ttl"]);
        })
    };
    check([(
        config(),
        world(),
        "Update (reload) postgresql.parameters.old  x → none: PatchDcs",
    )]);
    let patch = patch_of(&world());
    assert_eq!(patch["postgresql"], json!({"parameters": {"old": null}}));
    assert_eq!(patch["kbz"]["keys"].as_array().map(Vec::len), Some(3));
}

#[test]
fn the_patch_is_minimal() {
    let patch = patch_of(&there(|found| found["ttl"] = json!(30)));
    let keys: Vec<&String> = patch.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["kbz", "ttl"]);
}

#[test]
fn the_version_tells_what_needs_a_restart() {
    let class = |major, name| RestartParameters::of_major(major).class(name);
    assert_eq!(class(16, "old_snapshot_threshold"), ImpactClass::Restart);
    assert_eq!(class(17, "transaction_buffers"), ImpactClass::Restart);
    assert_eq!(class(17, "work_mem"), ImpactClass::Reload);
    let more = RestartParameters::of_major(17).and(["cron.database_name"]);
    assert_eq!(more.class("cron.database_name"), ImpactClass::Restart);
}

/// A server knows the parameters of its extensions; one that does not answer leaves it to the
/// table.
#[test]
fn a_server_tells_what_needs_a_restart() {
    let server = PgAccess {
        via: vec![host()],
        address: "127.0.0.1".to_owned(),
        port: 5432,
        user: "postgres".to_owned(),
        password: SecretRef::new("SUPER"),
    };
    let goal = json!({"postgresql": {"parameters": {"cron.database_name": "a", "work_mem": 1}}});
    let wanted = || PatroniConfig::of(&access(), goal.clone()).asking(&server);
    let restart = || MemberRestart::of(&wanted(), &host());
    let contexts = |names: &[(&str, &str)]| {
        let names = names.iter();
        let names = names.map(|(name, when)| ((*name).to_owned(), (*when).to_owned()));
        let site = Site::from(server.clone());
        let world = dcs(Some(json!({"ttl": 20})));
        let world = world.and_at(&Site::from(access()), Cluster {}, running());
        world.and_at(&site, Contexts {}, ContextsReading(names.collect()))
    };
    let told = [("cron.database_name", "postmaster"), ("work_mem", "user")];
    let work = "Run (restart) postgresql.parameters.work_mem  none → 1: RestartMember, PatchDcs";
    let cron =
        "Run (restart) postgresql.parameters.cron.database_name  none → a: RestartMember, PatchDcs";
    check([
        (restart(), contexts(&told), cron),
        (restart(), contexts(&[("work_mem", "postmaster")]), work),
        (restart(), contexts(&[]), "nothing"),
    ]);
    let found = there(|found| found["postgresql"]["parameters"]["max_connections"] = json!(100));
    let silent = found.and_at(&Site::from(access()), Cluster {}, running());
    check([(
        MemberRestart::of(&config().asking(&server), &host()),
        silent.or_silent(),
        "Run (restart) postgresql.parameters.max_connections  100 → 200: RestartMember, PatchDcs",
    )]);
}

#[test]
fn a_member_restarts_when_a_parameter_waits_or_will_wait() {
    let restart = || MemberRestart::of(&config(), &host());
    let cluster = |world: World, pending_restart| {
        let member = ClusterMember {
            name: host().to_string(),
            role: MemberRole::Leader,
            state: "running".to_owned(),
            timeline: Some(1),
            lag: None,
            pending_restart,
        };
        let reading = ClusterReading {
            members: vec![member],
            ..ClusterReading::default()
        };
        world.and_at(&Site::from(access()), Cluster {}, reading)
    };
    let changed = there(|found| found["postgresql"]["parameters"]["max_connections"] = json!(100));
    check([
        (restart(), cluster(there(|_| {}), false), "nothing"),
        (
            restart(),
            cluster(there(|_| {}), true),
            "Run (restart) pending restart  yes → no: RestartMember",
        ),
        (
            restart(),
            cluster(changed, false),
            "Run (restart) postgresql.parameters.max_connections  100 → 200: RestartMember, PatchDcs",
        ),
        (restart(), World::without_parent(), "nothing"),
        (restart(), World::silent(), "unreachable"),
    ]);
    assert_eq!(removal(&restart()), "");
}

/// An operator was killed between the change and the restart, and no member has noticed yet.
#[test]
fn what_waits_is_noted_with_the_change() {
    let less = there(|found| found["postgresql"]["parameters"]["max_connections"] = json!(300));
    let waits = json!({host().as_str(): {"max_connections": true}});
    assert_eq!(patch_of(&less)["kbz"]["waits"], waits);
    let more = there(|found| found["postgresql"]["parameters"]["max_connections"] = json!(100));
    assert_eq!(
        patch_of(&more)["kbz"]["waits"][host().as_str()],
        json!({"max_connections": false})
    );

    let unit = Urn::on("unit", &host(), "patroni-docker.service");
    let restart = || MemberRestart::of(&config(), &host()).started_by([unit.clone()]);
    let world = || {
        there(|found| found["kbz"]["waits"] = waits.clone()).and_at(
            &Site::from(access()),
            Cluster {},
            running(),
        )
    };
    check([(config(), world(), "nothing")]);
    check([
        (
            restart(),
            world(),
            "Run (restart) pending restart  yes → no: RestartMember, PatchDcs",
        ),
        (
            restart(),
            world().making(&unit),
            "Run (none) pending restart  yes → no: PatchDcs",
        ),
    ]);
    let change = world().plan(&restart()).unwrap().change.unwrap();
    let Action::RestartMember {
        parameters,
        leader_first,
        ..
    } = &change.effects[0].action
    else {
        panic!("{change:?}");
    };
    assert_eq!(
        (parameters.as_slice(), *leader_first),
        (&["max_connections".to_owned()][..], true)
    );
}

fn running() -> ClusterReading {
    ClusterReading {
        members: vec![ClusterMember {
            name: host().to_string(),
            role: MemberRole::Leader,
            state: "running".to_owned(),
            timeline: Some(1),
            lag: None,
            pending_restart: false,
        }],
        ..ClusterReading::default()
    }
}

#[test]
fn a_member_restarts_for_its_own_settings_unless_something_else_starts_it() {
    let unit = Urn::on("unit", &host(), "patroni-docker.service");
    let yaml = |buffers: &str, work: &str| {
        format!("postgresql:\n  parameters:\n    shared_buffers: {buffers}\n    work_mem: {work}\n")
    };
    let restart = || {
        MemberRestart::of(&config(), &host())
            .settings("/etc/patroni/patroni.yml", yaml("256MB", "4MB").into())
            .started_by([unit.clone()])
    };
    let world = |text: &str| {
        let query = settings_at("/etc/patroni/patroni.yml");
        there(|_| {})
            .and_at(&Site::from(access()), Cluster {}, running())
            .and(query, file(text, 0o600))
    };
    check([
        (restart(), world(&yaml("256MB", "1MB")), "nothing"),
        (
            restart(),
            world(&yaml("128MB", "4MB")),
            "Run (restart) shared_buffers  128MB → 256MB: RestartMember",
        ),
        (
            restart(),
            world(&yaml("128MB", "4MB")).making(&unit),
            "nothing",
        ),
    ]);
}
