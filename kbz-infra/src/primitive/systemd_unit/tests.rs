//! Every transition of a unit.

use super::*;
use crate::primitive::testkit::{World, check, host, removal};
use crate::probe::StampReading;

const NAME: &str = "haproxy-docker.service";

fn config() -> Urn {
    Urn::on("file", &host(), "/etc/haproxy/haproxy.cfg")
}

fn file() -> Urn {
    Urn::on(
        "file",
        &host(),
        "/etc/systemd/system/haproxy-docker.service",
    )
}

fn unit() -> SystemdUnit {
    SystemdUnit::on(&host(), NAME)
        .reload_on([config()])
        .restart_on([file()])
}

fn found(active: &str, enabled: &str, stale: bool) -> World {
    let reading = UnitReading {
        load: if active.is_empty() {
            "not-found"
        } else {
            "loaded"
        }
        .to_owned(),
        active: active.to_owned(),
        enabled: enabled.to_owned(),
        stale,
    };
    let never = || StampReading(None);
    World::host(unit().unit(), reading)
        .and(unit().stamp(RESTART), never())
        .and(unit().stamp(RELOAD), never())
        .goal(&config(), "as declared")
        .goal(&file(), "as declared")
}

/// The same world, in which the unit has read all that it uses.
fn read_up(world: World) -> World {
    let change = world.plan(&unit()).unwrap().change.unwrap();
    let stamps = change.effects.into_iter();
    stamps.fold(world, |world, effect| match effect.action {
        Action::Stamp { name, value } => world.and(Stamp { name }, StampReading(Some(value))),
        _ => world,
    })
}

fn well() -> World {
    read_up(found("active", "enabled", false))
}

#[test]
fn every_transition() {
    check([
        (unit(), well(), "nothing"),
        (
            unit(),
            found("", "", false),
            "Create (none) enabled  none → enabled, does not run: \
             EnableUnit, RestartUnit, Stamp, Stamp",
        ),
        (
            unit(),
            read_up(found("inactive", "enabled", false)),
            "Update (none) does not run (inactive): RestartUnit, Stamp, Stamp",
        ),
        (
            unit(),
            read_up(found("active", "disabled", false)),
            "Update (none) enabled  disabled → enabled: EnableUnit, Stamp, Stamp",
        ),
        (
            unit(),
            well().goal(&config(), "declared anew").changing(&config()),
            "Update (reload) file@db-1:/etc/haproxy/haproxy.cfg has changed since: \
             ReloadUnit, Stamp, Stamp",
        ),
        (
            unit(),
            well().goal(&file(), "declared anew").changing(&file()),
            "Update (restart) file@db-1:/etc/systemd/system/haproxy-docker.service has changed \
             since: DaemonReloadUnit, RestartUnit, Stamp, Stamp",
        ),
        (unit(), World::silent(), "unreachable"),
    ]);
    assert_eq!(
        removal(&unit()),
        "StopUnit, DisableUnit, RemoveStamp, RemoveStamp (service ends)"
    );
}

/// What the unit should have read is as it was, and yet a hand was at it.
#[test]
fn what_a_hand_changed_is_read_again_once_it_is_put_right() {
    check([
        (
            unit(),
            read_up(found("active", "enabled", true)),
            "Update (none) systemd knows  another unit file → this one: \
             DaemonReloadUnit, Stamp, Stamp",
        ),
        (
            unit(),
            well().changing(&file()),
            "Update (none) systemd knows  another unit file → this one: \
             DaemonReloadUnit, Stamp, Stamp",
        ),
        (
            unit(),
            well().changing(&config()),
            "Update (reload) file@db-1:/etc/haproxy/haproxy.cfg has changed since: \
             ReloadUnit, Stamp, Stamp",
        ),
    ]);
}
