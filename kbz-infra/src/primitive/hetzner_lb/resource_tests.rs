//! Every transition of the load balancer as a resource.

use std::net::IpAddr;

use super::{HealthCheck, HetznerLb, LABEL_STACK, LoadBalancerState, Service, TargetRef, apply};
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
            line("Update (none) target  none → 10.0.0.12"),
        ),
        (
            entry(),
            there(|lb| {
                let mut extra = lb.targets[0].clone();
                extra.private_ip = Some(address(120));
                extra.reference = TargetRef::Ip(address(120));
                lb.targets.push(extra);
            }),
            line("Update (restart) target  10.0.0.120 → none"),
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
            line("Update (none) label kbz.tier  none → data"),
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
