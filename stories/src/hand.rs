//! Hands on the hosts: each kind of thing can be changed behind the engine's back.

use kbz_infra::sim::Universe;

use crate::items::{Item, PARAMETERS, rule};
use crate::names::host;

/// Somebody changes what an item made; the form that it has in the program decides how. Where
/// nothing of it is there, nothing happens.
pub(crate) fn lay_on(item: &Item, world: &mut Universe) {
    let (on, slot, variant) = (item.on(), item.slot, item.variant);
    let gone = variant == 0;
    match item.kind {
        0 => file(world, item, &format!("/etc/kbz-{slot}.conf")),
        1 => {
            let path = format!("/srv/d{slot}");
            if world.has_path(&on, &path) {
                world.change_mode(&on, &path, 0o777);
            }
        }
        2 => file(world, item, &format!("/srv/d{slot}/file")),
        3 => file(world, item, &format!("/srv/d{slot}/inner/file")),
        4 if gone => world.stop_unit(&on, &format!("unit-{slot}.service")),
        4 => file(world, item, &format!("/etc/unit-{slot}.conf")),
        5 => world.set_sysctl(&on, PARAMETERS[slot], "60"),
        6 => world.revoke_traffic(&on, rule(&on, slot, variant).rule()),
        7 => world.disable_firewall(&on),
        8 if gone => world.remove_container(&on, &format!("app-{slot}")),
        8 => world.stop_container(&on, &format!("app-{slot}")),
        9 if gone => world.remove_container(&on, &format!("service-{slot}")),
        9 => world.stop_unit(&on, &format!("service-{slot}.service")),
        10 => world.add_swap(&on, "/swap.img"),
        12 if world.has_path(&on, "/etc/resolv.conf") => {
            world.edit_file(&on, "/etc/resolv.conf", "nameserver 9.9.9.9\n");
        }
        13 => world.toggle_login("pg", &format!("role{slot}")),
        15 => {
            let name = ["vector", "pg_trgm", "pgcrypto"][variant];
            world.drop_extension("pg", &format!("data{slot}"), name);
        }
        16 if gone => world.remove_service("entry", 5432),
        16 => world.remove_target("entry", [10, 0, 0, 11].into()),
        17 => world.stop_unit(&host("db-3"), "patroni-docker.service"),
        _ => world.lose_registry(&on),
    }
}

fn file(world: &mut Universe, item: &Item, path: &str) {
    let on = item.on();
    if !world.has_path(&on, path) {
        return;
    }
    match item.variant {
        0 => world.remove_path(&on, path),
        1 => world.change_mode(&on, path, 0o666),
        _ => world.edit_file(&on, path, "by hand\n"),
    }
}
