//! The infrastructure of KeyBuzz: highly available PostgreSQL behind a load balancer.
//!
//! Three database hosts form a Patroni cluster that votes by RAFT; two hosts run HAProxy, which
//! finds the leader, and PgBouncer; one Hetzner load balancer is the only address that
//! applications know.

use std::process::ExitCode;

use kbz_infra::cli::Cli;
use kbz_infra::prelude::*;

/// The private network: whoever is in it may connect, and nobody else.
const NETWORK: &str = "10.0.0.0/24";

pub(crate) fn keybuzz(stack: &mut Stack) -> Result<()> {
    let hosts = stack.inventory("servers.tsv")?;
    let pins = stack.versions("versions.yaml")?;
    let secrets = stack.credentials("credentials/postgres.env")?;
    let network = NETWORK.parse().expect("a constant network");

    let db = hosts.select(Role::Db, "postgres")?;
    let lb = hosts.select(Role::Lb, "internal-haproxy")?;
    stack.add_each(&[db.clone(), lb.clone()].concat(), |host| {
        BaseOs::on(host).ssh_from(network)
    });

    let image = stack.add(
        PatroniImage::new(pins.postgres()?)
            .patroni(pins.get("patroni")?.as_str())
            .pysyncobj(pins.get("pysyncobj")?.as_str())
            .with(PgVector),
    );
    let cluster = stack.add(
        PatroniCluster::new(secrets.cluster_name())
            .credentials(&secrets)
            .dcs(Raft::voters::<3>())
            .synchronous(Synchronous::On)
            .parameters(stack.settings().postgresql.clone())
            .clients(network),
    );
    stack.add_each(&db, |host| {
        PatroniNode::on(host).cluster(&cluster).image(&image)
    });

    let haproxy_pin = pins.image("haproxy")?;
    let haproxy = stack.add_each(&lb, |host| {
        Haproxy::on(host)
            .image(haproxy_pin.clone())
            .clients(network)
    });
    let write = stack.add(
        HaproxyFrontend::new("pg_write", 5432)
            .on(&haproxy)
            .to_primary_of(&cluster),
    );
    let read = stack.add(
        HaproxyFrontend::new("pg_read", 5433)
            .on(&haproxy)
            .to_replicas_of(&cluster),
    );

    let pgbouncer_pin = pins.image("pgbouncer")?;
    let pooler = stack.add_each(&lb, |host| {
        PgBouncer::on(host)
            .image(pgbouncer_pin.clone())
            .port(6432)
            .upstream(&write)
            .database(secrets.database())
            .user(&secrets.app())
            .stats_user(&secrets.pgbouncer_stats())
            .clients(network)
    });

    let entry = stack.add(
        HetznerLb::new("lb-haproxy")
            .private_ip([10, 0, 0, 10].into())
            .service(&write)
            .service(&read)
            .service(&pooler)
            .targets(&haproxy),
    );
    stack.add(
        PgTenant::new(secrets.database(), &secrets.app())
            .extension("vector")
            .monitor(&secrets.monitor())
            .through(&entry, &write, &secrets.superuser()),
    );

    stack.export(
        "database_url",
        entry.url(&pooler, &secrets.app(), secrets.database()),
    );
    stack.export(
        "read_url",
        entry.url(&read, &secrets.app(), secrets.database()),
    );
    stack.export(
        "direct_url",
        entry.url(&write, &secrets.app(), secrets.database()),
    );
    Ok(())
}

fn main() -> ExitCode {
    Cli::new("keybuzz", keybuzz)
        .rehearsed_by(kbz_lab::Rehearsal)
        .main()
}
