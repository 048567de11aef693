//! How a real host is reached: what `kbz.toml` says, and for the rest what OpenSSH would do.

use super::error::Failed;
use super::session::home;
use crate::host::ssh::{SshConfigError, SshSettings, Surroundings};
use crate::program::{Host, Ssh};

/// The settings for one host.
///
/// With an `ssh_config`, host and bastion are looked up in it by their names, as `ssh NAME`
/// would; what `kbz.toml` says itself stands above. A host that the configuration gives no
/// address has that of the inventory. Without one the user is `root` and the port 22.
pub(super) async fn settings(ssh: &Ssh, host: &Host) -> Result<SshSettings, Failed> {
    let name = host.name.as_str();
    let mut settings = found(ssh, name).await?;
    if settings.address == name {
        settings.address = host.address.to_string();
    }
    own(&mut settings, ssh, ssh.port, ssh.user.as_deref());
    if let Some(bastion) = &ssh.bastion {
        let mut before = found(ssh, &bastion.host).await?;
        own(&mut before, ssh, bastion.port, bastion.user.as_deref());
        settings = settings.via(before);
    }
    Ok(settings)
}

/// What is known of a host but for what `kbz.toml` says.
async fn found(ssh: &Ssh, name: &str) -> Result<SshSettings, Failed> {
    let around = Surroundings {
        home: home(),
        agent: std::env::var_os("SSH_AUTH_SOCK").map(Into::into),
    };
    let Some(file) = &ssh.ssh_config else {
        return Ok(SshSettings::new(name).agent_if(around.agent));
    };
    if !file.is_file() {
        return Err(Failed::with_help(
            "kbz::ssh::no-config",
            format!(
                "there is no {}, which kbz.toml names as `ssh_config`",
                file.display()
            ),
            "write it, or take `ssh_config` out: address, user, identity and bastion can stand in \
             kbz.toml themselves",
        ));
    }
    Ok(SshSettings::resolve(name, Some(file), &around).await?)
}

/// What `kbz.toml` says itself stands above what was found.
fn own(settings: &mut SshSettings, ssh: &Ssh, port: Option<u16>, user: Option<&str>) {
    if let Some(port) = port {
        settings.port = port;
    }
    if let Some(user) = user {
        user.clone_into(&mut settings.user);
    }
    if let Some(identity) = &ssh.identity {
        settings.identities = vec![identity.clone()];
    }
    if let Some(known_hosts) = &ssh.known_hosts {
        settings.known_hosts = vec![known_hosts.clone()];
    }
}

impl From<SshConfigError> for Failed {
    fn from(error: SshConfigError) -> Self {
        let what = crate::diag::error_chain(&error);
        let help = "name another file as `ssh_config` in kbz.toml, or mend this one";
        Failed::with_help("kbz::ssh::config", what, help)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::ident::HostName;
    use crate::program::{Bastion, Inventory};

    const CONFIG: &str = "\
Host db-1
    HostName 127.0.0.2
    Port 2222
    User ops
    UserKnownHostsFile /known
    ProxyJump gate
Host gate
    HostName 127.0.0.3
    User guard
    Port 2200
    UserKnownHostsFile /known
Host *
    User everybody
";

    fn host(name: &str) -> Host {
        let table = format!(
            "ENV\tIP_PUBLIQUE\tHOSTNAME\tIP_PRIVEE\tROLE\tSUBROLE\n\
             prod\t-\t{name}\t10.9.8.7\tdb\tpostgres\n"
        );
        let inventory = Inventory::parse("servers.tsv", &table).unwrap();
        let name = HostName::new(name).unwrap();
        let mut hosts = inventory.hosts().iter();
        hosts.find(|host| host.name == name).unwrap().clone()
    }

    fn with_config(folder: &tempfile::TempDir) -> Ssh {
        let file = folder.path().join("config");
        std::fs::write(&file, CONFIG).unwrap();
        Ssh {
            ssh_config: Some(file),
            ..Ssh::default()
        }
    }

    #[tokio::test]
    async fn what_openssh_would_do_is_done() {
        let folder = tempfile::TempDir::new().unwrap();
        let found = settings(&with_config(&folder), &host("db-1"))
            .await
            .unwrap();
        assert_eq!((found.address.as_str(), found.port), ("127.0.0.2", 2222));
        assert_eq!(found.user, "ops");
        assert_eq!(found.known_hosts[0], PathBuf::from("/known"));
        let gate = found.bastion.expect("ProxyJump names one");
        assert_eq!((gate.address.as_str(), gate.port), ("127.0.0.3", 2200));
        assert_eq!(gate.user, "guard");
    }

    #[tokio::test]
    async fn a_host_that_the_file_does_not_know_has_the_address_of_the_inventory() {
        let folder = tempfile::TempDir::new().unwrap();
        let found = settings(&with_config(&folder), &host("db-2"))
            .await
            .unwrap();
        assert_eq!((found.address.as_str(), found.port), ("10.9.8.7", 22));
        assert_eq!((found.user.as_str(), found.bastion), ("everybody", None));
    }

    #[tokio::test]
    async fn what_kbz_toml_says_itself_stands_above() {
        let folder = tempfile::TempDir::new().unwrap();
        let ssh = Ssh {
            user: Some("root".to_owned()),
            identity: Some("/key".into()),
            known_hosts: Some("/ours".into()),
            bastion: Some(Bastion {
                host: "gate".to_owned(),
                port: None,
                user: Some("root".to_owned()),
            }),
            ..with_config(&folder)
        };
        let found = settings(&ssh, &host("db-1")).await.unwrap();
        assert_eq!((found.user.as_str(), found.port), ("root", 2222));
        assert_eq!(found.identities, [PathBuf::from("/key")]);
        assert_eq!(found.known_hosts, [PathBuf::from("/ours")]);
        let gate = found.bastion.expect("kbz.toml names one");
        assert_eq!((gate.address.as_str(), gate.port), ("127.0.0.3", 2200));
        assert_eq!(
            (gate.user.as_str(), gate.known_hosts),
            ("root", vec!["/ours".into()])
        );
    }

    #[tokio::test]
    async fn without_a_configuration_root_logs_in_at_the_address_of_the_inventory() {
        let found = settings(&Ssh::default(), &host("db-1")).await.unwrap();
        assert_eq!((found.address.as_str(), found.port), ("10.9.8.7", 22));
        assert_eq!((found.user.as_str(), found.bastion), ("root", None));
    }

    #[tokio::test]
    async fn a_configuration_that_is_not_there_is_named() {
        let ssh = Ssh {
            ssh_config: Some("/nowhere/config".into()),
            ..Ssh::default()
        };
        let failed = settings(&ssh, &host("db-1")).await.unwrap_err();
        let told = crate::diag::Renderer::plain(&failed.0);
        assert!(told.contains("/nowhere/config"), "{told}");
        assert!(told.contains("take `ssh_config` out"), "{told}");
    }
}
