use kbz_infra::prelude::*;

fn program(host: &HostName) -> Container {
    Container::on(host, "postgres", "postgres:16.4-bookworm").publish(5432, 5432)
}

fn main() {}
