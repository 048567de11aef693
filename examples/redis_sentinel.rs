//! Another module: Redis with Sentinel behind the HAProxy and the load balancer that the crate
//! has. The components of Redis are in `src/redis`, written with what `kbz-infra` offers to
//! everybody.
//!
//! ```console
//! $ cargo run -p examples --bin redis_sentinel -- preview --env sim
//! $ cargo run -p examples --bin redis_sentinel -- up --env sim
//! ```

use std::process::ExitCode;

use examples::redis::config::Passwords;
use examples::redis::{RedisCluster, RedisNode};
use kbz_infra::cli::Cli;
use kbz_infra::component::haproxy::config::Balance;
use kbz_infra::prelude::*;

/// The private network: whoever is in it may connect, and nobody else.
const NETWORK: &str = "10.0.0.0/24";

// ANCHOR: program
fn redis(stack: &mut Stack) -> Result<()> {
    let hosts = stack.inventory("servers.tsv")?;
    let pins = stack.versions("versions.yaml")?;
    let [app, replica, sentinel] = stack.secrets(
        "credentials/redis.env",
        ["REDIS_PASS", "REDIS_REPLICA_PASS", "REDIS_SENTINEL_PASS"],
    )?;
    let network = NETWORK.parse().expect("a constant network");

    let nodes = hosts.select(Role::Redis, "sentinel")?;
    let lb = hosts.select(Role::Lb, "internal-haproxy")?;
    stack.add_each(&lb, |host| BaseOs::on(host).ssh_from(network));
    // A copy of Redis writes its snapshots: it is promised as much memory again, and uses little
    // of it. The default of a database host would refuse that.
    stack.add_each(&nodes, |host| {
        BaseOs::on(host)
            .ssh_from(network)
            .sysctl("vm.overcommit_memory", "1")
    });

    let passwords = Passwords {
        app: app.clone(),
        replica,
        sentinel,
    };
    let cluster = stack.add(RedisCluster::new("keybuzz", passwords, network).max_memory(2 << 30));
    let redis_pin = pins.image("redis")?;
    let redis = stack.add_each(&nodes, |host| RedisNode::new(host, &cluster, &redis_pin));

    let haproxy_pin = pins.image("haproxy")?;
    let haproxy = stack.add_each(&lb, |host| {
        Haproxy::on(host)
            .image(haproxy_pin.clone())
            .clients(network)
    });
    // While two nodes call themselves the master, all connections go to the same one; and one
    // failed check is enough, so that clients of a former master are cut off within a second.
    let entry = stack.add(
        HaproxyFrontend::new("redis", 6379)
            .on(&haproxy)
            .balance(Balance::First)
            .down_after(1)
            .up_after(1)
            .to_nodes(&redis, RedisNode::server, RedisCluster::is_master()),
    );
    let balancer = stack.add(
        HetznerLb::new("lb-haproxy")
            .private_ip([10, 0, 0, 10].into())
            .service(&entry)
            .targets(&haproxy),
    );

    stack.export(
        "redis_url",
        format!("redis://{}", balancer.authority(&entry)),
    );
    stack.export("redis_password", Text::secret(app));
    Ok(())
}
// ANCHOR_END: program

fn main() -> ExitCode {
    Cli::new("redis", redis)
        .in_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/redis"))
        .main()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use examples::rehearse_with;
    use kbz_infra::effect::Action;
    use kbz_infra::plan::Plan;
    use kbz_infra::program::{ProgramError, Settings};
    use kbz_infra::resource::Op;

    use super::*;

    /// The program's own inputs, with credentials that are made anew.
    fn settings(folder: &Path) -> Settings {
        let mut settings = Settings::new(concat!(env!("CARGO_MANIFEST_DIR"), "/redis"));
        settings.credentials = Some(folder.join("credentials/redis.env"));
        settings
    }

    /// What a plan writes to a file.
    fn written(plan: &Plan, urn: &str) -> String {
        let step = plan.steps.iter().find(|step| step.urn.to_string() == urn);
        let effects = &step.expect(urn).effects;
        let content = effects.iter().find_map(|effect| match &effect.action {
            Action::WriteFile { content, .. } => Some(content.to_string()),
            _ => None,
        });
        content.expect(urn)
    }

    fn check(name: &str, content: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, content));
    }

    #[tokio::test]
    async fn generated_files() {
        let folder = tempfile::tempdir().unwrap();
        let rehearsal = rehearse_with(settings(folder.path()), redis).await.unwrap();
        for (name, urn) in [
            (
                "redis.conf",
                "file@redis-02:/opt/keybuzz/redis/config/redis.conf",
            ),
            (
                "sentinel.conf",
                "file@redis-02:/opt/keybuzz/redis/config/sentinel.conf",
            ),
            (
                "redis-docker.service",
                "file@redis-02:/etc/systemd/system/redis-docker.service",
            ),
            (
                "redis-haproxy.cfg",
                "file@haproxy-01:/etc/haproxy/haproxy.cfg",
            ),
        ] {
            check(name, &written(&rehearsal.first, urn));
        }
    }

    #[tokio::test]
    async fn two_sentinels_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let two = |stack: &mut Stack| {
            let hosts = stack.inventory("servers.tsv")?;
            let pin = stack.versions("versions.yaml")?.image("redis")?;
            let secret = || SecretRef::new("REDIS_PASS");
            let passwords = Passwords {
                app: secret(),
                replica: secret(),
                sentinel: secret(),
            };
            let network = NETWORK.parse().expect("a constant network");
            let cluster = stack.add(RedisCluster::new("keybuzz", passwords, network));
            let nodes = hosts.select(Role::Redis, "sentinel")?;
            stack.add_each(&nodes[..2], |host| RedisNode::new(host, &cluster, &pin));
            Ok(())
        };
        let refused = rehearse_with(settings(folder.path()), two)
            .await
            .unwrap_err();
        let refused = refused.downcast::<ProgramError>().unwrap().0;
        let finding = &refused.findings()[0];
        assert_eq!(finding.code, "example::redis::sentinels");
        assert!(
            finding.labels[0]
                .location
                .file
                .ends_with("redis_sentinel.rs")
        );
    }

    fn steps(plan: &Plan, kind: &str) -> Vec<String> {
        let urns = plan.steps.iter().map(|step| step.urn.to_string());
        urns.filter(|urn| urn.starts_with(kind)).collect()
    }

    #[tokio::test]
    async fn redis_comes_up_once_behind_haproxy() {
        let folder = tempfile::tempdir().unwrap();
        let rehearsal = rehearse_with(settings(folder.path()), redis).await.unwrap();
        let containers = steps(&rehearsal.first, "container@redis");
        assert_eq!(
            containers,
            [
                "container@redis-01:redis",
                "container@redis-01:sentinel",
                "container@redis-02:redis",
                "container@redis-02:sentinel",
                "container@redis-03:redis",
                "container@redis-03:sentinel",
            ]
        );
        assert_eq!(steps(&rehearsal.first, "hetzner-lb").len(), 1);
        assert_eq!(rehearsal.first.count(Op::Delete), 0);
        assert!(rehearsal.second.is_empty(), "{:?}", rehearsal.second.steps);
    }
}
