//! KeyBuzz in parts: a program takes the good ones that it needs, and adds its mistake.

use ipnet::IpNet;
use kbz_infra::component::pgbouncer::PoolUpstream;
use kbz_infra::prelude::*;

/// What every program reads, with all hosts made ready.
pub(crate) struct System {
    pub(crate) db: Vec<Host>,
    pub(crate) lb: Vec<Host>,
    pub(crate) pins: Versions,
    pub(crate) secrets: Credentials,
    pub(crate) network: IpNet,
}

impl System {
    /// Reads the inputs of the real program.
    pub(crate) fn read(stack: &mut Stack) -> Result<Self> {
        let hosts = stack.inventory("servers.tsv")?;
        Ok(Self {
            db: hosts.select(Role::Db, "postgres")?,
            lb: hosts.select(Role::Lb, "internal-haproxy")?,
            pins: stack.versions("versions.yaml")?,
            secrets: stack.credentials("credentials/postgres.env")?,
            network: "10.0.0.0/24".parse().expect("a network"),
        })
    }

    /// The same, with every host made ready.
    pub(crate) fn of(stack: &mut Stack) -> Result<Self> {
        let system = Self::read(stack)?;
        let all = [system.db.clone(), system.lb.clone()].concat();
        stack.add_each(&all, |host| BaseOs::on(host).ssh_from(system.network));
        Ok(system)
    }

    pub(crate) fn image(&self, stack: &mut Stack) -> Result<Handle<PatroniImage>> {
        Ok(stack.add(PatroniImage::new(self.pins.postgres()?).with(PgVector)))
    }

    /// A cluster without nodes.
    pub(crate) fn bare_cluster(&self, stack: &mut Stack) -> Handle<PatroniCluster> {
        stack.add(
            PatroniCluster::new("keybuzz-pg")
                .credentials(&self.secrets)
                .clients(self.network),
        )
    }

    /// The cluster with its three nodes.
    pub(crate) fn cluster(&self, stack: &mut Stack) -> Result<Handle<PatroniCluster>> {
        let image = self.image(stack)?;
        let cluster = self.bare_cluster(stack);
        stack.add_each(&self.db, |host| {
            PatroniNode::on(host).cluster(&cluster).image(&image)
        });
        Ok(cluster)
    }

    pub(crate) fn haproxy(&self, stack: &mut Stack) -> Result<Vec<Handle<Haproxy>>> {
        let pin = self.pins.image("haproxy")?;
        Ok(stack.add_each(&self.lb, |host| {
            Haproxy::on(host).image(pin.clone()).clients(self.network)
        }))
    }

    pub(crate) fn pooler(
        &self,
        stack: &mut Stack,
        upstream: &impl PoolUpstream,
    ) -> Result<Vec<Handle<PgBouncer>>> {
        let pin = self.pins.image("pgbouncer")?;
        Ok(stack.add_each(&self.lb, |host| {
            PgBouncer::on(host)
                .image(pin.clone())
                .upstream(upstream)
                .database(self.secrets.database())
                .user(&self.secrets.app())
                .stats_user(&self.secrets.pgbouncer_stats())
                .clients(self.network)
        }))
    }

    /// The way to the leader, as it should be.
    pub(crate) fn write(
        &self,
        stack: &mut Stack,
    ) -> Result<(Vec<Handle<Haproxy>>, Handle<HaproxyFrontend>)> {
        let cluster = self.cluster(stack)?;
        let haproxy = self.haproxy(stack)?;
        let write = HaproxyFrontend::new("pg_write", 5432);
        let write = stack.add(write.on(&haproxy).to_primary_of(&cluster));
        Ok((haproxy, write))
    }

    /// The load balancer before the way to the leader.
    pub(crate) fn entry(
        stack: &mut Stack,
        haproxy: &[Handle<Haproxy>],
        write: &Handle<HaproxyFrontend>,
    ) -> Handle<HetznerLb> {
        stack.add(
            HetznerLb::new("lb-haproxy")
                .private_ip([10, 0, 0, 10].into())
                .service(write)
                .targets(haproxy),
        )
    }
}
