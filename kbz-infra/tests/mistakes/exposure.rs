//! Databases and object storage that the outside can reach, and firewalls.

use kbz_infra::model::Protocol;
use kbz_infra::prelude::*;
use kbz_infra::primitive::FirewallRule;
use kbz_infra::resource::Claim;

use crate::check::{refused, warned};
use crate::system::System;

/// A service of a container with one port.
fn listening(host: &Host, port: u16, service: &str) -> Claim {
    Claim::Listens {
        host: host.name.clone(),
        bind: [0, 0, 0, 0].into(),
        address: host.address,
        port,
        protocol: Protocol::Tcp,
        service: service.to_owned(),
        remote: true,
    }
}

fn minio(host: &Host) -> Container {
    Container::on(&host.name, "minio", "minio/minio:RELEASE.2024-10-02T10-00Z")
        .claiming(listening(host, 9000, "minio"))
        .claiming(Claim::Node {
            of: "MinIO".to_owned(),
            address: host.address,
            ports: vec![(9000, "s3".to_owned())],
            fitness: None,
        })
}

#[test]
fn a_public_way_to_the_database() {
    refused("public-database", &["kbz::exposure::public"], |stack| {
        let system = System::of(stack)?;
        let (haproxy, write) = system.write(stack)?;
        stack.add(
            HetznerLb::new("lb-haproxy")
                .private_ip([10, 0, 0, 10].into())
                .public()
                .service(&write)
                .targets(&haproxy),
        );
        Ok(())
    });
}

#[test]
fn a_database_open_to_everybody() {
    refused(
        "database-open-to-all",
        &["kbz::exposure::open-to-all"],
        |stack| {
            let system = System::of(stack)?;
            system.write(stack)?;
            stack.add_each(&system.db, |host| FirewallRule::tcp(&host.name, 5432));
            Ok(())
        },
    );
}

#[test]
fn clients_from_everywhere() {
    refused(
        "clients-from-everywhere",
        &["kbz::patroni::config"],
        |stack| {
            let system = System::of(stack)?;
            let image = system.image(stack)?;
            let cluster = stack.add(
                PatroniCluster::new("keybuzz-pg")
                    .credentials(&system.secrets)
                    .clients("0.0.0.0/0".parse().expect("a network")),
            );
            stack.add_each(&system.db, |host| {
                PatroniNode::on(host).cluster(&cluster).image(&image)
            });
            Ok(())
        },
    );
}

#[test]
fn object_storage_open_to_everybody() {
    refused(
        "storage-open-to-all",
        &["kbz::exposure::open-to-all"],
        |stack| {
            let system = System::of(stack)?;
            stack.add_each(&system.lb[..1], minio);
            stack.add_each(&system.lb[..1], |host| FirewallRule::tcp(&host.name, 9000));
            Ok(())
        },
    );
}

#[test]
fn a_way_to_the_database_for_everybody() {
    warned(
        "way-open-to-all",
        &["kbz::exposure::open-to-all"],
        |stack| {
            let system = System::of(stack)?;
            let cluster = system.cluster(stack)?;
            let pin = system.pins.image("haproxy")?;
            let haproxy = stack.add_each(&system.lb, |host| Haproxy::on(host).image(pin.clone()));
            stack.add(
                HaproxyFrontend::new("pg_write", 5432)
                    .on(&haproxy)
                    .to_primary_of(&cluster),
            );
            Ok(())
        },
    );
}

#[test]
fn a_database_without_a_firewall() {
    warned(
        "database-without-firewall",
        &["kbz::exposure::no-firewall"],
        |stack| {
            let system = System::read(stack)?;
            system.cluster(stack)?;
            Ok(())
        },
    );
}

#[test]
fn a_port_in_use_that_is_closed() {
    refused("port-without-rule", &["kbz::firewall::closed"], |stack| {
        let system = System::of(stack)?;
        stack.add_each(&system.lb, |host| {
            Container::on(&host.name, "exporter", "haproxy-exporter:0.15.0")
                .claiming(listening(host, 9101, "exporter"))
        });
        Ok(())
    });
}

#[test]
fn a_rule_that_keeps_out_who_must_come_in() {
    refused("rule-for-others", &["kbz::firewall::keeps-out"], |stack| {
        let system = System::of(stack)?;
        let cluster = system.cluster(stack)?;
        let pin = system.pins.image("haproxy")?;
        let haproxy = stack.add_each(&system.lb, |host| {
            Haproxy::on(host)
                .image(pin.clone())
                .clients("10.0.1.0/24".parse().expect("a network"))
        });
        let write = stack.add(
            HaproxyFrontend::new("pg_write", 5432)
                .on(&haproxy)
                .to_primary_of(&cluster),
        );
        System::entry(stack, &haproxy, &write);
        Ok(())
    });
}

#[test]
fn a_rule_for_nobody() {
    warned("rule-for-nobody", &["kbz::firewall::unused"], |stack| {
        let system = System::of(stack)?;
        stack.add_each(&system.db, |host| FirewallRule::tcp(&host.name, 5439));
        Ok(())
    });
}
