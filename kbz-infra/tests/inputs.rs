//! The inputs that the repository ships are read as they stand.

use std::path::{Path, PathBuf};

use std::os::unix::fs::PermissionsExt as _;

use kbz_infra::ident::StackName;
use kbz_infra::program::{Environments, Inventory, Role, Settings, Stack, Versions};
use kbz_infra::secret::{SecretRef, Vault};

fn stacks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../stacks")
}

#[test]
fn the_inventory_holds_the_production_hosts() {
    let inventory = Inventory::find(&stacks()).unwrap();
    assert!(inventory.warnings().is_empty());
    let selected = |role, subrole| {
        let hosts = inventory.select(role, subrole).unwrap();
        let named = hosts
            .into_iter()
            .map(|host| format!("{} {}", host.name, host.address));
        named.collect::<Vec<_>>()
    };
    assert_eq!(
        selected(Role::Db, "postgres"),
        [
            "db-master-01 10.0.0.120",
            "db-slave-01 10.0.0.121",
            "db-slave-02 10.0.0.122"
        ]
    );
    assert_eq!(
        selected(Role::Lb, "internal-haproxy"),
        ["haproxy-01 10.0.0.11", "haproxy-02 10.0.0.12"]
    );
    let install = inventory.select_role(Role::Install).unwrap();
    assert_eq!(install[0].address.to_string(), "10.0.0.5");
}

#[test]
fn both_files_of_pins_give_what_the_program_asks_for() {
    for (file, postgres) in [("versions.yaml", "16.4"), ("lab/versions.yaml", "17.11")] {
        let versions = Versions::load(&stacks().join(file)).unwrap();
        assert_eq!(versions.postgres().unwrap().to_string(), postgres);
        for name in ["patroni", "pysyncobj", "pgvector", "pgbouncer"] {
            versions.get(name).unwrap();
        }
        versions.image("haproxy").unwrap();
        assert!(versions.unused().is_empty());
    }
}

#[test]
fn the_lab_is_the_default_environment_and_production_asks() {
    let file = stacks().join("kbz.toml");
    let environments = Environments::load(&file, Some(Path::new("/home/operator"))).unwrap();
    assert_eq!(environments.default_name(), "lab");
    assert!(!environments.get(None).unwrap().confirm);
    assert!(environments.get(Some("production")).unwrap().confirm);
    for name in environments.names() {
        let environment = environments.get(Some(name)).unwrap();
        Inventory::load(environment.inventory.as_ref().unwrap()).unwrap();
        Versions::load(environment.versions.as_ref().unwrap()).unwrap();
    }
}

#[test]
fn a_service_of_its_own_has_passwords_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let stack = || {
        Stack::new(
            StackName::new("redis").unwrap(),
            Settings::new(folder.path()),
        )
    };
    let names = ["REDIS_PASS", "REDIS_REPLICA_PASS"];
    let mut first = stack();
    let secrets = first.secrets("credentials/redis.env", names).unwrap();
    assert_eq!(secrets, names.map(SecretRef::new));
    let made = first.finish().unwrap();
    assert_eq!(made.warnings.len(), 1, "{:?}", made.warnings);
    let file = folder.path().join("credentials/redis.env");
    let permissions = std::fs::metadata(&file).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);

    // Read again, with one more: what is there stays.
    let mut second = stack();
    let more = ["REDIS_PASS", "REDIS_SENTINEL_PASS"];
    second.secrets("credentials/redis.env", more).unwrap();
    let completed = second.finish().unwrap();
    let names: Vec<&str> = completed.vault.names().collect();
    assert_eq!(
        names,
        [
            Vault::STATE_KEY,
            "REDIS_PASS",
            "REDIS_REPLICA_PASS",
            "REDIS_SENTINEL_PASS"
        ]
    );
    let password = |vault: &Vault| vault.resolve(&SecretRef::new("REDIS_PASS")).unwrap();
    assert_eq!(password(&made.vault), password(&completed.vault));
}

#[test]
fn a_plain_name_is_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::new(
        StackName::new("redis").unwrap(),
        Settings::new(folder.path()),
    );
    let refused = stack.secrets("redis.env", ["REDIS_USER"]).unwrap_err();
    assert_eq!(refused.0.findings()[0].code, "kbz::credentials::no-secret");
    assert!(!folder.path().join("redis.env").exists());
}
