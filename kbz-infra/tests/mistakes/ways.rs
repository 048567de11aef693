//! Ways of connections: loops, ports with two owners, health checks, foreign addresses.

use std::net::SocketAddr;

use kbz_infra::component::haproxy::config::Check;
use kbz_infra::model::load_balancer::Service;
use kbz_infra::prelude::*;
use kbz_infra::primitive;

use crate::check::{accepted, refused, warned};
use crate::system::System;

/// Hosts as servers on a port.
fn at(hosts: &[Host], port: u16) -> Vec<(HostName, SocketAddr)> {
    let servers = hosts.iter();
    servers
        .map(|host| (host.name.clone(), SocketAddr::new(host.address, port)))
        .collect()
}

#[test]
fn the_system_as_it_should_be_has_no_findings() {
    accepted(|stack| {
        let system = System::of(stack)?;
        let (haproxy, write) = system.write(stack)?;
        system.pooler(stack, &write)?;
        System::entry(stack, &haproxy, &write);
        Ok(())
    });
}

#[test]
fn sql_sent_to_the_rest_port() {
    let codes = ["kbz::port::not-for-clients", "kbz::check::blind"];
    refused("sql-to-the-rest-port", &codes, |stack| {
        let system = System::of(stack)?;
        system.cluster(stack)?;
        let haproxy = system.haproxy(stack)?;
        stack.add(
            HaproxyFrontend::new("pg_write", 5432)
                .on(&haproxy)
                .to_servers(at(&system.db, 8008), Check::Tcp),
        );
        Ok(())
    });
}

#[test]
fn a_check_of_the_served_port() {
    refused(
        "check-of-the-served-port",
        &["kbz::check::wrong-port"],
        |stack| {
            let system = System::of(stack)?;
            system.cluster(stack)?;
            let haproxy = system.haproxy(stack)?;
            let check = Check::Http {
                port: 5432,
                path: "/primary".to_owned(),
            };
            stack.add(
                HaproxyFrontend::new("pg_write", 5432)
                    .on(&haproxy)
                    .to_servers(at(&system.db, 5432), check),
            );
            Ok(())
        },
    );
}

#[test]
fn a_check_that_every_node_passes() {
    refused(
        "check-that-every-node-passes",
        &["kbz::check::alike"],
        |stack| {
            let system = System::of(stack)?;
            system.cluster(stack)?;
            let haproxy = system.haproxy(stack)?;
            let check = Check::Http {
                port: 8008,
                path: "/health".to_owned(),
            };
            stack.add(
                HaproxyFrontend::new("pg_write", 5432)
                    .on(&haproxy)
                    .to_servers(at(&system.db, 5432), check),
            );
            Ok(())
        },
    );
}

#[test]
fn the_old_name_of_the_primary() {
    warned(
        "old-name-of-the-primary",
        &["kbz::check::renamed"],
        |stack| {
            let system = System::of(stack)?;
            system.cluster(stack)?;
            let haproxy = system.haproxy(stack)?;
            let check = Check::Http {
                port: 8008,
                path: "/master".to_owned(),
            };
            stack.add(
                HaproxyFrontend::new("pg_write", 5432)
                    .on(&haproxy)
                    .to_servers(at(&system.db, 5432), check),
            );
            Ok(())
        },
    );
}

const BY_HAND: &str = "\
backend postgres
    option httpchk GET /master
    server db1 10.0.0.120:5432 check port 8008
    server db2 10.0.0.121:5432 check port 8008 backup
    server db3 10.0.0.122:5432 check port 8008 backup
";

#[test]
fn backups_in_a_configuration_by_hand() {
    let codes = ["kbz::check::backup", "kbz::check::renamed"];
    refused("backups-by-hand", &codes, |stack| {
        let system = System::of(stack)?;
        system.cluster(stack)?;
        stack.add_each(&system.lb, |host| {
            File::on(&host.name, "/opt/haproxy/haproxy.cfg")
                .content(BY_HAND)
                .mode(0o644)
        });
        Ok(())
    });
}

#[test]
fn pgbouncer_behind_the_entry_that_leads_to_it() {
    refused("routing-loop", &["kbz::topology::loop"], |stack| {
        let system = System::of(stack)?;
        let haproxy = system.haproxy(stack)?;
        let entry: SocketAddr = ([10, 0, 0, 10], 5432).into();
        system.pooler(stack, &entry)?;
        let write = stack.add(
            HaproxyFrontend::new("pg_write", 5432)
                .on(&haproxy)
                .to_servers(at(&system.lb, 6432), Check::Tcp),
        );
        stack.add(
            HetznerLb::new("lb-haproxy")
                .private_ip([10, 0, 0, 10].into())
                .service(&write)
                .targets(&haproxy),
        );
        Ok(())
    });
}

#[test]
fn haproxy_and_pgbouncer_on_one_port() {
    refused("two-owners-of-a-port", &["kbz::port::clash"], |stack| {
        let system = System::of(stack)?;
        let cluster = system.cluster(stack)?;
        let haproxy = system.haproxy(stack)?;
        let write = HaproxyFrontend::new("pg_write", 5432).on(&haproxy);
        let write = stack.add(write.to_primary_of(&cluster));
        stack.add(
            HaproxyFrontend::new("pg_pool", 6432)
                .on(&haproxy)
                .to_primary_of(&cluster),
        );
        system.pooler(stack, &write)?;
        Ok(())
    });
}

#[test]
fn haproxy_bound_to_the_balancers_address() {
    refused(
        "bound-to-the-balancer",
        &["kbz::address::foreign-bind"],
        |stack| {
            let system = System::of(stack)?;
            let cluster = system.cluster(stack)?;
            let haproxy = system.haproxy(stack)?;
            let write = stack.add(
                HaproxyFrontend::new("pg_write", 5432)
                    .bind([10, 0, 0, 10].into())
                    .on(&haproxy)
                    .to_primary_of(&cluster),
            );
            System::entry(stack, &haproxy, &write);
            Ok(())
        },
    );
}

#[test]
fn a_balancer_with_the_address_of_a_host() {
    refused(
        "balancer-with-a-hosts-address",
        &["kbz::address::clash"],
        |stack| {
            let system = System::of(stack)?;
            let (haproxy, write) = system.write(stack)?;
            stack.add(
                HetznerLb::new("lb-haproxy")
                    .private_ip([10, 0, 0, 11].into())
                    .service(&write)
                    .targets(&haproxy),
            );
            Ok(())
        },
    );
}

#[test]
fn a_database_behind_the_balancer() {
    let code = "kbz::topology::server-behind-balancer";
    refused("database-behind-the-balancer", &[code], |stack| {
        let system = System::of(stack)?;
        system.write(stack)?;
        stack.add(
            primitive::HetznerLb::new("lb-direct", "keybuzz", [10, 0, 0, 20].into())
                .service(Service::tcp(5432, 5432))
                .targets(system.db.iter().map(|host| host.address)),
        );
        Ok(())
    });
}

#[test]
fn a_balancer_before_hosts_that_do_not_serve() {
    warned("nobody-serves", &["kbz::port::nobody"], |stack| {
        let system = System::of(stack)?;
        let cluster = system.cluster(stack)?;
        let haproxy = system.haproxy(stack)?;
        let write = stack.add(
            HaproxyFrontend::new("pg_write", 5432)
                .on(&haproxy)
                .to_primary_of(&cluster),
        );
        let read = stack.add(
            HaproxyFrontend::new("pg_read", 5433)
                .on(&haproxy[..1])
                .to_replicas_of(&cluster),
        );
        stack.add(
            HetznerLb::new("lb-haproxy")
                .private_ip([10, 0, 0, 10].into())
                .service(&write)
                .service(&read)
                .targets(&haproxy),
        );
        Ok(())
    });
}
