//! Every transition, and the proof that the changes lead to the spec.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::LoadBalancerChange as Change;
use super::*;

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn spec() -> LoadBalancerSpec {
    LoadBalancerSpec {
        name: "lb-haproxy".to_owned(),
        load_balancer_type: "lb11".to_owned(),
        location: "fsn1".to_owned(),
        network: NetworkSpec {
            name: "keybuzz".to_owned(),
            ip: address(10),
        },
        public_interface: false,
        algorithm: Algorithm::RoundRobin,
        labels: BTreeMap::from([(LABEL_STACK.to_owned(), "keybuzz".to_owned())]),
        delete_protection: true,
        services: vec![
            Service::tcp(5432, 5432).checked_by(HealthCheck::http(8404, "/health")),
            Service::tcp(6432, 6432),
        ],
        targets: BTreeSet::from([address(11), address(12)]),
    }
}

/// Carries the changes out on the model, as an interpreter does on the world.
fn run(state: Option<LoadBalancerState>, changes: &[Change]) -> Option<LoadBalancerState> {
    changes.iter().fold(state, |state, change| {
        let standing = change.standing(state.as_ref());
        assert_eq!(standing, Standing::Ready, "{change:?} on {state:?}");
        let after = apply::apply("lb-haproxy", state, change, 42)
            .unwrap_or_else(|refusal| panic!("{change:?}: {refusal}"));
        assert_eq!(
            change.standing(after.as_ref()),
            Standing::Done,
            "{change:?} on {after:?}"
        );
        after
    })
}

fn state() -> LoadBalancerState {
    run(None, &changes(&spec(), None)).unwrap()
}

/// The changes in short, from a state that `bend` makes, to a spec that `wish` makes.
fn check(
    bend: impl FnOnce(&mut LoadBalancerState),
    wish: impl FnOnce(&mut LoadBalancerSpec),
    expected: &[&str],
) {
    let (mut state, mut spec) = (state(), spec());
    bend(&mut state);
    wish(&mut spec);
    let steps = changes(&spec, Some(&state));
    let short: Vec<String> = steps.iter().map(short).collect();
    assert_eq!(short, expected);
    let after = run(Some(state), &steps);
    assert_eq!(changes(&spec, after.as_ref()), []);
}

fn short(change: &Change) -> String {
    match change {
        Change::Create { .. } => "create".to_owned(),
        Change::Delete { id } => format!("delete {id}"),
        Change::SetLabels { to, .. } => format!("labels {}", to.len()),
        Change::ChangeType { to, .. } => format!("type {to}"),
        Change::SetPublicInterface { enabled } => format!("public {enabled}"),
        Change::DetachFromNetwork { network, .. } => format!("leave {network}"),
        Change::AttachToNetwork(to) => format!("join {} {}", to.name, to.ip),
        Change::ChangeAlgorithm { to, .. } => format!("algorithm {to}"),
        Change::AddTarget { ip } => format!("+target {ip}"),
        Change::RemoveTarget { target, .. } => format!("-target {target}"),
        Change::AddService { service } => format!("+service {}", service.listen_port),
        Change::UpdateService { listen_port, .. } => format!("~service {listen_port}"),
        Change::DeleteService { listen_port, .. } => format!("-service {listen_port}"),
        Change::SetDeleteProtection { enabled } => format!("protect {enabled}"),
    }
}

const FROM_NOTHING: [&str; 7] = [
    "create",
    "join keybuzz 10.0.0.10",
    "+target 10.0.0.11",
    "+target 10.0.0.12",
    "+service 5432",
    "+service 6432",
    "protect true",
];

#[test]
fn from_nothing() {
    let steps = changes(&spec(), None);
    assert_eq!(steps.iter().map(short).collect::<Vec<_>>(), FROM_NOTHING);
    assert_eq!(
        steps.iter().map(Change::disturbance).max(),
        Some(Disturbance::None)
    );
    let made = run(None, &steps);
    assert_eq!(changes(&spec(), made.as_ref()), []);
}

#[test]
fn nothing_to_do() {
    check(|_| {}, |_| {}, &[]);
}

#[test]
fn others_labels_stay_and_ours_are_set() {
    check(
        |state| {
            state.labels = BTreeMap::from([
                ("team".to_owned(), "ops".to_owned()),
                ("kbz.old".to_owned(), "1".to_owned()),
            ]);
        },
        |_| {},
        &["labels 2"],
    );
}

#[test]
fn a_target_is_added_before_one_is_removed() {
    check(
        |_| {},
        |spec| spec.targets = BTreeSet::from([address(13)]),
        &[
            "+target 10.0.0.13",
            "-target 10.0.0.11",
            "-target 10.0.0.12",
        ],
    );
}

#[test]
fn foreign_targets_go() {
    check(
        |state| {
            state.targets.push(TargetState {
                reference: TargetRef::LabelSelector("role=lb".to_owned()),
                private_ip: None,
                use_private_ip: true,
                health: BTreeMap::new(),
            });
        },
        |_| {},
        &["-target servers with role=lb"],
    );
}

#[test]
fn a_server_with_its_public_address_is_moved_after_the_others_came() {
    check(
        |state| {
            state.public_interface = true;
            state.targets[0].reference = TargetRef::Server(7);
            state.targets[0].use_private_ip = false;
            state.targets.truncate(1);
        },
        |_| {},
        &[
            "+target 10.0.0.12",
            "-target server 7",
            "+target 10.0.0.11",
            "public false",
        ],
    );
}

#[test]
fn services_follow_the_declaration() {
    let other = || Service::tcp(6432, 9999);
    check(
        |state| {
            state.services[1] = other();
            state.services.push(Service::tcp(22, 22));
        },
        |spec| spec.services.push(Service::tcp(5433, 5433)),
        &["+service 5433", "~service 6432", "-service 22"],
    );
}

#[test]
fn a_full_type_makes_room_first() {
    check(
        |state| {
            state
                .services
                .extend([1, 2, 3].map(|port| Service::tcp(port, port)));
        },
        |spec| spec.services.push(Service::tcp(5433, 5433)),
        &["-service 1", "-service 2", "-service 3", "+service 5433"],
    );
}

#[test]
fn size_grows_before_and_shrinks_after() {
    check(
        |_| {},
        |spec| {
            spec.load_balancer_type = "lb21".to_owned();
            spec.services
                .extend((1..=10).map(|port| Service::tcp(port, port)));
            spec.services.truncate(3);
        },
        &["type lb21", "+service 1"],
    );
    check(
        |state| {
            state.load_balancer_type = "lb21".to_owned();
            state
                .services
                .extend((1..=4).map(|port| Service::tcp(port, port)));
        },
        |_| {},
        &[
            "-service 1",
            "-service 2",
            "-service 3",
            "-service 4",
            "type lb11",
        ],
    );
}

#[test]
fn network_interface_algorithm_protection() {
    check(
        |state| state.network.as_mut().unwrap().ip = address(99),
        |_| {},
        &["leave keybuzz", "join keybuzz 10.0.0.10"],
    );
    check(
        |_| {},
        |spec| {
            spec.public_interface = true;
            spec.algorithm = Algorithm::LeastConnections;
            spec.delete_protection = false;
        },
        &[
            "protect false",
            "public true",
            "algorithm least_connections",
        ],
    );
    check(
        |state| state.public_interface = true,
        |_| {},
        &["public false"],
    );
    check(
        |state| state.algorithm = Algorithm::Other("weighted".to_owned()),
        |_| {},
        &["algorithm round_robin"],
    );
}

#[test]
fn another_location_is_another_balancer() {
    let expected: Vec<&str> = ["protect false", "delete 42"]
        .into_iter()
        .chain(FROM_NOTHING)
        .collect();
    check(|_| {}, |spec| spec.location = "nbg1".to_owned(), &expected);
}

#[test]
fn a_world_that_was_not_planned_for_is_seen() {
    let unexpected = |change: &Change, state: Option<&LoadBalancerState>| {
        matches!(change.standing(state), Standing::Unexpected(_))
    };
    let mut foreign = state();
    foreign.labels.clear();
    assert!(unexpected(&changes(&spec(), None)[0], Some(&foreign)));
    let service = Service::tcp(6432, 1);
    assert!(unexpected(&Change::AddService { service }, Some(&state())));
    let (from, to) = (
        Algorithm::LeastConnections,
        Algorithm::Other("x".to_owned()),
    );
    assert!(unexpected(
        &Change::ChangeAlgorithm { from, to },
        Some(&state())
    ));
    assert!(unexpected(&Change::AddTarget { ip: address(1) }, None));
}

#[test]
fn only_a_changed_check_disturbs_nobody() {
    let from = Service::tcp(5432, 5432);
    let check = |to: Service| {
        Change::UpdateService {
            listen_port: 5432,
            from: from.clone(),
            to,
        }
        .disturbance()
    };
    assert_eq!(
        check(from.clone().checked_by(HealthCheck::tcp(8404))),
        Disturbance::None
    );
    assert_eq!(check(Service::tcp(5432, 5433)), Disturbance::Connections);
}

#[test]
fn faults_are_found_all_at_once() {
    let mut bad = spec();
    assert_eq!(bad.faults(), []);
    bad.name.clear();
    bad.targets = BTreeSet::from([address(10)]);
    bad.services.push(Service::tcp(6432, 1));
    bad.services.push(Service::tcp(7000, 0));
    bad.services[0].health_check.interval = 1;
    bad.services[1].health_check.http = bad.services[0].health_check.http.clone();
    bad.services
        .extend([Service::tcp(1, 1), Service::tcp(2, 2)]);
    bad.labels.insert("kbz.-".to_owned(), "x y".to_owned());
    let faults: Vec<String> = bad.faults().iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 8, "{faults:#?}");
    bad.targets.clear();
    assert!(bad.faults().contains(&SpecFault::NoTargets(5432)));
}

#[test]
fn plain_data_survives_json() {
    let steps = changes(&spec(), None);
    let text = serde_json::to_string(&steps).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Change>>(&text).unwrap(), steps);
    let read: Algorithm = serde_json::from_str("\"weighted\"").unwrap();
    assert_eq!(read, Algorithm::Other("weighted".to_owned()));
}

fn any_service() -> impl Strategy<Value = Service> {
    (1_u16..9, 1_u16..3, any::<bool>()).prop_map(|(listen, destination, http)| {
        let service = Service::tcp(listen, destination);
        if http {
            service.checked_by(HealthCheck::http(8404, "/health"))
        } else {
            service
        }
    })
}

fn any_services() -> impl Strategy<Value = Vec<Service>> {
    prop::collection::vec(any_service(), 0..6).prop_map(|mut services| {
        services.sort_by_key(|service| service.listen_port);
        services.dedup_by_key(|service| service.listen_port);
        services.truncate(5);
        services
    })
}

prop_compose! {
    fn any_spec()(
        size in prop::sample::select(vec!["lb11", "lb21"]),
        location in prop::sample::select(vec!["fsn1", "fsn1", "fsn1", "nbg1"]),
        ip in 10_u8..12,
        flags in any::<[bool; 3]>(),
        label in prop::option::of("[a-z]{1,3}"),
        services in any_services(),
        targets in prop::collection::btree_set(20_u8..24, 1..4),
    ) -> LoadBalancerSpec {
        let mut spec = spec();
        spec.load_balancer_type = size.to_owned();
        spec.location = location.to_owned();
        spec.network.ip = address(ip);
        spec.public_interface = flags[0];
        spec.delete_protection = flags[1];
        if flags[2] {
            spec.algorithm = Algorithm::LeastConnections;
        }
        if let Some(label) = label {
            spec.labels.insert(format!("kbz.{label}"), label);
        }
        spec.services = services;
        spec.targets = targets.into_iter().map(address).collect();
        spec
    }
}

prop_compose! {
    /// Any balancer that Hetzner would hold, foreign services, targets and labels included.
    fn any_state()(
        base in any_spec(),
        servers in prop::collection::btree_map(20_u8..24, any::<bool>(), 0..3),
        attached in any::<bool>(),
        selector in any::<bool>(),
        foreign in any::<bool>(),
    ) -> LoadBalancerState {
        let mut state = run(None, &changes(&base, None)).unwrap();
        if foreign {
            state.labels = BTreeMap::from([("team".to_owned(), "ops".to_owned())]);
        }
        for (last, use_private_ip) in servers {
            let ip = address(last);
            state.targets.retain(|target| target.private_ip != Some(ip));
            state.targets.push(TargetState {
                reference: TargetRef::Server(last.into()),
                private_ip: Some(ip),
                use_private_ip: use_private_ip || !state.public_interface,
                health: BTreeMap::new(),
            });
        }
        if selector {
            state.targets.push(TargetState {
                reference: TargetRef::LabelSelector("a=b".to_owned()),
                private_ip: None,
                use_private_ip: true,
                health: BTreeMap::new(),
            });
        }
        if !attached {
            state.network = None;
            state.targets.clear();
        }
        state
    }
}

proptest! {
    #[test]
    fn changes_lead_to_the_spec(spec in any_spec(), state in prop::option::of(any_state())) {
        let steps = changes(&spec, state.as_ref());
        let after = run(state, &steps);
        prop_assert_eq!(changes(&spec, after.as_ref()), []);
    }

    #[test]
    fn a_balancer_with_targets_keeps_one(spec in any_spec(), state in any_state()) {
        prop_assume!(spec.location == state.location);
        let steps = changes(&spec, Some(&state));
        // one target alone, which must change from its public to its private address
        let lone_move = state.targets.len() == 1
            && spec.targets.len() == 1
            && state.targets[0].private_ip == spec.targets.first().copied();
        prop_assume!(!state.targets.is_empty() && !lone_move);
        let mut now = Some(state);
        for step in &steps {
            now = run(now, std::slice::from_ref(step));
            prop_assert!(now.as_ref().is_some_and(|state| !state.targets.is_empty()), "{:?}", step);
        }
    }

    #[test]
    fn declared_services_never_vanish(spec in any_spec(), state in any_state()) {
        prop_assume!(spec.location == state.location);
        let kept: Vec<u16> = state.services.iter().map(|service| service.listen_port)
            .filter(|port| spec.services.iter().any(|service| service.listen_port == *port))
            .collect();
        let deleted = changes(&spec, Some(&state)).into_iter().any(|step| {
            matches!(step, Change::DeleteService { listen_port, .. } if kept.contains(&listen_port))
        });
        prop_assert!(!deleted);
    }
}
