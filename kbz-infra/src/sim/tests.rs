//! The model does what hosts do, one story each.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::effect::{Owner, PreImage, Progress, UnitVerb};
use crate::model::{ContainerSpec, Mount};
use crate::probe::{
    Cluster, Container, ContainerReading, MemberRole, PatroniAccess, PgAccess, Query, RaftAccess,
    Reading, Role, Unit,
};
use crate::secret::Text;
use crate::secret::{SecretRef, Vault};

const NODES: [(&str, &str); 3] = [
    ("db-1", "10.0.0.120"),
    ("db-2", "10.0.0.121"),
    ("db-3", "10.0.0.122"),
];

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn world() -> World {
    let others = [("haproxy-1", "10.0.0.11")];
    let hosts = NODES.iter().chain(&others);
    let hosts = hosts.map(|(name, address)| (host(name), address.parse().unwrap()));
    World::empty(StackName::new("shop").unwrap(), hosts)
}

fn run_context() -> RunContext {
    RunContext {
        stack: StackName::new("shop").unwrap(),
        run: 1,
        vault: Arc::new(Vault::new()),
        progress: Progress::none(),
        cancel: CancellationToken::new(),
    }
}

async fn act(world: &World, name: &str, action: Action) -> Result<(), EffectError> {
    world
        .run(&Effect::on(&host(name), action), &run_context())
        .await
}

async fn ask(world: &World, site: &Site, query: impl Into<Query>) -> Result<Reading, Outage> {
    let probes = [Probe::at(site, query)];
    Ok(world.read(site, &probes).await?.remove(0))
}

async fn write(world: &World, name: &str, path: &str, content: &str) {
    let directory = files::parent(path).to_owned();
    let owner = Owner::root();
    let made = Action::MakeDirectory {
        path: directory,
        mode: 0o755,
        owner: owner.clone(),
    };
    let file = Action::WriteFile {
        path: path.to_owned(),
        content: Text::plain(content),
        mode: 0o600,
        owner,
        expect: PreImage::Any,
        validate: None,
        immutable: false,
    };
    act(world, name, made).await.unwrap();
    act(world, name, file).await.unwrap();
}

async fn container(world: &World, name: &str, spec: ContainerSpec) {
    let container = spec.name.clone();
    let ship = Action::ShipImage {
        reference: spec.image.clone(),
        users: Vec::new(),
    };
    act(world, name, ship).await.unwrap();
    act(world, name, Action::CreateContainer(Box::new(spec)))
        .await
        .unwrap();
    start(world, name, &container).await;
}

async fn start(world: &World, name: &str, container: &str) {
    let name_of = container.to_owned();
    act(world, name, Action::StartContainer { name: name_of })
        .await
        .unwrap();
}

fn mounted(name: &str, mounts: &[(&str, &str)]) -> ContainerSpec {
    let mut spec = ContainerSpec::new(name, format!("kbz/{name}:1"));
    for (inside, source) in mounts {
        let mount = Mount {
            source: (*source).to_owned(),
            read_only: false,
        };
        spec.mounts.insert((*inside).to_owned(), mount);
    }
    spec
}

/// The text of a node's `patroni.yml`; JSON is YAML.
fn patroni_yml(address: &str) -> String {
    let partners = NODES.iter().filter(|(_, other)| *other != address);
    let partners: Vec<String> = partners.map(|(_, other)| format!("{other}:7000")).collect();
    json!({
        "scope": "pg",
        "name": "ignored",
        "restapi": {"connect_address": format!("{address}:8008")},
        "raft": {"self_addr": format!("{address}:7000"), "partner_addrs": partners},
        "bootstrap": {"dcs": {"synchronous_mode": true, "postgresql": {"parameters": {}}}},
        "postgresql": {
            "connect_address": format!("{address}:5432"),
            "data_dir": "/data/pg",
            "authentication": {
                "superuser": {"username": "postgres"},
                "replication": {"username": "repl"},
            },
        },
    })
    .to_string()
}

async fn cluster(world: &World) {
    for (name, address) in NODES {
        write(
            world,
            name,
            "/opt/patroni/patroni.yml",
            &patroni_yml(address),
        )
        .await;
        write(world, name, "/opt/data/.keep", "").await;
        let mounts = [("/etc/patroni", "/opt/patroni"), ("/data", "/opt/data")];
        container(world, name, mounted("patroni", &mounts)).await;
    }
}

fn patroni() -> Site {
    Site::from(PatroniAccess {
        scope: "pg".to_owned(),
        members: NODES.iter().map(|(name, _)| host(name)).collect(),
        port: 8008,
        user: "patroni".to_owned(),
        password: SecretRef::new("REST"),
        raft: RaftAccess {
            addresses: Vec::new(),
            port: 7000,
            password: SecretRef::new("PATRONI_RAFT_PASS"),
        },
    })
}

fn postgres(address: &str, port: u16) -> Site {
    Site::from(PgAccess {
        via: vec![host("haproxy-1")],
        address: address.to_owned(),
        port,
        user: "postgres".to_owned(),
        password: SecretRef::new("SUPER"),
    })
}

/// Each member with its role, in one line.
async fn roles(world: &World) -> String {
    let Ok(Reading::Cluster(cluster)) = ask(world, &patroni(), Cluster {}).await else {
        return "nobody answers".to_owned();
    };
    let members = cluster.members.iter().map(|member| {
        let role = match member.role {
            MemberRole::Leader => "leads",
            MemberRole::SyncStandby => "confirms",
            MemberRole::Replica => "follows",
            MemberRole::Other => "does something else",
        };
        format!("{} {role}", member.name)
    });
    members.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_cluster_lives_while_a_majority_runs() {
    let world = world();
    cluster(&world).await;
    assert_eq!(
        roles(&world).await,
        "db-1 leads, db-2 confirms, db-3 follows"
    );
    world.change(|world| world.power_off(&host("db-1")));
    assert_eq!(roles(&world).await, "db-2 leads, db-3 confirms");
    world.change(|world| world.power_off(&host("db-2")));
    assert_eq!(roles(&world).await, "");
    world.change(|world| world.power_on(&host("db-2")));
    start(&world, "db-2", "patroni").await;
    assert_eq!(roles(&world).await, "db-2 leads, db-3 confirms");
    world.change(|world| world.power_on(&host("db-1")));
    start(&world, "db-1", "patroni").await;
    assert_eq!(
        roles(&world).await,
        "db-1 follows, db-2 leads, db-3 confirms"
    );
}

#[tokio::test]
async fn a_firewall_between_the_nodes_costs_the_quorum() {
    let world = world();
    cluster(&world).await;
    for (name, _) in NODES {
        let ssh = crate::model::FirewallRule {
            port: 22,
            protocol: crate::model::Protocol::Tcp,
            from: None,
        };
        act(&world, name, Action::AllowTraffic(ssh)).await.unwrap();
        act(&world, name, Action::EnableFirewall {}).await.unwrap();
    }
    assert_eq!(roles(&world).await, "");
}

#[tokio::test]
async fn sql_goes_where_haproxy_leads_and_follows_the_leader() {
    let world = world();
    cluster(&world).await;
    let servers = NODES
        .iter()
        .map(|(name, address)| format!("    server {name} {address}:5432 check port 8008\n"));
    let servers: String = servers.collect();
    let config = format!(
        "frontend write\n    bind 0.0.0.0:5432\n    default_backend write\n\
         backend write\n    option httpchk OPTIONS /primary\n{servers}"
    );
    write(&world, "haproxy-1", "/opt/haproxy/haproxy.cfg", &config).await;
    let write_to = postgres("10.0.0.11", 5432);
    let role = Role {
        name: "postgres".to_owned(),
    };
    assert!(ask(&world, &write_to, role.clone()).await.is_err());
    let haproxy = mounted("haproxy", &[("/etc/haproxy", "/opt/haproxy")]);
    container(&world, "haproxy-1", haproxy).await;
    let drop = Effect::new(
        write_to.clone(),
        Action::DropRole {
            name: "nobody".to_owned(),
        },
    );
    assert!(
        !ask(&world, &write_to, role.clone())
            .await
            .unwrap()
            .is_absent()
    );
    world.run(&drop, &run_context()).await.unwrap();
    world.change(|world| world.power_off(&host("db-1")));
    world.run(&drop, &run_context()).await.unwrap();
    // Straight to a replica: it can be read, and not be written.
    let replica = postgres("10.0.0.122", 5432);
    assert!(ask(&world, &replica, role.clone()).await.is_ok());
    let drop = Effect::new(replica, drop.action);
    let refused = world.run(&drop, &run_context()).await.unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
    world.change(|world| world.power_off(&host("db-2")));
    assert!(ask(&world, &write_to, role).await.is_err());
}

#[tokio::test]
async fn a_unit_starts_its_container_again_and_gives_up_without_it() {
    let world = world();
    let unit = "[Service]\nExecStart=/usr/bin/docker start --attach app\nRestart=always\n";
    write(&world, "db-1", "/etc/systemd/system/app.service", unit).await;
    let ship = Action::ShipImage {
        reference: "kbz/app:1".to_owned(),
        users: Vec::new(),
    };
    let create = Action::CreateContainer(Box::new(ContainerSpec::new("app", "kbz/app:1")));
    let missing = act(&world, "db-1", create.clone()).await.unwrap_err();
    assert!(missing.to_string().contains("no such image"), "{missing}");
    act(&world, "db-1", ship).await.unwrap();
    act(&world, "db-1", create).await.unwrap();
    let start = Action::Systemd {
        verb: UnitVerb::Start,
        unit: "app.service".to_owned(),
    };
    act(&world, "db-1", start).await.unwrap();
    world.change(|world| world.stop_container(&host("db-1"), "app"));
    assert!(world.change(|world| world.is_running(&host("db-1"), "app")));
    world.change(|world| world.remove_container(&host("db-1"), "app"));
    let site = Site::Host(host("db-1"));
    let unit = Unit {
        name: "app.service".to_owned(),
    };
    let Reading::Unit(unit) = ask(&world, &site, unit).await.unwrap() else {
        panic!("a unit answers as a unit");
    };
    assert_eq!(unit.active, "activating");
}

#[tokio::test]
async fn an_older_run_is_refused() {
    let world = world();
    let newer = RunContext {
        run: 7,
        ..run_context()
    };
    let swap = Effect::on(&host("db-1"), Action::SwapOff {});
    world.run(&swap, &newer).await.unwrap();
    let error = world.run(&swap, &run_context()).await.unwrap_err();
    assert!(
        error.to_string().contains("run 7 has changed it"),
        "{error}"
    );
}

#[tokio::test]
async fn faults_come_when_they_are_planned() {
    let world = world();
    let unit = |name: &str| Action::LoadModule {
        name: name.to_owned(),
    };
    world.fault(1, Fault::FailBefore);
    world.fault(2, Fault::LoseAnswer);
    world.before_effect(3, |world| world.cut(&host("db-1")));
    assert!(act(&world, "db-1", unit("one")).await.is_err());
    assert!(act(&world, "db-1", unit("two")).await.is_err());
    assert!(act(&world, "db-1", unit("three")).await.is_err());
    world.change(|world| world.mend(&host("db-1")));
    let loaded = world.snapshot().hosts[&host("db-1")].kernel.modules.clone();
    assert!(loaded.contains("two") && !loaded.contains("one") && !loaded.contains("three"));
}

#[tokio::test]
async fn a_world_survives_its_file_and_prints_no_content() {
    let world = world();
    cluster(&world).await;
    write(&world, "db-1", "/root/note", "canary-value").await;
    let again = World::from_value(world.to_value().unwrap()).unwrap();
    assert_eq!(again.snapshot().hosts, world.snapshot().hosts);
    assert_eq!(roles(&again).await, roles(&world).await);
    assert!(!format!("{again:?}").contains("canary-value"));
    assert!(!format!("{:?}", again.snapshot().hosts).contains("canary-value"));
}

#[tokio::test]
async fn a_container_is_as_it_was_made() {
    let world = world();
    container(&world, "db-1", ContainerSpec::new("app", "kbz/app:1")).await;
    let site = Site::Host(host("db-1"));
    let app = Container {
        name: "app".to_owned(),
    };
    let Reading::Container(ContainerReading::Present {
        spec,
        owner,
        running,
        ..
    }) = ask(&world, &site, app).await.unwrap()
    else {
        panic!("the container is there");
    };
    assert_eq!(*spec, ContainerSpec::new("app", "kbz/app:1"));
    assert_eq!((owner.as_deref(), running), (Some("shop"), true));
}
