//! Addresses of nodes where the entry point belongs, and work as the superuser.

use std::net::SocketAddr;

use kbz_infra::prelude::*;

use crate::check::refused;
use crate::system::System;

const NODE_ADDRESS: &str = "kbz::endpoint::node-address";
const SUPERUSER: &str = "kbz::role::superuser";

#[test]
fn an_output_that_names_a_node() {
    refused("output-names-a-node", &[NODE_ADDRESS], |stack| {
        let system = System::of(stack)?;
        let (haproxy, write) = system.write(stack)?;
        System::entry(stack, &haproxy, &write);
        stack.export(
            "database_url",
            "postgresql://kb_app@10.0.0.120:5432/keybuzz",
        );
        Ok(())
    });
}

#[test]
fn a_pooler_before_one_node() {
    refused("pooler-before-one-node", &[NODE_ADDRESS], |stack| {
        let system = System::of(stack)?;
        system.write(stack)?;
        let node: SocketAddr = ([10, 0, 0, 120], 5432).into();
        system.pooler(stack, &node)?;
        Ok(())
    });
}

#[test]
fn an_application_that_is_told_a_node() {
    refused("application-told-a-node", &[NODE_ADDRESS], |stack| {
        let system = System::of(stack)?;
        let (haproxy, write) = system.write(stack)?;
        System::entry(stack, &haproxy, &write);
        let host = &system.lb[0].name;
        stack.add(Container::on(host, "api", "keybuzz-api:1.4.2").env(
            "DATABASE_URL",
            "postgresql://kb_app@10.0.0.121:5432/keybuzz",
        ));
        stack.add(File::on(host, "/etc/worker.conf").content("db_host = 10.0.0.122\n"));
        Ok(())
    });
}

#[test]
fn the_superuser_as_the_owner_of_the_database() {
    refused("superuser-as-owner", &[SUPERUSER], |stack| {
        let system = System::of(stack)?;
        let (haproxy, write) = system.write(stack)?;
        let entry = System::entry(stack, &haproxy, &write);
        let superuser = system.secrets.superuser();
        stack.add(
            PgTenant::new(system.secrets.database(), &superuser)
                .extension("vector")
                .through(&entry, &write, &superuser),
        );
        Ok(())
    });
}

#[test]
fn the_superuser_as_the_application() {
    refused("superuser-as-application", &[SUPERUSER], |stack| {
        let system = System::of(stack)?;
        let (haproxy, write) = system.write(stack)?;
        let entry = System::entry(stack, &haproxy, &write);
        let (secrets, database) = (&system.secrets, system.secrets.database());
        let pin = system.pins.image("pgbouncer")?;
        stack.add_each(&system.lb, |host| {
            PgBouncer::on(host)
                .image(pin.clone())
                .upstream(&write)
                .database(database)
                .user(&secrets.superuser())
                .clients(system.network)
        });
        stack.export(
            "database_url",
            entry.url(&write, &secrets.superuser(), database),
        );
        Ok(())
    });
}

#[test]
fn the_superuser_for_diagnostics() {
    refused("superuser-for-diagnostics", &[SUPERUSER], |stack| {
        let system = System::of(stack)?;
        let (haproxy, write) = system.write(stack)?;
        let entry = System::entry(stack, &haproxy, &write);
        let (secrets, superuser) = (&system.secrets, system.secrets.superuser());
        stack.add(
            PgTenant::new(secrets.database(), &secrets.app())
                .monitor(&superuser)
                .through(&entry, &write, &superuser),
        );
        Ok(())
    });
}

#[test]
fn fields_that_nothing_has() {
    let code = "kbz::options::unknown-field";
    refused("fields-that-nothing-has", &[code], |stack| {
        let host = HostName::new("haproxy-01")?;
        stack.add(
            File::on(&host, "/etc/motd")
                .content("hello\n")
                .ignore_changes(["contnet"]),
        );
        let api = Container::on(&host, "api", "keybuzz-api:1.4.2");
        stack.add(
            api.replace_on_changes(["imgae"])
                .ignore_changes(["evn.MODE"]),
        );
        Ok(())
    });
}
