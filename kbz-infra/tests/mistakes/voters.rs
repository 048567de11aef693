//! Clusters that cannot decide, or cannot lose a member.

use kbz_infra::ident::HostName;
use kbz_infra::prelude::*;

use crate::check::refused;
use crate::system::System;

fn cluster_of(count: u8, raft: Raft, stack: &mut Stack) -> Result<()> {
    let system = System::of(stack)?;
    let mut hosts = system.db.clone();
    for number in 4..=count {
        hosts.push(Host {
            name: HostName::new(format!("db-slave-0{}", number - 1))?,
            address: [10, 0, 0, 119 + number].into(),
            ..system.db[0].clone()
        });
    }
    hosts.truncate(count.into());
    let image = system.image(stack)?;
    let cluster = stack.add(
        PatroniCluster::new("keybuzz-pg")
            .credentials(&system.secrets)
            .dcs(raft)
            .clients(system.network),
    );
    stack.add_each(&hosts, |host| {
        PatroniNode::on(host).cluster(&cluster).image(&image)
    });
    Ok(())
}

#[test]
fn two_voters() {
    refused("two-voters", &["kbz::patroni::voters"], |stack| {
        cluster_of(2, Raft::default(), stack)
    });
}

#[test]
fn an_even_number_of_voters() {
    refused("four-voters", &["kbz::patroni::voters"], |stack| {
        cluster_of(4, Raft::default(), stack)
    });
}

#[test]
fn other_voters_than_stated() {
    refused(
        "fewer-voters-than-stated",
        &["kbz::patroni::voters"],
        |stack| cluster_of(3, Raft::voters::<5>(), stack),
    );
}

#[test]
fn one_name_for_two_clusters() {
    refused(
        "two-clusters-of-one-name",
        &["kbz::voters::namesakes"],
        |stack| {
            let system = System::of(stack)?;
            system.cluster(stack)?;
            stack.add(
                PatroniCluster::new("keybuzz-pg")
                    .credentials(&system.secrets)
                    .clients(system.network),
            );
            Ok(())
        },
    );
}
