//! Every transition of the load balancer as a resource.

use std::net::IpAddr;

use super::{
    Algorithm, HealthCheck, HetznerLb, LABEL_STACK, LoadBalancerState, Service, TargetRef, apply,
};
use crate::effect::Action;
use crate::primitive::testkit::{World, check, removal};
use crate::probe::{LoadBalancerReading, Site};
use crate::resource::{Claim, Endpoint, Impact, Op, Reason, Resource};

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn entry() -> HetznerLb {
    HetznerLb::new("lb", "shop", address(10))
        .service(Service::tcp(5432, 5432).checked_by(HealthCheck::http(8404, "/healthz")))
        .targets([address(11), address(12)])
}

fn absent() -> World {
    World::at(&Site::Hetzner, entry().query(), LoadBalancerReading(None))
}

/// The balancer as its creation leaves it, but for `bend`.
fn there(bend: impl FnOnce(&mut LoadBalancerState)) -> World {
    let create = absent().plan(&entry()).unwrap().change.unwrap();
    let mut state = None;
    for effect in &create.effects {
        let Action::ChangeLoadBalancer { name, change } = &effect.action else {
            panic!("a change of the balancer");
        };
        state = apply::apply(name, state, change, 7).unwrap();
    }
    let mut state = state.unwrap();
    bend(&mut state);
    let reading = LoadBalancerReading(Some(state));
    World::at(&Site::Hetzner, entry().query(), reading)
}

#[test]
fn every_transition() {
    let one = "ChangeLoadBalancer";
    let line = |text: &str| -> &'static str { Box::leak(format!("{text}: {one}").into()) };
    check([
        (entry(), there(|_| {}), "nothing"),
        (
            entry(),
            there(|lb| lb.targets.retain(|t| t.private_ip != Some(address(12)))),
            line("Update (none) targets.10.0.0.12  none → 10.0.0.12"),
        ),
        (
            entry(),
            there(|lb| {
                let mut extra = lb.targets[0].clone();
                extra.private_ip = Some(address(120));
                extra.reference = TargetRef::Ip(address(120));
                lb.targets.push(extra);
            }),
            line("Update (restart) targets.10.0.0.120  10.0.0.120 → none"),
        ),
        (
            entry().of_type("lb21"),
            there(|_| {}),
            line("Update (none) type  lb11 → lb21"),
        ),
        (
            entry(),
            there(|lb| drop(lb.labels.remove(LABEL_STACK))),
            line("Adopt (none) bears no mark of this stack"),
        ),
        (
            entry().label("kbz.tier", "data"),
            there(|_| {}),
            line("Update (none) labels.kbz.tier  none → data"),
        ),
        (
            entry(),
            there(|lb| drop(lb.labels.insert(LABEL_STACK.to_owned(), "other".to_owned()))),
            "refused: load balancer lb belongs to stack other",
        ),
        (entry(), World::silent(), "unreachable"),
        (
            entry().targets([address(10)]),
            absent(),
            "refused: 10.0.0.10 is the load balancer's own address and cannot be its target",
        ),
    ]);
    assert_eq!(removal(&entry()), "DeleteLoadBalancer (service ends)");
}

#[test]
fn it_is_made_in_steps_and_made_anew_elsewhere() {
    let create = absent().plan(&entry()).unwrap().change.unwrap();
    assert_eq!((create.op, create.impact), (Op::Create, Impact::None));
    assert_eq!(create.reasons, [Reason::Missing]);
    let moved = entry().in_location("nbg1");
    let change = there(|_| {}).plan(&moved).unwrap().change.unwrap();
    assert_eq!((change.op, change.impact), (Op::Replace, Impact::Recreate));
    assert_eq!(change.reasons, [Reason::field("location", "fsn1", "nbg1")]);
}

#[test]
fn each_service_is_claimed() {
    let entry_at = Endpoint {
        address: address(10),
        port: 5432,
    };
    let claims = entry().claims();
    assert_eq!(claims.len(), 2);
    assert!(claims.contains(&Claim::Advertises {
        name: "lb port 5432".to_owned(),
        endpoint: entry_at,
    }));
}

/// A hand on the balancer, the reason that it gives, and what else names its field.
type Bent = (fn(&mut LoadBalancerState), &'static str, &'static str);

#[test]
fn every_field_is_seen_and_can_be_ignored() {
    let table: [Bent; 13] = [
        (
            |lb| lb.location = "nbg1".to_owned(),
            "location  nbg1 → fsn1",
            "location",
        ),
        (
            |lb| lb.load_balancer_type = "lb21".to_owned(),
            "type  lb21 → lb11",
            "type",
        ),
        (
            |lb| lb.public_interface = true,
            "public  true → false",
            "public",
        ),
        (
            |lb| lb.network = None,
            "network  none → shop 10.0.0.10",
            "network",
        ),
        (
            |lb| lb.network.as_mut().unwrap().ip = address(9),
            "network  shop 10.0.0.9 → shop 10.0.0.10",
            "network",
        ),
        (
            |lb| lb.algorithm = Algorithm::LeastConnections,
            "algorithm  least_connections → round_robin",
            "algorithm",
        ),
        (
            |lb| lb.delete_protection = true,
            "delete protection  true → false",
            "delete protection",
        ),
        (
            |lb| drop(lb.labels.insert("kbz.tier".to_owned(), "data".to_owned())),
            "labels.kbz.tier  data → none",
            "labels",
        ),
        (
            |lb| {
                lb.targets
                    .retain(|target| target.private_ip != Some(address(12)));
            },
            "targets.10.0.0.12  none → 10.0.0.12",
            "targets",
        ),
        (
            |lb| {
                let mut server = lb.targets.remove(1);
                server.reference = TargetRef::Server(7);
                server.use_private_ip = false;
                lb.targets.push(server);
            },
            "targets.10.0.0.12  server 7 → 10.0.0.12",
            "targets",
        ),
        (
            |lb| lb.services.clear(),
            "services.5432  none → tcp 5432 to 5432, \
             checked by http 8404/healthz every 3 s, 2 s, 2 times",
            "services",
        ),
        (
            |lb| {
                let http = lb.services[0].health_check.http.as_mut().unwrap();
                http.tls = true;
                http.status_codes = vec!["200".to_owned()];
            },
            "services.5432  tcp 5432 to 5432, \
             checked by http 8404/healthz over TLS for status 200 every 3 s, 2 s, 2 times → \
             tcp 5432 to 5432, checked by http 8404/healthz every 3 s, 2 s, 2 times",
            "services",
        ),
        (
            |lb| lb.services.push(Service::tcp(80, 80)),
            "services.80  tcp 80 to 80, checked by tcp 80 every 3 s, 2 s, 2 times → none",
            "services",
        ),
    ];
    for (bend, expected, all) in table {
        let change = there(bend).plan(&entry()).unwrap().change;
        let reasons = change.expect("drift is seen").reasons;
        let lines: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(lines, [expected]);
        let (name, ..) = reasons[0].as_field().unwrap();
        for name in [name, all] {
            let left = there(bend).ignoring(name).plan(&entry()).unwrap().change;
            assert_eq!(left, None, "{name}");
        }
    }
}

#[test]
fn one_field_is_left_while_others_are_put_right() {
    let bent = || {
        there(|lb| {
            lb.targets.clear();
            lb.services.clear();
            lb.labels.insert("kbz.tier".to_owned(), "data".to_owned());
            lb.labels.insert("kbz.use".to_owned(), "test".to_owned());
        })
    };
    let line = |effects: usize, reasons: &str| -> &'static str {
        let effects = vec!["ChangeLoadBalancer"; effects].join(", ");
        Box::leak(format!("Update (none) {reasons}: {effects}").into())
    };
    let tier = "labels.kbz.tier  data → none";
    let marked = "labels.kbz.use  test → none";
    let (one, other) = (
        "targets.10.0.0.11  none → 10.0.0.11",
        "targets.10.0.0.12  none → 10.0.0.12",
    );
    check([
        (
            entry(),
            bent()
                .ignoring("targets.10.0.0.11")
                .ignoring("services.5432"),
            line(2, &format!("{tier}, {marked}, {other}")),
        ),
        (
            entry(),
            bent().ignoring("services").ignoring("labels.kbz.use"),
            line(3, &format!("{tier}, {one}, {other}")),
        ),
        // What stands elsewhere is made anew, as declared.
        (
            entry().in_location("nbg1"),
            there(|_| {}).ignoring("targets").ignoring("services"),
            "Replace (recreate) location  fsn1 → nbg1: ChangeLoadBalancer, ChangeLoadBalancer, \
             ChangeLoadBalancer, ChangeLoadBalancer, ChangeLoadBalancer, ChangeLoadBalancer",
        ),
        (
            entry(),
            absent().ignoring("targets"),
            "Create (none) is not there: \
             ChangeLoadBalancer, ChangeLoadBalancer, ChangeLoadBalancer, ChangeLoadBalancer, \
             ChangeLoadBalancer",
        ),
    ]);
}
