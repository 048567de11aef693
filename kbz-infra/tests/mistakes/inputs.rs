//! Mistakes in what a program reads.

use kbz_infra::prelude::*;

use crate::check::{Inputs, refused_with};
use crate::system::System;

#[test]
fn versions_that_move_or_are_known_to_fail() {
    let codes = [
        "kbz::versions::postgres",
        "kbz::versions::too-old",
        "kbz::versions::floating",
        "kbz::versions::range",
    ];
    refused_with(Inputs::Bad, "versions", &codes, |stack| {
        stack.versions("versions.yaml").map(drop)
    });
}

#[test]
fn hosts_that_cannot_be() {
    let codes = [
        "kbz::inventory::duplicate-host",
        "kbz::inventory::duplicate-address",
        "kbz::inventory::invalid-address",
        "kbz::inventory::public-address",
        "kbz::inventory::unknown-role",
        "kbz::inventory::missing-column",
    ];
    refused_with(Inputs::Bad, "servers", &codes, |stack| {
        stack.inventory("servers.tsv").map(drop)
    });
}

#[test]
fn hosts_that_nobody_has() {
    let code = "kbz::inventory::nothing-selected";
    refused_with(Inputs::Good, "hosts-that-nobody-has", &[code], |stack| {
        let hosts = stack.inventory("servers.tsv")?;
        hosts.select(Role::Db, "postgre").map(drop)?;
        Ok(())
    });
}

#[test]
fn a_version_that_is_not_pinned() {
    let code = "kbz::versions::no-pin";
    refused_with(Inputs::Good, "version-not-pinned", &[code], |stack| {
        let system = System::of(stack)?;
        system.pins.image("haprox").map(drop)?;
        Ok(())
    });
}
