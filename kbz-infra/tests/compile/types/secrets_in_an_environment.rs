use kbz_infra::model::ContainerSpec;
use kbz_infra::prelude::*;

fn program(container: &mut ContainerSpec, secrets: &Credentials) {
    let password = secrets.superuser().password;
    container.env.insert("POSTGRES_PASSWORD".to_owned(), password);
}

fn main() {}
