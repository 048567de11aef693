//! Containers, their files, their data and their secrets.

use kbz_infra::effect::Owner;
use kbz_infra::model::LogLimits;
use kbz_infra::prelude::*;
use kbz_infra::primitive::Supervision;

use crate::check::{refused, warned};
use crate::system::System;

/// Where data lies that the real program knows nothing of.
const DATA: &str = "/opt/keybuzz/queue/data";

#[test]
fn a_configuration_that_is_mounted_as_a_file() {
    refused(
        "file-mounted-by-itself",
        &["kbz::container::file-mount"],
        |stack| {
            let system = System::of(stack)?;
            stack.add_each(&system.db, |host| {
                File::on(&host.name, "/etc/exporter/exporter.yml").content("queries: []\n")
            });
            stack.add_each(&system.db, |host| {
                Container::on(&host.name, "exporter", "postgres-exporter:0.15.0")
                    .reads("/etc/exporter/exporter.yml", "/etc/exporter/exporter.yml")
            });
            Ok(())
        },
    );
}

#[test]
fn an_owner_by_number() {
    refused("owner-by-number", &["kbz::owner::number"], |stack| {
        let system = System::of(stack)?;
        let owner = Owner::Named {
            user: "999".to_owned(),
            group: "999".to_owned(),
        };
        stack.add_each(&system.lb, |host| {
            Directory::on(&host.name, DATA)
                .mode(0o700)
                .owner(owner.clone())
                .requires_filesystem("xfs")
        });
        stack.add_each(&system.lb, |host| {
            Container::on(&host.name, "rabbitmq", "rabbitmq:3.12.14-management")
                .writes(DATA, "/var/lib/rabbitmq")
                .nofile(65_536)
        });
        Ok(())
    });
}

#[test]
fn a_container_that_nobody_starts() {
    refused(
        "nobody-starts",
        &["kbz::container::nobody-starts"],
        |stack| {
            let system = System::of(stack)?;
            stack.add_each(&system.lb, |host| {
                Container::on(&host.name, "rabbitmq", "rabbitmq:3.12.14-management")
                    .supervised_by(Supervision::systemd("rabbitmq-docker.service"))
            });
            Ok(())
        },
    );
}

#[test]
fn a_database_under_the_limits_of_its_engine() {
    warned(
        "limits-of-the-engine",
        &["kbz::container::defaults"],
        |stack| {
            let system = System::of(stack)?;
            stack.add_each(&system.lb, |host| {
                Directory::on(&host.name, DATA).requires_filesystem("xfs")
            });
            let unbounded = LogLimits {
                max_size: "-1".to_owned(),
                max_file: 1,
            };
            stack.add_each(&system.lb, |host| {
                Container::on(&host.name, "postgres", "postgres:16.4-bookworm")
                    .writes(DATA, "/var/lib/postgresql/data")
                    .logs(unbounded.clone())
            });
            Ok(())
        },
    );
}

#[test]
fn a_second_place_for_the_data() {
    warned("second-place-for-data", &["kbz::data::unused"], |stack| {
        let system = System::of(stack)?;
        system.write(stack)?;
        stack.add_each(&system.db, |host| {
            Directory::on(&host.name, "/mnt/postgres-data").requires_filesystem("xfs")
        });
        Ok(())
    });
}

#[test]
fn a_file_system_for_data_that_is_not_there() {
    warned("file-system-for-nothing", &["kbz::data::unused"], |stack| {
        let system = System::of(stack)?;
        stack.add_each(&system.lb, |host| {
            Directory::on(&host.name, "/opt/keybuzz/haproxy/data").requires_filesystem("xfs")
        });
        Ok(())
    });
}

#[test]
fn two_services_on_the_same_data() {
    refused("same-data-twice", &["kbz::data::shared"], |stack| {
        let system = System::of(stack)?;
        system.write(stack)?;
        stack.add_each(&system.db, |host| {
            Container::on(&host.name, "copy", "postgres-copy:1.0.2")
                .writes("/opt/keybuzz/postgres/data", "/data")
                .nofile(65_536)
                .shm_size(1 << 30)
        });
        Ok(())
    });
}

#[test]
fn secrets_in_environment_and_arguments() {
    refused(
        "secrets-of-containers",
        &["kbz::secret::clear-text"],
        |stack| {
            let system = System::of(stack)?;
            let host = &system.lb[0].name;
            stack.add(
                Container::on(host, "redis", "redis:7.2.5-alpine")
                    .command(["redis-server", "--requirepass", "hunter2"])
                    .env("REDIS_PASSWORD", "hunter2"),
            );
            Ok(())
        },
    );
}

#[test]
fn secrets_in_files() {
    let codes = ["kbz::secret::readable", "kbz::secret::clear-text"];
    refused("secrets-of-files", &codes, |stack| {
        let system = System::of(stack)?;
        let host = &system.lb[0].name;
        stack.add(
            File::on(host, "/etc/app/database.env")
                .content(Text::secret(system.secrets.app().password))
                .mode(0o644),
        );
        stack.add(File::on(host, "/etc/app/app.env").content("API_KEY=hunter2\n"));
        Ok(())
    });
}
