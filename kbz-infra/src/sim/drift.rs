//! What happens to a world from outside: hands on the hosts, power, cables.
//!
//! Each of these does what a person or an accident would do, and lets the world notice it.
//! A host, file or object that does not exist is left alone.

use std::net::IpAddr;

use serde_json::Value;

use super::files::of_root;
use super::host::HostModel;
use super::system;
use super::universe::Universe;
use crate::ident::HostName;
use crate::model::{ContainerSpec, FirewallRule};
use crate::probe::{FactsReading, Node};

impl Universe {
    /// Changes a host, and lets clusters notice it.
    fn on(&mut self, host: &HostName, change: impl FnOnce(&mut HostModel)) {
        if let Some(host) = self.host_mut(host) {
            change(host);
        }
        self.settle(host);
    }

    /// Somebody edits a file, or makes it.
    pub fn edit_file(&mut self, host: &HostName, path: &str, content: &str) {
        self.on(host, |host| host.files.edit(path, content));
    }

    /// Somebody removes a file, or a directory with all that is in it.
    pub fn remove_path(&mut self, host: &HostName, path: &str) {
        self.on(host, |host| {
            let any = crate::effect::PreImage::Any;
            // Exactly one of the two applies; the other leaves the path alone.
            host.files.remove_file(path, any).ok();
            host.files.remove_directory(path, true).ok();
        });
    }

    /// Somebody makes a directory.
    pub fn make_directory(&mut self, host: &HostName, path: &str) {
        self.on(host, |host| {
            // A path that is taken, or has no parent, stays as it is.
            host.files.make_directory(path, of_root(0o755)).ok();
        });
    }

    /// Somebody gives a file or directory to `root` with another mode.
    pub fn change_mode(&mut self, host: &HostName, path: &str, mode: u32) {
        self.on(host, |host| host.chmod(path, mode));
    }

    /// Somebody puts a symbolic link at a path.
    pub fn put_link(&mut self, host: &HostName, path: &str) {
        self.on(host, |host| host.files.put_other(path, Node::Symlink));
    }

    /// Whether a path exists on a host.
    pub fn has_path(&self, host: &HostName, path: &str) -> bool {
        self.hosts.get(host).is_some_and(|host| host.has(path))
    }

    /// Somebody removes a container.
    pub fn remove_container(&mut self, host: &HostName, name: &str) {
        self.on(host, |host| host.remove_container(name));
    }

    /// Somebody stops a container; a unit that supervises it may start it again.
    pub fn stop_container(&mut self, host: &HostName, name: &str) {
        self.on(host, |host| {
            host.docker.stop(name);
            let (units, mut host) = host.systemd();
            units.container_ended(name, &mut host);
        });
    }

    /// Somebody makes a container anew with another description.
    pub fn bend_container(
        &mut self,
        host: &HostName,
        name: &str,
        change: impl FnOnce(&mut ContainerSpec),
    ) {
        self.on(host, |host| host.docker.bend(name, change));
    }

    /// Whether a container runs.
    pub fn is_running(&self, host: &HostName, name: &str) -> bool {
        let host = self.hosts.get(host);
        host.is_some_and(|host| host.docker.is_running(name))
    }

    /// Somebody updates a package that waits for a reboot.
    pub fn want_reboot(&mut self, host: &HostName, package: &str) {
        self.on(host, |host| {
            let waiting = host.wants_reboot.get_or_insert_default();
            waiting.push(package.to_owned());
        });
    }

    /// How often a host has started.
    pub fn boots(&self, host: &HostName) -> u64 {
        self.hosts.get(host).map_or(0, |host| host.boots)
    }

    /// Somebody drains the HAProxy of a host, and forgets it.
    pub fn drain(&mut self, host: &HostName) {
        self.on(host, |host| host.docker.drain_all());
    }

    /// Whether an HAProxy of a host is drained.
    pub fn is_drained(&self, host: &HostName) -> bool {
        let host = self.hosts.get(host);
        host.is_some_and(|host| host.docker.is_any_drained())
    }

    /// Somebody removes an image, whoever uses it.
    pub fn remove_image(&mut self, host: &HostName, reference: &str) {
        self.on(host, |host| drop(host.docker.images.remove(reference)));
    }

    /// Somebody gives a tag to another image.
    pub fn retag_image(&mut self, host: &HostName, reference: &str) {
        self.on(host, |host| {
            let other = super::docker::image_id(&format!("another {reference}"));
            host.docker.images.insert(reference.to_owned(), other);
        });
    }

    /// Somebody stops a unit.
    pub fn stop_unit(&mut self, host: &HostName, name: &str) {
        self.on(host, |host| {
            let (units, host) = host.systemd();
            units.stop_by_hand(name, host);
        });
    }

    /// Somebody disables a unit.
    pub fn disable_unit(&mut self, host: &HostName, name: &str) {
        self.on(host, |host| host.units.disable_by_hand(name));
    }

    /// Somebody sets a kernel parameter.
    pub fn set_sysctl(&mut self, host: &HostName, key: &str, value: &str) {
        self.on(host, |host| {
            host.kernel.set(key, value).ok();
        });
    }

    /// Somebody adds a swap area.
    pub fn add_swap(&mut self, host: &HostName, area: &str) {
        self.on(host, |host| host.kernel.swap.push(area.to_owned()));
    }

    /// Somebody adds a rule to the firewall.
    pub fn allow_traffic(&mut self, host: &HostName, rule: &FirewallRule) {
        self.on(host, |host| system::allow(&mut host.firewall, rule));
    }

    /// Somebody removes a rule from the firewall.
    pub fn revoke_traffic(&mut self, host: &HostName, rule: &FirewallRule) {
        self.on(host, |host| system::revoke(&mut host.firewall, rule));
    }

    /// Somebody switches the firewall off.
    pub fn disable_firewall(&mut self, host: &HostName) {
        self.on(host, |host| host.firewall.active = false);
    }

    /// A fresh host is there; one that was there already stays as it is.
    pub fn add_host(&mut self, name: &HostName, address: IpAddr) {
        self.hosts
            .entry(name.clone())
            .or_insert_with(|| HostModel::new(name.clone(), address));
    }

    /// Whether a file system is mounted at exactly this path.
    pub fn is_mounted(&self, host: &HostName, path: &str) -> bool {
        let host = self.hosts.get(host);
        host.is_some_and(|host| host.filesystems.is_mount(path))
    }

    /// A file system is mounted: its type, and its size in bytes.
    pub fn mount(&mut self, host: &HostName, path: &str, kind: &str, size: u64) {
        self.on(host, |host| {
            host.filesystems.mount(path, kind, size);
            let owner = super::files::of_root(0o755);
            // A mount point is a directory; where a file is, nothing can be mounted.
            host.files.make_directory(path, owner).ok();
        });
    }

    /// A host turns out to be another machine than a fresh one.
    pub fn change_facts(&mut self, host: &HostName, change: impl FnOnce(&mut FactsReading)) {
        self.on(host, |host| change(&mut host.facts));
    }

    /// Something on a host answers on a port, besides the services that the model knows.
    pub fn listen(&mut self, host: &HostName, port: u16) {
        self.listeners.insert((host.clone(), port));
    }

    /// The registry of all stacks on a host is lost.
    pub fn lose_registry(&mut self, host: &HostName) {
        self.on(host, |host| host.registries.clear());
    }

    /// The operator's way to a host is cut; the host goes on.
    pub fn cut(&mut self, host: &HostName) {
        self.on(host, |host| host.reachable = false);
    }

    /// The operator reaches a host again.
    pub fn mend(&mut self, host: &HostName) {
        self.on(host, |host| host.reachable = true);
    }

    /// A host loses power.
    pub fn power_off(&mut self, host: &HostName) {
        self.on(host, HostModel::power_off);
    }

    /// A host boots.
    pub fn power_on(&mut self, host: &HostName) {
        self.on(host, HostModel::power_on);
    }

    /// Hetzner's API answers, or does not.
    pub fn hetzner_answers(&mut self, answers: bool) {
        self.hetzner = answers;
    }

    /// The leader of a cluster.
    pub fn leader(&self, scope: &str) -> Option<&HostName> {
        self.clusters.get(scope)?.leader()
    }

    /// Somebody drops a role.
    pub fn drop_role(&mut self, scope: &str, name: &str) {
        if let Some(cluster) = self.clusters.get_mut(scope) {
            // A role that owns something cannot be dropped by hand either.
            cluster.sql.drop_role(name).ok();
        }
    }

    /// Somebody takes a role's right to log in, or gives it.
    pub fn toggle_login(&mut self, scope: &str, name: &str) {
        if let Some(cluster) = self.clusters.get_mut(scope) {
            cluster.sql.toggle_login(name);
        }
    }

    /// Somebody drops a database.
    pub fn drop_database(&mut self, scope: &str, name: &str) {
        if let Some(cluster) = self.clusters.get_mut(scope) {
            cluster.sql.drop_database(name);
        }
    }

    /// Somebody drops an extension.
    pub fn drop_extension(&mut self, scope: &str, database: &str, name: &str) {
        if let Some(cluster) = self.clusters.get_mut(scope) {
            cluster.sql.drop_extension(database, name);
        }
    }

    /// Somebody changes a cluster's dynamic configuration.
    pub fn edit_config(&mut self, scope: &str, patch: &Value) {
        if let Some(cluster) = self.clusters.get_mut(scope) {
            cluster.edit_config(patch);
        }
    }

    /// Somebody switches a cluster's maintenance mode on or off.
    pub fn pause_cluster(&mut self, scope: &str, paused: bool) {
        if let Some(cluster) = self.clusters.get_mut(scope) {
            cluster.pause(paused);
        }
    }

    /// Somebody lets the RAFT of a cluster forget the voter at an address.
    pub fn forget_voter(&mut self, scope: &str, address: IpAddr) {
        if let Some(cluster) = self.clusters.get_mut(scope) {
            cluster.forget_voter(address);
        }
    }

    /// Deletes a load balancer.
    pub fn remove_balancer(&mut self, balancer: &str) {
        self.balancers.remove(balancer);
    }

    /// Somebody takes a target from a load balancer.
    pub fn remove_target(&mut self, balancer: &str, target: IpAddr) {
        if let Some(balancer) = self.balancers.get_mut(balancer) {
            balancer
                .targets
                .retain(|have| have.address() != Some(target));
        }
    }

    /// Somebody takes a service from a load balancer.
    pub fn remove_service(&mut self, balancer: &str, port: u16) {
        if let Some(balancer) = self.balancers.get_mut(balancer) {
            balancer
                .services
                .retain(|service| service.listen_port != port);
        }
    }
}
