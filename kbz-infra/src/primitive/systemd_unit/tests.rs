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

/// Whether it runs and whether it starts at boot are fields, each left alone by itself.
#[test]
fn a_state_that_is_ignored_stays_as_it_is_found() {
    let idle = |enabled, stale| read_up(found("inactive", enabled, stale)).ignoring("state");
    check([
        (unit(), idle("enabled", false), "nothing"),
        (
            unit(),
            read_up(found("failed", "masked", false))
                .ignoring("state")
                .ignoring("enabled"),
            "nothing",
        ),
        (
            unit(),
            idle("disabled", false),
            "Update (none) enabled  disabled → enabled: EnableUnit",
        ),
        (
            unit(),
            read_up(found("inactive", "disabled", false)).ignoring("enabled"),
            "Update (none) does not run (inactive): RestartUnit, Stamp, Stamp",
        ),
        // What is not there is made whole.
        (
            unit(),
            found("", "", false).ignoring("state").ignoring("enabled"),
            "Create (none) enabled  none → enabled, does not run: \
             EnableUnit, RestartUnit, Stamp, Stamp",
        ),
        // What runs is kept with what it uses.
        (
            unit(),
            well()
                .ignoring("state")
                .goal(&file(), "declared anew")
                .changing(&file()),
            "Update (restart) file@db-1:/etc/systemd/system/haproxy-docker.service has changed \
             since: DaemonReloadUnit, RestartUnit, Stamp, Stamp",
        ),
    ]);
}

/// Nothing starts it, and its stamps go on telling of its last start.
#[test]
fn a_unit_that_is_left_stopped_is_known_to_systemd_by_its_present_file() {
    let idle = |stale| read_up(found("inactive", "enabled", stale)).ignoring("state");
    check([
        (
            unit(),
            idle(true),
            "Update (none) systemd knows  another unit file → this one: DaemonReloadUnit",
        ),
        (
            unit(),
            idle(false).goal(&file(), "declared anew").changing(&file()),
            "Update (none) file@db-1:/etc/systemd/system/haproxy-docker.service has changed \
             since: DaemonReloadUnit",
        ),
        (
            unit(),
            idle(false).goal(&file(), "declared anew"),
            "nothing",
        ),
        (
            unit(),
            idle(false)
                .goal(&config(), "declared anew")
                .changing(&config()),
            "nothing",
        ),
        // Nobody ever started it: a run broke off before.
        (
            unit(),
            found("inactive", "enabled", false).ignoring("state"),
            "Update (none) does not run (inactive): DaemonReloadUnit, RestartUnit, Stamp, Stamp",
        ),
        // Started by a hand since.
        (
            unit(),
            well().goal(&config(), "declared anew"),
            "Update (reload) file@db-1:/etc/haproxy/haproxy.cfg has changed since: \
             ReloadUnit, Stamp, Stamp",
        ),
    ]);
}

#[test]
fn a_unit_that_is_kept_stopped_may_be_left_running() {
    let off = || unit().stopped();
    check([
        (off(), found("inactive", "disabled", false), "nothing"),
        (off(), found("", "", false), "nothing"),
        (
            off(),
            found("active", "enabled", false),
            "Update (restart) state  active → inactive, enabled  enabled → disabled: \
             StopUnit, DisableUnit",
        ),
        (
            off(),
            found("active", "enabled", false).ignoring("state"),
            "Update (none) enabled  enabled → disabled: DisableUnit",
        ),
        (
            off(),
            found("active", "enabled", false).ignoring("enabled"),
            "Update (restart) state  active → inactive: StopUnit",
        ),
        (
            off(),
            found("active", "enabled", false)
                .ignoring("state")
                .ignoring("enabled"),
            "nothing",
        ),
    ]);
}
